"""Random histories of one stream that several workers read, coming and going as they like."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs.delivery.checkpoints.shared import SharedCheckpoints
from cloudfront_ecs.sources.kinesis.adapter import KinesisOptions
from cloudfront_ecs.sources.kinesis.source import KinesisSource
from delivery.memory_leases import Line, MemoryLeases
from sources.test_kinesis_histories import AT_ONCE, History

if TYPE_CHECKING:
    from cloudfront_ecs.batches import Payload

LEASE = 1.5
MOST = 3


@dataclass(slots=True)
class Worker:
    """One worker, with its way to the table and what it has in flight."""

    line: Line
    source: KinesisSource
    in_flight: list[Payload] = field(default_factory=list)


class SharedHistory(History):
    """A stream, and workers that share it; each step is one of them's."""

    def __init__(self, seed: int) -> None:
        self.table = MemoryLeases()
        self.workers: list[Worker] = []
        self.started = 0
        super().__init__(seed, fan_out=False)

    def restart(self) -> None:
        """Start a worker; where there are enough already, kill one."""
        if len(self.workers) >= MOST:
            self.kill()
        self.started += 1
        line = Line(self.table)
        options = KinesisOptions(stream="edge", limit=self.random.randrange(1, 6), concurrency=3)
        pace = replace(AT_ONCE, few=self.random.randrange(1, 12))
        store = SharedCheckpoints(line, f"w{self.started}", LEASE, 0.02, "memory")
        source = KinesisSource(options, self.stream, store, pace)  # type: ignore[arg-type]
        self.workers.append(Worker(line, source))
        self.choose()

    def kill(self) -> None:
        """Lose all that a worker has not stored, as kill -9 does."""
        worker = self.workers.pop(self.random.randrange(len(self.workers)))
        worker.line.cut = True
        worker.source._calls.close()
        worker.source._store._ending = True  # type: ignore[attr-defined]

    def leave(self) -> None:
        """End a worker in peace."""
        if len(self.workers) > 1:
            self.workers.pop(self.random.randrange(len(self.workers))).source.close()
        self.choose()

    def cut_off(self) -> None:
        """Let the table be out of reach of one worker, or be there again."""
        line = self.random.choice(self.workers).line
        line.down = not line.down

    def pause(self) -> None:
        """Let leases expire while nobody does anything."""
        time.sleep(self.random.choice([0.02, 0.1, 1.6]))

    def choose(self) -> None:
        """Let the next step be of any worker."""
        worker = self.random.choice(self.workers)
        self.source, self.in_flight = worker.source, worker.in_flight

    def state(self) -> str:
        """Return what keeps the workers from their end."""
        leases = [
            f"{name.rpartition('/')[2]} {lease.checkpoint.position} "
            f"{'ended' if lease.checkpoint.finished else lease.owner or 'nobody'} {lease.wanted}"
            for name, lease in self.table.held.items()
        ]
        readers = [
            f"{worker.source._store._leases.owner} "  # type: ignore[attr-defined]
            f"awaits {worker.source._store.awaiting} unsaved {set(worker.source._unsaved)} "
            + str(
                [
                    (
                        reader.shard,
                        reader.position.text(),
                        reader.caught_up,
                        reader.ended,
                        reader.watermark.in_flight,
                        reader.leaving,
                        reader.busy,
                        reader.suspect,
                    )
                    for reader in worker.source._readers.values()
                ]
            )
            for worker in self.workers
        ]
        return "\n".join(["not done in time:", *leases, *readers])

    def check(self) -> None:
        with self.table.lock:
            self.store.held = {name: lease.checkpoint for name, lease in self.table.held.items()}
        super().check()


@pytest.mark.parametrize("seed", range(6))
def test_no_history_of_several_workers_loses_a_record(seed: int) -> None:
    history = SharedHistory(seed)
    steps = {
        history.poll: 60,
        history.settle: 25,
        history.release: 5,
        history.put: 6,
        history.fail: 3,
        history.reshard: 3,
        history.restart: 3,
        history.leave: 2,
        history.cut_off: 3,
        history.pause: 2,
    }
    for step in history.random.choices(list(steps), list(steps.values()), k=150):
        history.choose()
        if step != history.reshard or len(history.stream.listed) < 12:
            step()
        history.check()
    while history.workers:
        history.kill()
    for _ in range(2):  # they begin where the others were killed
        history.restart()
    deadline = time.monotonic() + 60
    while not all(worker.source.drained() for worker in history.workers):
        assert time.monotonic() < deadline, history.state()
        for worker in history.workers:
            history.source, history.in_flight = worker.source, worker.in_flight
            history.poll()
            history.settle()
    for worker in history.workers:
        worker.source.close()
    history.check()

    issued = [history.records_of(shard_id) for shard_id in history.stream.listed]
    assert history.settled == set().union(*issued)
    assert all(not lease.owner for lease in history.table.held.values())
