"""How a pipeline stops, and what its health says while something does not work."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs import WriteResult
from cloudfront_ecs.config import BatchOptions
from cloudfront_ecs.delivery.fetching import ticking
from cloudfront_ecs.errors import AccountingError, CheckpointError, SourceError
from cloudfront_ecs.pipeline import RunSettings
from pipeline_parts import (
    ListSource,
    World,
    blocked,
    lines,
    reject_all,
    run_in_thread,
    unavailable,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cloudfront_ecs import Document, Payload, Receipt

SERVICE = RunSettings(drain=0.1)


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_blocked_sink_makes_a_service_wait_with_its_problem_told(world: World) -> None:
    source = world.source([lines(4)])
    sink = world.sink(always=blocked)
    pipeline = world.pipeline(source, {"memory": sink}, settings=SERVICE)

    thread, errors = run_in_thread(pipeline)
    until(lambda: bool(pipeline.health()))
    health = pipeline.health()
    sink.always = None
    until(lambda: bool(source.settled))
    well = pipeline.health()
    world.stop.set()
    thread.join(5)

    assert {part: problem.text for part, problem in health.items()} == {
        "sink memory": "401: credentials expired"
    }
    assert 0 <= health["sink memory"].lasted() < 10
    assert well == {}
    assert errors == []


def test_a_stop_while_a_payload_is_read_releases_it(world: World) -> None:
    source = world.source([lines(3), lines(3, 10), lines(3, 20)], while_read=world.stop.set)
    sink = world.sink()

    summary = world.pipeline(source, {"memory": sink}).run()

    assert (source.settled, source.released) == ([], [0])
    assert summary.read < 9
    assert summary.imbalance("memory") == 0


def test_a_stop_lets_batches_in_flight_finish_and_settles_their_payloads(world: World) -> None:
    def stop_then_store(documents: Sequence[Document]) -> WriteResult:
        world.stop.set()
        return sink.store(documents)

    source = world.source([lines(3)])
    sink = world.sink(answers=deque([stop_then_store]))

    world.pipeline(source, {"memory": sink}, settings=RunSettings(drain=5)).run()

    assert source.settled == [0]


def test_a_stop_while_a_read_hangs_leaves_it_behind(world: World) -> None:
    hanging, over = threading.Event(), threading.Event()

    def silent() -> Iterator[bytes]:
        yield lines(3)
        hanging.set()
        over.wait(30)

    class Silent(ListSource):
        def poll(self, timeout: float) -> Payload | None:
            payload = super().poll(timeout)
            return payload and replace(payload, chunks=ticking(silent(), "silent"))

    source = Silent([[b""]], world.events)
    pipeline = world.pipeline(source, {"memory": world.sink()}, settings=SERVICE)
    thread, errors = run_in_thread(pipeline)

    assert hanging.wait(5)
    world.stop.set()
    thread.join(2)
    ended = not thread.is_alive()
    over.set()

    assert ended
    assert errors == []
    assert (source.settled, source.released, source.closed) == ([], [0], 1)


@pytest.mark.parametrize("refused", ["line", "document"])
def test_a_stop_while_dead_letters_find_no_room_gives_their_payload_back(
    world: World, refused: str
) -> None:
    world.letters.failures = 10**6
    content = b"bad\n" if refused == "line" else lines(1)
    source, sink = world.source([content]), world.sink(always=reject_all)
    pipeline = world.pipeline(source, {"memory": sink}, settings=SERVICE)
    thread, errors = run_in_thread(pipeline)

    until(lambda: "dead letters" in pipeline.health())
    world.stop.set()
    thread.join(5)

    assert errors == []
    assert (source.settled, source.released) == ([], [0])
    summary = pipeline.accounts.summary
    assert summary.reasons.total() == summary.sinks["memory"]["dead_lettered"] == 0
    assert summary.imbalance("memory") == 0


@pytest.mark.parametrize(
    ("error", "part"),
    [
        pytest.param(SourceError("throttled"), "source", id="source"),
        pytest.param(CheckpointError("disk full"), "checkpoints", id="checkpoints"),
    ],
)
def test_health_names_a_source_for_as_long_as_it_refuses(
    world: World, caplog: pytest.LogCaptureFixture, error: SourceError, part: str
) -> None:
    source = world.source([lines(2)], polls_fail=deque([error] * 3))
    pipeline = world.pipeline(source, {"memory": world.sink()}, settings=SERVICE)
    with caplog.at_level(logging.WARNING):
        thread, errors = run_in_thread(pipeline)
        until(lambda: bool(pipeline.health()))
        named = {name: problem.text for name, problem in pipeline.health().items()}
        until(lambda: source.settled == [0])
        well = pipeline.health()
        world.stop.set()
        thread.join(5)

    assert (named, well, errors) == ({part: str(error)}, {}, [])
    assert f"{part} can be used again after" in caplog.text


def test_health_names_a_payload_that_cannot_be_read_until_one_can(world: World) -> None:
    source = world.source([SourceError("403")], offer_again=True)
    pipeline = world.pipeline(source, {"memory": world.sink()}, settings=SERVICE)
    thread, errors = run_in_thread(pipeline)

    until(lambda: len(source.released) >= 2)
    named = set(pipeline.health())
    source.contents = [[lines(1)]]
    until(lambda: source.settled == [0])
    world.stop.set()
    thread.join(5)

    assert (named, errors) == ({"payloads"}, [])
    assert pipeline.health() == {}


def test_what_does_not_finish_within_the_drain_is_given_back(world: World) -> None:
    source = world.source([lines(3)])
    sink = world.sink(always=unavailable)
    pipeline = world.pipeline(source, {"memory": sink}, settings=SERVICE)
    thread, errors = run_in_thread(pipeline)

    until(lambda: len(sink.writes) > 0)
    world.stop.set()
    thread.join(5)

    assert not thread.is_alive()
    assert errors == []
    assert (source.settled, source.released) == ([], [0])
    assert pipeline.accounts.summary.in_flight == {"memory": 3}


def test_a_sink_that_lies_while_it_is_given_up_ends_the_run_with_an_error(world: World) -> None:
    asked = threading.Event()

    def lie_late(_: Sequence[Document]) -> WriteResult:
        asked.set()
        time.sleep(0.3)
        return WriteResult()

    source, sink = world.source([lines(3)]), world.sink(always=lie_late)
    pipeline = world.pipeline(source, {"memory": sink}, settings=RunSettings(drain=0.0))
    thread, errors = run_in_thread(pipeline)

    assert asked.wait(5)
    world.stop.set()
    thread.join(5)

    assert [type(error) for error in errors] == [AccountingError]
    assert (source.settled, source.released, source.closed) == ([], [0], 1)


def test_a_source_that_takes_nothing_back_ends_the_run_with_an_error(world: World) -> None:
    class Stubborn(ListSource):
        def release(self, receipt: Receipt) -> None:
            super().release(receipt)
            raise KeyError("unknown receipt")

    source = Stubborn([[lines(1)], [lines(1)]], world.events)
    sink = world.sink(always=unavailable)
    batch = BatchOptions(documents=1, seconds=0.05)
    pipeline = world.pipeline(source, {"memory": sink}, settings=SERVICE, batch=batch)
    thread, errors = run_in_thread(pipeline)

    until(lambda: len(source.in_flight) == 2)
    world.stop.set()
    thread.join(5)

    assert [type(error) for error in errors] == [KeyError]
    assert (source.settled, source.released) == ([], [0, 1]), "one keeps the other from its end"
    assert (source.closed, sink.closed) == (1, 1)


def test_a_source_that_fails_to_close_does_not_keep_sinks_open(world: World) -> None:
    class Stubborn:
        def __init__(self) -> None:
            self.inner = world.source([lines(1)])
            self.poll, self.settle = self.inner.poll, self.inner.settle
            self.release, self.drained = self.inner.release, self.inner.drained

        def close(self) -> None:
            raise OSError("already gone")

    sink = world.sink()

    summary = world.pipeline(Stubborn(), {"memory": sink}).run()

    assert sink.closed == 1
    assert summary.read == 1
