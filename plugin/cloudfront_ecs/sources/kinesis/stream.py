"""The few calls of the Kinesis API that reading needs, and what their errors mean.

Nothing here keeps state, so the calls may be made from several threads.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.eventstream import ParserError as EventStreamParserError
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError as TransportError

from cloudfront_ecs.batches import Message
from cloudfront_ecs.sources.kinesis.aggregates import record_position, user_messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ARN = re.compile(
    r"arn:aws[\w-]*:kinesis:(?P<region>[\w-]+):(?P<account>\d{12})"
    r":stream/(?P<name>[\w.-]+)(?P<consumer>/consumer/.+)?"
)
NAME = re.compile(r"[\w.-]{1,128}", re.ASCII)


class Position(NamedTuple):
    """Where reading a shard goes on.

    Attributes:
        kind: The type of shard iterator.  ``LATEST`` is only asked for once and stored as a
            time: asked for twice, it skips what came in between.
        value: The sequence number, or the time in epoch seconds.
        arrived: When the record at a sequence number came to the stream, epoch seconds.
    """

    kind: str
    value: str = ""
    arrived: float | None = None

    @classmethod
    def at(cls, time: float) -> Position:
        """Return the position of the first record that came at *time* or later."""
        return cls("AT_TIMESTAMP", f"{time:.3f}")

    @classmethod
    def after(cls, message: Message) -> Position:
        """Return the position behind the Kinesis record of *message*."""
        return cls("AFTER_SEQUENCE_NUMBER", record_position(message.position), message.arrived)

    @classmethod
    def parse(cls, text: str, arrived: float | None = None) -> Position:
        """Return the position that *text* stands for."""
        if text == cls.text(TRIM_HORIZON):
            return TRIM_HORIZON
        if text.startswith("@"):
            return cls("AT_TIMESTAMP", text[1:])
        return cls("AFTER_SEQUENCE_NUMBER", text, arrived)

    def text(self) -> str:
        """Return the position as it is stored: digits, ``@`` and a time, or a word."""
        if self.kind in ("AT_TIMESTAMP", "LATEST"):
            return f"@{self.value}"
        return self.value or "trim_horizon"

    @property
    def resumes(self) -> bool:
        """Whether the position is a record that was read before."""
        return self.kind == "AFTER_SEQUENCE_NUMBER"


TRIM_HORIZON = Position("TRIM_HORIZON")
LATEST = Position("LATEST")


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard as ListShards tells of it.

    Attributes:
        parents: None for an original shard, one after a split, two after a merge.
        closed: It takes no more records; what it holds can be read until it expires.
    """

    id: str
    parents: tuple[str, ...] = ()
    closed: bool = False


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """What DescribeStreamSummary tells.

    Attributes:
        created: Epoch seconds in decimal; with the ARN it tells a stream from another one
            that was made later under the same name.
        retention: How long records are kept, seconds.
        now: The time by the service's own clock, whole epoch seconds.
    """

    arn: str
    name: str
    status: str
    created: str
    retention: float
    now: float


@dataclass(frozen=True, slots=True)
class Page:
    """The answer to one GetRecords call, or an event of a subscription.

    Attributes:
        messages: The records, in order; often none.
        iterator: For the next call, or the sequence number behind which the next subscription
            goes on; None when a closed shard has been read to its end.
        behind: How far the page is from the tip, seconds.  kinesalite always says 0.
        size: Bytes of data, which count against 2 MiB a second for each shard.
    """

    messages: list[Message]
    iterator: str | None
    behind: float
    size: int


