from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.errors import PayloadError, SourceError
from cloudfront_ecs.sources.s3.objects import CHUNK, StoredObject
from cloudfront_ecs.sources.s3.prefetch import WINDOW, Fetch, Prefetch

if TYPE_CHECKING:
    from collections.abc import Iterator


def wait_until(condition: Any, patience: float = 5.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not come to it"
        time.sleep(0.002)


@dataclass
class Objects:
    """Objects of so many pieces as their keys say; they come when *gate* is open.

    Attributes:
        read: How many pieces of each have been read.
        under_way: How many are being read at this moment, and the most of them.
        closed: Which were left behind.
    """

    latency: float = 0.0
    piece: bytes = b"x" * CHUNK
    gate: threading.Event = field(default_factory=threading.Event)
    read_pieces: dict[str, int] = field(default_factory=dict)
    under_way: int = 0
    most: int = 0
    closed: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def identified(self, stored: StoredObject, notice: bytes = b"") -> StoredObject:
        if stored.key == "gone":
            raise PayloadError("missing", "gone", notice)
        return StoredObject(stored.bucket, stored.key, None, "e", stored.size)

    def read(self, stored: StoredObject, notice: bytes = b"") -> Iterator[bytes]:  # noqa: ARG002
        with self.lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        try:
            time.sleep(self.latency)
            assert self.gate.wait(10)
            kind, _, number = stored.key.partition(":")
            for count in range(int(number.split("#")[0])):
                self.read_pieces[stored.key] = count + 1
                yield self.piece
            if kind == "broken":
                raise SourceError("broke off")
        except GeneratorExit:
            self.closed.append(stored.key)
            raise
        finally:
            with self.lock:
                self.under_way -= 1


@pytest.fixture(name="objects")
def _objects() -> Objects:
    objects = Objects()
    objects.gate.set()
    return objects


def stored(key: str, size: int | None = None) -> StoredObject:
    return StoredObject("b", key, size=size)


def prefetch(objects: Objects, **options: Any) -> Prefetch:
    return Prefetch(objects, **options)  # type: ignore[arg-type]


def test_an_object_is_read_whole_and_knows_its_identity(objects: Objects) -> None:
    ahead = prefetch(objects)
    fetch = ahead.begin(stored("whole:9"))
    wait_until(lambda: fetch.ready)

    assert b"".join(ahead.read(fetch)) == objects.piece * 9
    assert fetch.stored.etag == "e"
    ahead.close()


@pytest.mark.parametrize("pieces", [0, 1])
def test_small_and_empty_objects_are_ready_when_they_have_come(
    objects: Objects, pieces: int
) -> None:
    ahead = prefetch(objects)
    fetch = ahead.begin(stored(f"whole:{pieces}"))

    wait_until(lambda: fetch.ready)

    assert len(list(ahead.read(fetch))) == pieces
    ahead.close()


def test_no_more_of_an_object_than_a_window_is_held(objects: Objects) -> None:
    ahead = prefetch(objects)
    fetch = ahead.begin(stored("large:100"))
    most = WINDOW // CHUNK
    wait_until(lambda: objects.read_pieces.get("large:100", 0) > most)
    time.sleep(0.05)

    assert len(fetch.pieces) == most
    assert objects.read_pieces["large:100"] == most + 1, "one more waits at the door"
    assert sum(map(len, ahead.read(fetch))) == 100 * CHUNK
    ahead.close()


def test_all_objects_together_stay_within_the_bytes_allowed(objects: Objects) -> None:
    ahead = prefetch(objects, most=3 * WINDOW)
    fetches = [ahead.begin(stored(f"large:8#{number}")) for number in range(10)]
    wait_until(lambda: sum(len(fetch.pieces) for fetch in fetches) == 3 * WINDOW // CHUNK)
    time.sleep(0.05)

    assert sum(fetch.ready for fetch in fetches) == 3
    read = [sum(map(len, ahead.read(fetch))) for fetch in fetches]
    assert read == [8 * CHUNK] * 10
    ahead.close()


def test_small_objects_reserve_no_more_than_their_size(objects: Objects) -> None:
    ahead = prefetch(objects, most=WINDOW)
    fetches = [ahead.begin(stored(f"small:1#{number}", CHUNK)) for number in range(6)]

    wait_until(lambda: sum(fetch.ready for fetch in fetches) == 4)

    for fetch in fetches:
        assert len(list(filter(None, ahead.read(fetch)))) == 1
    ahead.close()


def test_requests_are_under_way_at_the_same_time(objects: Objects) -> None:
    objects.latency = 0.05
    objects.piece = b"x"
    ahead = prefetch(objects, threads=8)
    began = time.monotonic()
    fetches = [ahead.begin(stored(f"small:1#{number}", 1)) for number in range(40)]

    for fetch in fetches:
        assert b"".join(ahead.read(fetch)) == b"x"

    assert objects.most == 8
    assert time.monotonic() - began < 40 * 0.05 / 2
    ahead.close()


def test_an_object_that_has_nothing_new_yields_empty_pieces(objects: Objects) -> None:
    objects.gate.clear()
    ahead = prefetch(objects)
    fetch = ahead.begin(stored("whole:1"))
    pieces = ahead.read(fetch)

    assert [next(pieces), next(pieces)] == [b"", b""]
    assert not fetch.ready
    objects.gate.set()
    assert b"".join(pieces) == objects.piece
    ahead.close()


@pytest.mark.parametrize("room", [{"threads": 1}, {"most": WINDOW}])
def test_an_object_that_is_wanted_now_waits_for_no_other(
    objects: Objects, room: dict[str, int]
) -> None:
    ahead = prefetch(objects, **room)
    before = ahead.begin(stored("large:50"))
    wanted = ahead.begin(stored("whole:3"))
    wait_until(lambda: before.ready)

    assert ahead.identified(wanted).etag == "e"
    assert b"".join(ahead.read(wanted)) == objects.piece * 3
    ahead.close()


def test_an_object_that_is_not_there_is_not_identified(objects: Objects) -> None:
    ahead = prefetch(objects)

    with pytest.raises(PayloadError):
        ahead.identified(ahead.begin(stored("gone")))
    ahead.close()


def test_an_error_comes_after_what_was_read(objects: Objects) -> None:
    ahead = prefetch(objects)
    fetch = ahead.begin(stored("broken:2"))
    found = []

    with pytest.raises(SourceError, match="broke off"):
        found.extend(ahead.read(fetch))

    assert b"".join(found) == objects.piece * 2
    ahead.close()


def test_an_object_that_is_gone_is_ready_and_says_so(objects: Objects) -> None:
    ahead = prefetch(objects)
    fetch = ahead.begin(stored("gone"), b"notice")
    wait_until(lambda: fetch.ready)

    with pytest.raises(PayloadError) as caught:
        list(ahead.read(fetch))

    assert caught.value.raw == b"notice"
    assert fetch.error is caught.value
    ahead.close()


def test_a_cancelled_object_gives_its_thread_and_its_bytes_back(objects: Objects) -> None:
    ahead = prefetch(objects, threads=1, most=WINDOW)
    first = ahead.begin(stored("large:50"))
    second = ahead.begin(stored("whole:1"))
    wait_until(lambda: first.ready)

    ahead.cancel(first)
    ahead.cancel(first)

    wait_until(lambda: second.ready)
    assert objects.closed == ["large:50"]
    with pytest.raises(SourceError, match="is not read any more"):
        list(ahead.read(first))
    ahead.close()


def test_who_turns_away_from_an_object_cancels_it(objects: Objects) -> None:
    ahead = prefetch(objects)
    fetch = ahead.begin(stored("large:50"))
    pieces = ahead.read(fetch)
    while not next(pieces):
        pass

    pieces.close()  # type: ignore[attr-defined]

    wait_until(lambda: objects.closed == ["large:50"])
    ahead.close()


@pytest.mark.parametrize("key", ["large:50", "whole:3"])
def test_closing_never_looks_like_the_end_of_an_object(objects: Objects, key: str) -> None:
    objects.gate.clear()
    ahead = prefetch(objects)
    fetch = ahead.begin(stored(key))
    pieces = ahead.read(fetch)
    assert next(pieces) == b""

    ahead.close()
    objects.gate.set()

    with pytest.raises(SourceError, match="is not read any more"):
        list(pieces)


def test_threads_end_when_it_is_closed(objects: Objects) -> None:
    before = threading.active_count()
    ahead = prefetch(objects, threads=4)
    fetches = [ahead.begin(stored(f"large:50#{number}")) for number in range(8)]
    wait_until(lambda: any(fetch.ready for fetch in fetches))

    ahead.close()

    wait_until(lambda: threading.active_count() <= before)


def test_who_waits_is_told_of_each_object_that_is_ready(objects: Objects) -> None:
    told: list[int] = []
    fetches: list[Fetch] = []
    ahead = prefetch(
        objects, notify=lambda: told.append(sum(fetch.ready for fetch in tuple(fetches)))
    )
    fetches += [ahead.begin(stored(f"whole:1#{number}")) for number in range(3)]

    wait_until(lambda: 3 in told)
    ahead.close()
