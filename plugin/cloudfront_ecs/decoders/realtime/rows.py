"""Real-time lines become rows: all at once where one layout is sure, else one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudfront_ecs.batches import RecordBatch, RejectedLine
from cloudfront_ecs.decoders.lines import NO_LAYOUT
from cloudfront_ecs.decoders.realtime.layouts import Misfit, foreign_texts
from cloudfront_ecs.decoders.realtime.shapes import line_shape
from cloudfront_ecs.decoders.rows import split_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cloudfront_ecs.batches import Layout
    from cloudfront_ecs.decoders.realtime.layouts import Choice, KnownLayouts

SAMPLED = 128
"""Of so many lines one is looked at as a whole, also where all is well."""

WARY = 32
"""For so many batches after a surprise every line is looked at."""


class StreamRows:
    """Splits the lines of one stream; where rows do not fit, it judges them (``RowFitter``).

    Where one layout is sure, lines are not looked at but for a few: a row of another width
    or with values that cannot be converted comes back by itself.
    """

    def __init__(
        self,
        known: KnownLayouts,
        likely: Layout,
        again: Callable[[], tuple[KnownLayouts, Layout] | None],
    ) -> None:
        """Begin with what is known.

        Args:
            known: All layouts of the stream.
            likely: The one that most lines have.
            again: Looks for newer layouts; returns the new first two arguments, or None
                where nothing has changed.
        """
        self._known = known
        self._likely = likely
        self._again = again
        self._wary = 0

    def learn(self, known: KnownLayouts, likely: Layout) -> None:
        """Use other layouts from now on."""
        self._known, self._likely = known, likely
        self._wary = WARY

    def batches(
        self,
        lines: list[str],
        numbers: Sequence[int],
        positions: Sequence[str] | None = None,
        *,
        plain: bool,
    ) -> Iterator[RecordBatch]:
        """Yield the records of *lines*."""
        if not self._sure(lines):
            unread = RecordBatch(self._likely, [], lines, numbers, positions, plain=plain)
            yield from self.refitted(unread)
            return
        for batch in split_rows(self._likely, lines, numbers, plain=plain, positions=positions):
            batch.fitter = self
            yield batch

    def _sure(self, lines: list[str]) -> bool:
        columns = self._likely.columns
        return (
            not self._wary
            and len(columns) > 1  # a blank line is as wide as a row of one column
            and self._known.alone(self._likely, lines)
            and all(map(line_shape(columns), lines[::SAMPLED]))
        )

    def doubts(self, batch: RecordBatch, index: int) -> bool:
        """Say whether a row that could not be converted may be of another layout.

        Text of viewers that cannot be read says nothing, nor does a value that no other
        layout would explain either: that costs its own field only.
        """
        line = batch.lines[index]
        return bool(foreign_texts(batch.layout.columns, line, line.split("\t")))

    def refitted(self, batch: RecordBatch) -> Iterator[RecordBatch]:
        """Yield the records of *batch* by layout, each judged by itself."""
        choices = self._chosen(batch.lines)
        if any(isinstance(choice, Misfit) for choice in choices):
            self._wary = WARY
            newer = self._again()
            if newer is not None:
                self.learn(*newer)
                choices = self._chosen(batch.lines)
        rejects: list[RejectedLine] = []
        groups: dict[Layout, tuple[list[int], list[list[str]]]] = {}
        for index, choice in enumerate(choices):
            if choice is None:
                continue
            if isinstance(choice, Misfit):
                rejects.append(choice.refused(batch, index))
                continue
            layout, row = choice
            indexes, rows = groups.setdefault(layout, ([], []))
            indexes.append(index)
            rows.append(row)
        self._become_used_to(groups)
        skipped = choices.count(None)
        if rejects or skipped:
            yield RecordBatch(NO_LAYOUT, [], [], (), rejects=rejects, skipped=skipped)
        for layout, (indexes, rows) in groups.items():
            yield _part(batch, layout, indexes, rows)

    def _chosen(self, lines: Sequence[str]) -> list[Choice | Misfit | None]:
        choose = self._known.choose
        return [choose(line) if line else None for line in lines]

    def _become_used_to(self, groups: dict[Layout, tuple[list[int], list[list[str]]]]) -> None:
        """Expect what came most; grow calm where nothing else came."""
        if groups:
            self._likely = max(groups, key=lambda layout: len(groups[layout][0]))
        self._wary = WARY if len(groups) > 1 else max(0, self._wary - 1)


def _part(
    batch: RecordBatch, layout: Layout, indexes: Sequence[int], rows: list[list[str]]
) -> RecordBatch:
    """Return the chosen records of *batch*; notes are a decoder's, and none were made yet."""
    positions = batch.positions
    return RecordBatch(
        layout,
        rows,
        [batch.lines[index] for index in indexes],
        [batch.numbers[index] for index in indexes],
        None if positions is None else [positions[index] for index in indexes],
        plain=batch.plain,
    )
