from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.batches import Message
from cloudfront_ecs.delivery.checkpoints.store import Checkpoint, MemoryCheckpoints
from cloudfront_ecs.errors import SourceError, StateError
from cloudfront_ecs.sources.kinesis.adapter import KinesisOptions
from cloudfront_ecs.sources.kinesis.shards import Pace
from cloudfront_ecs.sources.kinesis.source import KinesisSource
from sources.scripted_kinesis import ARN, NOW, ScriptedStream, client_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudfront_ecs.batches import Payload

SCOPE = f"{ARN}@1690000000/"


def source_of(
    stream: ScriptedStream, store: MemoryCheckpoints | None = None, **options: Any
) -> KinesisSource:
    known = KinesisOptions(stream="edge", **options)
    pace = Pace(interval=0.02, idle=0.1, soonest_listing=0.05, gather=0.05, few=known.limit)
    return KinesisSource(known, stream, store or MemoryCheckpoints(), pace)  # type: ignore[arg-type]


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


class FailingStore(MemoryCheckpoints):
    """A store whose disk is full for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False

    def save(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        if self.full:
            raise StateError("disk full")
        super().save(checkpoints)


def test_the_checkpoint_waits_for_the_oldest_payload() -> None:
    stream, store = ScriptedStream(), MemoryCheckpoints()
    stream.add("a", 6)
    with closing(source_of(stream, store, limit=2)) as source:
        first, second, third = some(source), some(source), some(source)
        source.settle(second.receipt)
        held = store.load(SCOPE + "a")
        source.settle(first.receipt)
        moved = store.load(SCOPE + "a")
        drained = source.drained()
        source.settle(third.receipt)

    assert [numbers(first), numbers(second), numbers(third)] == [[8, 9], [10, 11], [12, 13]]
    assert held == Checkpoint("trim_horizon")
    assert moved == Checkpoint("11", NOW - 89)
    assert not drained


def test_release_reads_again_what_came_after_and_stale_receipts_change_nothing() -> None:
    stream, store = ScriptedStream(), MemoryCheckpoints()
    stream.add("a", 6)
    with closing(source_of(stream, store, limit=2)) as source:
        first, second, third = some(source), some(source), some(source)
        source.release(second.receipt)
        source.settle(third.receipt)
        source.settle(second.receipt)
        source.release(third.receipt)
        source.settle(first.receipt)
        checkpoint = store.load(SCOPE + "a")
        again = some(source)

    assert checkpoint == Checkpoint("9", NOW - 91)
    assert numbers(again) == numbers(second)


def test_an_answer_under_way_is_dropped_when_its_shard_goes_back() -> None:
    stream = ScriptedStream()
    stream.add("a", 6)
    with closing(source_of(stream, limit=2)) as source:
        first = some(source)
        time.sleep(0.05)
        source.poll(0)  # asks for the next page
        source.release(first.receipt)
        time.sleep(0.1)
        again = some(source)

    assert numbers(again) == numbers(first)


def test_shards_take_turns() -> None:
    stream = ScriptedStream()
    for name in "abc":
        stream.add(name, 20)
    with closing(source_of(stream, limit=2)) as source:
        order = [some(source).receipt.partition for _ in range(9)]

    assert all(set(order[start : start + 3]) == set("abc") for start in (0, 3, 6))


def test_an_idle_shard_is_asked_seldom() -> None:
    stream = ScriptedStream()
    stream.add("a")
    with closing(source_of(stream)) as source:
        assert source.poll(0.75) is None

    assert 5 <= stream.calls <= 8


def gathering(stream: ScriptedStream, **pace: Any) -> KinesisSource:
    known = KinesisOptions(stream="edge", limit=2)
    return KinesisSource(known, stream, MemoryCheckpoints(), Pace(interval=0.02, **pace))  # type: ignore[arg-type]


def test_a_shard_that_brings_little_at_the_tip_is_asked_seldom() -> None:
    stream = ScriptedStream()
    stream.add("a")
    with closing(gathering(stream, idle=0.25, gather=0.25)) as source:
        began = time.monotonic()
        while time.monotonic() - began < 1:
            if len(stream.held["a"]) <= stream.calls:
                stream.held["a"].append(Message(b"x\n", str(8 + len(stream.held["a"])), NOW))
            source.poll(0.01)

    assert stream.calls <= 6


def test_small_pages_behind_the_tip_become_one_payload() -> None:
    stream = ScriptedStream()
    stream.add("a", 13)
    with closing(gathering(stream, few=6, gather=5)) as source:
        first, second = some(source), some(source)
        began = time.monotonic()
        last = some(source)
        waited = time.monotonic() - began

    assert [len(numbers(payload)) for payload in (first, second, last)] == [6, 6, 1]
    assert waited < 1  # nothing more is to come soon


def test_what_was_gathered_settles_and_goes_back_as_one() -> None:
    stream = ScriptedStream()
    stream.add("a", 13)
    with closing(gathering(stream, few=6, gather=5)) as source:
        first, second = some(source), some(source)
        source.release(second.receipt)
        source.settle(first.receipt)
        again = some(source)
        source.settle(again.receipt)
        rest_of_it = some(source)

    assert numbers(again) == numbers(second)
    assert numbers(rest_of_it) == [20]


def test_a_merged_shard_waits_for_both_parents() -> None:
    stream, store = ScriptedStream(), MemoryCheckpoints()
    stream.add("child", 2, "left", "right")
    stream.add("left", 2, closed=True)
    stream.add("right", 2, closed=True)
    with closing(source_of(stream, store)) as source:
        parents = [some(source), some(source)]
        source.settle(parents[0].receipt)
        assert source.poll(0.3) is None
        assert not source.drained()
        source.settle(parents[1].receipt)
        child = some(source)

    assert {parent.receipt.partition for parent in parents} == {"left", "right"}
    assert child.receipt.partition == "child"
    finished = store.load(SCOPE + "left")
    assert finished is not None
    assert finished.finished


def test_a_finished_shard_is_not_read_again_after_a_restart() -> None:
    stream, store = ScriptedStream(), MemoryCheckpoints()
    stream.add("parent", 2, closed=True)
    stream.add("child", 2, "parent")
    with closing(source_of(stream, store)) as source:
        assert rest(source) == ["parent-8", "parent-9", "child-8", "child-9"]
    with closing(source_of(stream, store)) as source:
        assert rest(source) == []


def test_a_released_end_of_a_shard_is_read_again() -> None:
    stream = ScriptedStream()
    stream.add("parent", 2, closed=True)
    with closing(source_of(stream)) as source:
        source.release(some(source).receipt)

        assert rest(source) == ["parent-8", "parent-9"]


def test_a_child_that_appears_later_begins_at_its_trim_horizon() -> None:
    stream, store = ScriptedStream(), MemoryCheckpoints()
    stream.add("parent", 5)
    with closing(source_of(stream, store, start="latest")) as source:
        assert rest(source) == []
    stream.add("parent", 5, closed=True)
    stream.add("child", 2, "parent")

    with closing(source_of(stream, store, start="latest")) as source:
        found = rest(source)

    assert found[-2:] == ["child-8", "child-9"]
    assert stream.asked[0] == ("parent", "LATEST")
    assert stream.asked[1] == ("parent", f"@{NOW:.3f}")
    assert stream.asked[-1] == ("child", "TRIM_HORIZON")


def test_latest_is_never_asked_for_twice() -> None:
    stream = ScriptedStream()
    stream.add("a", 5)
    stream.fail("iterator", [client_error("InternalFailureException", 500)])
    with closing(source_of(stream, start="latest")) as source:
        some(source)

    assert stream.asked == [("a", "LATEST"), ("a", f"@{NOW:.3f}")]


def test_a_parent_that_expired_unread_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    stream, store = ScriptedStream(), MemoryCheckpoints()
    store.save({f"{SCOPE}parent": Checkpoint("77", NOW - 90_000)})
    stream.add("child", 2, "parent")
    with closing(source_of(stream, store)) as source:
        found = rest(source)

    assert found == ["child-8", "child-9"]
    assert "kinesis://edge/parent: the shard expired before it was read" in caplog.text
    assert "2023-11-13T21:13:20.000+00:00" in caplog.text


def test_a_shard_that_disappears_while_it_is_read_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream = ScriptedStream()
    stream.add("parent", 2)
    with closing(source_of(stream)) as source:
        source.settle(some(source).receipt)
        del stream.listed["parent"]
        stream.add("child", 1, "parent")
        stream.fail("records", [client_error("ResourceNotFoundException")])
        found = rest(source)

    assert found == ["child-8"]
    assert "kinesis://edge/parent: the shard expired" in caplog.text


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
    with closing(source_of(stream, store, limit=4)) as source:
        payload = some(source)

    assert numbers(payload) == [8, 9, 10, 11]
    assert "kinesis://edge/a: position 3 " in caplog.text
    assert (
        "records that came between 2023-11-13T21:13:20.000+00:00 and "
        "2023-11-14T22:11:48.000+00:00 expired before they were read"
    ) in caplog.text


def test_a_position_refused_once_is_no_gap(caplog: pytest.LogCaptureFixture) -> None:
    stream, store = ScriptedStream(), MemoryCheckpoints()
    stream.add("a", 4)
    store.save({f"{SCOPE}a": Checkpoint("9")})
    stream.fail("iterator", [client_error("InvalidArgumentException")])
    with closing(source_of(stream, store)) as source:
        found = rest(source)

    assert found == ["a-10", "a-11"]
    assert not caplog.text


def test_a_stream_made_anew_during_a_run_begins_at_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream, store = ScriptedStream(), MemoryCheckpoints()
    stream.add("a", 4)
    with closing(source_of(stream, store, limit=2)) as source:
        old = some(source)
        stream.created = "1695000000"
        stream.fail("records", [client_error("ResourceNotFoundException")])
        new = some(source)
        source.settle(old.receipt)
        source.settle(new.receipt)

    assert "made anew" in caplog.text
    assert numbers(new) == [8, 9]
    assert new.origin.identity == ("kinesis", ARN, "1695000000", "a")
    assert store.load(SCOPE + "a") == Checkpoint("trim_horizon")
    assert store.load(f"{ARN}@1695000000/a") == Checkpoint("9", NOW - 91)


@pytest.mark.parametrize(
    "code",
    [
        "ProvisionedThroughputExceededException",
        "ExpiredIteratorException",
        "InvalidArgumentException",
        "InternalFailureException",
    ],
)
def test_troubles_that_pass_are_waited_out(code: str) -> None:
    stream = ScriptedStream()
    stream.add("a", 4)
    stream.fail("records", [client_error(code)] * 2)
    with closing(source_of(stream)) as source:
        assert rest(source) == ["a-8", "a-9", "a-10", "a-11"]


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        pytest.param([client_error("AccessDeniedException")], "AccessDenied", id="denied"),
        pytest.param([client_error("KMSDisabledException")], "KMSDisabled", id="key-disabled"),
        pytest.param([client_error("X", 503)] * 3, "X", id="lasting"),
    ],
)
def test_troubles_that_stay_are_told_and_other_shards_go_on(
    errors: list[Exception], told: str
) -> None:
    stream = ScriptedStream()
    stream.add("a", 2)
    with closing(source_of(stream)) as source:
        stream.fail("records", errors)
        with pytest.raises(SourceError, match=f"kinesis://edge/a: .*{told}"):
            source.poll(10)

        assert rest(source, refused=True) == ["a-8", "a-9"]


def test_a_listing_that_fails_is_told_and_tried_again() -> None:
    stream = ScriptedStream()
    stream.add("a", 1)
    stream.fail("shards", [client_error("AccessDeniedException")])
    with closing(source_of(stream)) as source:
        with pytest.raises(SourceError, match=r"kinesis://edge: .*AccessDenied"):
            source.poll(10)
        assert not source.drained()

        assert rest(source, refused=True) == ["a-8"]


def test_a_defect_of_our_own_is_not_waited_out() -> None:
    stream = ScriptedStream()
    stream.add("a", 1)
    stream.fail("records", [ZeroDivisionError()])
    with closing(source_of(stream)) as source, pytest.raises(ZeroDivisionError):
        source.poll(10)


def test_a_full_disk_stops_reading_until_the_checkpoint_is_stored() -> None:
    stream, store = ScriptedStream(), FailingStore()
    stream.add("a", 4)
    with closing(source_of(stream, store, limit=2)) as source:
        first = some(source)
        store.full = True
        source.settle(first.receipt)
        with pytest.raises(SourceError, match=r"kinesis://edge: .*disk full"):
            source.poll(1)
        assert not source.drained()
        store.full = False
        second = some(source)

    assert numbers(second) == [10, 11]
    assert store.load(SCOPE + "a") == Checkpoint("9", NOW - 91)


def test_a_shard_ends_only_once_that_is_stored() -> None:
    stream, store = ScriptedStream(), FailingStore()
    stream.add("parent", 1, closed=True)
    stream.add("child", 1, "parent")
    with closing(source_of(stream, store)) as source:
        parent = some(source)
        store.full = True
        source.settle(parent.receipt)
        with pytest.raises(SourceError):
            source.poll(1)
        store.full = False

        assert rest(source) == ["child-8"]


def test_records_that_came_after_the_start_are_not_waited_for() -> None:
    stream = ScriptedStream()
    stream.add("a", 2)
    stream.held["a"] += [Message(b"new\n", str(10 + n), NOW + 60) for n in range(10)]
    with closing(source_of(stream, limit=3)) as source:
        payload = some(source)
        source.settle(payload.receipt)

        assert source.drained()


def test_any_bytes_travel() -> None:
    stream = ScriptedStream()
    stream.add("a")
    odd = [b"", b"\x00\xff\n", b"\xf3\x89\x9a\xc2not aggregated", b"\n" * 10_000]
    stream.held["a"] = [Message(data, str(8 + n), None) for n, data in enumerate(odd)]
    with closing(source_of(stream)) as source:
        payload = some(source)

    assert [message.data for message in payload.messages or ()] == odd


def test_closing_stores_disconnects_and_may_be_repeated() -> None:
    stream, store = ScriptedStream(), FailingStore()
    stream.add("a", 2)
    source = source_of(stream, store)
    payload = some(source)
    store.full = True
    source.settle(payload.receipt)
    store.full = False

    source.close()
    source.close()

    assert stream.closed
    assert store.load(SCOPE + "a") == Checkpoint("9", NOW - 91)
