from __future__ import annotations

import json
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs import Document, Rejection, WriteResult
from cloudfront_ecs.config import BatchOptions
from cloudfront_ecs.errors import (
    AccountingError,
    CloudFrontEcsError,
    PayloadError,
    SinkBlockedError,
    SourceError,
    StateError,
)
from cloudfront_ecs.pipeline import MOST_IN_FLIGHT, RunSettings
from pipeline_parts import (
    World,
    blocked,
    line,
    lines,
    run_in_thread,
    unavailable,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


ONCE = RunSettings(once=True, patience=0.1, drain=0.1)
SERVICE = RunSettings(drain=0.1)


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_every_document_reaches_every_sink_and_the_books_balance(world: World) -> None:
    source = world.source([lines(7)], [lines(5, 100), lines(11, 200)])
    first, second = world.sink("first"), world.sink("second")

    summary = world.pipeline(source, {"first": first, "second": second}).run()

    assert len(first.held) == len(second.held) == summary.read == 23
    assert summary.sinks == {
        name: {"stored": 23, "duplicate": 0, "acked": 0, "dead_lettered": 0}
        for name in ("first", "second")
    }
    assert summary.in_flight == {"first": 0, "second": 0}
    assert sorted(source.settled) == [0, 1]
    assert world.observer.started == ["test"]
    assert world.observer.summaries == [summary]
    assert summary.reasons.total() == 0


def test_an_empty_source_ends_a_run_that_is_asked_for_once(world: World) -> None:
    source, sink = world.source(), world.sink()

    summary = world.pipeline(source, {"memory": sink}).run()

    assert summary.read == 0
    assert (source.closed, sink.closed) == (1, 1)


@pytest.mark.parametrize("content", [[], [b""], [b"\n\n"]], ids=["no-bytes", "empty", "blank"])
def test_a_payload_without_documents_settles_at_once(world: World, content: list[bytes]) -> None:
    source, sink = world.source(content), world.sink()

    summary = world.pipeline(source, {"memory": sink}).run()

    assert source.settled == [0]
    assert sink.writes == []
    assert summary.read == 0


def test_a_payload_of_which_all_is_filtered_settles(world: World) -> None:
    class Nothing:
        def apply(self, _: list[Document]) -> list[Document]:
            return []

    source, sink = world.source([lines(3)]), world.sink()

    summary = world.pipeline(source, {"memory": sink}, transforms=[Nothing()]).run()

    assert source.settled == [0]
    assert (summary.read, summary.filtered) == (3, 3)


def test_a_payload_settles_only_after_every_sink_took_every_document(world: World) -> None:
    source = world.source([lines(25)])  # three batches
    slow = world.sink("slow", answers=deque([unavailable, unavailable]))
    fast = world.sink("fast")

    world.pipeline(source, {"slow": slow, "fast": fast}).run()

    assert world.events.count("settle 0") == 1
    settled = world.events.index("settle 0")
    assert not any(event.startswith("write") for event in world.events[settled:])
    assert len(slow.held) == len(fast.held) == 25


def test_a_slow_sink_does_not_hold_a_fast_one_back_within_what_may_be_in_flight(
    world: World,
) -> None:
    gate = threading.Event()

    def wait(documents: Sequence[Document]) -> WriteResult:
        gate.wait(30)
        return WriteResult(stored=len(documents))

    source = world.source(*([lines(10, 10 * n)] for n in range(8)))
    slow = world.sink("slow", always=wait)
    fast = world.sink("fast")
    thread, errors = run_in_thread(world.pipeline(source, {"slow": slow, "fast": fast}))

    until(lambda: len(fast.writes) == MOST_IN_FLIGHT)
    thread.join(0.3)
    ahead, settled = len(fast.writes), list(source.settled)
    gate.set()
    thread.join(10)

    assert (ahead, settled) == (MOST_IN_FLIGHT, [])
    assert source.settled == list(range(8))
    assert errors == []


def test_stored_retryable_and_rejected_documents_of_one_batch_each_find_their_end(
    world: World,
) -> None:
    def mixed(documents: Sequence[Document]) -> WriteResult:
        return WriteResult(
            stored=1,
            duplicates=1,
            acked=1,
            retry=tuple(documents[3:5]),
            rejected=(Rejection(documents[5], "400 mapper", 400),),
        )

    source = world.source([lines(6)])
    sink = world.sink(answers=deque([mixed]))

    summary = world.pipeline(source, {"memory": sink}).run()

    assert [len(write) for write in sink.writes] == [6, 2]
    assert sink.writes[1] == sink.writes[0][3:5]
    assert world.events == [
        "write memory 6", "write memory 2", "letters 1", "settle 0", "close memory", "close source",
    ]  # fmt: skip
    assert summary.sinks["memory"] == {"stored": 3, "duplicate": 1, "acked": 1, "dead_lettered": 1}
    assert summary.reasons == {"rejected": 1}
    assert world.observer.settlements[0].outcomes == {
        "memory": {"stored": 3, "duplicate": 1, "acked": 1, "dead_lettered": 1}
    }


def test_the_dead_letter_of_a_rejected_document_holds_its_line(
    world: World, tmp_path: Path
) -> None:
    source = world.source([lines(2)], [lines(2, 50)])
    sink = world.sink(
        answers=deque([lambda docs: WriteResult(3, rejected=(Rejection(docs[2], "400"),))])
    )

    world.pipeline(source, {"memory": sink}).run()

    letter = world.letters.kept[0]
    assert letter.rejected.raw + b"\n" == line(50)
    assert letter.rejected.line == 1
    assert letter.origin.place == "list/1"
    assert letter.sink == "memory"
    [path] = (tmp_path / "dead_letters").iterdir()
    assert json.loads(path.read_bytes())["detail"] == "memory: 400"


def test_dead_letters_are_durable_before_their_payload_settles(world: World) -> None:
    source, sink = world.source([lines(1) + b"too\tshort\n" + lines(1, 5)]), world.sink()

    summary = world.pipeline(source, {"memory": sink}).run()

    assert world.events[:3] == ["letters 1", "write memory 2", "settle 0"]
    assert (summary.read, summary.dead_lettered, summary.reasons) == (3, 1, {"columns": 1})


def test_bytes_that_can_never_be_read_end_as_one_dead_letter(world: World) -> None:
    source = world.source([lines(2), PayloadError("missing", "the object is gone")])
    sink = world.sink()

    summary = world.pipeline(source, {"memory": sink}).run()

    assert source.settled == [0]
    assert (summary.read, summary.dead_lettered) == (3, 1)
    assert [letter.rejected.reason for letter in world.letters.kept] == ["missing"]


def test_dead_letters_that_cannot_be_stored_are_waited_for(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.letters.failures = 1
    source, sink = world.source([b"bad\n"]), world.sink()

    with caplog.at_level(logging.WARNING):
        summary = world.pipeline(source, {"memory": sink}).run()

    assert world.events[:3] == ["full", "letters 1", "settle 0"]
    assert summary.dead_lettered == 1
    assert "dead letters cannot be stored, waiting" in caplog.text


def test_without_a_place_for_dead_letters_nothing_settles(world: World) -> None:
    world.letters.failures = 10**6
    source, sink = world.source([b"bad\n"]), world.sink()

    with pytest.raises(StateError, match="dead letters cannot be stored"):
        world.pipeline(source, {"memory": sink}, settings=ONCE).run()

    assert (source.settled, source.released) == ([], [0])


def test_a_blocked_sink_ends_a_run_once_patience_is_over_and_nothing_settles(
    world: World,
) -> None:
    source = world.source([lines(4)])
    open_sink, shut = world.sink("open"), world.sink("shut", always=blocked)
    pipeline = world.pipeline(source, {"open": open_sink, "shut": shut}, settings=ONCE)

    with pytest.raises(SinkBlockedError, match="sink shut: 401: credentials expired"):
        pipeline.run()

    assert (source.settled, source.released) == ([], [0])
    assert world.letters.kept == []
    assert world.observer.settlements == []
    assert pipeline.accounts.summary.in_flight == {"open": 0, "shut": 4}
    assert world.observer.summaries[0].error == "sink shut: 401: credentials expired"
    assert [pipeline.accounts.summary.imbalance(name) for name in ("open", "shut")] == [0, 0]
    assert (source.closed, open_sink.closed, shut.closed) == (1, 1, 1)


def test_rejections_before_a_sink_was_given_up_are_kept_as_they_are_counted(world: World) -> None:
    def first_refused(documents: Sequence[Document]) -> WriteResult:
        return WriteResult(retry=tuple(documents[1:]), rejected=(Rejection(documents[0], "400"),))

    source = world.source([lines(3)])
    sink = world.sink(answers=deque([first_refused]), always=blocked)
    pipeline = world.pipeline(source, {"memory": sink}, settings=ONCE)

    with pytest.raises(SinkBlockedError):
        pipeline.run()

    assert pipeline.accounts.summary.sinks["memory"]["dead_lettered"] == 1
    assert len(world.letters.kept) == 1
    assert source.released == [0]


def test_a_batch_given_up_by_one_sink_is_not_announced_when_another_finished_it(
    world: World,
) -> None:
    source = world.source([lines(20)])
    pipeline = world.pipeline(
        source,
        {"shut": world.sink("shut", always=blocked), "open": world.sink("open")},
        settings=ONCE,
    )

    with pytest.raises(SinkBlockedError):
        pipeline.run()

    assert world.observer.settlements == []
    assert source.released == [0]


def test_a_source_error_in_mid_payload_releases_it_and_the_rest_goes_on(world: World) -> None:
    broken = SourceError("connection reset by peer")
    source = world.source([lines(3), broken], [lines(2, 50)])
    sink = world.sink()

    summary = world.pipeline(source, {"memory": sink}).run()

    assert (source.released, source.settled) == ([0], [1])
    assert summary.read == 5
    assert len(sink.held) == 5


def test_a_payload_that_always_breaks_ends_a_run_once_patience_is_over(world: World) -> None:
    source = world.source([SourceError("reset")], offer_again=True)

    with pytest.raises(SourceError, match="reset"):
        world.pipeline(source, {"memory": world.sink()}, settings=ONCE).run()

    assert source.settled == []
    assert source.in_flight == set()


def test_a_source_that_cannot_be_polled_for_a_while_is_asked_again(world: World) -> None:
    source = world.source([lines(2)], polls_fail=deque([SourceError("throttled")]))

    summary = world.pipeline(source, {"memory": world.sink()}).run()

    assert summary.read == 2
    assert source.settled == [0]


def test_a_released_payload_that_comes_again_leaves_no_document_twice(world: World) -> None:
    source = world.source([lines(3), SourceError("reset")], offer_again=True)
    sink = world.sink()
    pipeline = world.pipeline(source, {"memory": sink}, settings=RunSettings(drain=0.1))
    thread, errors = run_in_thread(pipeline)

    until(lambda: len(source.released) >= 2)
    source.contents = [[lines(3)]]
    until(lambda: source.settled == [0])
    world.stop.set()
    thread.join(5)

    assert errors == []
    assert len(sink.held) == 3
    assert pipeline.accounts.summary.imbalance("memory") == 0


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param(lambda docs: WriteResult(stored=len(docs) - 1), id="too-few"),
        pytest.param(lambda docs: WriteResult(stored=len(docs) + 1), id="too-many"),
        pytest.param(lambda _: WriteResult(), id="nothing"),
    ],
)
def test_a_sink_that_lies_about_its_counts_stops_the_pipeline(
    world: World, lie: Callable[[Sequence[Document]], WriteResult]
) -> None:
    source, sink = world.source([lines(3)]), world.sink(always=lie)

    with pytest.raises(AccountingError, match=r"sink 'memory' was given 3 .* accounts for \d"):
        world.pipeline(source, {"memory": sink}).run()

    assert (source.settled, source.released) == ([], [0])


