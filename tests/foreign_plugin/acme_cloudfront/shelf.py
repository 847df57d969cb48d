"""A source: every file of a folder is one payload, moved away once it is settled."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cloudfront_ecs import Origin, Payload, Receipt, option

if TYPE_CHECKING:
    from cloudfront_ecs import AdapterContext


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelfOptions:
    """Options of the ``acme_shelf`` source."""

    folder: str = option(doc="Folder with one log in each file.", example='"/srv/shelf"')
    suffix: str = option(".log", doc="How the names of logs end.")


@dataclass(slots=True)
class Shelf:
    """Hands out files in the order of their names."""

    options: ShelfOptions
    in_flight: dict[int, Path] = field(default_factory=dict)
    settled: set[Path] = field(default_factory=set)
    count: int = 0

    def poll(self, timeout: float) -> Payload | None:
        """Return the next file that is neither in flight nor settled."""
        path = next(iter(self._waiting()), None)
        if path is None:
            time.sleep(min(timeout, 0.01))
            return None
        self.count += 1
        self.in_flight[self.count] = path
        origin = Origin(str(path), ("shelf", path.name), file_path=str(path))
        return Payload(Receipt(path.name, self.count), origin, [path.read_bytes()])

    def settle(self, receipt: Receipt) -> None:
        """Rename the file, so that no later run reads it."""
        path = self.in_flight.pop(receipt.sequence)
        path.rename(path.with_suffix(".done"))
        self.settled.add(path)

    def release(self, receipt: Receipt) -> None:
        """Offer the file again."""
        self.in_flight.pop(receipt.sequence)

    def drained(self) -> bool:
        """Say whether no file is left."""
        return not self._waiting() and not self.in_flight

    def close(self) -> None:
        """Forget what is in flight; the files are still there."""
        self.in_flight.clear()

    def _waiting(self) -> list[Path]:
        taken = {*self.in_flight.values(), *self.settled}
        found = Path(self.options.folder).glob(f"*{self.options.suffix}")
        return sorted(path for path in found if path not in taken)


def open_shelf(options: ShelfOptions, _: AdapterContext) -> Shelf:
    """Open the source."""
    return Shelf(options)
