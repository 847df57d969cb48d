"""Objects fetched ahead: their first bytes come while others are converted.

Many small objects would otherwise cost the latency of one request each.  Every object that is
begun is read on one of a few threads into a window of at most ``WINDOW`` bytes; when the window
is full the thread waits until somebody takes from it, so an object of any size is streamed and
never whole in memory.  All windows together stay within a given number of bytes.

Nobody waits for the network without an end: an object that has nothing new yields an empty piece
each ``TICK`` seconds, at which the caller may turn away.

Facts: boto3 clients may be used by several threads.  A connection that S3 closes while its
object waits is continued by ``S3Objects.read``.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from cloudfront_ecs.delivery.fetching import TICK
from cloudfront_ecs.errors import SourceError
from cloudfront_ecs.sources.s3.objects import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from cloudfront_ecs.sources.s3.objects import S3Objects, StoredObject

WINDOW = 1024 * 1024
"""Bytes of one object that are held at most."""

THREADS = 16
"""Requests under way at once; at 50 ms each they fetch some 300 small objects a second."""


@dataclass(slots=True, eq=False)
class Fetch:
    """One object on its way.

    Attributes:
        stored: The object as it was named; once ``ready`` without an error, the object that
            is read, with its version or ETag.
        notice: What named it.
        known: It is known what is read.
        error: Why it cannot be read, or not further.
        pieces: What has come and was not taken.
        touched: Somebody has begun to take.
        ended: Everything has come.
        cancelled: Nobody wants it any more.
        reserved: Bytes that are kept free for it.
    """

    stored: StoredObject
    notice: bytes
    known: bool = False
    error: Exception | None = None
    pieces: deque[bytes] = field(default_factory=deque)
    touched: bool = False
    ended: bool = False
    cancelled: bool = False
    reserved: int = 0

    @property
    def ready(self) -> bool:
        """Whether reading it would begin at once, or fail at once."""
        return self.error is not None or self.ended or bool(self.pieces)


class Prefetch:
    """Fetches objects ahead, on threads that start with the first of them."""

    def __init__(
        self,
        objects: S3Objects,
        threads: int = THREADS,
        most: int = 16 * WINDOW,
        notify: Callable[[], None] = lambda: None,
        identify: Callable[[StoredObject, bytes], StoredObject] | None = None,
    ) -> None:
        """Read through *objects*.

        Args:
            objects: Where the bytes come from.
            threads: How many objects are fetched at once.
            most: Bytes that all objects together may hold, beside the one that is read.
            notify: Called, from any thread, when an object has become ready.
            identify: Finds out, on any thread, what an object is known by; else *objects* does.
        """
        self._objects = objects
        self._identify = identify or objects.identified
        self._threads = threads
        self._most = most
        self._window = max(CHUNK, min(WINDOW, most))
        self._notify = notify
        lock = threading.Lock()
        self._moved = threading.Condition(lock)  # a piece has come, or was taken
        self._room = threading.Condition(lock)  # an object was begun, or bytes are free
        self._begun: deque[Fetch] = deque()
        self._reserved = 0
        self._started = 0
        self._idle = 0
        self._closed = False

    def begin(self, stored: StoredObject, notice: bytes = b"") -> Fetch:
        """Have *stored* fetched; *notice* is what named it, kept if it turns out to be gone."""
        fetch = Fetch(stored, notice)
        with self._moved:
            self._begun.append(fetch)
            self._room.notify()
            if len(self._begun) > self._idle and self._started < self._threads:
                self._started += 1
                name = f"s3-prefetch-{self._started}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
        return fetch

    def identified(self, fetch: Fetch) -> StoredObject:
        """Return the object that is read, as soon as it is known.

        Raises:
            PayloadError: There is no such object.
            SourceError: S3 did not say.
        """
        self._hurry(fetch)
        with self._moved:
            while not (fetch.known or fetch.error or fetch.cancelled or self._closed):
                self._moved.wait()
            if fetch.known:
                return fetch.stored
            raise fetch.error or SourceError(f"{fetch.stored.place}: is not read any more")

    def read(self, fetch: Fetch) -> Iterator[bytes]:
        """Yield the bytes of *fetch* in order; an empty piece where nothing has come for a while.

        Raises:
            PayloadError: There is no such object (any more).
            SourceError: It cannot be read now.
        """
        self._hurry(fetch)
        try:
            while (piece := self._take(fetch)) is not None:
                yield piece
        finally:
            self.cancel(fetch)

    def cancel(self, fetch: Fetch) -> None:
        """Forget *fetch* and what it holds.  Safe to call twice, and after its end."""
        with self._moved:
            fetch.cancelled = True
            fetch.pieces.clear()
            self._reserved -= fetch.reserved
            fetch.reserved = 0
            self._moved.notify_all()
            self._room.notify_all()

    def close(self) -> None:
        """Let the threads end; one that waits for the network is not waited for."""
        with self._moved:
            self._closed = True
            self._begun.clear()
            self._moved.notify_all()
            self._room.notify_all()

    def _hurry(self, fetch: Fetch) -> None:
        """Begin an object that is wanted now, whatever those before it wait for."""
        with self._moved:
            if fetch.cancelled or self._closed or fetch not in self._begun:
                return
            self._begun.remove(fetch)
            self._keep_free(fetch)
        threading.Thread(
            target=self._work_on, args=[fetch], name="s3-prefetch-now", daemon=True
        ).start()

    def _take(self, fetch: Fetch) -> bytes | None:
        """Return the next piece, an empty one after ``TICK`` seconds, None at the end."""
        with self._moved:
            fetch.touched = True
            if not (fetch.pieces or fetch.ended or fetch.error or fetch.cancelled):
                self._moved.wait(TICK)
            if fetch.pieces:
                piece = fetch.pieces.popleft()
                self._moved.notify_all()
                return piece
            if fetch.cancelled or (self._closed and not fetch.ended):  # that is not the end
                raise SourceError(f"{fetch.stored.place}: is not read any more")
            if fetch.error is not None:
                raise fetch.error
            return None if fetch.ended else b""

    def _work(self) -> None:
        while (fetch := self._next()) is not None:
            self._work_on(fetch)

    def _work_on(self, fetch: Fetch) -> None:
        error: Exception | None = None
        whole = False
        try:
            whole = self._fetch(fetch)
        except Exception as caught:  # noqa: BLE001 - raised again where the object is read
            error = caught
        with self._moved:
            fetch.error, fetch.ended = error, whole
            self._moved.notify_all()
        self._notify()

    def _next(self) -> Fetch | None:
        """Wait for an object for which there is room, and make its room."""
        with self._moved:
            self._idle += 1
            try:
                while not self._closed:
                    while self._begun and self._begun[0].cancelled:
                        self._begun.popleft()
                    if self._begun and self._has_room(self._begun[0]):
                        self._keep_free(self._begun[0])
                        return self._begun.popleft()
                    self._room.wait()
            finally:
                self._idle -= 1
        return None

    def _has_room(self, fetch: Fetch) -> bool:
        return not self._reserved or self._reserved + self._room_of(fetch) <= self._most

    def _keep_free(self, fetch: Fetch) -> None:
        fetch.reserved = self._room_of(fetch)
        self._reserved += fetch.reserved

    def _room_of(self, fetch: Fetch) -> int:
        size = fetch.stored.size
        return self._window if size is None else min(size, self._window)

    def _fetch(self, fetch: Fetch) -> bool:
        """Read an object into its window; say whether to its end."""
        stored = self._identify(fetch.stored, fetch.notice)
        with self._moved:
            fetch.stored, fetch.known = stored, True
            self._moved.notify_all()
        read = self._objects.read(stored, fetch.notice)
        with closing(cast("Generator[bytes]", read)) as pieces:
            for piece in pieces:
                if not self._put(fetch, piece):
                    return False
        return True

    def _put(self, fetch: Fetch, piece: bytes) -> bool:
        """Add a piece once there is room in the window; say whether anybody wants more."""
        with self._moved:
            while not fetch.cancelled and not self._closed and self._full(fetch, piece):
                self._moved.wait()
            if fetch.cancelled or self._closed:
                return False
            first = not fetch.touched and not fetch.pieces
            fetch.pieces.append(piece)
            self._moved.notify_all()
        if first:
            self._notify()
        return True

    def _full(self, fetch: Fetch, piece: bytes) -> bool:
        held = sum(map(len, fetch.pieces))
        return held > 0 and held + len(piece) > self._window
