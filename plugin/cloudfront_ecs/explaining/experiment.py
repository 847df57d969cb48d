"""Which column a field comes from, found by experiment.

The record is converted again with each column in turn made absent, and what changes came
from that column.  So an explanation is true by construction, whatever the conversion does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.explaining.explanation import Column, FieldValue
from cloudfront_ecs.normalize.layouts import rows_by_column
from cloudfront_ecs.normalize.normalizer import Normalizer
from cloudfront_ecs.normalize.rebuilding.as_logged import NOT_UTF8, escaped
from cloudfront_ecs.normalize.values import convert
from cloudfront_ecs.resources import field_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from cloudfront_ecs.batches import Origin, RecordBatch
    from cloudfront_ecs.resources import FieldRow

_OTHER = "aws.cloudfront.other"
_OF_NO_COLUMN = frozenset(
    {"event.id", "event.created", "event.kind", "event.original", "error.message"}
)
"""Fields that may change with any column, and tell of none."""


class Experiment:
    """Converts a record again and again, each time without one of its columns."""

    def __init__(self, batch: RecordBatch, origin: Origin) -> None:
        """Convert the one record of *batch* with and without each of its columns."""
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
        return not convert.encoded_once(dict(zip(self._layout.columns, self._row, strict=False)))

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
            found[index] = flat(plain(document.body))
        return found


def _first(value: Any) -> Any:
    """Return the value itself; conversions that give several give the main one first."""
    return value[0] if isinstance(value, tuple) else value


def plain(body: object) -> dict[str, Any]:
    """Return a body as JSON has it."""
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
