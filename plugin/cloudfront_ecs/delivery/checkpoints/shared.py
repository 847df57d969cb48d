"""Checkpoints that several workers share: a thread renews, writes, takes and hands over leases.

The thread alone talks to the table.  Whoever reads partitions leaves orders and looks at the
last snapshot, so reading never waits for the table.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudfront_ecs.delivery.checkpoints.dynamodb_table import TableMissingError
from cloudfront_ecs.delivery.checkpoints.lease_table import VanishedError
from cloudfront_ecs.delivery.checkpoints.leases import RENEWALS, Leases
from cloudfront_ecs.delivery.checkpoints.store import Checkpoint, moves_back
from cloudfront_ecs.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cloudfront_ecs.delivery.checkpoints.lease_table import LeaseTable

log = logging.getLogger(__name__)

PATIENCE = 3
"""Failures in a row before the trouble is told; until then reading goes on."""

_FAREWELL = 6.0
"""Seconds that giving everything back may take at the end."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What the thread knows, for others to read."""

    known: Mapping[str, Checkpoint] = field(default_factory=dict[str, Checkpoint])
    terms: Mapping[str, int] = field(default_factory=dict[str, int])
    wanted: frozenset[str] = frozenset()
    awaiting: bool = True


@dataclass(slots=True)
class _Orders:
    """What others have asked the thread for."""

    saved: dict[str, Checkpoint] = field(default_factory=dict[str, Checkpoint])
    added: dict[str, Checkpoint] = field(default_factory=dict[str, Checkpoint])
    returned: list[str] = field(default_factory=list[str])
    offered: frozenset[str] | None = None


