"""The position up to which nothing is missing, however the batches finish."""

from __future__ import annotations

from typing import Generic, TypeVar

Position = TypeVar("Position")


class Watermark(Generic[Position]):
    """The highest position below which every receipt is settled.

    Payloads finish out of order.  A checkpoint that followed the newest settled one would
    skip an older one that later fails, so it follows the oldest open one instead.
    """

    def __init__(self, value: Position) -> None:
        """Start at *value*, with nothing in flight."""
        self._value = value
        self._newest: int | None = None
        self._open: dict[int, Position] = {}
        self._settled: set[int] = set()

    @property
    def value(self) -> Position:
        """The position that is safe to store."""
        return self._value

    @property
    def in_flight(self) -> int:
        """How many receipts are open and not settled."""
        return len(self._open) - len(self._settled)

    def open(self, sequence: int, position: Position) -> None:
        """Take note of a receipt whose payload ends at *position*.

        Raises:
            ValueError: *sequence* does not follow the newest one; a sequence is never used
                twice, so that a receipt that was taken back cannot be mistaken for another.
        """
        if self._newest is not None and sequence <= self._newest:
            raise ValueError(f"sequence {sequence} does not follow {self._newest}")
        self._newest = sequence
        self._open[sequence] = position

    def settle(self, sequence: int) -> bool:
        """Mark *sequence* as settled; one that is not open (any more) changes nothing.

        Returns:
            Whether the watermark moved, and so whether it is worth storing.
        """
        if sequence not in self._open:
            return False
        self._settled.add(sequence)
        moved = False
        while self._open and (oldest := next(iter(self._open))) in self._settled:
            self._value = self._open.pop(oldest)
            self._settled.remove(oldest)
            moved = True
        return moved

    def release(self, sequence: int) -> Position | None:
        """Forget *sequence* and every later one, also those settled ahead of it.

        Returns:
            The position after which reading must go on: where the receipt before this one
            ended, which may itself be in flight.  None when *sequence* is not in flight.
        """
        if sequence not in self._open or sequence in self._settled:
            return None
        for later in [known for known in self._open if known >= sequence]:
            del self._open[later]
            self._settled.discard(later)
        return next(reversed(self._open.values()), self._value)
