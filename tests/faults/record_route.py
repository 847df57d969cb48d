"""The route through Kinesis: what is read from, how, and how far it has been read."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.demo.day import DAY_COLUMNS
from faults.producer import RecordProducer
from faults.routes import SOURCE, copied, failpoints

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faults.oracle import Oracle
    from servers.aws import AwsServer


class RecordRoute:
    """Real-time logs in a Kinesis stream, whose shards change on the way."""

    name = "Kinesis"
    dataset = "cloudfront.realtime"
    payload = 300
    absent: Mapping[str, str] = {
        "downloading": "a page comes whole",
        "inflating": "CloudFront compresses no record",
    }

    def __init__(self, kinesis: AwsServer, name: str, seed: int) -> None:
        self._kinesis = kinesis.client("kinesis")
        self._stream = name
        self._kinesis.create_stream(StreamName=name, ShardCount=2)
        self._wait()
        self._producer = RecordProducer(self._kinesis, name, seed)
        self._changes = 0
        self.environment: Mapping[str, str] = kinesis.environment
        self.failpoints = failpoints(
            self.absent,
            {
                "received": 3,
                "decoded": 3,
                "letter_written": 2,
                "settling": 3,
                "checkpointed": 2,
                "checkpoint_open": 2,
                "checkpoint_unsynced": 1,
                "draining": 1,
            },
        )
        fields = json.dumps(DAY_COLUMNS)
        self.decoder = f'{{ kind = "realtime", fields = {fields} }}'
        self.config = f"""\
[sources.{SOURCE}]
kind = "aws_kinesis"
stream = {json.dumps(name)}
endpoint_url = {json.dumps(kinesis.endpoint)}
limit = {self.payload}
idle_seconds = 0.2
"""

    @property
    def oracle(self) -> Oracle:
        return self._producer.lines.oracle

    def issue(self, number: int) -> None:
        self._producer.issue(number)

    def change(self, state: Path) -> None:  # noqa: ARG002 - nothing of it is needed
        """Split the first open shard, the next time merge its halves."""
        first, *others = (shard for shard in self._shards() if not _closed(shard))
        keys = first["HashKeyRange"]
        if self._changes % 2 == 0:
            middle = (int(keys["StartingHashKey"]) + int(keys["EndingHashKey"])) // 2
            self._kinesis.split_shard(
                StreamName=self._stream,
                ShardToSplit=first["ShardId"],
                NewStartingHashKey=str(middle),
            )
        else:
            self._kinesis.merge_shards(
                StreamName=self._stream,
                ShardToMerge=first["ShardId"],
                AdjacentShardToMerge=others[0]["ShardId"],
            )
        self._changes += 1
        self._wait()

    def left(self, state: Path) -> list[str]:
        stored = _checkpoints(state / f"checkpoints-{SOURCE}.sqlite3")
        problems = []
        for shard in self._shards():
            name = shard["ShardId"]
            last = self._producer.last.get(name)
            wanted = "trim_horizon" if last is None else str(last)
            position, finished = stored.get(name, (None, False))
            if position != wanted:
                problems.append(f"{name}: checkpoint is {position}, the last record {wanted}")
            elif _closed(shard) and not finished:
                problems.append(f"{name}: closed, but not settled to its end")
        return problems

    def _shards(self) -> list[Any]:
        """Return all shards in the order of their keys."""
        shards: list[Any] = self._kinesis.list_shards(StreamName=self._stream)["Shards"]
        return sorted(shards, key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))

    def _wait(self) -> None:
        for _ in range(200):
            told = self._kinesis.describe_stream_summary(StreamName=self._stream)
            if told["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE":
                return
            time.sleep(0.05)
        raise RuntimeError("the stream did not become active")


def _closed(shard: Mapping[str, Any]) -> bool:
    return "EndingSequenceNumber" in shard["SequenceNumberRange"]


def _checkpoints(path: Path) -> dict[str, tuple[str, bool]]:
    """Return position and end of each shard, from a copy."""
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(path, Path(folder))
        if not copy.exists():
            return {}
        with closing(sqlite3.connect(copy)) as connection:
            rows = connection.execute("SELECT partition, position, finished FROM checkpoints")
            return {name.rpartition("/")[2]: (at, bool(end)) for name, at, end in rows}
