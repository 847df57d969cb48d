"""A table of leases in memory, and clocks that tests turn on."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cloudfront_ecs.delivery.checkpoints.lease_table import Lease, LeaseRefusedError
from cloudfront_ecs.delivery.checkpoints.store import Checkpoint, rank
from cloudfront_ecs.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class Time:
    """What all clocks follow."""

    now: float = 1000.0

    def clock(self, offset: float = 0.0) -> Callable[[], float]:
        """Return a clock that goes as fast as all others and shows another time."""
        return lambda: self.now + offset


@dataclass(slots=True)
class MemoryLeases:
    """Stands in for ``DynamoDbTable``.

    Attributes:
        held: The leases by partition.
        faults: For one call each: ``before`` fails it unwritten, ``after`` loses its answer.
        meanwhile: Done one by one before the next calls, as other workers would.
        writes: How many calls wrote.
    """

    held: dict[str, Lease] = field(default_factory=dict)
    faults: deque[str] = field(default_factory=deque)
    meanwhile: deque[Callable[[], None]] = field(default_factory=deque)
    writes: int = 0
    closed: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)

    def all(self) -> list[Lease]:
        self._begin()
        found = list(self.held.values())
        self._end()
        return found

    def add(self, partition: str, checkpoint: Checkpoint) -> None:
        self._begin()
        self.held.setdefault(partition, Lease(partition, checkpoint))
        self._end()

    def take(self, lease: Lease, owner: str) -> Lease:
        current = self._current(lease)
        if current.counter != lease.counter or current.checkpoint.finished:
            raise LeaseRefusedError(current)
        return self._put(replace(current, owner=owner, counter=lease.counter + 1, wanted=""))

    def keep(self, lease: Lease, checkpoint: Checkpoint) -> Lease:
        owner = "" if checkpoint.finished else lease.owner
        return self._store(lease, checkpoint, owner)

    def give_back(self, lease: Lease, checkpoint: Checkpoint) -> Lease:
        return self._store(lease, checkpoint, "")

    def want(self, lease: Lease, owner: str) -> None:
        current = self._current(lease)
        if current.owner != lease.owner or current.wanted:
            raise LeaseRefusedError(current)
        self._put(replace(current, wanted=owner))

    def close(self) -> None:
        self.closed = True

    def _store(self, lease: Lease, checkpoint: Checkpoint, owner: str) -> Lease:
        current = self._current(lease)
        ours = current.owner == lease.owner and current.counter == lease.counter
        if not ours or rank(checkpoint.position) < rank(current.checkpoint.position):
            raise LeaseRefusedError(current)
        assert not current.checkpoint.finished, "an ended partition was written again"
        return self._put(
            replace(current, checkpoint=checkpoint, owner=owner, counter=lease.counter + 1)
        )

    def _current(self, lease: Lease) -> Lease:
        self._begin()
        current = self.held.get(lease.partition)
        if current is None:
            raise LeaseRefusedError(None)
        return current

    def _put(self, lease: Lease) -> Lease:
        self.writes += 1
        self.held[lease.partition] = lease
        self._end()
        return lease

    def _begin(self) -> None:
        if self.meanwhile:
            self.meanwhile.popleft()()
        if self.faults and self.faults[0] == "before":
            self.faults.popleft()
            raise StateError("the call failed")

    def _end(self) -> None:
        if self.faults and self.faults[0] == "after":
            self.faults.popleft()
            raise StateError("the answer was lost")


@dataclass(slots=True)
class Line:
    """One worker's way to a table that several workers use at the same time.

    Attributes:
        cut: Nothing gets through any more, as when the worker has been killed.
        down: Calls fail as long as this is set.
    """

    table: MemoryLeases
    cut: bool = False
    down: bool = False

    def all(self) -> list[Lease]:
        with self._through():
            return self.table.all()

    def add(self, partition: str, checkpoint: Checkpoint) -> None:
        with self._through():
            self.table.add(partition, checkpoint)

    def take(self, lease: Lease, owner: str) -> Lease:
        with self._through():
            return self.table.take(lease, owner)

    def keep(self, lease: Lease, checkpoint: Checkpoint) -> Lease:
        with self._through():
            return self.table.keep(lease, checkpoint)

    def give_back(self, lease: Lease, checkpoint: Checkpoint) -> Lease:
        with self._through():
            return self.table.give_back(lease, checkpoint)

    def want(self, lease: Lease, owner: str) -> None:
        with self._through():
            self.table.want(lease, owner)

    def close(self) -> None:
        """Do nothing: the others go on."""

    def _through(self) -> threading.RLock:
        if self.cut or self.down:
            raise StateError("the table does not answer")
        return self.table.lock
