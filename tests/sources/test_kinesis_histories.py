"""Random histories of one stream: nothing is passed, nothing is lost, parents come first."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs.batches import Message
from cloudfront_ecs.delivery.checkpoints.store import MemoryCheckpoints
from cloudfront_ecs.errors import SourceError
from cloudfront_ecs.sources.kinesis.adapter import KinesisOptions
from cloudfront_ecs.sources.kinesis.shards import Pace
from cloudfront_ecs.sources.kinesis.source import KinesisSource
from cloudfront_ecs.sources.kinesis.stream import Shard
from sources.scripted_kinesis import NOW, ScriptedConsumer, ScriptedStream, client_error

if TYPE_CHECKING:
    from cloudfront_ecs.batches import Payload

PASSING = (
    "ProvisionedThroughputExceededException",
    "ExpiredIteratorException",
    "InternalFailureException",
)
AT_ONCE = Pace(
    interval=0, idle=0, longest_pause=0, listing=0.02, soonest_listing=0, gather=0.01, renewal=0
)


class History:
    """A stream, a reader of it, and what the reader settled."""

    def __init__(self, seed: int, *, fan_out: bool) -> None:
        self.random = random.Random(seed)
        self.fan_out = fan_out
        self.stream = ScriptedStream()
        self.store = MemoryCheckpoints()
        self.settled: set[tuple[str, str]] = set()
        self.stream.add("s0", self.random.randrange(20))
        self.stream.add("s1", self.random.randrange(20))
        self.restart()

    def restart(self) -> None:
        """Lose all that is not stored, as after kill -9."""
        options = KinesisOptions(stream="edge", limit=self.random.randrange(1, 6), concurrency=3)
        pace = replace(AT_ONCE, few=self.random.randrange(1, 12))
        consumer = None
        if self.fan_out:
            limit, lasts = self.random.randrange(1, 6), self.random.randrange(1, 20)
            consumer = ScriptedConsumer(self.stream, limit, lasts)
        self.source = KinesisSource(options, self.stream, self.store, pace, consumer)  # type: ignore[arg-type]
        self.in_flight: list[Payload] = []

    def end(self) -> None:
        self.source._calls.close()

    def records_of(self, shard_id: str, up_to: int | None = None) -> set[tuple[str, str]]:
        """Return the records of a shard, by name."""
        held = self.stream.held[shard_id]
        return {
            (shard_id, message.position)
            for message in held
            if up_to is None or int(message.position) <= up_to
        }

    def open_shards(self) -> list[Shard]:
        return [shard for shard in self.stream.listed.values() if not shard.closed]

    def reshard(self) -> None:
        """Split a shard or merge two."""
        taking = self.open_shards()
        merge = len(taking) > 1 and self.random.random() < 0.4
        parents = self.random.sample(taking, 2 if merge else 1)
        for _ in range(1 if merge else 2):
            name = f"s{len(self.stream.listed)}"
            self.stream.add(name, self.random.randrange(15), *(shard.id for shard in parents))
        for shard in parents:
            self.stream.listed[shard.id] = Shard(shard.id, shard.parents, closed=True)

    def put(self) -> None:
        """Put one more record into an open shard."""
        held = self.stream.held[self.random.choice(self.open_shards()).id]
        held.append(Message(b"later\n", str(8 + len(held)), NOW - 50))

    def fail(self) -> None:
        reading = ["subscribe", "events"] if self.fan_out else ["iterator", "records"]
        operation = self.random.choice([*reading, "shards"])
        self.stream.fail(operation, [client_error(self.random.choice(PASSING))])

    def settle(self) -> None:
        """Settle any payload in flight."""
        if self.in_flight:
            payload = self.in_flight.pop(self.random.randrange(len(self.in_flight)))
            self.source.settle(payload.receipt)
            shard_id = payload.receipt.partition
            self.settled |= {(shard_id, message.position) for message in payload.messages or ()}

    def release(self) -> None:
        """Give any payload in flight back."""
        if self.in_flight:
            payload = self.in_flight.pop(self.random.randrange(len(self.in_flight)))
            self.source.release(payload.receipt)

    def poll(self) -> None:
        """Read on, and see that order is kept and parents came first."""
        try:
            payload = self.source.poll(0.002)
        except SourceError:
            return
        if payload is None:
            return
        positions = [int(message.position) for message in payload.messages or ()]
        assert positions == sorted(positions)
        for parent in self.stream.listed[payload.receipt.partition].parents:
            assert self.records_of(parent) <= self.settled
        self.in_flight.append(payload)

    def check(self) -> None:
        """See that no checkpoint has passed a record that is not settled."""
        for name, checkpoint in self.store.held.items():
            shard_id = name.rpartition("/")[2]
            if checkpoint.finished:
                assert self.records_of(shard_id) <= self.settled
            elif checkpoint.position.isdigit():
                assert self.records_of(shard_id, int(checkpoint.position)) <= self.settled


@pytest.mark.parametrize("fan_out", [False, True], ids=["polling", "fan-out"])
@pytest.mark.parametrize("seed", range(25))
def test_no_history_loses_a_record(seed: int, *, fan_out: bool) -> None:
    history = History(seed, fan_out=fan_out)
    steps = {
        history.poll: 40,
        history.settle: 25,
        history.release: 10,
        history.put: 6,
        history.fail: 6,
        history.reshard: 3,
        history.restart: 2,
    }
    for step in history.random.choices(list(steps), list(steps.values()), k=200):
        if step == history.restart:
            history.end()
        if step != history.reshard or len(history.stream.listed) < 12:
            step()
        history.check()
    history.end()
    history.restart()
    deadline = time.monotonic() + 30
    while not history.source.drained():
        assert time.monotonic() < deadline
        history.poll()
        history.settle()
    history.source.close()

    issued = [history.records_of(shard_id) for shard_id in history.stream.listed]
    assert history.settled == set().union(*issued)
