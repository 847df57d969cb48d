"""The two routes that are put to the test: what is read from, how, and how far it has been read."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cloudfront_ecs.demo.day import DAY_COLUMNS
from faults.producer import ObjectProducer, RecordProducer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faults.oracle import Oracle
    from servers.aws import AwsServer

SOURCE = "logs"
VISIBILITY = 3
DEEPEST = 120
"""Messages beyond which no more files are put: the deeper a queue, the slower is moto."""


class Route(Protocol):
    """One source with its producer.

    Attributes:
        dataset: What its documents are.
        payload: The most lines that are settled together.
        config: The source's table and the pipeline's decoder, in TOML.
        environment: What a process needs to reach the source.
    """

    dataset: str
    payload: int
    config: str
    decoder: str
    environment: Mapping[str, str]

    @property
    def oracle(self) -> Oracle:
        """Who knows what was issued."""

    def issue(self, number: int) -> None:
        """Put *number* more lines, or none while more than enough of them wait."""

    def change(self) -> None:
        """Change the source in a way that happens in the midst of things."""

    def left(self, state: Path) -> list[str]:
        """Return what shows that not everything is settled, nothing when all is."""


class ObjectRoute:
    """Standard logs in S3, found through SQS."""

    dataset = "cloudfront.standard"
    payload = ObjectProducer.MOST_LINES
    decoder = '"auto"'

    def __init__(self, aws: AwsServer, name: str, seed: int) -> None:
        s3, self._sqs = aws.client("s3"), aws.client("sqs")
        self._queue = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        asked = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        s3.create_bucket(Bucket=name)
        target = {
            "QueueArn": asked["Attributes"]["QueueArn"],
            "Events": ["s3:ObjectCreated:*"],
        }
        s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"QueueConfigurations": [target]}
        )
        self._producer = ObjectProducer(s3, name, seed)
        self.environment: Mapping[str, str] = aws.environment
        self.config = f"""\
[sources.{SOURCE}]
kind = "aws_s3"
queue_url = {json.dumps(self._queue)}
buckets = [{json.dumps(name)}]
endpoint_url = {json.dumps(aws.endpoint)}
visibility_timeout = {VISIBILITY}
wait_seconds = 1
"""

    @property
    def oracle(self) -> Oracle:
        return self._producer.lines.oracle

    def issue(self, number: int) -> None:
        if sum(self._counts().values()) <= DEEPEST:
            self._producer.issue(number)

    def change(self) -> None:
        """Send what S3 sends when its notification is set up once more."""
        self._sqs.send_message(
            QueueUrl=self._queue, MessageBody=json.dumps({"Event": "s3:TestEvent"})
        )

    def left(self, state: Path) -> list[str]:  # noqa: ARG002 - the queue knows all
        return [f"{name} is {count}" for name, count in self._counts().items() if count]

    def _counts(self) -> dict[str, int]:
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        told = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=names)
        return {name: int(told["Attributes"][name]) for name in names}


class RecordRoute:
    """Real-time logs in a Kinesis stream, whose shards change on the way."""

    dataset = "cloudfront.realtime"
    payload = 400

    def __init__(self, kinesis: AwsServer, name: str, seed: int) -> None:
        self._kinesis = kinesis.client("kinesis")
        self._stream = name
        self._kinesis.create_stream(StreamName=name, ShardCount=2)
        self._wait()
        self._producer = RecordProducer(self._kinesis, name, seed)
        self._changes = 0
        self.environment: Mapping[str, str] = kinesis.environment
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

    def change(self) -> None:
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
    """Return position and end of each shard, from a copy.

    Opening the file itself would tidy up behind a killed process what the next one is to find.
    """
    with tempfile.TemporaryDirectory() as folder:
        for part in path.parent.glob(f"{path.name}*"):
            shutil.copy(part, folder)
        copy = Path(folder) / path.name
        if not copy.exists():
            return {}
        with closing(sqlite3.connect(copy)) as connection:
            rows = connection.execute("SELECT partition, position, finished FROM checkpoints")
            return {name.rpartition("/")[2]: (at, bool(end)) for name, at, end in rows}
