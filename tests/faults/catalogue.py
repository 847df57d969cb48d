"""The list of faults: each is made, watched and judged by one function in ``scenarios``.

    @fault("S3", "body cut in transit", made="the server hangs up in the midst of a body",
           seen="the rest is fetched with If-Match; no id twice")
    def body_cut(lab: Lab) -> str:
        ...
        assert found == issued
        return "2 requests, 400 lines, none twice"

A scenario returns in a few words what was observed; an ``AssertionError`` is a miss.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faults import scenarios

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.lab import Lab

    Scenario = Callable[[Lab], str]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and what must be observed while and after it lasts.

    Attributes:
        id: Its short name: a letter for where it strikes, and a number.
        title: What goes wrong.
        made: How it is made to go wrong.
        seen: What must be observed.
        scenario: Makes it and judges.
        brief: It is quick enough to be run with all tests.
    """

    id: str
    title: str
    made: str
    seen: str
    scenario: Scenario
    brief: bool

    @property
    def name(self) -> str:
        """Its name in a list of tests."""
        return f"{self.id}-{self.scenario.__name__.replace('_', '-')}"


_FAULTS: dict[str, Fault] = {}


def fault(
    name: str, title: str, *, made: str, seen: str, brief: bool = True
) -> Callable[[Scenario], Scenario]:
    """Put a scenario on the list; one fault may have several."""

    def listed(scenario: Scenario) -> Scenario:
        entry = Fault(name, title, made, seen, scenario, brief)
        if _FAULTS.setdefault(entry.name, entry) is not entry:
            raise ValueError(f"{entry.name} is on the list twice")
        return scenario

    return listed


def all_faults() -> list[Fault]:
    """Return every fault, in the order of their names."""
    for module in pkgutil.iter_modules(scenarios.__path__):
        importlib.import_module(f"faults.scenarios.{module.name}")
    return sorted(_FAULTS.values(), key=lambda entry: (entry.id[0], int(entry.id[1:]), entry.name))
