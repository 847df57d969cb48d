"""Layouts as the field table gives them: which columns exist, and in which order."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from cloudfront_ecs.batches import Layout
from cloudfront_ecs.errors import ConfigError, nearest
from cloudfront_ecs.resources import field_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from cloudfront_ecs.resources import FieldRow

OLDEST_WIDTH = 18
"""Columns of the standard logs of 2014, the fewest that a legacy file ever had."""


@cache
def realtime_columns() -> tuple[str, ...]:
    """Return all columns of real-time records in AWS's order.

    A configuration picks a subset; the order never changes, whatever order the
    configuration lists them in (CloudFront developer guide, "Real-time log fields").
    """
    placed = {row.realtime: row.column for row in field_table() if row.realtime}
    return tuple(placed[position] for position in sorted(placed))


@cache
def legacy_columns() -> tuple[str, ...]:
    """Return the 33 columns of standard (legacy) files in their order."""
    placed = {row.legacy: row.column for row in field_table() if row.legacy}
    return tuple(placed[position] for position in sorted(placed))


@cache
def rows_by_column(log: str) -> dict[str, FieldRow]:
    """Return the table's row for each column of a log (one of ``resources.LOGS``)."""
    return {
        row.column: row
        for row in field_table()
        if log in row.logs and not row.column.startswith("(")
    }


def realtime_layout(names: Iterable[str], place: str) -> Layout:
    """Return the layout of a real-time configuration; *names* may come in any order.

    Raises:
        ConfigError: A name is unknown or given twice; *place* is named.
    """
    wanted = list(names)
    order = realtime_columns()
    problems = _misnamed(wanted, order, place)
    if not wanted:
        problems.append(f"{place}: no columns given")
    if problems:
        raise ConfigError("\n".join(problems))
    return Layout("realtime", tuple(name for name in order if name in wanted))


def require_columns(log: str, names: Sequence[str], place: str) -> None:
    """Refuse columns that rows of *log* without a header cannot have.

    Raises:
        ValueError: A name is unknown or given twice; *place* is named.
    """
    problems = _misnamed(names, rows_by_column(log), place)
    if problems:
        raise ValueError("\n".join(problems))


def _misnamed(names: Sequence[str], known: Collection[str], place: str) -> list[str]:
    """Return what is wrong with columns that a configuration names."""
    unknown = [name for name in names if name not in known]
    repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    return [
        *(f"{place}: unknown column {name!r}{nearest(name, known)}" for name in unknown),
        *(f"{place}: column {name!r} is named twice" for name in repeated),
    ]
