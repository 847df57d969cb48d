"""Explains one record: what each column says, and which fields of the document it became.

Which column a field comes from is found by experiment: the record is converted again with
each column in turn made absent, and what changes came from that column.  So an explanation
is true by construction, whatever the conversion does.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.errors import CloudFrontEcsError
from cloudfront_ecs.normalize.builders import BUILDERS
from cloudfront_ecs.normalize.layouts import rows_by_column
from cloudfront_ecs.normalize.normalizer import Normalizer
from cloudfront_ecs.normalize.rebuilding.as_logged import NOT_UTF8, escaped
from cloudfront_ecs.normalize.values import convert
from cloudfront_ecs.resources import field_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from cloudfront_ecs.adapters import Decoder, Transform
    from cloudfront_ecs.batches import Origin, Payload, RecordBatch, RejectedLine
    from cloudfront_ecs.resources import FieldRow

_OTHER = "aws.cloudfront.other"
_OF_NO_COLUMN = frozenset(
    {"event.id", "event.created", "event.kind", "event.original", "error.message"}
)
"""Fields that may change with any column, and tell of none."""


class RefusedRecordError(CloudFrontEcsError):
    """The record to explain became no document; the text says why."""


class NoRecordError(CloudFrontEcsError):
    """There is no record at the place to explain."""


@dataclass(frozen=True, slots=True)
class FieldValue:
    """A field of the document.

    Attributes:
        field: Its dotted name.
        value: As JSON has it.
        also: The other columns that have a part in it.
    """

    field: str
    value: Any
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """What became of one column.

    Attributes:
        column: CloudFront's name.
        raw: The text as logged.
        conversion: The name of the conversion in the field table, or None for a column that
            is not known.
        value: What the conversion makes of the text, or None.
        fields: The fields it became.
        note: Why it became none, or not all that it says; None where there is nothing to say.
    """

    column: str
    raw: str
    conversion: str | None
    value: Any
    fields: tuple[FieldValue, ...]
    note: str | None


@dataclass(frozen=True, slots=True)
class Derived:
    """A field that comes from no column: a constant, the place, a transform."""

    field: str
    value: Any
    note: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One record, column by column.

    Attributes:
        format: The log: ``standard``, ``realtime``, ``connection``, ``api``, ``function``.
        line: Where the record stands, from 1.
        columns: In the order of the record; none for logs that are no rows of columns.
        derived: The fields that come from no column.
        document: The whole document, transforms applied.
    """

    format: str
    line: int
    columns: tuple[Column, ...]
    derived: tuple[Derived, ...]
    document: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the explanation as JSON has it; ``also`` only where it says something."""
        columns = [
            {**dataclasses.asdict(column), "fields": [_field_json(f) for f in column.fields]}
            for column in self.columns
        ]
        derived = [dataclasses.asdict(field) for field in self.derived]
        return {
            "format": self.format,
            "line": self.line,
            "columns": columns,
            "derived": derived,
            "document": self.document,
        }


def _field_json(field: FieldValue) -> dict[str, Any]:
    also = {"also": list(field.also)} if field.also else {}
    return {"field": field.field, "value": field.value, **also}


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
        document = _plain(part.documents[0].body)
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
        experiment = _Experiment(_of(batch, [index]), origin)
        columns = tuple(experiment.column(place) for place in range(len(layout.columns)))
    told = {field.field for column in columns for field in column.fields}
    notes = _notes(layout.log)
    derived = tuple(
        Derived(name, value, notes.get(name))
        for name, value in flat(document).items()
        if name not in told
    )
    return Explanation(layout.log, batch.numbers[index], columns, derived, document)


class _Experiment:
    """Converts a record again and again, each time without one of its columns."""

    def __init__(self, batch: RecordBatch, origin: Origin) -> None:
        self._layout = batch.layout
        [self._row] = batch.rows
        self._known = rows_by_column(batch.layout.log)
        variants = [list(self._row) for _ in range(len(self._row) + 1)]
        for place, variant in enumerate(variants[:-1]):
            variant[place] = "-"
        documents = self._converted(batch, variants, origin)
        self._fields = documents.pop() or {}
        self._changed = [
            self._targets(place) if found is None else self._difference(found)
            for place, found in enumerate(documents)
        ]
        self._told = {name for names in self._changed for name in names}

    def column(self, place: int) -> Column:
        """Return what became of the column at *place*."""
        column, raw = self._layout.columns[place], self._row[place]
        row = self._known.get(column)
        value, note = self._value(row, raw)
        fields = tuple(
            FieldValue(name, self._fields[name], self._others(name, place))
            for name in self._names(place, value)
        )
        if convert.absent(raw):
            note = "absent: the log has no value" if raw else "absent: the text is empty"
        elif any(field.field == f"{_OTHER}.{column}" for field in fields):
            reason = f"{note}; " if note else ""
            note = f"{reason}kept as logged in {_OTHER}"
        return Column(column, escaped(raw), row.conversion if row else None, value, fields, note)

    def _names(self, place: int, value: Any) -> list[str]:
        """Return the fields of a column: those that change without it, or are told twice."""
        if convert.absent(self._row[place]):
            return []
        changed, targets = self._changed[place], self._targets(place)
        twice = [] if value is None else [name for name in targets if name not in self._told]
        named = [name for name in targets if name in changed or name in twice]
        return [*named, *(name for name in self._fields if name in changed and name not in named)]

    def _others(self, name: str, place: int) -> tuple[str, ...]:
        columns = self._layout.columns
        return tuple(
            columns[other]
            for other, changed in enumerate(self._changed)
            if other != place and name in changed
        )

    def _targets(self, place: int) -> set[str] | list[str]:
        row = self._known.get(self._layout.columns[place])
        return [name for name, _ in row.targets if name in self._fields] if row else []

    def _difference(self, found: Mapping[str, Any]) -> set[str]:
        return {
            name
            for name, value in self._fields.items()
            if found.get(name) != value and name not in _OF_NO_COLUMN
        }

    def _value(self, row: FieldRow | None, raw: str) -> tuple[Any, str | None]:
        """Return what the conversion makes of *raw*, and what is wrong with it."""
        if escaped(raw) != raw and not raw.isprintable():
            return None, NOT_UTF8
        if row is None:
            return (None if convert.absent(raw) else raw), "this version does not know the column"
        conversion = row.conversion
        if conversion == "agent" and self._is_old():
            conversion = "old_agent"
        try:
            value = getattr(convert, conversion)(raw)
        except convert.PartlyReadError as error:
            value = getattr(convert, conversion)(error.readable)
            return _first(value), str(error) or "says more than its value does"
        except ValueError as error:
            return None, str(error)
        return _first(value), None

    def _is_old(self) -> bool:
        if "date" not in self._layout.columns:
            return False
        return self._row[self._layout.columns.index("date")] < convert.ONCE_SINCE

    def _converted(
        self, batch: RecordBatch, rows: list[list[str]], origin: Origin
    ) -> list[dict[str, Any] | None]:
        """Return the flat document of each row; None for one that is refused."""
        count = len(rows)
        varied = replace(
            batch,
            rows=rows,
            lines=batch.lines * count,
            numbers=list(batch.numbers) * count,
            positions=None if batch.positions is None else list(batch.positions) * count,
            notes={},
        )
        normalized = Normalizer(origin).normalize(varied)
        found: list[dict[str, Any] | None] = [None] * count
        for index, document in zip(normalized.indexes, normalized.documents, strict=True):
            found[index] = flat(_plain(document.body))
        return found


def _first(value: Any) -> Any:
    """Return the value itself; conversions that give several give the main one first."""
    return value[0] if isinstance(value, tuple) else value


def _plain(body: object) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(body))
    return decoded


def flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a document by their dotted names, in its order."""
    # Where the table has a field, an object is its value; the columns in "other" are fields.
    whole = {name for row in field_table() for name, _ in row.targets if name != _OTHER}
    return dict(_leaves(document, "", whole))


def _leaves(
    value: Mapping[str, Any], prefix: str, whole: Collection[str]
) -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, dict) and name not in whole:
            yield from _leaves(inner, f"{name}.", whole)
        else:
            yield name, inner


def _notes(log: str) -> dict[str, str]:
    """Return what the field table says about fields that come from no column."""
    return {
        name: row.description
        for row in field_table()
        if log in row.logs and row.column.startswith("(")
        for name, _ in row.targets
    }
