"""What of a pipeline does not work now, and since when."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

SOURCE: Final = "source"
"""The source cannot be asked for anything."""

PAYLOADS: Final = "payloads"
"""The source names payloads whose bytes cannot be read."""

CHECKPOINTS: Final = "checkpoints"
"""What is settled cannot be stored."""

LETTERS: Final = "dead letters"
"""Dead letters cannot be stored."""


def sink_part(name: str) -> str:
    """Return what the sink *name* is called here."""
    return f"sink {name}"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a part does not work.

    Attributes:
        text: What it said last.
        since: When it began (monotonic clock).
        until: When it counts as over unless it is told again (monotonic clock).
    """

    text: str
    since: float
    until: float = float("inf")

    def lasted(self) -> float:
        """Return for how many seconds the part has not worked."""
        return time.monotonic() - self.since


class Health:
    """The problems of one pipeline, by part; told by several threads, read by any."""

    def __init__(self) -> None:
        """Begin with everything well."""
        self._problems: dict[str, Problem] = {}

    def fails(self, part: str, text: str, lasts: float = float("inf")) -> bool:
        """Take note that *part* does not work; say whether that has just begun.

        Args:
            part: A sink, or one of the parts above.
            text: Why, in words.
            lasts: Seconds for which this counts when nobody says that the part works again.
        """
        now = time.monotonic()
        known = self.problem(part)
        since = now if known is None else known.since
        self._problems[part] = Problem(text, since, now + lasts)
        return known is None

    def works(self, part: str) -> float | None:
        """Take note that *part* works; return for how long it did not, if it did not."""
        problem = self._problems.pop(part, None)
        return None if problem is None else problem.lasted()

    def problem(self, part: str) -> Problem | None:
        """Return what is wrong with *part*, or None while it works."""
        problem = self._problems.get(part)
        return None if problem is None or problem.until < time.monotonic() else problem

    def problems(self) -> dict[str, Problem]:
        """Return everything that is wrong now, by part."""
        now = time.monotonic()
        held = tuple(self._problems.items())  # in one step: others may tell meanwhile
        return {part: problem for part, problem in held if problem.until >= now}
