"""Payloads become documents: inflate, decode, normalize, transform, always in this order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cloudfront_ecs.batches import RejectedLine
from cloudfront_ecs.decoders.inflate import inflate
from cloudfront_ecs.decoders.rows import refitted
from cloudfront_ecs.errors import PayloadError
from cloudfront_ecs.normalize.builders import BUILDERS
from cloudfront_ecs.normalize.normalizer import Normalizer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cloudfront_ecs.adapters import Decoder, Transform
    from cloudfront_ecs.batches import Document, Layout, Payload, RecordBatch
    from cloudfront_ecs.normalize.compiling.plan import Completion
    from cloudfront_ecs.normalize.normalized import NormalizedBatch


@dataclass(slots=True)
class Trace:
    """The way back from a document to the line it was made of.

    Attributes:
        documents: The documents, before any transform.
        batch: The records.
        indexes: For each document, the index of its record.
        concealed: A transform has hidden what the lines still show.
    """

    documents: tuple[Document, ...]
    batch: RecordBatch
    indexes: Sequence[int]
    concealed: bool = False

    def line_of(self, document_id: str) -> RejectedLine | None:
        """Return the line of a document, ready to be refused, or None if it is not here."""
        ids = [document.id for document in self.documents]
        if document_id not in ids:
            return None
        batch, index = self.batch, self.indexes[ids.index(document_id)]
        number, position = batch.place(index)
        raw = batch.lines[index].encode("utf-8", "surrogateescape")
        # What a function wrote in a line is told by lines before it, too.
        values = tuple(batch.rows[index]) if batch.layout.log == "function" else None
        note = batch.notes.get(index, "")
        return RejectedLine("rejected", "", raw, number, position, values=values, note=note)


@dataclass(slots=True)
class Converted:
    """What some consecutive lines of a payload became.

    Attributes:
        documents: The documents that go on to the sinks.
        rejects: What could not become a document.
        read: Records read: documents before any filter, and rejects.
        filtered: Documents that transforms dropped, and records that decoders did.
        skipped: Headers and blank lines.
        bytes: Characters of the lines of *documents*, for the size of batches.
        layout: The columns of the lines.
        trace: The way back to the lines.
    """

    documents: list[Document]
    rejects: list[RejectedLine]
    read: int
    filtered: int
    skipped: int
    bytes: int
    layout: Layout | None = None
    trace: Trace | None = None


class Conversion:
    """The way from payloads to documents that one pipeline uses."""

    def __init__(
        self,
        decoder: Decoder,
        transforms: Sequence[Transform],
        *,
        original: bool = False,
        tags: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Put the parts in order.

        Args:
            decoder: Splits payloads into records.
            transforms: Applied to the documents in this order.
            original: Whether ``event.original`` keeps the line.
            tags: Put into ``tags`` of every document.
            labels: Put into ``labels`` of every document.
        """
        self._tags, self._labels = tuple(tags), dict(labels or {})
        self._decoder = decoder
        self._transforms = tuple(transforms)
        self._conceals = any(getattr(transform, "conceals", False) for transform in transforms)
        self._completions = tuple(_leading_completions(transforms))
        self._original = original

    def convert(self, payload: Payload) -> Iterator[Converted]:
        """Yield the documents of *payload* as its lines come in.

        Bytes that can never be read are the last reject; they end the payload.

        Raises:
            SourceError: Reading broke off; what was yielded will come again.
        """
        normalizer = Normalizer(
            payload.origin,
            original=self._original,
            tags=self._tags,
            labels=self._labels,
            completions=self._completions,
        )
        if payload.messages is None:
            payload = replace(payload, chunks=inflate(payload.chunks))
        try:
            for batch, normalized in _normalized(normalizer, self._decoder.decode(payload)):
                rejects = [*batch.rejects, *normalized.rejects]
                documents = normalized.documents
                made = len(documents)
                trace = Trace(tuple(documents), batch, normalized.indexes, self._conceals)
                built = batch.layout.log in BUILDERS
                for transform in self._transforms[0 if built else len(self._completions) :]:
                    documents = transform.apply(documents)
                yield Converted(
                    documents=documents,
                    rejects=rejects,
                    read=made + len(rejects) + batch.filtered,
                    filtered=made - len(documents) + batch.filtered,
                    skipped=batch.skipped,
                    bytes=sum(map(len, batch.lines)),
                    layout=batch.layout,
                    trace=trace,
                )
        except PayloadError as error:
            yield Converted([], [_last_reject(error)], 1, 0, 0, 0)


def _normalized(
    normalizer: Normalizer, batches: Iterable[RecordBatch]
) -> Iterator[tuple[RecordBatch, NormalizedBatch]]:
    """Normalize batches; one in which rows do not fit is judged row by row and done again."""
    for batch in batches:
        normalized = normalizer.normalize(batch)
        if not normalized.misfits:
            yield batch, normalized
            continue
        for judged in batch.fitter.refitted(batch) if batch.fitter else refitted(batch):
            yield judged, normalizer.normalize(judged)


def _leading_completions(transforms: Iterable[Transform]) -> Iterator[Completion]:
    """Yield what the first transforms complete, up to the first that does something else."""
    for transform in transforms:
        completion = getattr(transform, "completion", None)
        if completion is None:
            return
        yield completion


def _last_reject(error: PayloadError) -> RejectedLine:
    return RejectedLine(error.reason, error.detail, error.raw)
