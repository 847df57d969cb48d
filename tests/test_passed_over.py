from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudfront_ecs.adapters import PassingOver
from cloudfront_ecs.cli.summary import summary_lines
from pipeline_parts import ListSource, World, lines

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(slots=True)
class ChoosySource(ListSource):
    """A source that counts what it does not read."""

    skipped: Counter[str] = field(default_factory=Counter)


def test_the_summary_tells_what_the_source_passed_over(tmp_path: Path) -> None:
    world = World(tmp_path)
    source = ChoosySource([[lines(3)]])
    source.skipped.update(no_log=4, no_event=1)

    summary = world.pipeline(source, {"memory": world.sink()}).run()

    assert isinstance(source, PassingOver)
    assert summary.passed_over == {"no_log": 4, "no_event": 1}
    assert summary_lines(summary)[-1] == "  passed over: 4 no_log, 1 no_event"


def test_without_such_a_source_nothing_is_said(tmp_path: Path) -> None:
    world = World(tmp_path)

    summary = world.pipeline(world.source([lines(3)]), {"memory": world.sink()}).run()

    assert not any("passed over" in line for line in summary_lines(summary))
