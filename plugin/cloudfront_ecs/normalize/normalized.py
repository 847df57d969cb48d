"""What a record batch became, and how a record is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudfront_ecs.batches import RejectedLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudfront_ecs.batches import Document, RecordBatch


@dataclass(slots=True)
class NormalizedBatch:
    """What a record batch became.

    Attributes:
        documents: In the order of the records.
        rejects: Records that could not become a document.
        indexes: For each document, the index of its record in the batch.
        misfits: Indexes of records of another width than the layout's, or of which the batch's
            fitter doubts the layout.  Where there are any, nothing was normalized.
    """

    documents: list[Document]
    rejects: list[RejectedLine]
    indexes: Sequence[int] = ()
    misfits: Sequence[int] = ()


def refused(batch: RecordBatch, index: int, reason: str, detail: str) -> RejectedLine:
    """Return the record at *index* refused, with its bytes and its place."""
    number, position = batch.place(index)
    raw = batch.lines[index].encode("utf-8", "surrogateescape")
    return RejectedLine(reason, detail, raw, number, position)
