"""What the receiver has got so far, followed while it comes in."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_ID = re.compile(rb"SERIAL-(\d{9})-")
_QUIET = 10
"""Looks without anything new after which nothing more is on its way, a fifth of a second."""


class Arrivals:
    """The file a receiver appends its entries to, read as it grows.

    Attributes:
        count: Entries that came.
        serials: The lines they were made of, each once.
    """

    def __init__(self, path: Path) -> None:
        """Follow the file at *path* from its present end on."""
        self._path = path
        self._offset = path.stat().st_size
        self._half = b""
        self.count = 0
        self.serials: set[int] = set()

    def look(self) -> bool:
        """Read what is new; say whether anything was."""
        if self._path.stat().st_size == self._offset:
            return False
        with self._path.open("rb") as file:
            file.seek(self._offset)
            new = file.read()
        self._offset += len(new)
        whole, end, self._half = (self._half + new).rpartition(b"\n")
        if not end:
            return True
        self.count += whole.count(b"\n") + 1
        self.serials.update(map(int, _ID.findall(whole)))
        return True

    def settle(self, patience: float = 5.0) -> None:
        """Wait until the receiver has reported all that killed processes sent."""
        deadline = time.monotonic() + patience
        quiet = 0
        while quiet < _QUIET and time.monotonic() < deadline:
            quiet = 0 if self.look() else quiet + 1
            time.sleep(0.02)
