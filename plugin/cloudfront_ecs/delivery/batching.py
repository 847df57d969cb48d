"""Documents of many payloads become batches; a payload settles when all its batches have."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cloudfront_ecs.encoding import json_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs.batches import Document, Layout, Origin, Receipt, RejectedLine
    from cloudfront_ecs.config import BatchOptions
    from cloudfront_ecs.conversion import Converted, Trace


@dataclass(slots=True, eq=False)
class PayloadProgress:
    """How far one payload is.

    Attributes:
        receipt: The source's ticket.
        origin: Where its bytes come from.
        outstanding: Documents handed to batches whose end is not known.
        complete: Every byte has been read and every reject is durable.
        failed: It goes back to the source.
    """

    receipt: Receipt
    origin: Origin
    outstanding: int = 0
    complete: bool = False
    failed: bool = False

    @property
    def ended(self) -> bool:
        """Whether the source may be told."""
        return self.outstanding == 0 and (self.complete or self.failed)


@dataclass(slots=True)
class Share:
    """What a payload has in a batch."""

    progress: PayloadProgress
    count: int
    trace: Trace | None
    layout: Layout | None

    @property
    def concealed(self) -> bool:
        """Whether its lines must not be seen again."""
        return self.trace is not None and self.trace.concealed


@dataclass(slots=True, eq=False)
class Batch:
    """Documents that are written together.

    Attributes:
        documents: The documents.
        shares: Which payloads they come from, in order.
        waiting_for: Sinks that have not finished it.
        failed: A sink has given it up; its payloads go back to the source.
        outcomes: For each sink, how many documents ended how.
        seconds: For each sink, from *offered* to its answer.
        bytes: Characters of the lines its documents were made of.
        began: When the first document came in (monotonic clock).
        offered: When it was handed to the sinks (monotonic clock).
    """

    documents: list[Document] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    waiting_for: set[str] = field(default_factory=set)
    failed: bool = False
    outcomes: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    bytes: int = 0
    began: float = field(default_factory=time.monotonic)
    offered: float = 0.0

    def line_of(self, document: Document) -> tuple[Share, RejectedLine] | None:
        """Return the line a document was made of, with the payload's share.

        Where a transform conceals, the document as it was sent stands in place of the line.
        """
        for share in self.shares:
            line = share.trace.line_of(document.id) if share.trace else None
            if line is not None:
                if share.concealed:
                    line = replace(line, raw=_as_sent(document), values=None, note="")
                return share, line
        return None


def _as_sent(document: Document) -> bytes:
    """Return the JSON of a document; nothing where a plugin made something else of it."""
    try:
        return json_line(document)
    except (TypeError, ValueError, OverflowError):
        return b""


class Batching:
    """Gathers documents until a batch is full or old enough."""

    def __init__(self, options: BatchOptions) -> None:
        """Start with an empty batch."""
        self._options = options
        self._open = Batch()

    def add(self, progress: PayloadProgress, part: Converted) -> Iterator[Batch]:
        """Take the documents of some lines; yield the batches that became full."""
        documents = part.documents
        progress.outstanding += len(documents)
        limit = self._options.documents
        start = 0
        while start < len(documents):
            room = limit - len(self._open.documents)
            taken = documents[start : start + room] if start or room < len(documents) else documents
            if not self._open.documents:
                self._open.began = time.monotonic()
            self._open.documents.extend(taken)
            self._open.shares.append(Share(progress, len(taken), part.trace, part.layout))
            self._open.bytes += part.bytes * len(taken) // len(documents)
            start += len(taken)
            if self._full():
                yield self.take()

    def due_in(self) -> float | None:
        """Return in how many seconds the open batch must go, or None while it is empty."""
        if not self._open.documents:
            return None
        return max(0.0, self._open.began + self._options.seconds - time.monotonic())

    def take(self) -> Batch:
        """Return the open batch, however full, and begin another."""
        batch, self._open = self._open, Batch()
        return batch

    def _full(self) -> bool:
        return (
            len(self._open.documents) >= self._options.documents
            or self._open.bytes >= self._options.bytes
        )
