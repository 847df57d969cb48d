from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs.delivery.fetching import StoppedError, ticking, until_stopped
from cloudfront_ecs.errors import PayloadError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Pieces:
    """Yields two pieces, then waits for as long as nobody says otherwise."""

    def __init__(self) -> None:
        self._few = [b"one", b"two"]
        self.go_on = threading.Event()
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._few:
            self.go_on.wait(30)
            raise StopIteration
        return self._few.pop(0)

    def close(self) -> None:
        self.closed.set()


@pytest.fixture(name="pieces")
def _pieces() -> Iterator[Pieces]:
    pieces = Pieces()
    yield pieces
    pieces.go_on.set()


def test_all_pieces_come_in_order_and_empty_ones_do_not() -> None:
    stop = threading.Event()
    given = [b"a", b"", b"b", b"", b"", b"c"]

    assert list(until_stopped(ticking(given, "x"), stop, "x")) == [b"a", b"b", b"c"]


def test_a_piece_that_does_not_come_is_left_behind_when_a_stop_is_asked_for(
    pieces: Pieces,
) -> None:
    stop = threading.Event()
    read = until_stopped(ticking(pieces, "a pipe"), stop, "a pipe")
    assert [next(read), next(read)] == [b"one", b"two"]

    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    with pytest.raises(StoppedError, match="a pipe"):
        next(read)

    assert time.monotonic() - began < 1
    assert not pieces.closed.is_set(), "closed while its own thread uses it"
    pieces.go_on.set()
    assert pieces.closed.wait(5)


def test_a_stop_ends_the_reading_between_two_pieces() -> None:
    stop = threading.Event()
    read = until_stopped([b"one", b"two"], stop, "x")
    assert next(read) == b"one"
    stop.set()

    with pytest.raises(StoppedError):
        next(read)


@pytest.mark.parametrize("error", [SourceError("reset"), PayloadError("truncated", "cut")])
def test_an_error_of_the_pieces_comes_after_what_was_read(error: Exception) -> None:
    def broken() -> Iterator[bytes]:
        yield b"one"
        raise error

    read = until_stopped(ticking(broken(), "x"), threading.Event(), "x")

    assert next(read) == b"one"
    with pytest.raises(type(error)) as raised:
        next(read)
    assert raised.value is error


def test_no_more_is_fetched_than_two_pieces_ahead() -> None:
    fetched: list[int] = []

    def counted() -> Iterator[bytes]:
        for number in range(100):
            fetched.append(number)
            yield b"x"

    read = ticking(counted(), "x")
    next(read)
    time.sleep(0.2)

    assert len(fetched) <= 3
    read.close()  # type: ignore[attr-defined]
