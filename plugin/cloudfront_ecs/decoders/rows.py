"""Lines become rows of one layout; what does not fit is refused with its bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import overload

from cloudfront_ecs.batches import Layout, RecordBatch, RejectedLine
from cloudfront_ecs.decoders.lines import line_of
from cloudfront_ecs.normalize import convert
from cloudfront_ecs.normalize.layouts import OLDEST_WIDTH, rows_by_column

ANCHORS = (
    "date", "time", "timestamp", "timestamp(ms)", "c-ip", "s-ip", "sc-status",
    "x-edge-request-id", "cs-protocol",
    "x-edge-result-type", "x-edge-response-result-type", "x-edge-detailed-result-type",
)  # fmt: skip
"""Columns whose values have a shape of their own, and so tell whether a layout fits."""


_NEVER_ABSENT = frozenset({"date", "time", "timestamp", "timestamp(ms)", "c-ip", "sc-status"})


TAB = "\t"


class SplitRows(Sequence[list[str]]):
    """The columns of lines, split when they are asked for.

    Rows that come into being one by one while they are converted stay in the processor's
    nearest cache; a list of them all does not.
    """

    def __init__(self, lines: list[str], delimiter: str) -> None:
        """Stand for the rows of *lines*."""
        self._lines, self._delimiter = lines, delimiter

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._lines)

    def __iter__(self) -> Iterator[list[str]]:
        """Split line after line."""
        return map(str.split, self._lines, repeat(self._delimiter))

    @overload
    def __getitem__(self, index: int) -> list[str]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[str]]: ...
    def __getitem__(self, index: int | slice) -> list[str] | list[list[str]]:
        """Split one line, or some."""
        if isinstance(index, slice):
            return [line.split(self._delimiter) for line in self._lines[index]]
        return self._lines[index].split(self._delimiter)


class TabRows(SplitRows):
    """The columns of lines split at tabs, so that no value holds one."""

    def __init__(self, lines: list[str]) -> None:
        """Stand for the rows of *lines*."""
        super().__init__(lines, TAB)


def split_rows(
    layout: Layout,
    lines: list[str],
    numbers: Sequence[int],
    *,
    plain: bool,
    positions: Sequence[str] | None = None,
    delimiter: str = TAB,
) -> Iterator[RecordBatch]:
    """Yield the records of *lines*.

    Rows of another width come to light when they are converted, and ``refitted`` then judges
    them: counting the columns of every line first would take a twentieth of all time.
    """
    rows = TabRows(lines) if delimiter == TAB else SplitRows(lines, delimiter)
    batch = RecordBatch(layout, rows, lines, numbers, positions, plain=plain)
    if len(layout.columns) > 1:
        yield batch
    else:  # a blank line is as wide as a row of one column
        yield from refitted(batch)


def refitted(batch: RecordBatch) -> Iterator[RecordBatch]:
    """Yield the records of *batch* that fit its layout, then each short one.

    A row with fewer columns than the layout is read as a prefix where it has at least the
    18 columns of 2014 and its anchors have the right shape; one empty column too many (a
    trailing tab) is dropped; blank lines are skipped; everything else is refused.
    """
    layout, plain = batch.layout, batch.plain
    lines, numbers, positions = batch.lines, batch.numbers, batch.positions
    width = len(layout.columns)
    rows = list(batch.rows)
    odd = [i for i, row in enumerate(rows) if len(row) != width or row == [""]]
    rejects = list(batch.rejects)
    short: list[int] = []
    skipped = batch.skipped
    bad = set(odd)
    for index in odd:
        row = rows[index]
        if row == [""]:
            skipped += 1
        elif len(row) == width + 1 and not row[-1]:
            rows[index] = row[:-1]
            bad.discard(index)
        elif layout.log == "standard" and _is_prefix(layout, row):
            short.append(index)
        else:
            rejects.append(_refused(width, rows, lines, numbers, positions, index))
    kept = [index for index in range(len(rows)) if index not in bad]
    fitting = _chosen(layout, rows, lines, numbers, positions, kept, plain=plain)
    fitting.rejects, fitting.skipped = rejects, skipped
    fitting.notes = {kept.index(i): note for i, note in batch.notes.items() if i in kept}
    yield fitting
    for index in short:
        columns = layout.columns[: len(rows[index])]
        missing = ", ".join(layout.columns[len(columns) :])
        prefix = Layout(layout.log, columns, named_by=layout.named_by)
        one = _chosen(prefix, rows, lines, numbers, positions, [index], plain=plain)
        one.notes = {0: f"the row ends before {missing}"}
        yield one


def _chosen(
    layout: Layout,
    rows: Sequence[list[str]],
    lines: Sequence[str],
    numbers: Sequence[int],
    positions: Sequence[str] | None,
    kept: Sequence[int],
    *,
    plain: bool,
) -> RecordBatch:
    return RecordBatch(
        layout,
        [rows[index] for index in kept],
        [lines[index] for index in kept],
        [numbers[index] for index in kept],
        None if positions is None else [positions[index] for index in kept],
        plain=plain,
    )


def _refused(
    width: int,
    rows: Sequence[list[str]],
    lines: Sequence[str],
    numbers: Sequence[int],
    positions: Sequence[str] | None,
    index: int,
) -> RejectedLine:
    found = len(rows[index])
    return RejectedLine(
        reason="columns",
        detail=f"{width} columns expected, {found} found",
        raw=lines[index].encode("utf-8", "surrogateescape"),
        line=line_of(numbers[index], None if positions is None else positions[index]),
        position=None if positions is None else positions[index],
    )


def _is_prefix(layout: Layout, row: Sequence[str]) -> bool:
    return OLDEST_WIDTH <= len(row) < len(layout.columns) and has_shape(layout, row)


def has_shape(layout: Layout, row: Sequence[str]) -> bool:
    """Say whether the anchors among the columns of *row* look like what they should be."""
    known = rows_by_column(layout.log)
    for column, value in zip(layout.columns, row, strict=False):
        if column not in ANCHORS or column not in known:
            continue
        if column in _NEVER_ABSENT and convert.absent(value):
            return False
        if not value.isascii() or not value.isprintable():
            return False
        try:
            getattr(convert, known[column].conversion)(value)
        except ValueError:
            return False
        if column.startswith("x-edge") and (" " in value or "/" in value or "%" in value):
            return False
        if column == "cs-protocol" and value not in ("http", "https", "ws", "wss", "grpcs", "-"):
            return False
    return True
