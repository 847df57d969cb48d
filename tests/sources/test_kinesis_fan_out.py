from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from urllib3.exceptions import ProtocolError

from cloudfront_ecs.batches import Message
from cloudfront_ecs.delivery.checkpoints.store import Checkpoint, MemoryCheckpoints
from cloudfront_ecs.errors import SourceError
from cloudfront_ecs.sources.kinesis.adapter import KinesisOptions
from cloudfront_ecs.sources.kinesis.shards import Pace
from cloudfront_ecs.sources.kinesis.source import KinesisSource
from sources.scripted_kinesis import ARN, NOW, ScriptedConsumer, ScriptedStream, client_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudfront_ecs.batches import Payload

SCOPE = f"{ARN}@1690000000/"
RENEWAL = 0.2


def source_of(
    consumer: ScriptedConsumer, store: MemoryCheckpoints | None = None, **options: Any
) -> KinesisSource:
    known = KinesisOptions(stream="edge", consumer="us", **options)
    pace = Pace(
        interval=0.02,
        soonest_listing=0.05,
        gather=0.2,
        few=options.get("gather_records", 2),
        renewal=RENEWAL,
    )
    stream: Any = consumer.stream
    return KinesisSource(known, stream, store or MemoryCheckpoints(), pace, consumer)  # type: ignore[arg-type]


def some(source: KinesisSource, patience: float = 10) -> Payload:
    payload = source.poll(patience)
    assert payload is not None
    return payload


def numbers(payload: Payload) -> list[int]:
    return [int(message.position) for message in payload.messages or ()]


def rest(source: KinesisSource, *, refused: bool = False) -> list[str]:
    """Settle everything up to the tip; return the lines.  A shard may still be *refused*."""
    found: list[str] = []
    deadline = time.monotonic() + 20
    while not source.drained():
        assert time.monotonic() < deadline
        try:
            payload = source.poll(0.1)
        except SourceError:
            if not refused:
                raise
            continue
        if payload is not None:
            found += [message.data.decode().strip() for message in payload.messages or ()]
            source.settle(payload.receipt)
    return found


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def lines(shard_id: str, count: int) -> list[str]:
    return [f"{shard_id}-{number}" for number in range(8, 8 + count)]


def test_children_follow_once_the_event_that_ends_the_parent_is_settled() -> None:
    stream, store = ScriptedStream(), MemoryCheckpoints()
    stream.add("parent", 4, closed=True)
    stream.add("left", 2, "parent")
    stream.add("right", 2, "parent")
    with closing(source_of(ScriptedConsumer(stream), store)) as source:
        first, second = some(source), some(source)
        source.settle(second.receipt)
        waited = source.poll(0.3)
        source.settle(first.receipt)
        found = rest(source)

    assert waited is None
    assert sorted(found) == lines("left", 2) + lines("right", 2)
    assert stream.asked[0] == ("parent", "TRIM_HORIZON")
    assert store.load(SCOPE + "parent") == Checkpoint("11", NOW - 89, finished=True)


def test_a_subscription_that_ends_is_renewed_where_it_stopped_and_not_too_soon() -> None:
    stream = ScriptedStream()
    stream.add("a", 12)
    consumer = ScriptedConsumer(stream, lasts=2)
    began = time.monotonic()
    with closing(source_of(consumer)) as source:
        found = rest(source)

    assert found == lines("a", 12)
    assert stream.asked[:4] == [("a", "TRIM_HORIZON"), ("a", "11"), ("a", "15"), ("a", "19")]
    assert time.monotonic() - began > 3 * RENEWAL


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(client_error("InternalFailureException", 500), id="failure"),
        pytest.param(client_error("KMSThrottlingException"), id="throttled"),
        pytest.param(client_error("ResourceInUseException"), id="in-use"),
        pytest.param(ProtocolError("cut"), id="connection-broken"),
        pytest.param(TimeoutError(), id="silent"),
    ],
)
@pytest.mark.parametrize("place", ["subscribe", "events"])
def test_troubles_that_pass_are_waited_out(place: str, error: Exception) -> None:
    stream = ScriptedStream()
    stream.add("a", 6)
    stream.fail(place, [error])
    with closing(source_of(ScriptedConsumer(stream))) as source:
        assert rest(source) == lines("a", 6)


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        pytest.param([client_error("AccessDeniedException")], "AccessDenied", id="denied"),
        pytest.param([client_error("KMSDisabledException")], "KMSDisabled", id="key-disabled"),
        pytest.param([client_error("ResourceInUseException")] * 3, "InUse", id="somebody-else"),
    ],
)
def test_troubles_that_stay_are_told_and_reading_goes_on(
    errors: list[Exception], told: str
) -> None:
    stream = ScriptedStream()
    stream.add("a", 2)
    stream.fail("subscribe", errors)
    with closing(source_of(ScriptedConsumer(stream))) as source:
        with pytest.raises(SourceError, match=f"kinesis://edge/a: .*{told}"):
            source.poll(10)

        assert rest(source, refused=True) == lines("a", 2)