def test_a_sink_that_rejects_what_it_was_not_given_stops_the_pipeline(world: World) -> None:
    stranger = Document("0" * 30, "cloudfront.standard", 0, {})
    source = world.source([lines(1)])
    sink = world.sink(always=lambda _: WriteResult(rejected=(Rejection(stranger, "400"),)))

    with pytest.raises(AccountingError, match="which it was not given"):
        world.pipeline(source, {"memory": sink}).run()

    assert source.settled == []


@pytest.mark.parametrize("error", [KeyError("took"), SystemExit(3)], ids=["defect", "exit"])
def test_an_unexpected_exception_of_a_sink_stops_the_pipeline_and_releases(
    world: World, error: BaseException
) -> None:
    def fail(_: Sequence[Document]) -> WriteResult:
        raise error

    source, sink = world.source([lines(3)]), world.sink(always=fail)

    with pytest.raises(CloudFrontEcsError, match=rf"sink memory: .*{type(error).__name__}"):
        world.pipeline(source, {"memory": sink}).run()

    assert (source.settled, source.released) == ([], [0])
    assert (source.closed, sink.closed) == (1, 1)


def test_an_unexpected_exception_of_a_transform_stops_the_pipeline_and_releases(
    world: World,
) -> None:
    class Broken:
        def apply(self, _: list[Document]) -> list[Document]:
            raise KeyError("tags")

    source = world.source([lines(3)])

    with pytest.raises(KeyError):
        world.pipeline(source, {"memory": world.sink()}, transforms=[Broken()]).run()

    assert (source.settled, source.released) == ([], [0])