@dataclass(frozen=True, slots=True)
class KinesisStream:
    """The stream *stream* (a name or an ARN), seen through a boto3 client."""

    client: Any
    stream: str

    def summary(self) -> StreamSummary:
        """Describe the stream."""
        answer = self.client.describe_stream_summary(**self._named())
        told = _told(answer, "StreamDescriptionSummary")
        return StreamSummary(
            arn=told["StreamARN"],
            name=told["StreamName"],
            status=told["StreamStatus"],
            created=str(int(told["StreamCreationTimestamp"].timestamp())),
            retention=told["RetentionPeriodHours"] * 3600.0,
            now=_server_time(answer),
        )

    def shards(self, page: int = 1000) -> dict[str, Shard]:
        """Return all shards that still hold or take records, asking *page* at a time."""
        found: dict[str, Shard] = {}
        asked: Mapping[str, Any] = {**self._named(), "MaxResults": page}
        while True:
            answer = self.client.list_shards(**asked)
            for told in _told(answer, "Shards"):
                shard = _shard(told)
                found[shard.id] = shard
            token = answer.get("NextToken")
            if not token:
                return found
            # The token holds the stream; naming it again is refused.
            asked = {"NextToken": token, "MaxResults": page}

    def iterator(self, shard_id: str, position: Position) -> str:
        """Return an iterator, good for five minutes."""
        asked: dict[str, Any] = {"ShardId": shard_id, "ShardIteratorType": position.kind}
        if position.kind == "AFTER_SEQUENCE_NUMBER":
            asked["StartingSequenceNumber"] = position.value
        elif position.kind == "AT_TIMESTAMP":
            asked["Timestamp"] = datetime.fromtimestamp(float(position.value), UTC)
        answer = self.client.get_shard_iterator(**self._named(), **asked)
        return str(_told(answer, "ShardIterator"))

    def records(self, iterator: str, limit: int) -> Page:
        """Read the next records; 10 MiB or *limit* records at most."""
        asked = {"StreamARN": self.stream} if ARN.fullmatch(self.stream) else {}
        answer = self.client.get_records(**asked, ShardIterator=iterator, Limit=limit)
        records = _told(answer, "Records")
        following = answer.get("NextShardIterator") or None
        return page_of(records, following, answer.get("MillisBehindLatest"))

    def _named(self) -> dict[str, str]:
        # Another account's stream can only be named by ARN; kinesalite knows only names.
        kind = "StreamARN" if ARN.fullmatch(self.stream) else "StreamName"
        return {kind: self.stream}


def _told(answer: Mapping[str, Any], name: str) -> Any:
    """Return a part of an answer; botocore takes any body of a 200 for one, also a proxy's."""
    if name not in answer:
        raise ResponseParserError(f"an answer without {name} is none of Kinesis's")
    return answer[name]


def _shard(told: Mapping[str, Any]) -> Shard:
    parents = (told.get("ParentShardId"), told.get("AdjacentParentShardId"))
    closed = "EndingSequenceNumber" in told["SequenceNumberRange"]
    return Shard(told["ShardId"], tuple(parent for parent in parents if parent), closed)


def page_of(
    records: Iterable[Mapping[str, Any]], iterator: str | None, behind_millis: int | None
) -> Page:
    """Return records as GetRecords and SubscribeToShard tell them; aggregates are unpacked."""
    messages: list[Message] = []
    size = 0
    for told in records:
        # PartitionKey is not read: with automatic distribution it is absent.
        data, arrived = told["Data"], told.get("ApproximateArrivalTimestamp")
        if isinstance(arrived, datetime):
            arrived = arrived.timestamp()
        size += len(data)
        messages += user_messages(Message(data, told["SequenceNumber"], arrived))
    return Page(messages, iterator, (behind_millis or 0) / 1000, size)


def _server_time(answer: Mapping[str, Any]) -> float:
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return time.time()


class Trouble(Enum):
    """What a failed call asks for."""

    THROTTLED = auto()  # wait
    EXPIRED = auto()  # a new iterator
    INVALID = auto()  # another position
    MISSING = auto()  # look which shards there are
    PASSING = auto()  # wait; tell when it lasts
    IN_USE = auto()  # wait until a subscription may follow another one
    BLOCKED = auto()  # tell: somebody must act


_BY_CODE = {
    "ProvisionedThroughputExceededException": Trouble.THROTTLED,
    "LimitExceededException": Trouble.THROTTLED,
    "KMSThrottlingException": Trouble.THROTTLED,
    "ThrottlingException": Trouble.THROTTLED,
    "Throttling": Trouble.THROTTLED,
    "ExpiredIteratorException": Trouble.EXPIRED,
    "InvalidArgumentException": Trouble.INVALID,
    "ResourceNotFoundException": Trouble.MISSING,
    "ResourceInUseException": Trouble.IN_USE,
    "ExpiredNextTokenException": Trouble.PASSING,
    "InternalFailureException": Trouble.PASSING,
}
_SERVER_ERROR = 500
_OF_THE_NETWORK = (
    BotoCoreError,
    ResponseParserError,
    # An event stream breaks off without botocore's own errors.
    EventStreamParserError,
    TransportError,
    OSError,
)


def error_code(error: ClientError) -> str:
    """Return AWS's name for an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def trouble(error: Exception) -> Trouble:
    """Classify what went wrong; an error that is not AWS's or the network's is raised."""
    if isinstance(error, ClientError):
        known = _BY_CODE.get(error_code(error))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return known or (Trouble.PASSING if status >= _SERVER_ERROR else Trouble.BLOCKED)
    if isinstance(error, NoCredentialsError):
        return Trouble.BLOCKED
    if isinstance(error, _OF_THE_NETWORK):
        return Trouble.PASSING
    raise error
