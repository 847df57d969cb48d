"""The pieces of a payload, asked for so that a read that hangs can be left behind.

A connection can keep silent for as long as the timeouts of its client allow, which is longer
than a stop may take.  So pieces that have to be waited for come with empty ones in between, at
which the pipeline may turn away.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from cloudfront_ecs.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

log = logging.getLogger(__name__)

TICK: Final = 0.25
"""Seconds after which an empty piece is yielded where none has come."""


class StoppedError(SourceError):
    """A stop was asked for before the payload was read to its end."""


def until_stopped(
    pieces: Iterable[bytes], stop: threading.Event, place: str
) -> Generator[bytes, None, None]:
    """Yield *pieces* without the empty ones.

    Args:
        pieces: What is read; where they have to be waited for, some of them are empty.
        stop: Ends the reading when it is set.
        place: Where they come from, for people.

    Raises:
        StoppedError: *stop* was set.
    """
    try:
        for piece in pieces:
            if stop.is_set():
                raise StoppedError(f"{place}: left behind, for a stop was asked for")
            if piece:
                yield piece
    finally:
        _close(pieces)


def ticking(pieces: Iterable[bytes], place: str) -> Iterator[bytes]:
    """Yield *pieces*, and an empty one whenever none has come for ``TICK`` seconds.

    A thread asks for them, one ahead.  Whoever does not want the rest closes the iterator; the
    thread ends once the piece it waits for has come, and does not keep the process from ending.
    """
    fetching = _Fetching(pieces)
    threading.Thread(target=fetching.work, name=f"fetch {place}", daemon=True).start()
    try:
        while True:
            piece = fetching.next(TICK)
            if not isinstance(piece, _End):
                yield piece
            elif piece.error is not None:
                raise piece.error
            else:
                return
    finally:
        fetching.leave()


@dataclass(frozen=True, slots=True)
class _End:
    """The end of the pieces, and the error that was it."""

    error: BaseException | None = None


class _Fetching:
    """Pieces on their way from one thread to another."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self._ready: SimpleQueue[bytes | _End] = SimpleQueue()
        self._room = threading.Semaphore(1)
        self._left = threading.Event()

    def next(self, timeout: float) -> bytes | _End:
        """Return the next piece or the end; an empty piece when *timeout* seconds pass."""
        try:
            piece = self._ready.get(timeout=timeout)
        except Empty:
            return b""
        self._room.release()
        return piece

    def leave(self) -> None:
        """Want no more pieces."""
        self._left.set()
        self._room.release()

    def work(self) -> None:
        """Fetch piece after piece while there is room: the thread's whole life."""
        try:
            for piece in self._pieces:
                self._ready.put(piece)
                self._room.acquire()
                if self._left.is_set():
                    break
        except BaseException as error:  # noqa: BLE001 - raised again where the pieces are used
            self._ready.put(_End(error))
        else:
            self._ready.put(_End())
        try:
            _close(self._pieces)
        except Exception:  # nobody waits for these pieces any more
            log.debug("pieces that were left behind cannot be closed", exc_info=True)


def _close(pieces: Iterable[bytes]) -> None:
    close = getattr(pieces, "close", None)
    if close is not None:
        close()