class SharedCheckpoints:
    """Checkpoints in a table of leases."""

    shared = True

    def __init__(
        self, table: LeaseTable, owner: str, seconds: float, pace: float, place: str
    ) -> None:
        """Read the table once, then start the thread.

        Args:
            table: Where the leases lie.
            owner: This worker's name, which no other one ever had.
            seconds: After so long without a sign of life a lease may be taken.
            pace: A moving checkpoint is written at most every so many seconds.
            place: The table's name for people.

        Raises:
            StateError: The table cannot be read, or an item not be trusted.
        """
        self.place = place
        self._table = table
        self._leases = Leases(table, owner, seconds)
        self._pace = pace
        self._lock = threading.Lock()
        self._orders = _Orders()
        self._snapshot = _Snapshot()
        self._revision = 0
        self._asked = self._done = 0
        self._offered: frozenset[str] = frozenset()
        self._returning: set[str] = set()
        self._unstored: dict[str, Checkpoint] = {}
        self._failures = 0
        self._problem: str | None = None
        self._defect: str | None = None
        self._look_due = 0.0
        self._ending = False
        self._wake = threading.Event()
        self._leases.look()
        self._publish()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self._thread.start()

    @property
    def revision(self) -> int:
        """How often what is known has changed."""
        return self._revision

    @property
    def awaiting(self) -> bool:
        """Whether more of what was offered may come to this worker soon."""
        return self._asked != self._done or self._snapshot.awaiting

    def load(self, partition: str) -> Checkpoint | None:
        """Return the checkpoint of *partition* as it was last seen."""
        return self._snapshot.known.get(partition)

    def partitions(self) -> tuple[str, ...]:
        """Return the partitions that have a checkpoint, as was last seen."""
        return tuple(self._snapshot.known)

    def save(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        """Have *checkpoints* stored soon; ``unstored`` tells what has been."""
        with self._lock:
            known = self._snapshot.known
            for partition, checkpoint in checkpoints.items():
                if known.get(partition) == checkpoint:  # asked again, and stored by now
                    self._unstored.pop(partition, None)
                else:  # also once more: the order may have fallen between two terms
                    self._unstored[partition] = self._orders.saved[partition] = checkpoint
                    if checkpoint.finished:
                        self._wake.set()

    def unstored(self) -> Collection[str]:
        """Return the partitions whose last ``save`` is not stored yet."""
        with self._lock:
            return tuple(self._unstored)

    def add(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        """Have *checkpoints* stored where there are none; ``load`` tells when."""
        with self._lock:
            self._orders.added |= checkpoints
            self._asked += 1
        self._wake.set()

    def offer(self, partitions: Collection[str]) -> None:
        """Say which partitions may be read now, by this worker or another."""
        offered = frozenset(partitions)
        with self._lock:
            if offered == self._offered:
                return
            self._orders.offered = self._offered = offered
            self._asked += 1
        self._wake.set()

    def term(self, partition: str) -> int | None:
        """Return since when this worker may read *partition*; None while it may not.

        Raises:
            StateError: The table cannot be used.
        """
        problem = self._defect or self._problem
        if problem is not None:
            raise StateError(problem)
        return None if partition in self._returning else self._snapshot.terms.get(partition)

    def wanted(self, partition: str) -> bool:
        """Say whether another worker waits for *partition*."""
        return partition in self._snapshot.wanted

    def give_back(self, partition: str) -> None:
        """Have *partition* given back, with the checkpoint that was saved last."""
        with self._lock:
            self._orders.returned.append(partition)
            self._returning.add(partition)
        self._wake.set()

    def close(self) -> None:
        """Store everything and give all leases back at once.  Safe to call twice."""
        if self._ending:
            return
        self._ending = True
        self._wake.set()
        self._thread.join(_FAREWELL)
        if self._thread.is_alive():
            log.warning("%s: no answer; the leases expire by themselves", self.place)

    def _run(self) -> None:
        while not self._ending:
            self._wake.wait(self._pause())
            self._wake.clear()
            self._attempt()
        self._say_farewell()
        self._table.close()

    def _pause(self) -> float:
        tick = min(self._pace, self._leases.seconds / (4 * RENEWALS))
        if not self._failures:
            return tick
        longest = min(self._leases.seconds / RENEWALS, tick * 2.0 ** min(self._failures, 16))
        return tick + random.uniform(0, longest)  # noqa: S311 - spreads load, hides nothing

    def _attempt(self) -> None:
        """Do all that is due, and remember what stands in the way."""
        asked, done = self._asked, False
        try:
            self._leases.drop_expired()
            self._turn()
        except VanishedError as error:
            self._defect = f"{self.place}: {error}"
        except StateError as error:
            self._failures += 1
            lasting = isinstance(error, TableMissingError) or self._failures >= PATIENCE
            self._problem = str(error) if lasting else self._problem
            log.debug("%s (%d in a row)", error, self._failures)
        except Exception as error:
            log.exception("%s: a defect stops the leases", self.place)
            self._defect = f"{self.place}: {type(error).__name__} (see the log)"
        else:
            self._failures, self._problem, done = 0, None, True
        self._tell_losses()
        self._publish()
        if done:
            self._done = asked

    def _turn(self) -> None:
        self._take_saved()
        self._leases.write(self._pace)
        self._take_returned()
        changed = self._take_offer()
        now = time.monotonic()
        if changed or now >= self._look_due:
            self._leases.look()
            self._leases.balance()
            soon, later = (self._leases.seconds / n for n in (10 * RENEWALS, RENEWALS))
            expiry = max(now + soon, self._leases.next_expiry())
            self._look_due = now + soon if self._leases.awaits() else min(now + later, expiry)

    def _take_saved(self) -> None:
        with self._lock:
            saved, self._orders.saved = self._orders.saved, {}
        for partition, checkpoint in saved.items():
            holding = self._leases.held.get(partition)
            # What an earlier term has left behind may be older than what is stored.
            if holding is not None and not moves_back(holding.checkpoint, checkpoint):
                holding.checkpoint = checkpoint

    def _take_returned(self) -> None:
        with self._lock:
            returned, self._orders.returned = self._orders.returned, []
        self._take_saved()  # whatever was saved before it was returned
        for partition in returned:
            self._leases.give_back(partition)

    def _take_offer(self) -> bool:
        """Make new leases and take over what is offered; say whether there was anything."""
        with self._lock:
            added, offered = dict(self._orders.added), self._orders.offered
        self._leases.add(added)
        with self._lock:
            for partition in added:
                self._orders.added.pop(partition, None)
            if offered is not None:
                self._leases.offered = offered
                if self._orders.offered is offered:
                    self._orders.offered = None
        if added:
            self._leases.look()
        return bool(added) or offered is not None

    def _tell_losses(self) -> None:
        for loss in self._leases.losses:
            log.warning("%s: the lease is lost: %s", loss.partition, loss.reason)
        self._leases.losses.clear()

    def _publish(self) -> None:
        """Let others see what is known now."""
        leases = self._leases
        known = {name: seen.lease.checkpoint for name, seen in leases.seen.items()}
        held = {name: holding.term for name, holding in leases.held.items()}
        wanted = frozenset(
            name
            for name, holding in leases.held.items()
            if holding.lease.wanted not in ("", leases.owner)
        )
        old, new = self._snapshot, _Snapshot(known, held, wanted, leases.awaits())
        with self._lock:
            self._snapshot = new
            self._returning &= held.keys()
            for name, checkpoint in list(self._unstored.items()):
                if known.get(name) == checkpoint or name not in held:
                    del self._unstored[name]
        if (old.terms, old.wanted, _ended(old)) != (held, wanted, _ended(new)):
            self._revision += 1

    def _say_farewell(self) -> None:
        """Store what was saved last and let others go on at once."""
        deadline = time.monotonic() + _FAREWELL
        self._take_saved()
        for partition in list(self._leases.held):
            if time.monotonic() > deadline:
                return
            try:
                self._leases.give_back(partition)
            except StateError as error:
                log.warning("%s: not given back, expires by itself: %s", partition, error)
        self._tell_losses()


def _ended(snapshot: _Snapshot) -> dict[str, bool]:
    return {name: checkpoint.finished for name, checkpoint in snapshot.known.items()}
