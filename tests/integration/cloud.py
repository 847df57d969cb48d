"""A bucket whose objects are announced in a queue, and a stream, filled with generated logs."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.demo.columns import STANDARD_COLUMNS
from cloudfront_ecs.demo.day import DAY_COLUMNS, standard_file, standard_name
from cloudfront_ecs.demo.render import realtime_line, standard_line
from cloudfront_ecs.demo.traffic import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from servers.aws import MotoServer
    from servers.kinesis import KinesisServer
    from servers.search_node import SearchNode

HOUR = "2026-01-15-20"
_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_MOST_RECORDS = 500


def standard_lines(count: int, seed: int) -> list[bytes]:
    """Return generated rows of a standard log."""
    return [standard_line(request).encode() for request in requests(seed, count)]


def realtime_lines(count: int, seed: int) -> list[bytes]:
    """Return generated real-time records of all the columns that a demo's day has."""
    return [realtime_line(request, DAY_COLUMNS).encode() for request in requests(seed, count)]


def request_id(line: bytes, columns: Sequence[str] = STANDARD_COLUMNS) -> str:
    """Return CloudFront's id of the request in a line."""
    return line.split(b"\t")[columns.index("x-edge-request-id")].decode()


class Bucket:
    """A bucket and the queue that S3 tells of its objects."""

    def __init__(self, aws: MotoServer, unique: Callable[[str], str]) -> None:
        self.s3, self.sqs = aws.client("s3"), aws.client("sqs")
        self.name = unique("logs")
        self.queue_url = self.sqs.create_queue(QueueName=unique("notices"))["QueueUrl"]
        self.s3.create_bucket(Bucket=self.name)
        asked = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["QueueArn"])
        self.announce(self.name, asked["Attributes"]["QueueArn"])
        self._number = 0

    def announce(self, bucket: str, queue_arn: str) -> None:
        """Let S3 tell a queue what comes into *bucket*."""
        target = {"QueueArn": queue_arn, "Events": ["s3:ObjectCreated:*"]}
        self.s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [target]}
        )

    def put_log(self, lines: Iterable[bytes]) -> str:
        """Store *lines* as CloudFront does and return the key."""
        return self.put(standard_file(lines, level=1))

    def put(self, body: bytes) -> str:
        """Store *body* as it is, under the name of a standard log, and return the key."""
        self._number += 1
        key = f"cdn/{standard_name(HOUR, self._number)}"
        self.s3.put_object(Bucket=self.name, Key=key, Body=body)
        return key

    def send(self, body: str) -> None:
        """Put a message of our own into the queue."""
        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=body)

    def waiting(self) -> int:
        """Return how many messages the queue holds, whoever has them."""
        asked = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=_COUNTS)
        return sum(int(asked["Attributes"][name]) for name in _COUNTS)


class Stream:
    """A Kinesis stream with several shards."""

    def __init__(self, kinesis: KinesisServer, unique: Callable[[str], str], shards: int) -> None:
        self.client = kinesis.client()
        self.name = unique("edge")
        self.newest: dict[str, str] = {}
        self.client.create_stream(StreamName=self.name, ShardCount=shards)
        waiter = self.client.get_waiter("stream_exists")
        waiter.wait(StreamName=self.name, WaiterConfig={"Delay": 1})

    def put(self, records: Sequence[bytes]) -> list[tuple[str, str]]:
        """Put *records*, spread over the shards; return shard and sequence number of each."""
        places: list[tuple[str, str]] = []
        for begin in range(0, len(records), _MOST_RECORDS):
            part = records[begin : begin + _MOST_RECORDS]
            entries = [
                {"Data": data, "PartitionKey": str(begin + number)}
                for number, data in enumerate(part)
            ]
            answer = self.client.put_records(StreamName=self.name, Records=entries)
            assert answer["FailedRecordCount"] == 0
            places += [(item["ShardId"], item["SequenceNumber"]) for item in answer["Records"]]
        for shard, sequence in places:
            self.newest[shard] = max(self.newest.get(shard, "0"), sequence, key=int)
        return places


def config(folder: Path, **sections: dict[str, dict[str, Any]]) -> Path:
    """Write a configuration file with its state beside it; values are written as JSON.

    A JSON text, number, list or truth value is one of TOML, too; tables within tables are
    written inline.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["[state]", f"directory = {json.dumps(str(folder / 'state'))}"]
    for section, tables in sections.items():
        for name, table in tables.items():
            lines += ["", f"[{section}.{name}]"]
            lines += [f"{option} = {_toml(value)}" for option, value in table.items()]
    path = folder / "cloudfront-ecs.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(item)}" for name, item in value.items()) + " }"
    return json.dumps(value)


def found(node: SearchNode, stream: str) -> list[dict[str, Any]]:
    """Return the id and the body of every document of a data stream."""
    query = {"query": {"match_all": {}}}
    answer = node.call("POST", f"/{stream}/_search?scroll=1m&size=5000", query)
    assert answer.status == 200, answer.body
    hits: list[dict[str, Any]] = []
    while page := answer.body["hits"]["hits"]:
        hits += page
        scroll = {"scroll": "1m", "scroll_id": answer.body["_scroll_id"]}
        answer = node.call("POST", "/_search/scroll", scroll)
    node.call("DELETE", "/_search/scroll", {"scroll_id": answer.body["_scroll_id"]})
    return hits


def counted(node: SearchNode, stream: str) -> int:
    """Return how many documents a data stream has; 0 where there is none."""
    node.call("POST", f"/{stream}/_refresh")
    answer = node.call("GET", f"/{stream}/_count")
    return int(answer.body["count"]) if answer.status == 200 else 0


def gzipped(*lines: bytes) -> bytes:
    """Return *lines* as a gzip file, without any header of a log."""
    return gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)