def test_release_drops_what_was_buffered_and_subscribes_again() -> None:
    stream, store = ScriptedStream(), MemoryCheckpoints()
    stream.add("a", 20)
    consumer = ScriptedConsumer(stream)
    with closing(source_of(consumer, store)) as source:
        first, second = some(source), some(source)
        source.settle(first.receipt)
        until(lambda: consumer.sent > 10)
        source.release(second.receipt)
        again = some(source)
        source.settle(again.receipt)
        found = rest(source)

    assert numbers(again) == numbers(second) == [10, 11]
    assert found == lines("a", 20)[4:]
    assert stream.asked == [("a", "TRIM_HORIZON"), ("a", "9")]


def test_events_that_nobody_takes_are_left_with_kinesis() -> None:
    stream = ScriptedStream()
    stream.add("a")
    big = b"x" * 100_000
    stream.held["a"] = [Message(big, str(8 + number), NOW) for number in range(60)]
    consumer = ScriptedConsumer(stream)
    with closing(source_of(consumer, buffer_bytes=1024 * 1024)) as source:
        source.settle(some(source).receipt)
        time.sleep(0.3)
        waiting = consumer.sent
        found = rest(source)

    assert waiting <= 1 + 1024 * 1024 / (2 * len(big)) + 1
    assert len(found) == 58


def test_many_empty_events_do_not_pile_up() -> None:
    stream = ScriptedStream()
    stream.add("a", 20_000)
    consumer = ScriptedConsumer(stream, limit=1)
    with closing(source_of(consumer, buffer_bytes=1024 * 1024)) as source:
        some(source)
        time.sleep(0.5)

        assert consumer.sent < 2000


def test_small_events_of_a_shard_become_one_payload() -> None:
    stream, store = ScriptedStream(), MemoryCheckpoints()
    stream.add("a", 25)
    with closing(source_of(ScriptedConsumer(stream), store, gather_records=10)) as source:
        payloads = [some(source), some(source), some(source)]
        held = store.load(SCOPE + "a")
        source.settle(payloads[0].receipt)
        moved = store.load(SCOPE + "a")

    assert [len(numbers(payload)) for payload in payloads] == [10, 10, 5]
    assert held == Checkpoint("trim_horizon")
    assert moved == Checkpoint("17", NOW - 83)


def test_a_consumer_that_is_being_made_is_waited_for() -> None:
    stream = ScriptedStream()
    stream.add("a", 2)
    consumer = ScriptedConsumer(stream, usable=False)
    with closing(source_of(consumer)) as source:
        assert source.poll(0.2) is None
        assert stream.asked == []
        assert not source.drained()
        consumer.usable = True

        assert rest(source) == lines("a", 2)


@pytest.mark.parametrize("shape", ["refused", "silent"])
def test_a_trimmed_checkpoint_is_reported_with_its_bounds(
    shape: str, caplog: pytest.LogCaptureFixture
) -> None:
    stream, store = ScriptedStream(), MemoryCheckpoints()
    stream.add("a", 4)
    store.save({f"{SCOPE}a": Checkpoint("3", NOW - 90_000)})
    if shape == "refused":
        stream.trimmed["a"] = 7
    else:
        stream.silent.add("a")
    with closing(source_of(ScriptedConsumer(stream), store)) as source:
        payload = some(source)

    assert numbers(payload) == [8, 9]
    assert "kinesis://edge/a: position 3 " in caplog.text
    assert "expired before they were read" in caplog.text


def test_latest_is_never_asked_for_twice() -> None:
    stream = ScriptedStream()
    stream.add("a", 4)
    stream.fail("subscribe", [client_error("InternalFailureException", 500)])
    with closing(source_of(ScriptedConsumer(stream), start="latest")) as source:
        some(source)

    assert stream.asked == [("a", "LATEST"), ("a", f"@{NOW:.3f}")]


def test_closing_waits_for_no_event() -> None:
    class Silent(ScriptedConsumer):
        def events(self, *_: Any) -> Any:
            waiting.set()
            forever.wait(30)
            yield

    stream = ScriptedStream()
    stream.add("a", 4)
    waiting, forever = threading.Event(), threading.Event()
    source = source_of(Silent(stream))
    assert source.poll(0.1) is None
    assert waiting.wait(5)

    began = time.monotonic()
    source.close()
    forever.set()

    assert time.monotonic() - began < 0.5
    assert stream.closed


def test_no_thread_stays_behind_a_subscription_that_is_not_wanted() -> None:
    stream = ScriptedStream()
    stream.add("a", 20)
    consumer = ScriptedConsumer(stream)
    source = source_of(consumer, buffer_bytes=1024 * 1024)
    some(source)
    source.close()

    until(lambda: not consumer.open)


def test_lag_is_told_for_each_shard_that_was_heard_of() -> None:
    stream = ScriptedStream()
    stream.add("a", 6)
    stream.add("b")
    with closing(source_of(ScriptedConsumer(stream))) as source:
        before = dict(source.lag())
        found = rest(source)
        after = dict(source.lag())

    assert before == {}
    assert found == lines("a", 6)
    assert after == {"a": 0.0, "b": 0.0}
