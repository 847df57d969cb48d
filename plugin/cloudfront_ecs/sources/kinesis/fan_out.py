"""Subscriptions to shards, each on a thread of its own, and the room that they share."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING, Generic

from cloudfront_ecs.sources.background import Answer, Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudfront_ecs.sources.kinesis.consumer import KinesisConsumer
    from cloudfront_ecs.sources.kinesis.stream import Page, Position

_COST_OF_PAGE = 1024
_COST_OF_MESSAGE = 256
"""Memory in bytes beside the data, so that many empty events do not pile up either."""


class Subscriptions(Generic[Key]):
    """Open subscriptions, whose pages and ends are reported as answers.

    While the pages that wait to be taken hold *room* bytes, nothing more is read from any
    connection.  Kinesis then ends the subscription in its time, and the next one goes on
    where this one stopped.
    """

    def __init__(
        self, consumer: KinesisConsumer, report: Callable[[Answer[Key]], None], room: int
    ) -> None:
        """Open none yet."""
        self._consumer = consumer
        self._report = report
        self._room = _Room(room)
        self._open: list[_Subscription[Key]] = []

    def open(self, key: Key, consumer_arn: str, shard_id: str, position: Position) -> None:
        """Subscribe to a shard.

        Each page becomes an answer with *key*; the last answer is None, or the error with
        which it broke off.
        """
        events = self._consumer.events(consumer_arn, shard_id, position)
        subscription = _Subscription(key, events, self._report, self._room)
        self._open.append(subscription)
        name = f"aws_kinesis-{shard_id}"
        threading.Thread(target=subscription.run, name=name, daemon=True).start()

    def keep(self, wanted: Callable[[Key], bool]) -> None:
        """End the subscriptions that are not *wanted* any more."""
        kept = []
        for item in self._open:
            if item.done or not wanted(item.key):
                item.end()
            else:
                kept.append(item)
        self._open = kept

    def taken(self, page: Page) -> None:
        """Make room again: *page* no longer waits."""
        self._room.free(_cost(page))

    def close(self) -> None:
        """End all; a thread that waits for its next event ends with that, or with the process."""
        self.keep(lambda _: False)


class _Subscription(Generic[Key]):
    """One subscription."""

    def __init__(
        self,
        key: Key,
        events: Iterator[Page],
        report: Callable[[Answer[Key]], None],
        room: _Room,
    ) -> None:
        self.key = key
        self.done = False
        self._events = events
        self._report = report
        self._room = room
        self._ended = threading.Event()

    def end(self) -> None:
        self._ended.set()
        self._room.look_again()

    def run(self) -> None:
        try:
            self._read()
        except Exception as error:  # noqa: BLE001 - raised again where the answer is read
            answer = Answer(self.key, error=error, asked=False)
        else:
            answer = Answer(self.key, asked=False)
        self.done = True
        if not self._ended.is_set():
            self._report(answer)

    def _read(self) -> None:
        with closing(self._events) as events:  # type: ignore[type-var] # it is a generator
            while self._room.wait(self._ended):
                page = next(events, None)
                if page is None or self._ended.is_set():
                    return
                self._room.hold(_cost(page))
                self._report(Answer(self.key, page, asked=False))


class _Room:
    """Counts what waits to be taken; whoever would add to it waits while there is too much."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._changed = threading.Condition()

    def wait(self, ended: threading.Event) -> bool:
        """Return when there is room, or once it has *ended*; say whether to go on."""
        with self._changed:
            self._changed.wait_for(lambda: self._held < self._limit or ended.is_set())
        return not ended.is_set()

    def hold(self, size: int) -> None:
        with self._changed:
            self._held += size

    def free(self, size: int) -> None:
        with self._changed:
            self._held -= size
            self._changed.notify_all()

    def look_again(self) -> None:
        with self._changed:
            self._changed.notify_all()


def _cost(page: Page) -> int:
    return page.size + _COST_OF_PAGE + _COST_OF_MESSAGE * len(page.messages)
