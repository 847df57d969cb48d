"""A stream in memory, with errors and oddities that no emulator has."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from cloudfront_ecs.batches import Message
from cloudfront_ecs.sources.kinesis.stream import Page, Shard, StreamSummary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudfront_ecs.sources.kinesis.stream import Position

ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/edge"
DAY = 86_400.0
NOW = 1_700_000_000.0


def client_error(code: str, status: int = 400) -> ClientError:
    answer = {
        "Error": {"Code": code, "Message": "scripted"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "GetRecords")


@dataclass(slots=True)
class ScriptedStream:
    """Stands in for ``KinesisStream``.

    Attributes:
        held: The records of each shard; the sequence number is a number of few digits, so
            that comparing as text would be noticed.
        faults: Raised by the next calls, by operation: ``iterator``, ``records``, ``shards``.
        trimmed: Sequence numbers up to here are refused, by shard.
        silent: Shards that answer empty pages, as far behind as the retention.
        asked: The positions for which iterators or subscriptions were wanted.
    """

    listed: dict[str, Shard] = field(default_factory=dict)
    held: dict[str, list[Message]] = field(default_factory=dict)
    faults: dict[str, deque[Exception]] = field(default_factory=dict)
    trimmed: dict[str, int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    calls: int = 0
    created: str = "1690000000"
    closed: bool = False

    @property
    def client(self) -> ScriptedStream:
        return self

    def close(self) -> None:
        self.closed = True

    def add(self, name: str, count: int = 0, *parents: str, closed: bool = False) -> None:
        """Add a shard with *count* records, numbered on from 8."""
        self.listed[name] = Shard(name, parents, closed)
        self.held[name] = [
            Message(b"%s-%d\n" % (name.encode(), number), str(number), NOW - 100 + number)
            for number in range(8, 8 + count)
        ]

    def fail(self, operation: str, errors: Iterable[Exception]) -> None:
        self.faults.setdefault(operation, deque()).extend(errors)

    def summary(self) -> StreamSummary:
        return StreamSummary(ARN, "edge", "ACTIVE", self.created, DAY, NOW)

    def shards(self) -> dict[str, Shard]:
        self.fault("shards")
        return dict(self.listed)

    def iterator(self, shard_id: str, position: Position) -> str:
        self.asked.append((shard_id, position.text() if position.value else position.kind))
        self.fault("iterator")
        return f"{shard_id}/{self.first(shard_id, position)}"

    def records(self, iterator: str, limit: int) -> Page:
        self.calls += 1
        self.fault("records")
        shard_id, _, text = iterator.partition("/")
        page = self.page(shard_id, int(text), limit)
        following = page.iterator and f"{shard_id}/{int(page.iterator) + 1}"
        return replace(page, iterator=following)

    def first(self, shard_id: str, position: Position) -> int:
        """Return the number of the first record at a position."""
        if position.kind == "AFTER_SEQUENCE_NUMBER":
            number = int(position.value)
            if number <= self.trimmed.get(shard_id, 0):
                raise client_error("InvalidArgumentException")
            return number + 1
        if position.kind == "LATEST":
            return 8 + len(self.held[shard_id])
        return self.trimmed.get(shard_id, 0) + 1

    def page(self, shard_id: str, first: int, limit: int) -> Page:
        """Return the records from *first* on; the iterator is the number of the last one."""
        if shard_id in self.silent and first > 1:
            return Page([], str(first - 1), DAY, 0)
        left = [message for message in self.held[shard_id] if int(message.position) >= first]
        page = left[:limit]
        last: str | None = page[-1].position if page else str(first - 1)
        if len(page) == len(left) and self.listed[shard_id].closed:
            last = None
        size = sum(len(message.data) for message in page)
        return Page(page, last, float(len(left) - len(page)), size)

    def fault(self, operation: str) -> None:
        faults = self.faults.get(operation)
        if faults:
            raise faults.popleft()


@dataclass(slots=True)
class ScriptedConsumer:
    """Stands in for ``KinesisConsumer``.

    Attributes:
        stream: Where the records are; its faults may be of ``subscribe`` and ``events``, too.
        limit: Records in an event.
        lasts: Events in a subscription.
        usable: Somebody can subscribe.
        open: Shards that somebody subscribes to just now.
        sent: Events sent.
    """

    stream: ScriptedStream
    limit: int = 2
    lasts: int = 1000
    usable: bool = True
    open: list[str] = field(default_factory=list)
    sent: int = 0

    def ready(self, stream_arn: str) -> str | None:
        return f"{stream_arn}/consumer/us:1" if self.usable else None

    def events(self, consumer_arn: str, shard_id: str, position: Position) -> Iterator[Page]:
        assert consumer_arn == f"{ARN}/consumer/us:1"
        self.stream.asked.append((shard_id, position.text() if position.value else position.kind))
        self.stream.fault("subscribe")
        if shard_id in self.open:
            raise client_error("ResourceInUseException")
        self.open.append(shard_id)
        try:
            first = self.stream.first(shard_id, position)
            for _ in range(self.lasts):
                self.stream.fault("events")
                page = self.stream.page(shard_id, first, self.limit)
                self.sent += 1
                yield page
                if page.iterator is None:
                    return
                first = int(page.iterator) + 1
                time.sleep(0.02 if not page.messages else 0)
        finally:
            self.open.remove(shard_id)
