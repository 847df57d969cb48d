"""Proposes a real-time layout from records alone.

AWS's order of the 71 columns is fixed, so a layout is a way through that order with one
step for each position of the records.  All ways are weighed at once (forward and backward,
as for a hidden Markov model); a position is certain where every way that nothing rules out
goes through the same column.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudfront_ecs.decoders.realtime.profiles import evidence, profiles
from cloudfront_ecs.errors import PayloadError
from cloudfront_ecs.normalize.layouts import realtime_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MOST_LINES = 20_000
"""Records that are looked at; more would not tell more."""

MOST_CHARACTERS = 33_554_432
"""Characters that are looked at, however long the records are."""

_NO = -math.inf


@dataclass(frozen=True, slots=True)
class InferredField:
    """One position of the records.

    Attributes:
        name: The column that explains it best.
        certain: Whether nothing else can stand there.
        confidence: How likely the name is, 0 to 1, among all ways to read the records.
        also: Other columns that are possible, the likeliest first.
    """

    name: str
    certain: bool
    confidence: float
    also: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InferredLayout:
    """A proposal.

    Attributes:
        fields: One for each position.
        records: How many records it is made from.
        others: How many records of other widths were left out, by width.
    """

    fields: tuple[InferredField, ...]
    records: int
    others: dict[int, int]


def infer(lines: Iterable[str]) -> InferredLayout:
    """Propose the layout of real-time records.

    Records of the most frequent width are looked at, ``MOST_LINES`` and ``MOST_CHARACTERS`` at
    most.

    Raises:
        PayloadError: There are no records, or no choice of columns explains them.
    """
    rows, size = [], 0
    for line in lines:
        text = line.rstrip("\r\n")
        size += len(text)
        if text:
            rows.append(text.split("\t"))
        if len(rows) == MOST_LINES or size > MOST_CHARACTERS:
            break
    if not rows:
        raise PayloadError("layout", "there are no records")
    if rows[0][0].startswith("#"):
        raise PayloadError("layout", "this is a standard log, whose #Fields line names the columns")
    widths = Counter(map(len, rows))
    width = widths.most_common(1)[0][0]
    others = {other: count for other, count in widths.items() if other != width}
    kept = [row for row in rows if len(row) == width]
    if width > len(realtime_columns()):
        raise PayloadError(
            "layout",
            f"the records have {width} columns, and real-time logs have at most "
            f"{len(realtime_columns())}",
        )
    scores = evidence(profiles(kept, width)).scores
    return InferredLayout(_fields(scores), len(kept), others)


def _fields(scores: Sequence[Sequence[float]]) -> tuple[InferredField, ...]:
    names = realtime_columns()
    sums = _through(scores, _add)
    best = _best_way(scores)
    if best is None:
        raise PayloadError(
            "layout",
            f"no choice of {len(scores)} of the {len(names)} columns explains the values "
            "(are these real-time records, of one configuration?)",
        )
    found = []
    for position, at in enumerate(best):
        weights = sums[position]
        total = max(weights)
        share = sum(math.exp(weight - total) for weight in weights if weight > _NO)
        possible = [i for i in range(len(names)) if weights[i] > _NO]
        others = sorted((i for i in possible if i != at), key=lambda i: -weights[i])
        found.append(
            InferredField(
                names[at],
                certain=not others,
                confidence=math.exp(weights[at] - total) / share,
                also=tuple(names[i] for i in others),
            )
        )
    return tuple(found)


def _add(first: float, second: float) -> float:
    """Return the logarithm of the sum of two weights given as logarithms."""
    if _NO in (first, second):
        return max(first, second)
    high, low = max(first, second), min(first, second)
    return high + math.log1p(math.exp(low - high))


def _reaching(
    scores: Sequence[Sequence[float]], join: Callable[[float, float], float]
) -> list[list[float]]:
    """Return the weight of all ways to each column at each position, itself included."""
    found: list[list[float]] = []
    for position, row in enumerate(scores):
        before = 0.0 if position == 0 else _NO
        weights = []
        for at, score in enumerate(row):
            weights.append(score + before if _NO not in (score, before) else _NO)
            if position:
                before = join(before, found[-1][at])
        found.append(weights)
    return found


def _through(
    scores: Sequence[Sequence[float]], join: Callable[[float, float], float]
) -> list[list[float]]:
    """Return the weight of all ways through each column at each position."""
    there = _reaching(scores, join)
    back = [row[::-1] for row in _reaching([row[::-1] for row in scores[::-1]], join)][::-1]
    return [
        [
            a + b - score if _NO not in (a, b) else _NO
            for a, b, score in zip(ahead, behind, row, strict=True)
        ]
        for ahead, behind, row in zip(there, back, scores, strict=True)
    ]


def _best_way(scores: Sequence[Sequence[float]]) -> list[int] | None:
    """Return the columns of the heaviest way, or None where there is no way."""
    reached = _reaching(scores, max)
    end = len(scores[0])
    way: list[int] = []
    for weights in reached[::-1]:
        at = max(range(end), key=weights.__getitem__, default=-1)
        if at < 0 or weights[at] == _NO:
            return None
        way.append(at)
        end = at
    return way[::-1]
