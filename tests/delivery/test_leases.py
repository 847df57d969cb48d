"""The protocol of leases: any interleaving of workers, pauses, crashes and lost answers."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cloudfront_ecs.delivery.checkpoints.lease_table import VanishedError
from cloudfront_ecs.delivery.checkpoints.leases import Leases
from cloudfront_ecs.delivery.checkpoints.store import Checkpoint, moves_back
from cloudfront_ecs.errors import StateError
from delivery.memory_leases import MemoryLeases, Time

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 30.0


class World:
    """A table, a time, and workers whose clocks show what they like."""

    def __init__(self, partitions: int, seed: int = 1) -> None:
        self.time = Time()
        self.table = MemoryLeases()
        self.names = [f"p{number}" for number in range(partitions)]
        for name in self.names:
            self.table.add(name, Checkpoint("trim_horizon"))
        self.workers: list[Leases] = []
        self._dice = random.Random(seed)
        self._started = 0

    def start(self) -> Leases:
        """Start one more worker."""
        self._started += 1
        worker = Leases(
            self.table,
            f"w{self._started}",
            SECONDS,
            clock=self.time.clock(self._dice.uniform(0, 1e6)),
            dice=self._dice,
        )
        worker.offered = frozenset(self.names)
        self.workers.append(worker)
        return worker

    def turn(self, worker: Leases) -> None:
        """Do what a worker does every few seconds; it hands over what others want."""
        worker.drop_expired()
        worker.write(1.0)
        for name, holding in list(worker.held.items()):
            if holding.lease.wanted not in ("", worker.owner):
                worker.give_back(name)
        worker.look()
        worker.balance()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.time.now += seconds

    def settle(self, rounds: int = 40) -> None:
        """Let all workers go on undisturbed."""
        for _ in range(rounds):
            for worker in self.workers:
                self.turn(worker)
            self.time.now += SECONDS / 10

    def shares(self) -> list[int]:
        """Return how many partitions each worker holds."""
        return sorted(len(worker.held) for worker in self.workers)

    def holders(self, name: str) -> list[str]:
        """Return the workers that may read a partition by their own clocks."""
        return [
            worker.owner
            for worker in self.workers
            if name in worker.held and worker._clock() - worker.held[name].written < SECONDS
        ]


@pytest.mark.parametrize(
    ("workers", "partitions", "shares"),
    [(1, 5, [5]), (2, 4, [2, 2]), (2, 5, [2, 3]), (3, 7, [2, 2, 3]), (3, 2, [0, 1, 1])],
)
def test_workers_that_come_one_by_one_share_evenly(
    workers: int, partitions: int, shares: list[int]
) -> None:
    world = World(partitions)
    for _ in range(workers):
        world.start()
        world.settle()

    assert world.shares() == shares
    assert all(len(world.holders(name)) == 1 for name in world.names)


def test_workers_that_come_together_share_evenly() -> None:
    world = World(9)
    for _ in range(3):
        world.start()
    world.settle()

    assert world.shares() == [3, 3, 3]


def test_a_balance_that_is_reached_stays() -> None:
    world = World(7)
    for _ in range(3):
        world.start()
    world.settle()
    before = {worker.owner: set(worker.held) for worker in world.workers}
    world.settle()

    assert {worker.owner: set(worker.held) for worker in world.workers} == before


def test_one_partition_at_a_time_is_asked_for() -> None:
    world = World(8)
    world.turn(world.start())
    thief = world.start()
    for _ in range(5):
        world.time.now += 1
        world.workers[0].write(1.0)
        thief.look()
        thief.balance()

    wanted = [lease.partition for lease in world.table.held.values() if lease.wanted]
    assert len(wanted) == 1
    assert not thief.held


def test_the_leases_of_a_crashed_worker_are_taken_when_they_expire() -> None:
    world = World(4)
    crashed, other = world.start(), world.start()
    world.settle()
    world.workers.remove(crashed)
    world.turn(other)
    world.time.now += SECONDS / 2
    world.turn(other)
    early = len(other.held)
    world.time.now += SECONDS / 2
    world.turn(other)

    assert early == 2
    assert len(other.held) == 4


def test_what_is_given_back_is_taken_at_once() -> None:
    world = World(4)
    first, second = world.start(), world.start()
    world.settle()
    for number, name in enumerate(list(first.held)):
        first.held[name].checkpoint = Checkpoint(str(number))
        first.give_back(name)
    world.turn(second)

    assert len(second.held) == 4
    assert sorted(h.checkpoint.position for h in second.held.values())[:2] == ["0", "1"]


def test_a_lease_is_not_taken_before_its_owner_has_stopped() -> None:
    world = World(1)
    owner, other = world.start(), world.start()
    world.turn(owner)
    world.turn(other)
    world.time.now += SECONDS - 0.1
    world.turn(other)
    early = set(other.held)
    world.time.now += 0.1
    reading = world.holders("p0")
    world.turn(other)

    assert not early
    assert not reading
    assert set(other.held) == {"p0"}


def test_a_lease_counts_from_the_beginning_of_the_write() -> None:
    world = World(1)
    owner = world.start()
    owner.look()
    world.table.meanwhile.append(lambda: world.wait(20))
    owner.balance()
    world.time.now += 10
    taken = world.holders("p0")
    world.turn(owner)
    world.time.now += 15
    world.table.meanwhile.append(lambda: world.wait(10))
    owner.write(0)
    world.time.now += 20
    renewed = world.holders("p0")
    owner.drop_expired()

    assert not taken
    assert not renewed
    assert not owner.held


def test_a_worker_that_wakes_up_late_cannot_move_the_checkpoint() -> None:
    world = World(1)
    paused, other = world.start(), world.start()
    world.turn(paused)
    paused.held["p0"].checkpoint = Checkpoint("5")
    world.turn(other)
    world.time.now += 2 * SECONDS
    world.turn(other)
    other.held["p0"].checkpoint = Checkpoint("3")
    other.write(0)
    paused.write(0)  # it has not looked at its clock

    assert world.table.held["p0"].checkpoint == Checkpoint("3")
    assert not paused.held
    assert [loss.reason for loss in paused.losses] == [f"{other.owner} has it now"]


def test_a_checkpoint_never_moves_back_not_even_by_its_owner() -> None:
    world = World(1)
    worker = world.start()
    world.turn(worker)
    worker.held["p0"].checkpoint = Checkpoint("10")
    worker.write(0)
    worker.held["p0"].checkpoint = Checkpoint("9")
    worker.write(0)

    assert world.table.held["p0"].checkpoint == Checkpoint("10")
    assert not worker.held


def test_a_lost_answer_costs_nothing() -> None:
    world = World(1)
    worker = world.start()
    world.turn(worker)
    worker.held["p0"].checkpoint = Checkpoint("10")
    world.table.faults.append("after")
    with pytest.raises(StateError):
        worker.write(0)
    worker.held["p0"].checkpoint = Checkpoint("11")
    worker.write(0)

    assert world.table.held["p0"].checkpoint == Checkpoint("11")
    assert not worker.losses


def test_what_does_not_move_is_written_only_to_renew() -> None:
    world = World(1)
    worker = world.start()
    world.turn(worker)
    written = world.table.writes
    for _ in range(60):
        world.time.now += 1
        worker.write(1.0)

    assert world.table.writes - written == 6


def test_what_moves_is_written_once_a_second() -> None:
    world = World(1)
    worker = world.start()
    world.turn(worker)
    written = world.table.writes
    for number in range(100):
        world.time.now += 0.1
        worker.held["p0"].checkpoint = Checkpoint(str(number))
        worker.write(1.0)

    assert 9 <= world.table.writes - written <= 10


def test_an_end_is_written_at_once_and_the_lease_is_nobodys() -> None:
    world = World(1)
    worker = world.start()
    world.turn(worker)
    worker.held["p0"].checkpoint = Checkpoint("7", finished=True)
    worker.write(1.0)
    world.settle()

    assert world.table.held["p0"].checkpoint == Checkpoint("7", finished=True)
    assert world.table.held["p0"].owner == ""
    assert not worker.held
    assert not worker.awaits()


def test_a_lease_that_vanished_is_told_and_not_begun_anew() -> None:
    world = World(2)
    holder, other = world.start(), world.start()
    world.settle()
    world.table.held.clear()

    with pytest.raises(VanishedError, match="has vanished from the table"):
        other.look()
    world.time.now += SECONDS / 2
    with pytest.raises(VanishedError, match="start again to begin where"):
        holder.write(0)


def test_what_may_belong_to_a_crashed_worker_is_awaited_until_that_is_known() -> None:
    world = World(1)
    crashed, other = world.start(), world.start()
    world.turn(crashed)
    other.look()
    unknown = other.awaits()
    world.time.now += SECONDS / 2
    crashed.write(0)
    other.look()
    alive = other.awaits()
    world.time.now += SECONDS
    expired = other.awaits()

    assert (unknown, alive, expired) == (True, False, True)


STEPS = ["turn", "turn", "turn", "look", "balance", "write", "drop", "give back", "move"]
PAUSES = st.sampled_from([0.5, 5.0, 12.0, 25.0, 30.0, 61.0])


class Interleavings(RuleBasedStateMachine):
    """Three workers, each doing one step at a time, also in the midst of another's."""

    world: World

    @initialize(partitions=st.integers(1, 4), seed=st.integers(0, 99))
    def begin(self, partitions: int, seed: int) -> None:
        self.world = World(partitions, seed)
        for _ in range(3):
            self.world.start()
        self.newest = {name: Checkpoint("trim_horizon") for name in self.world.names}

    @rule(who=st.integers(0, 2), step=st.sampled_from(STEPS), number=st.integers(0, 99))
    def act(self, who: int, step: str, number: int) -> None:
        self._step(who, step, number)()

    @rule(
        who=st.integers(0, 2),
        step=st.sampled_from(STEPS),
        number=st.integers(0, 99),
        others=st.lists(
            st.tuples(st.integers(0, 2), st.sampled_from(STEPS), st.integers(0, 99), PAUSES),
            max_size=4,
        ),
    )
    def act_while_others_act(
        self, who: int, step: str, number: int, others: list[tuple[int, str, int, float]]
    ) -> None:
        for other, their_step, their_number, pause in others:
            if other != who:
                self.world.table.meanwhile.append(
                    self._after(pause, self._step(other, their_step, their_number))
                )
        self._step(who, step, number)()
        self.world.table.meanwhile.clear()

    @rule(seconds=PAUSES)
    def wait(self, seconds: float) -> None:
        self.world.time.now += seconds

    @rule(who=st.integers(0, 2))
    def crash(self, who: int) -> None:
        self.world.workers[who] = self.world.start()
        self.world.workers.pop()

    @rule(fault=st.sampled_from(["before", "after"]))
    @precondition(lambda self: not self.world.table.faults)
    def fail_next(self, fault: str) -> None:
        self.world.table.faults.append(fault)

    @invariant()
    def at_most_one_worker_reads_a_partition(self) -> None:
        for name in self.world.names:
            assert len(self.world.holders(name)) <= 1

    @invariant()
    def at_most_one_worker_can_move_a_checkpoint(self) -> None:
        for name, lease in self.world.table.held.items():
            able = [
                worker.owner
                for worker in self.world.workers
                if name in worker.held
                and worker.held[name].lease.counter == lease.counter
                and worker.owner == lease.owner
            ]
            assert len(able) <= 1

    @invariant()
    def no_checkpoint_moves_back(self) -> None:
        for name, lease in self.world.table.held.items():
            assert not moves_back(self.newest[name], lease.checkpoint)
            self.newest[name] = lease.checkpoint

    def teardown(self) -> None:
        """See that after all that every partition has one reader, and each a fair share."""
        if not hasattr(self, "world"):
            return
        self.world.table.faults.clear()
        self.world.time.now += 3 * SECONDS
        self.world.settle(60)
        left = [n for n in self.world.names if not self.world.table.held[n].checkpoint.finished]
        held = Counter(name for worker in self.world.workers for name in worker.held)
        assert held == Counter(left)
        shares = self.world.shares()
        assert shares[-1] - shares[0] <= 1

    def _after(self, pause: float, step: Callable[[], None]) -> Callable[[], None]:
        def act() -> None:
            self.world.time.now += pause
            waiting = list(self.world.table.meanwhile)
            self.world.table.meanwhile.clear()
            step()
            self.world.table.meanwhile.extend(waiting)

        return act

    def _step(self, who: int, step: str, number: int) -> Callable[[], None]:
        worker = self.world.workers[who]

        def safely() -> None:
            with suppress(StateError):
                self._do(worker, step, number)

        return safely

    def _do(self, worker: Leases, step: str, number: int) -> None:
        held = sorted(worker.held)
        if step == "turn":
            self.world.turn(worker)
        elif step == "look":
            worker.look()
        elif step == "balance":
            worker.balance()
        elif step == "write":
            worker.write(0)
        elif step == "drop":
            worker.drop_expired()
        elif step == "give back" and held:
            worker.give_back(held[number % len(held)])
        elif step == "move" and held:
            holding = worker.held[held[number % len(held)]]
            moved = Checkpoint(str(number), finished=number > 95)
            if not moves_back(holding.checkpoint, moved):
                holding.checkpoint = moved


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
