"""Leases: which of several workers reads a partition and moves its checkpoint.

A lease is an item of a table with an owner and a counter.  Every write of the owner counts
up, and a write whose counter is not the table's is refused, so of two workers that both think
they hold a lease at most one can move the checkpoint.  An owner that does not count up for
``seconds`` has lost it: the others measure that on their own clock from the moment at which
they saw the counter, and no two clocks are ever compared.  The owner itself stops ``seconds``
after the beginning of its last write, which is always earlier.

Nothing here waits or starts threads; all calls come from one thread.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cloudfront_ecs.delivery.checkpoints.lease_table import LeaseRefusedError, VanishedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudfront_ecs.delivery.checkpoints.lease_table import Lease, LeaseTable
    from cloudfront_ecs.delivery.checkpoints.store import Checkpoint

RENEWALS = 3
"""How often a lease is renewed in the time after which it expires."""


@dataclass(slots=True)
class Seen:
    """A lease as it was last seen.

    Attributes:
        lease: The lease.
        since: When this counter was first seen, on our clock.
        moved: The owner was seen to count up, so it was alive then.
    """

    lease: Lease
    since: float
    moved: bool = False


@dataclass(slots=True)
class Holding:
    """A lease of this worker.

    Attributes:
        lease: As the table last confirmed it.
        checkpoint: What is to be stored with the next write.
        written: When the last write that succeeded began, on our clock.
        term: The counter with which it was taken.
    """

    lease: Lease
    checkpoint: Checkpoint
    written: float
    term: int

    @property
    def moved(self) -> bool:
        """Whether there is something to store."""
        return self.checkpoint != self.lease.checkpoint


@dataclass(frozen=True, slots=True)
class Loss:
    """A lease that this worker held and does not hold any more, against its will."""

    partition: str
    reason: str


class Leases:
    """The leases as one worker knows them, and its own.

    Attributes:
        offered: The partitions that may be read now.
        seen: Every lease of the table.
        held: The worker's own.
        losses: What was lost since somebody last looked here.
    """

    def __init__(
        self,
        table: LeaseTable,
        owner: str,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        dice: random.Random | None = None,
    ) -> None:
        """Know nothing yet, hold nothing.

        Args:
            table: Where the leases lie.
            owner: The worker's name, which no other one ever had.
            seconds: After so long without a sign of life a lease may be taken; the same for
                all workers.
            clock: Tells seconds that never go back.
            dice: Chooses among equals, so that workers seldom want the same.
        """
        self.owner = owner
        self.seconds = seconds
        self.offered: frozenset[str] = frozenset()
        self.seen: dict[str, Seen] = {}
        self.held: dict[str, Holding] = {}
        self.losses: list[Loss] = []
        self._table = table
        self._clock = clock
        self._dice = dice or random.Random()  # noqa: S311 - spreads load, hides nothing

    def look(self) -> None:
        """Read the whole table.

        Raises:
            VanishedError: A lease is not there any more that is held or was offered.
            StateError: The table cannot be read, or not be trusted.
        """
        leases = {lease.partition: lease for lease in self._table.all()}
        now = self._clock()
        for name, known in self.seen.items():
            needed = name in self.offered or name in self.held
            if needed and name not in leases and not known.lease.checkpoint.finished:
                raise VanishedError(name)
        self.seen = {name: self._seen(lease, now) for name, lease in leases.items()}

    def add(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        """Make leases where there are none; ``look`` tells what stands there then."""
        for partition, checkpoint in checkpoints.items():
            if partition not in self.seen:
                self._table.add(partition, checkpoint)

    def drop_expired(self) -> None:
        """Let go of what could not be renewed in time: others may have it now."""
        now = self._clock()
        for partition, holding in list(self.held.items()):
            if now - holding.written >= self.seconds:
                self._lose(partition, f"it was not renewed for {self.seconds:g} s")

    def write(self, pace: float) -> None:
        """Renew what is due and store what moved, each partition at most every *pace* seconds.

        An ended partition is stored at once, since others wait for it.
        """
        now = self._clock()
        for holding in sorted(self.held.values(), key=lambda holding: holding.written):
            age = now - holding.written
            store = holding.moved and (age >= pace or holding.checkpoint.finished)
            if store or age >= self.seconds / RENEWALS:
                self._keep(holding)

    def give_back(self, partition: str) -> None:
        """Store the checkpoint of *partition* and let the next worker have it at once."""
        holding = self.held.pop(partition, None)
        if holding is None:
            return
        lease = self._written(holding, self._table.give_back)
        if lease is not None:
            self.seen[partition] = Seen(lease, self._clock())

    def balance(self) -> None:
        """Take a fair share of what is offered, or ask for one more where others have too many.

        With M partitions and N workers that show signs of life a worker takes at most M / N,
        rounded up, of those that nobody has.  One that nobody takes for long is taken beyond
        that.
        """
        leases = [self.seen[name] for name in self.offered if name in self.seen]
        leases = [seen for seen in leases if not seen.lease.checkpoint.finished]
        free = [seen for seen in leases if self._is_free(seen)]
        self._dice.shuffle(free)
        room = math.ceil(len(leases) / len(self._living()))
        room -= sum(seen.lease.partition in self.held for seen in leases)
        for seen in sorted(free, key=lambda seen: seen.lease.wanted != self.owner):
            if room > 0 or seen.lease.wanted == self.owner or self._is_left(seen):
                room -= 1
                self._take(seen)
        if not free:
            self._ask_busiest(leases)

    def awaits(self) -> bool:
        """Say whether some of what is offered may come to this worker soon.

        Not what belongs to others that were seen to be alive; what belongs to a worker that
        may have crashed is waited for until that is known.
        """
        for name in self.offered:
            seen = self.seen.get(name)
            if seen is None:
                return True
            if name in self.held or seen.lease.checkpoint.finished:
                continue
            if not seen.moved or self._is_free(seen) or seen.lease.wanted == self.owner:
                return True
        return False

    def next_expiry(self) -> float:
        """Return when another worker's lease may be taken, on our clock; infinity without one."""
        others = [self.seen[name] for name in self.offered if name in self.seen]
        return min(
            (
                seen.since + self.seconds
                for seen in others
                if seen.lease.owner and seen.lease.partition not in self.held
            ),
            default=math.inf,
        )

    def _seen(self, lease: Lease, now: float) -> Seen:
        holding = self.held.get(lease.partition)
        if holding is not None and lease.owner == self.owner:  # somebody may want it
            holding.lease = replace(holding.lease, wanted=lease.wanted)
        before = self.seen.get(lease.partition)
        if before is not None and before.lease.counter == lease.counter:
            return Seen(lease, before.since, before.moved)
        return Seen(lease, now, before is not None and before.lease.owner == lease.owner)

    def _keep(self, holding: Holding) -> None:
        began = self._clock()
        lease = self._written(holding, self._table.keep)
        if lease is None:
            return
        holding.lease, holding.written = lease, began
        self.seen[lease.partition] = Seen(lease, self._clock(), moved=True)
        if lease.checkpoint.finished:
            del self.held[lease.partition]

    def _written(
        self, holding: Holding, write: Callable[[Lease, Checkpoint], Lease]
    ) -> Lease | None:
        """Return the lease that *write* makes of *holding*; None when the lease is lost.

        Where the answer to our last write was lost, the table is ahead of what we know: it
        names us and counts more, which nobody else can have done.
        """
        lease = holding.lease
        try:
            return write(lease, holding.checkpoint)
        except LeaseRefusedError as refused:
            current = self._current(lease, refused)
        if current.owner == self.owner and current.counter > lease.counter:
            try:
                return write(current, holding.checkpoint)
            except LeaseRefusedError as refused:
                current = self._current(lease, refused)
        if current.owner == self.owner:
            reason = f"{current.checkpoint.position} is stored, behind which we are"
        else:
            reason = f"{current.owner or 'nobody'} has it now"
        self._lose(lease.partition, reason)
        return None

    def _current(self, lease: Lease, refused: LeaseRefusedError) -> Lease:
        if refused.current is None:
            self._lose(lease.partition, "it has vanished from the table")
            raise VanishedError(lease.partition) from refused
        self.seen[lease.partition] = Seen(refused.current, self._clock())
        return refused.current

    def _take(self, seen: Seen) -> None:
        began = self._clock()
        try:
            lease = self._table.take(seen.lease, self.owner)
        except LeaseRefusedError as refused:
            # Somebody was faster; or our own earlier try was, whose answer was lost.
            self._current(seen.lease, refused)
            return
        self.seen[lease.partition] = Seen(lease, self._clock())
        self.held[lease.partition] = Holding(lease, lease.checkpoint, began, lease.counter)

    def _ask_busiest(self, leases: list[Seen]) -> None:
        """Ask whoever has at least two more for one lease; one at a time."""
        if any(seen.lease.wanted == self.owner for seen in leases):
            return
        counts = Counter(seen.lease.wanted or seen.lease.owner for seen in leases)
        mine = counts.pop(self.owner, 0)
        busiest = max(counts, key=lambda owner: counts[owner], default=None)
        if busiest is None or counts[busiest] - mine < 2:  # noqa: PLR2004 - else it swings
            return
        wanted = [seen for seen in leases if seen.lease.owner == busiest and not seen.lease.wanted]
        if not wanted:
            return
        seen = self._dice.choice(wanted)
        try:
            self._table.want(seen.lease, self.owner)
        except LeaseRefusedError:
            return  # the next look tells more
        seen.lease = replace(seen.lease, wanted=self.owner)

    def _living(self) -> set[str]:
        """Return all workers that show signs of life, this one included."""
        now = self._clock()
        fresh = (seen.lease for seen in self.seen.values() if now - seen.since < self.seconds)
        found = {name for lease in fresh for name in (lease.owner, lease.wanted)}
        return (found | {self.owner}) - {""}

    def _is_free(self, seen: Seen) -> bool:
        """Whether this worker may take a lease: nobody's, or of one that does not renew it."""
        if seen.lease.partition in self.held:
            return False
        reserved = seen.lease.owner or seen.lease.wanted
        return reserved in ("", self.owner) or self._clock() - seen.since >= self.seconds

    def _is_left(self, seen: Seen) -> bool:
        """Whether nobody has taken a free lease for so long that somebody else has to."""
        return self._clock() - seen.since >= 2 * self.seconds

    def _lose(self, partition: str, reason: str) -> None:
        self.held.pop(partition, None)
        self.losses.append(Loss(partition, reason))
