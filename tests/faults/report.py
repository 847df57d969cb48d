"""What was found on one route, and its figures as tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from textwrap import wrap
from typing import TYPE_CHECKING

from faults.judge import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill.

    Attributes:
        place: The failpoint, or ``early`` where it was timed from the start of the process, or
            ``work`` where it was timed from the first sign of work.
        seconds: How long the process lived.
        wrote: The receiver got something from it.
        unfinished: Something was left to do.
        resumed: Seconds from its start to its first new document, where that came.
    """

    place: str
    seconds: float
    wrote: bool
    unfinished: bool
    resumed: float | None = None

    @property
    def random(self) -> bool:
        """Whether chance said when."""
        return self.place in ("early", "work")


@dataclass(slots=True)
class Report:
    """What happened on a route and what was found.

    Attributes:
        route: Its name.
        absent: Failpoints that are not on it, and why.
        fresh: Seconds from the last start to the arrival of a line put then, in every sink.
        memory: The most memory a process has held, MiB.
    """

    route: str
    absent: Mapping[str, str]
    verdict: Verdict = field(default_factory=Verdict)
    kills: list[Kill] = field(default_factory=list[Kill])
    fresh: float = 0.0
    memory: int = 0
    seconds: float = 0.0

    @property
    def hits(self) -> int:
        """How many random kills hit a process at work."""
        return sum(kill.random and kill.wrote and kill.unfinished for kill in self.kills)

    @property
    def random(self) -> int:
        """How many kills were random."""
        return sum(kill.random for kill in self.kills)

    @property
    def reached(self) -> Counter[str]:
        """How often the process ended at which failpoint."""
        return Counter(kill.place for kill in self.kills if not kill.random)

    @property
    def resumed(self) -> list[float]:
        """Seconds from each start to the first new document."""
        return [kill.resumed for kill in self.kills if kill.resumed is not None]

    def summary(self) -> str:
        """Return the observation in a few words."""
        at = sum(self.reached.values())
        return (
            f"{at} kills at {len(self.reached)} failpoints, {self.random} at random "
            f"({self.hits} at work); {self.verdict.issued} lines, none lost or twice"
        )

    def figures(self) -> str:
        """Return all figures, one a line."""
        verdict, resumed = self.verdict, self.resumed
        again = f"{verdict.repeated} ({verdict.repeated / max(1, len(self.kills)):.0f} a kill)"
        rows = {
            "route": self.route,
            "kills at failpoints": ", ".join(f"{n} {name}" for name, n in self.reached.items()),
            "failpoints not here": ", ".join(f"{name} ({why})" for name, why in self.absent.items())
            or "none",
            "kills at random": f"{self.random}, {self.hits} of them hit a process at work",
            "first new document": f"{median(resumed):.2f} s after a start, at worst "
            f"{max(resumed):.2f} s"
            if resumed
            else "-",
            "a fresh line": f"arrived {self.fresh:.1f} s after the last start",
            "lines issued": verdict.issued,
            "documents stored": verdict.stored,
            "entries received": verdict.received,
            "  of them again": again,
            "dead letters": f"{verdict.letters}, {verdict.letters_repeated} of them again",
            "memory": f"{self.memory} MiB at most",
            "misses": len(verdict.misses),
            "seconds": f"{self.seconds:.0f}",
        }
        lines = [f"{name:<22}{value}" for name, value in rows.items()]
        return "\n".join([*lines, *verdict.misses])


def routes_table(reports: Sequence[Report]) -> str:
    """Return a line for each route: what was lost, wrong, visible twice, or only sent again."""
    head = ("route", "kills", "lost", "wrong", "visible twice", "replayed", "a kill")
    rows = [
        (
            report.route,
            str(len(report.kills)),
            str(report.verdict.counts["P1"]),
            str(report.verdict.counts["P2"]),
            str(report.verdict.counts["P3"]),
            str(report.verdict.repeated),
            f"{report.verdict.repeated / max(1, len(report.kills)):.0f}",
        )
        for report in reports
    ]
    return table(head, rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], most: int = 44) -> str:
    """Return rows under a head, in columns of at most *most* characters."""
    columns = len(head)
    lines: list[list[str]] = [list(head), ["-" * most] * columns]
    for row in rows:
        cells = [wrap(cell, most) or [""] for cell in row]
        height = max(map(len, cells))
        cells = [cell + [""] * (height - len(cell)) for cell in cells]
        lines += map(list, zip(*cells, strict=True))
    widths = [max(len(line[n]) for line in (lines[0], *lines[2:])) for n in range(columns)]
    lines[1] = ["-" * width for width in widths]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
