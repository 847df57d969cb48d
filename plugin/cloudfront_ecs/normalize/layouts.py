"""Layouts as the field table gives them: which columns exist, and in which order."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from cloudfront_ecs.batches import Layout
from cloudfront_ecs.errors import ConfigError, nearest
from cloudfront_ecs.resources import field_table

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    problems = [
        f"{place}: unknown column {n!r}{nearest(n, order)}" for n in wanted if n not in order
    ]
    problems += [f"{place}: column {n!r} is named twice" for n in {*wanted} if wanted.count(n) > 1]
    if not wanted:
        problems.append(f"{place}: no columns given")
    if problems:
        raise ConfigError("\n".join(problems))
    return Layout("realtime", tuple(name for name in order if name in wanted))


def standard_layout(names: Iterable[str], place: str) -> Layout:
    """Return the layout of a headerless standard log; *names* in the order of the columns.

    Raises:
        ConfigError: A name is unknown or given twice; *place* is named.
    """
    wanted = tuple(names)
    known = rows_by_column("standard")
    problems = [
        f"{place}: unknown column {n!r}{nearest(n, known)}" for n in wanted if n not in known
    ]
    problems += [f"{place}: column {n!r} is named twice" for n in {*wanted} if wanted.count(n) > 1]
    if problems:
        raise ConfigError("\n".join(problems))
    return Layout("standard", wanted)
