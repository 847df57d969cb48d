"""How far a reading with an end has come: objects and bytes, and an estimate of the rest."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of what there is has been read.

    Attributes:
        objects: Objects that are settled, those that were before included.
        bytes: Their size as stored.
        all_objects: How many there are, as far as they are counted.
        all_bytes: Likewise their size.
        before: Objects that an earlier run settled, as far as this one has come upon them.
        bytes_before: Likewise their size.
        counted: Whether all are counted.
    """

    objects: int = 0
    bytes: int = 0
    all_objects: int = 0
    all_bytes: int = 0
    before: int = 0
    bytes_before: int = 0
    counted: bool = False

    def seconds_left(self, seconds: float) -> float | None:
        """Return how long the rest will take if it goes on as in the *seconds* until now."""
        read = self.bytes - self.bytes_before
        if not self.counted or read <= 0:
            return None
        return (self.all_bytes - self.bytes) * seconds / read


@runtime_checkable
class Foreseeing(Protocol):
    """A source that knows how much there is to read; optional."""

    def progress(self) -> Progress:
        """Return how far the reading has come; may be called from any thread."""


def added_up(parts: Iterable[Progress]) -> Progress:
    """Return the sum of what several readers have done."""
    found = list(parts)
    names = [each.name for each in fields(Progress) if each.name != "counted"]
    sums = {name: sum(getattr(part, name) for part in found) for name in names}
    return Progress(**sums, counted=bool(found) and all(part.counted for part in found))
