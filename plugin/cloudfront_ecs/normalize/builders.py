"""Logs whose records are no rows of columns: each has a builder of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudfront_ecs.normalize.api.events import api_documents
from cloudfront_ecs.normalize.function_log import function_documents

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudfront_ecs.batches import RecordBatch
    from cloudfront_ecs.normalize.compiling.payload_constants import Constants
    from cloudfront_ecs.normalize.normalized import NormalizedBatch


class Builder(Protocol):
    """Makes the documents of one log from the texts of its records."""

    def __call__(
        self, batch: RecordBatch, keys: Sequence[str], shared: Constants, *, original: bool
    ) -> NormalizedBatch:
        """Return the documents of *batch*; a record that cannot be read is a reject.

        Args:
            batch: The records; each row has one column.
            keys: The last 22 characters of each document's id (``identity``).
            shared: What all documents of the payload have in common.
            original: Whether ``event.original`` keeps the record.
        """


BUILDERS: Mapping[str, Builder] = {"api": api_documents, "function": function_documents}
"""The builder of each such log."""
