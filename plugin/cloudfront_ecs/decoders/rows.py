"""Lines become rows of one layout; what does not fit is refused with its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudfront_ecs.batches import Layout, RecordBatch, RejectedLine
from cloudfront_ecs.decoders.lines import line_of
from cloudfront_ecs.normalize.layouts import OLDEST_WIDTH, rows_by_column
from cloudfront_ecs.normalize.values import convert
from cloudfront_ecs.split_rows import TAB, SplitRows, TabRows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ANCHORS = (
    "date", "time", "timestamp", "timestamp(ms)", "c-ip", "s-ip", "sc-status",
    "x-edge-request-id", "cs-protocol",
    "x-edge-result-type", "x-edge-response-result-type", "x-edge-detailed-result-type",
)  # fmt: skip
"""Columns whose values have a shape of their own, and so tell whether a layout fits."""


_NEVER_ABSENT = frozenset({"date", "time", "timestamp", "timestamp(ms)", "c-ip", "sc-status"})


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
