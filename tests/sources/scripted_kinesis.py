"""A stream in memory, with errors and oddities that no emulator has."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from cloudfront_ecs.batches import Message
from cloudfront_ecs.sources.kinesis_stream import Page, Shard, StreamSummary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudfront_ecs.sources.kinesis_stream import Position

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
        asked: The positions for which iterators were wanted.
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
        self._fault("shards")
        return dict(self.listed)

    def iterator(self, shard_id: str, position: Position) -> str:
        self.asked.append((shard_id, position.text() if position.value else position.kind))
        self._fault("iterator")
        if position.kind == "AFTER_SEQUENCE_NUMBER":
            number = int(position.value)
            if number <= self.trimmed.get(shard_id, 0):
                raise client_error("InvalidArgumentException")
            return f"{shard_id}/{number + 1}"
        if position.kind == "LATEST":
            return f"{shard_id}/{8 + len(self.held[shard_id])}"
        return f"{shard_id}/{self.trimmed.get(shard_id, 0) + 1}"

    def records(self, iterator: str, limit: int) -> Page:
        self.calls += 1
        self._fault("records")
        shard_id, _, text = iterator.partition("/")
        if shard_id in self.silent and int(text) > 1:
            return Page([], iterator, DAY, 0)
        left = [message for message in self.held[shard_id] if int(message.position) >= int(text)]
        page = left[:limit]
        following: str | None = f"{shard_id}/{int(page[-1].position) + 1 if page else int(text)}"
        if len(page) == len(left) and self.listed[shard_id].closed:
            following = None
        return Page(page, following, float(len(left) - len(page)), 0)

    def _fault(self, operation: str) -> None:
        faults = self.faults.get(operation)
        if faults:
            raise faults.popleft()