def test_a_transform_that_adds_documents_stops_the_pipeline(world: World) -> None:
    class Doubling:
        def apply(self, documents: list[Document]) -> list[Document]:
            return documents + documents

    source = world.source([lines(3)])

    with pytest.raises(AccountingError, match="transforms made 6 documents of 3"):
        world.pipeline(source, {"memory": world.sink()}, transforms=[Doubling()]).run()

    assert source.released == [0]


def test_documents_of_many_payloads_share_batches_and_each_payload_settles(world: World) -> None:
    source = world.source(*([line(number)] for number in range(30)))
    sink = world.sink()

    world.pipeline(source, {"memory": sink}, batch=BatchOptions(documents=10, seconds=30)).run()

    assert [len(write) for write in sink.writes] == [10, 10, 10]
    assert source.settled == list(range(30))


def test_a_batch_that_does_not_fill_is_written_when_its_time_is_over(world: World) -> None:
    source, sink = world.source([lines(2)]), world.sink()
    batch = BatchOptions(documents=1000, seconds=0.05)
    pipeline = world.pipeline(source, {"memory": sink}, settings=SERVICE, batch=batch)
    thread, errors = run_in_thread(pipeline)

    until(lambda: source.settled == [0])
    world.stop.set()
    thread.join(5)

    assert errors == []
    assert len(sink.held) == 2
