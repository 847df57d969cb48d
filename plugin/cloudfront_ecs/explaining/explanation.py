"""What an explanation holds: columns, the fields they became, and what comes from no column."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


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
