"""The records of a batch, and the typed document of each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudfront_ecs.batches import Document, RecordBatch
    from cloudfront_ecs.normalize.compile import Compiled
    from cloudfront_ecs.normalize.payload_constants import Constants

_UNREADABLE: list[str] = []
"""Stands for a row that the conversion must not see; no layout is so narrow."""


@dataclass(frozen=True, slots=True)
class Page:
    """The records of a batch, and how typed documents are made of them.

    Attributes:
        batch: The records.
        keys: The ends of their ids.
        shared: What all documents of the payload have in common.
        conversion: Makes documents of typed objects.
    """

    batch: RecordBatch
    keys: Sequence[str]
    shared: Constants
    conversion: Compiled

    def body(self, index: int) -> object:
        """Return the typed body of the record at *index*, see ``batches.Page``."""
        document, error = self.document(index)
        if document is None:
            raise RuntimeError("a record that was written cannot be read") from error
        return document.opened

    def document(self, index: int) -> tuple[Document | None, Exception | None]:
        """Return the document of the record at *index*, or why it could not be converted."""
        row = self.batch.rows[index]
        return self.document_of(
            index, row if self.batch.plain or "".join(row).isascii() else _UNREADABLE
        )

    def document_of(self, index: int, row: list[str]) -> tuple[Document | None, Exception | None]:
        """Return the document of the record at *index* with the columns of *row*, or why not."""
        errors: list[Exception] = []
        [document] = self.conversion.run(
            [row],
            [self.batch.lines[index]],
            [self.keys[index]],
            [self.batch.positions[index] if self.batch.positions else ""],
            self.shared,
            lambda _, error: errors.append(error),
        )
        return document, errors[0] if errors else None
