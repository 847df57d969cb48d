"""Standard logs without a header: what the columns are is told by their number and shape.

Legacy files are known by how many columns they had over the years, if the values fit.
35 columns are either the newest legacy set, which ends with tenant and connection, or the
default set of v2, which ends with country and path pattern.  The two are told apart row by
row; where both would give the same document it does not matter, and what cannot be told is
refused, never guessed.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from cloudfront_ecs.batches import Layout
from cloudfront_ecs.decoders.rows import has_shape
from cloudfront_ecs.normalize.layouts import legacy_columns
from cloudfront_ecs.split_rows import TAB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LEGACY_WIDTHS = (18, 19, 24, 26, 33)
"""How many columns legacy files had over the years; each is a prefix of the 33."""

UNCLEAR = "columns 34 and 35 have no header and could be two things (give the option 'fields')"

_TENANT = ("distribution-tenant-id", "connection-id")
_PLACE = ("c-country", "cache-behavior-path-pattern")
_TENANT_ID = re.compile(r"dt_\w+", re.ASCII)
_CONNECTION_ID = re.compile(r"(?=.*\d)[\w-]{20,}={0,2}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}")
_PATTERN = re.compile(r"\S*[*/.]\S*")


class Run(NamedTuple):
    """Lines that follow each other and have one layout; None where nothing says which."""

    layout: Layout | None
    begin: int
    end: int


def legacy_layout(lines: Sequence[str], delimiter: str = TAB) -> tuple[Layout | None, int]:
    """Return the legacy layout that surely explains a headerless line, and that line's index.

    Where there are more than the 33 columns of old, these are only what lines begin with:
    ``runs`` tells the rest.
    """
    columns = legacy_columns()
    for index, line in enumerate(lines):
        width = line.count(delimiter) + 1
        if width in LEGACY_WIDTHS or len(columns) < width <= len(columns) + len(_TENANT):
            row = line.split(delimiter)
            layout = Layout("standard", columns[:width])
            if _extra(row) is not None and has_shape(layout, row):
                return layout, index
    return None, len(lines)


def runs(lines: Sequence[str], base: Layout, delimiter: str = TAB) -> Iterator[Run]:
    """Yield the lines of a headerless file, in runs of one layout.

    Args:
        lines: The lines.
        base: What ``legacy_layout`` found.
        delimiter: What stands between two values.
    """
    if base.columns != legacy_columns():
        yield Run(base, 0, len(lines))
        return
    begin = 0
    widest = len(base.columns) + len(_TENANT)

    def extra(line: str) -> tuple[str, ...] | None:
        width = line.count(delimiter) + 1
        return _extra(line.split(delimiter)) if len(base.columns) < width <= widest else ()

    for columns, group in groupby(lines, extra):
        end = begin + sum(1 for _ in group)
        layout = None if columns is None else Layout("standard", base.columns + columns)
        yield Run(layout, begin, end)
        begin = end


def _extra(row: Sequence[str]) -> tuple[str, ...] | None:
    """Return what the columns after the 33 are, or None where it cannot be told."""
    values = list(row[len(legacy_columns()) :])
    if values and not values[-1]:  # only a trailing delimiter
        values.pop()
    if not values:
        return ()
    first, second = values[0], values[1] if len(values) > 1 else "-"
    if first == second == "-" or _TENANT_ID.fullmatch(first):
        return _TENANT[: len(values)]
    if first == "-" and _CONNECTION_ID.fullmatch(second):
        return _TENANT
    if len(values) == len(_PLACE) and (
        _COUNTRY.fullmatch(first) or (first == "-" and _PATTERN.fullmatch(second))
    ):
        return _PLACE
    return None
