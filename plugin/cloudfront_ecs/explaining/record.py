"""Explains one record: what each column says, and which fields of the document it became."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.errors import CloudFrontEcsError
from cloudfront_ecs.explaining.experiment import Experiment, flat, plain
from cloudfront_ecs.explaining.explanation import Column, Derived, Explanation
from cloudfront_ecs.normalize.builders import BUILDERS
from cloudfront_ecs.resources import field_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudfront_ecs.adapters import Decoder, Transform
    from cloudfront_ecs.batches import Origin, Payload, RecordBatch, RejectedLine


class RefusedRecordError(CloudFrontEcsError):
    """The record to explain became no document; the text says why."""


class NoRecordError(CloudFrontEcsError):
    """There is no record at the place to explain."""


def explain(
    decoder: Decoder, transforms: Sequence[Transform], payload: Payload, number: int | None
) -> Explanation:
    """Explain the record at line *number* of *payload*, or its first one.

    Raises:
        RefusedRecordError: The record becomes no document.
        NoRecordError: No record stands there.
    """
    chosen = _OneRecord(decoder, number)
    for part in Conversion(chosen, transforms).convert(payload):
        if part.rejects:
            reject = part.rejects[0]
            raise RefusedRecordError(f"refused as {reject.reason!r}: {reject.detail}")
        if part.trace is None or not part.trace.documents:
            continue
        [index] = part.trace.indexes
        if not part.documents:
            raise NoRecordError("a transform dropped the document")
        document = plain(part.documents[0].body)
        return _explained(part.trace.batch, index, document, payload.origin)
    raise NoRecordError("no record stands here")


class _OneRecord:
    """A decoder that hands on one record of another decoder, and stops."""

    def __init__(self, decoder: Decoder, number: int | None) -> None:
        self._decoder, self._number = decoder, number

    def decode(self, payload: Payload) -> Iterator[RecordBatch]:
        """Yield a batch with the one record, or with its refusal."""
        for batch in self._decoder.decode(payload):
            rejects = [reject for reject in batch.rejects if self._is_wanted(reject)]
            index = self._index(batch)
            first_is_refused = self._number is None and (
                index is None or _before(rejects, batch.numbers[index])
            )
            if rejects and (first_is_refused or self._number is not None):
                yield replace(_of(batch, []), rejects=rejects[:1])
                return
            if index is not None:
                yield _of(batch, [index])
                return

    def _is_wanted(self, reject: RejectedLine) -> bool:
        return self._number is None or reject.line == self._number

    def _index(self, batch: RecordBatch) -> int | None:
        if self._number is None:
            return 0 if batch.numbers else None
        try:
            return batch.numbers.index(self._number)
        except ValueError:
            return None


def _before(rejects: Sequence[RejectedLine], number: int) -> bool:
    return bool(rejects) and (rejects[0].line or 0) < number


def _of(batch: RecordBatch, indexes: Sequence[int]) -> RecordBatch:
    """Return only some records of *batch*."""
    lines = [batch.lines[index] for index in indexes]
    return replace(
        batch,
        rows=[batch.rows[index] for index in indexes],
        lines=lines,
        numbers=[batch.numbers[index] for index in indexes],
        positions=None if batch.positions is None else [batch.positions[i] for i in indexes],
        notes={at: batch.notes[i] for at, i in enumerate(indexes) if i in batch.notes},
        rejects=[],
        skipped=0,
        filtered=0,
        plain=all(line.isascii() for line in lines),
    )


def _explained(
    batch: RecordBatch, index: int, document: dict[str, Any], origin: Origin
) -> Explanation:
    layout = batch.layout
    columns: tuple[Column, ...] = ()
    if layout.log not in BUILDERS:
        experiment = Experiment(_of(batch, [index]), origin)
        columns = tuple(experiment.column(place) for place in range(len(layout.columns)))
    told = {field.field for column in columns for field in column.fields}
    notes = _notes(layout.log)
    derived = tuple(
        Derived(name, value, notes.get(name))
        for name, value in flat(document).items()
        if name not in told
    )
    return Explanation(layout.log, batch.numbers[index], columns, derived, document)


def _notes(log: str) -> dict[str, str]:
    """Return what the field table says about fields that come from no column."""
    return {
        name: row.description
        for row in field_table()
        if log in row.logs and row.column.startswith("(")
        for name, _ in row.targets
    }
