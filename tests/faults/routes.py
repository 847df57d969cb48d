"""The routes through S3: what is read from, how, and how far it has been read."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote_plus

from cloudfront_ecs.failpoints import FAILPOINTS
from cloudfront_ecs.sources.s3.settled import SettledObjects
from faults.producer import ObjectProducer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faults.oracle import Oracle
    from servers.aws import AwsServer

SOURCE = "logs"
VISIBILITY = 3
OFTEN: Final = 6
"""A failpoint is left to work for so often, at most, before it ends a process."""


class Route(Protocol):
    """One source with its producer.

    Attributes:
        name: What people call it.
        dataset: What its documents are.
        payload: The most lines that are settled together.
        config: The source's table, in TOML.
        decoder: The pipeline's decoder, in TOML.
        environment: What a process needs to reach the source.
        failpoints: The failpoints on it, and how often a process is sure to reach each.
        absent: The others, and why they are not.
    """

    name: str
    dataset: str
    payload: int
    config: str
    decoder: str
    environment: Mapping[str, str]
    failpoints: Mapping[str, int]
    absent: Mapping[str, str]

    @property
    def oracle(self) -> Oracle:
        """Who knows what was issued."""

    def issue(self, number: int) -> None:
        """Put *number* more lines."""

    def change(self, state: Path) -> None:
        """Change the source in a way that happens in the midst of things."""

    def left(self, state: Path) -> list[str]:
        """Return what shows, beside what a run still finds, that not everything is settled."""


def failpoints(absent: Mapping[str, str], seldom: Mapping[str, int]) -> dict[str, int]:
    """Return how often each failpoint is reached, without those that are *absent*."""
    unknown = (absent.keys() | seldom.keys()) - FAILPOINTS.keys()
    assert not unknown, f"no failpoints: {unknown}"
    return {name: seldom.get(name, OFTEN) for name in FAILPOINTS if name not in absent}


class QueueRoute:
    """Standard logs in S3, found through SQS."""

    name = "S3+SQS"
    dataset = "cloudfront.standard"
    payload = ObjectProducer.MOST_LINES
    decoder = '"auto"'
    absent: Mapping[str, str] = {
        "checkpoint_open": "the queue keeps the position",
        "checkpoint_unsynced": "the queue keeps the position",
    }

    def __init__(self, aws: AwsServer, name: str, seed: int) -> None:
        s3, self._sqs = aws.client("s3"), aws.client("sqs")
        self._bucket = name
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
        self.failpoints = failpoints(
            self.absent, {"received": 2, "downloading": 2, "letter_written": 2, "draining": 1}
        )
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
        self._producer.issue(number)

    def change(self, state: Path) -> None:  # noqa: ARG002 - nothing of it is needed
        """Send what S3 sends when its notification is set up once more."""
        self._sqs.send_message(
            QueueUrl=self._queue, MessageBody=json.dumps({"Event": "s3:TestEvent"})
        )

    def left(self, state: Path) -> list[str]:  # noqa: ARG002 - the queue knows all
        return [f"{name} is {count}" for name, count in self.counts().items() if count]

    def tell_again(self) -> None:
        """Announce every file once more, as if somebody wanted to read them again."""
        for key in sorted(self._producer.keys):
            stored = {"key": quote_plus(key, safe="/"), "sequencer": "00"}
            record = {
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": self._bucket}, "object": stored},
            }
            body = json.dumps({"Records": [record]})
            self._sqs.send_message(QueueUrl=self._queue, MessageBody=body)

    def hidden(self) -> int:
        """Return how many messages somebody holds, or seems to hold."""
        return self.counts()["ApproximateNumberOfMessagesNotVisible"]

    def counts(self) -> dict[str, int]:
        """Return how many messages the queue holds, by their state."""
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        told = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=names)
        return {name: int(told["Attributes"][name]) for name in names}


class ListingRoute:
    """Standard logs in S3, found by listing the bucket again and again."""

    name = "S3 listing"
    dataset = "cloudfront.standard"
    payload = ObjectProducer.MOST_LINES
    decoder = '"auto"'
    absent: Mapping[str, str] = {}

    def __init__(self, aws: AwsServer, name: str, seed: int) -> None:
        self._s3 = aws.client("s3")
        self._bucket = name
        self._s3.create_bucket(Bucket=name)
        self._producer = ObjectProducer(self._s3, name, seed)
        self.environment: Mapping[str, str] = aws.environment
        self.failpoints = failpoints(
            self.absent,
            {
                "received": 2,
                "downloading": 2,
                "letter_written": 2,
                "checkpoint_unsynced": 1,
                "draining": 1,
            },
        )
        self.config = f"""\
[sources.{SOURCE}]
kind = "aws_s3"
bucket = {json.dumps(name)}
endpoint_url = {json.dumps(aws.endpoint)}
poll_seconds = 0.2
"""

    @property
    def oracle(self) -> Oracle:
        return self._producer.lines.oracle

    def issue(self, number: int) -> None:
        self._producer.issue(number)

    def change(self, state: Path) -> None:
        """Delete what is settled, as a lifecycle rule does, and make a folder of a console."""
        done = sorted(self._settled(state) & self._producer.keys)
        for start in range(0, len(done), 1000):
            self._s3.delete_objects(
                Bucket=self._bucket,
                Delete={"Objects": [{"Key": key} for key in done[start : start + 1000]]},
            )
        self._producer.keys.difference_update(done)
        self._s3.put_object(Bucket=self._bucket, Key="cloudfront/", Body=b"")

    def left(self, state: Path) -> list[str]:  # noqa: ARG002 - that a run finds nothing tells all
        return []

    def _settled(self, state: Path) -> set[str]:
        """Return the newer keys that are settled, from a copy of the record."""
        with tempfile.TemporaryDirectory() as folder:
            copy = copied(state / f"s3-settled-{SOURCE}.sqlite3", Path(folder))
            if not copy.exists():
                return set()
            with closing(SettledObjects(copy, self._bucket)) as settled:
                return set(settled.between("", None))


def copied(path: Path, folder: Path) -> Path:
    """Copy a database with its journals into *folder*; return where it lies, if there is one.

    Opening the file itself would tidy up behind a killed process what the next one is to find.
    """
    for part in path.parent.glob(f"{path.name}*"):
        shutil.copy(part, folder)
    return folder / path.name
