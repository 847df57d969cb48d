"""The records of a batch, and the typed document of each of them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from cloudfront_ecs.normalize.values import convert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudfront_ecs.batches import Document, RecordBatch
    from cloudfront_ecs.normalize.compiling.compile import Compiled
    from cloudfront_ecs.normalize.compiling.payload_constants import Constants

log = logging.getLogger(__name__)

_UNREADABLE: list[str] = []
"""Stands for a row that the conversion must not see; no layout is so narrow."""


Partly = tuple[str, str, str, str]
"""A column that was read in part: its whole text, the readable part, the rest, and why."""


class Failure(NamedTuple):
    """Why a record could not be converted, as texts.

    An error itself would keep the frames of all its callers, with every line and document
    in them, until the collector finds the cycle.

    Attributes:
        error: The name of the error's class.
        undated: What is said of a record without a time; empty for other errors.
        partly: The column that was read in part, where that is the reason.
    """

    error: str
    undated: str
    partly: Partly | None


def failure_of(error: Exception) -> Failure:
    """Return what is worth keeping of *error*."""
    if not isinstance(error, ValueError):
        log.debug("a record could not be converted", exc_info=error)
    partly = None
    if isinstance(error, convert.PartlyReadError):
        partly = error.whole, error.readable, error.unreadable, str(error)
    undated = str(error) if isinstance(error, convert.UndatedError) else ""
    return Failure(type(error).__name__, undated, partly)


@dataclass(slots=True)
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
    _opened: list[Document | None] | None = None

    def body(self, index: int) -> object:
        """Return the typed body of the record at *index*, see ``batches.Page``.

        Who looks into one document of a page mostly looks into all of them, so these are
        made together.
        """
        if self._opened is None:
            self._opened, _ = self.documents()
        document = self._opened[index]
        if document is None:
            raise RuntimeError("a record that was written cannot be read")
        return document.opened

    def documents(self) -> tuple[list[Document | None], dict[int, Failure]]:
        """Return all documents, and for those that could not be made what is known of why."""
        rows: Sequence[list[str]] = self.batch.rows
        if not self.batch.plain:
            rows = [self._readable(index) for index in range(len(rows))]
        failed: dict[int, Failure] = {}
        documents = self.conversion.run(
            rows,
            self.batch.lines,
            self.keys,
            self.batch.positions or self.batch.lines,
            self.shared,
            lambda index, error: failed.__setitem__(index, failure_of(error)),
        )
        return documents, failed

    def document(self, index: int) -> tuple[Document | None, Failure | None]:
        """Return the document of the record at *index*, or why it could not be converted."""
        return self.document_of(index, self._readable(index))

    def _readable(self, index: int) -> list[str]:
        """Return a row, if it and its line are plain: there is more in JSON than columns."""
        row, line = self.batch.rows[index], self.batch.lines[index]
        is_plain = self.batch.plain or ("".join(row).isascii() and line.isascii())
        return row if is_plain else _UNREADABLE

    def document_of(self, index: int, row: list[str]) -> tuple[Document | None, Failure | None]:
        """Return the document of the record at *index* with the columns of *row*, or why not."""
        failures: list[Failure] = []
        [document] = self.conversion.run(
            [row],
            [self.batch.lines[index]],
            [self.keys[index]],
            [self.batch.positions[index] if self.batch.positions else ""],
            self.shared,
            lambda _, error: failures.append(failure_of(error)),
        )
        return document, failures[0] if failures else None
