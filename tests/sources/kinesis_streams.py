"""A stream on a server, its reader, and errors that no server makes."""

from __future__ import annotations

import io
import json
import time
from collections import defaultdict
from contextlib import closing
from copy import copy
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.sources.kinesis.adapter import KinesisOptions, open_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cloudfront_ecs.batches import Payload
    from cloudfront_ecs.sources.kinesis.source import KinesisSource
    from servers.kinesis import KinesisServer


class Stream:
    """A stream of a test, and what was put into it."""

    def __init__(self, server: KinesisServer, name: str, shards: int) -> None:
        self.server = server
        self.client = server.client()
        self.name = name
        self.put: list[bytes] = []
        self.client.create_stream(StreamName=name, ShardCount=shards)
        self.wait()

    def wait(self) -> None:
        """Return once the stream is active."""
        for _ in range(200):
            told = self.client.describe_stream_summary(StreamName=self.name)
            if told["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE":
                return
            time.sleep(0.05)
        raise AssertionError("the stream did not become active")

    def fill(self, count: int) -> list[bytes]:
        """Put *count* numbered records, spread over the shards, and return them."""
        first = len(self.put)
        new = [b"line %06d\n" % number for number in range(first, first + count)]
        for start in range(0, count, 500):
            chunk = new[start : start + 500]
            answer = self.client.put_records(
                StreamName=self.name,
                Records=[{"Data": data, "PartitionKey": data.decode()} for data in chunk],
            )
            assert answer["FailedRecordCount"] == 0
        self.put += new
        return new

    def shards(self) -> list[dict[str, Any]]:
        """Return the shards that take records."""
        listed = self.client.list_shards(StreamName=self.name)["Shards"]
        return [s for s in listed if "EndingSequenceNumber" not in s["SequenceNumberRange"]]

    def split(self, shard: dict[str, Any]) -> None:
        """Split *shard* in the middle."""
        keys = shard["HashKeyRange"]
        middle = (int(keys["StartingHashKey"]) + int(keys["EndingHashKey"])) // 2
        self.client.split_shard(
            StreamName=self.name, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(middle)
        )
        self.wait()

    def merge(self, left: dict[str, Any], right: dict[str, Any]) -> None:
        """Merge two neighbours."""
        self.client.merge_shards(
            StreamName=self.name,
            ShardToMerge=left["ShardId"],
            AdjacentShardToMerge=right["ShardId"],
        )
        self.wait()

    def options(self, **options: Any) -> KinesisOptions:
        """Return the options of a source that reads this stream."""
        options.setdefault("idle_seconds", 0.2)
        return KinesisOptions(stream=self.name, endpoint_url=self.server.endpoint, **options)

    def named(self, stream: str) -> Stream:
        """Return the same stream under another name, such as an ARN."""
        other = copy(self)
        other.name = stream
        return other

    def open(self, state: Path | None = None, **options: Any) -> KinesisSource:
        """Open a source that reads this stream."""
        return open_source(self.options(**options), AdapterContext("edge", state))


def payloads(source: KinesisSource, *, settle: bool = True) -> Iterator[Payload]:
    """Yield payloads until the source is drained."""
    deadline = time.monotonic() + 60
    while not source.drained():
        assert time.monotonic() < deadline, "the source was not drained in time"
        payload = source.poll(0.5)
        if payload is None:
            continue
        yield payload
        if settle:
            source.settle(payload.receipt)


def some(source: KinesisSource) -> Payload:
    """Return the next payload."""
    for _ in range(100):
        payload = source.poll(0.5)
        if payload is not None:
            return payload
    raise AssertionError("there was no payload")


def lines(payload: Payload) -> list[bytes]:
    return [message.data for message in payload.messages or ()]


def drain(source: KinesisSource) -> dict[str, list[bytes]]:
    """Read and settle everything; return the lines by shard, and close the source."""
    found: dict[str, list[bytes]] = defaultdict(list)
    with closing(source):
        for payload in payloads(source):
            found[payload.receipt.partition] += lines(payload)
    return found


def flat(found: dict[str, list[bytes]]) -> list[bytes]:
    return sorted(line for shard in found.values() for line in shard)


def fail_first(source: KinesisSource, operation: str, codes: list[str]) -> list[float]:
    """Answer the first calls of *operation* with errors; return the times of all calls."""
    times: list[float] = []

    def answer(request: Any, **_: Any) -> AWSResponse | None:
        times.append(time.monotonic())
        if not codes:
            return None
        body = json.dumps({"__type": codes.pop(0), "message": "scripted"}).encode()
        headers = {"content-type": "application/x-amz-json-1.1"}
        return AWSResponse(request.url, 400, headers, _Raw(body))

    client = source._stream.client
    client.meta.events.register_first(f"before-send.kinesis.{operation}", answer)
    return times


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.getvalue()

    def release_conn(self) -> None:
        """Do nothing."""
