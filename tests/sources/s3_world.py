"""A bucket, a queue and what S3 tells the queue, for the tests of the ``aws_s3`` source."""

from __future__ import annotations

import gzip
import json
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.errors import PayloadError, SourceError
from cloudfront_ecs.sources.s3.adapter import AwsS3Options, open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cloudfront_ecs.adapters import Source
    from cloudfront_ecs.batches import Payload
    from servers.aws import MotoServer

KEY = "cdn/E1TESTS0000001.2026-03-04-05.0a1b2c3d.gz"


def key(number: int) -> str:
    """Return one of many keys of one distribution."""
    return f"cdn/E1TESTS0000001.2026-03-04-05.{number:08x}.gz"


def text(payload: Payload) -> bytes:
    """Return all bytes of a payload."""
    return b"".join(payload.chunks)


def record(bucket: str, name: str, **changes: Any) -> dict[str, Any]:
    """Return an S3 event record; *name* is encoded already."""
    stored: dict[str, Any] = {"key": name, "sequencer": "00", **changes}
    return {
        "eventVersion": "2.6",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"}, "object": stored},
    }


class World:
    """One bucket and one queue of the server, with names of their own."""

    def __init__(self, aws: MotoServer, unique: Callable[[str], str], state: Path) -> None:
        self.aws = aws
        self.state = state
        self.s3, self.sqs = aws.client("s3"), aws.client("sqs")
        self.unique = unique
        self.bucket = unique("logs")
        self.s3.create_bucket(Bucket=self.bucket)
        self.queue_url, self.queue_arn = self.queue()
        self._open = ExitStack()

    def queue(self) -> tuple[str, str]:
        """Make a queue and return its URL and ARN."""
        url = self.sqs.create_queue(QueueName=self.unique("notices"))["QueueUrl"]
        asked = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, asked["Attributes"]["QueueArn"]

    def notify(self, **configuration: Any) -> None:
        """Say whom S3 tells of new objects."""
        self.s3.put_bucket_notification_configuration(
            Bucket=self.bucket, NotificationConfiguration=configuration
        )

    def notify_queue(self) -> None:
        """Let S3 tell the queue."""
        events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
        self.notify(QueueConfigurations=[{"QueueArn": self.queue_arn, "Events": events}])

    def put(self, name: str = KEY, body: bytes = b"line\n") -> bytes:
        """Store *body*, compressed, and return what is stored."""
        stored = gzip.compress(body, mtime=0)
        self.s3.put_object(Bucket=self.bucket, Key=name, Body=stored)
        return stored

    def send(self, body: Any) -> None:
        """Put a message into the queue."""
        shown = body if isinstance(body, str) else json.dumps(body)
        self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=shown)

    def source(self, **options: Any) -> Source:
        """Open the source; it is closed with the world."""
        if "bucket" not in options:
            options = {"queue_url": self.queue_url, "wait_seconds": 1, **options}
        parsed = AwsS3Options(endpoint_url=self.aws.endpoint, **options)
        source = open_source(parsed, AdapterContext("logs", self.state))
        self._open.callback(source.close)
        return source

    def visible(self) -> int:
        """Return how many messages anybody could receive now."""
        return self._count("ApproximateNumberOfMessages")

    def hidden(self) -> int:
        """Return how many messages somebody holds."""
        return self._count("ApproximateNumberOfMessagesNotVisible")

    def close(self) -> None:
        """Close every source that was opened."""
        self._open.close()

    def _count(self, name: str) -> int:
        asked = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=[name])
        return int(asked["Attributes"][name])


def next_payload(source: Source, patience: float = 10.0) -> Payload:
    """Return the next payload, which must come."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        payload = source.poll(0.2)
        if payload is not None:
            return payload
    raise AssertionError("no payload came")


def read_all(source: Source, patience: float = 20.0) -> Iterator[tuple[str, bytes | str]]:
    """Run the source until it is drained, as ``run --once`` does.

    Yields the place of each payload with its bytes, or with the reason of its dead letter.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        payload = source.poll(0.2)
        if payload is None:
            if source.drained():
                return
            continue
        try:
            outcome: bytes | str = text(payload)
        except PayloadError as error:
            outcome = error.reason
        except SourceError:
            source.release(payload.receipt)
            continue
        source.settle(payload.receipt)
        yield payload.origin.place, outcome
    raise AssertionError("the source did not drain")
