"""Which of the layouts that a stream has or had explains a record.

A record says nothing of its layout, so the number of its columns and the shapes of their
values decide.  Where two layouts could both be meant, neither is taken: a record read by
the wrong layout is worse than one that waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudfront_ecs.decoders.realtime.shapes import (
    another_layout,
    line_shape,
    misshapen,
    out_of_place,
    shape,
)
from cloudfront_ecs.normalize.normalized import refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudfront_ecs.batches import Layout, RecordBatch, RejectedLine
    from cloudfront_ecs.decoders.realtime.history import KnownLayout


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why no layout was taken; names no content of the record."""

    reason: str
    detail: str

    def refused(self, batch: RecordBatch, index: int) -> RejectedLine:
        """Return a record refused, with its bytes and its place."""
        return refused(batch, index, self.reason, self.detail)


Choice = tuple["Layout", list[str]]
"""A layout and the columns of a record of it."""


class KnownLayouts:
    """All layouts that a stream is known to have or have had."""

    def __init__(self, known: Sequence[KnownLayout], overlap: float) -> None:
        """Sort them by width.

        Args:
            known: The layouts.
            overlap: For how many seconds after its replacement a layout may still come.
        """
        self._overlap = overlap
        self._by_width: dict[int, list[KnownLayout]] = {}
        for each in known:
            self._by_width.setdefault(len(each.layout.columns), []).append(each)
        self._differing = {
            width: _differing([each.layout for each in same])
            for width, same in self._by_width.items()
        }
        self._alone_from = {each.layout: self._threshold(each) for each in known}
        self._only = {
            width: (same[0].layout, line_shape(same[0].layout.columns))
            for width, same in self._by_width.items()
            if len(same) == 1
        }

    def alone(self, layout: Layout, lines: Sequence[str]) -> bool:
        """Say whether rows of the width of *layout* are of no other layout.

        So it is where no other one is as wide, or where the oldest line is younger than the
        last that could be of another one.  Lines begin with their timestamp, whose texts
        sort like the moments.
        """
        threshold = self._alone_from[layout]
        return threshold == "" or (threshold is not None and min(lines) >= threshold)

    def choose(self, line: str) -> Choice | Misfit:
        """Return the layout of a record and its columns, or why there is none."""
        row = line.split("\t")
        if row[-1] and len(row) in self._only:  # mostly there is nothing to choose
            layout, fits = self._only[len(row)]
            if fits(line):
                return layout, row
        choices = [(each, row) for each in self._by_width.get(len(row), ())]
        at: Sequence[int] = self._differing.get(len(row), ())
        if row[-1] == "" and len(row) - 1 in self._by_width:  # a trailing tab, if nothing else
            shorter = [(each, row[:-1]) for each in self._by_width[len(row) - 1]]
            at = range(len(row) - 1) if choices else self._differing[len(row) - 1]
            choices += shorter
        if not choices:
            expected = " or ".join(map(str, sorted(self._by_width)))
            return Misfit("columns", f"{expected} columns expected, {len(row)} found")
        fitting = choices
        if len(choices) > 1:
            fitting = [(k, r) for k, r in choices if not misshapen(k.layout.columns, r, at)]
        if len(fitting) > 1:
            fitting = self._in_time(fitting)
        if len({each.layout.columns for each, _ in fitting}) != 1:
            return _undecided(choices, fitting)
        chosen, texts = _in_force(fitting)
        wrong = foreign_texts(chosen.layout.columns, line, texts)
        if wrong:
            return Misfit("layout", another_layout(wrong))
        return chosen.layout, texts

    def _in_time(
        self, choices: list[tuple[KnownLayout, list[str]]]
    ) -> list[tuple[KnownLayout, list[str]]]:
        """Leave out layouts that no record of this time can have any more."""
        moment = _moment(choices[0][1])
        if moment is None:
            return choices
        overlap = self._overlap
        return [
            (each, row)
            for each, row in choices
            if each.replaced is None or moment <= each.replaced + overlap
        ] or choices

    def _threshold(self, known: KnownLayout) -> str | None:
        """Return from which timestamp on rows of this width are of this layout.

        Empty: always.  None: never for certain.
        """
        width = len(known.layout.columns)
        bounds: list[float] = []
        for other in self._by_width[width]:
            if other is known:
                continue
            if other.replaced is None:
                return None
            same = other.layout.columns == known.layout.columns
            bounds.append(known.since if same else other.replaced + self._overlap)
        if not bounds:
            return ""
        if known.replaced is not None or known.layout.columns[0] != "timestamp":
            return None
        return f"{max(bounds):014.3f}"


def foreign_texts(columns: tuple[str, ...], line: str, row: Sequence[str]) -> list[str]:
    """Return the columns of a record that hold texts of another layout; quick if all is well."""
    return [] if line_shape(columns)(line) else out_of_place(columns, row)


def _differing(layouts: Sequence[Layout]) -> tuple[int, ...]:
    """Return the positions at which layouts of one width have different columns."""
    columns = [layout.columns for layout in layouts]
    return tuple(i for i, names in enumerate(zip(*columns, strict=True)) if len(set(names)) > 1)


def _moment(row: Sequence[str]) -> float | None:
    return float(row[0]) if shape("timestamp")(row[0]) else None


def _in_force(choices: list[tuple[KnownLayout, list[str]]]) -> tuple[KnownLayout, list[str]]:
    """Return, of layouts with the same columns, the one of the record's time.

    They differ in the sampling rate only, and CloudFront was found to have changed it at
    ``since``.
    """
    moment = _moment(choices[0][1])
    ordered = sorted(choices, key=lambda choice: choice[0].since)
    before = [choice for choice in ordered if moment is None or choice[0].since <= moment]
    return before[-1] if before else ordered[0]


def _undecided(
    choices: list[tuple[KnownLayout, list[str]]], fitting: list[tuple[KnownLayout, list[str]]]
) -> Misfit:
    width = len(choices[0][1])
    known = {each.layout.columns for each, _ in choices}
    count = f"{len(known)} known layouts of {width} columns"
    if not fitting:
        return Misfit("layout", f"none of {count} fits its values")
    sets = [set(columns) for columns in known]
    names = sets[0].union(*sets) - sets[0].intersection(*sets)
    return Misfit("layout", f"{count} may be meant, which differ in {', '.join(sorted(names))}")
