"""The thread between a source and the table of leases."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs.delivery.checkpoints.shared import SharedCheckpoints
from cloudfront_ecs.delivery.checkpoints.store import Checkpoint
from cloudfront_ecs.errors import StateError
from delivery.memory_leases import Line, MemoryLeases

if TYPE_CHECKING:
    from collections.abc import Callable

LEASE = 0.6


def soon(condition: Callable[[], object]) -> None:
    """Wait until *condition* holds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def opened(line: Line, name: str = "w") -> SharedCheckpoints:
    """Return a store that has taken everything there is."""
    store = SharedCheckpoints(line, name, LEASE, 0.05, "memory")
    store.add({"p": Checkpoint("1")})
    soon(lambda: store.load("p"))
    store.offer(["p"])
    soon(lambda: store.term("p") is not None)
    return store


def usable(store: SharedCheckpoints) -> bool:
    try:
        return store.term("p") is not None
    except StateError:
        return False


def test_what_was_saved_while_the_table_was_away_is_stored_in_the_next_term() -> None:
    line = Line(MemoryLeases())
    with closing(opened(line)) as store:
        first = store.term("p")
        line.down = True
        store.save({"p": Checkpoint("5")})
        time.sleep(2 * LEASE)
        line.down = False
        soon(lambda: usable(store))
        second = store.term("p")
        store.save({"p": Checkpoint("5")})
        soon(lambda: not store.unstored())

    assert second != first
    assert line.table.held["p"].checkpoint == Checkpoint("5")


def test_an_old_term_leaves_nothing_behind_that_is_older() -> None:
    line = Line(MemoryLeases())
    with closing(opened(line)) as store:
        store.save({"p": Checkpoint("9")})
        soon(lambda: not store.unstored())
        store.save({"p": Checkpoint("7")})
        time.sleep(0.2)

        assert usable(store)
    assert line.table.held["p"].checkpoint == Checkpoint("9")


def test_a_short_absence_of_the_table_is_not_told_and_a_long_one_is() -> None:
    line = Line(MemoryLeases())
    with closing(opened(line)) as store:
        line.down = True
        with pytest.raises(StateError, match="the table does not answer"):
            soon(lambda: not store.term("p") and False)
        line.down = False
        soon(lambda: usable(store))


def test_closing_stores_gives_back_and_may_be_repeated() -> None:
    line = Line(MemoryLeases())
    store = opened(line)
    store.save({"p": Checkpoint("5", 1.5)})
    store.close()
    store.close()

    lease = line.table.held["p"]
    assert (lease.checkpoint, lease.owner) == (Checkpoint("5", 1.5), "")


def test_writes_of_a_moving_shard_are_bound_by_the_pace() -> None:
    table = MemoryLeases()
    with closing(SharedCheckpoints(Line(table), "w", 6.0, 0.5, "memory")) as store:
        store.add({"p": Checkpoint("1")})
        soon(lambda: store.load("p"))
        store.offer(["p"])
        soon(lambda: store.term("p") is not None)
        written, began = table.writes, time.monotonic()
        for number in range(100):
            store.save({"p": Checkpoint(str(number + 10))})
            time.sleep(0.01)
        most = (time.monotonic() - began) / 0.5 + 1

        assert table.writes - written <= most
