"""The few calls of enhanced fan-out: finding or registering a consumer, and subscribing.

Like ``stream``, nothing here keeps state.  boto3 speaks HTTP/1.1 where AWS's own
library speaks HTTP/2; the events are the same.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from cloudfront_ecs.sources.kinesis.stream import ARN, error_code, page_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cloudfront_ecs.sources.kinesis.stream import Page, Position


@dataclass(frozen=True, slots=True)
class KinesisConsumer:
    """The consumer *named* (a name or an ARN), seen through a boto3 client."""

    client: Any
    named: str

    def status(self, stream_arn: str) -> tuple[str, str]:
        """Return ARN and status of the consumer of a stream: CREATING, ACTIVE or DELETING."""
        if ARN.fullmatch(self.named):
            asked = {"ConsumerARN": self.named}
        else:
            asked = {"StreamARN": stream_arn, "ConsumerName": self.named}
        told = self.client.describe_stream_consumer(**asked)["ConsumerDescription"]
        return told["ConsumerARN"], told["ConsumerStatus"]

    def ready(self, stream_arn: str) -> str | None:
        """Return the consumer's ARN, or None as long as nobody can subscribe with it.

        One given by a name that the stream does not know is registered.
        """
        try:
            arn, status = self.status(stream_arn)
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException" or ARN.fullmatch(self.named):
                raise
            self._register(stream_arn)
            return None
        return arn if status == "ACTIVE" else None

    def events(self, consumer_arn: str, shard_id: str, position: Position) -> Iterator[Page]:
        """Subscribe to a shard and yield what comes: five minutes at most, or to its end.

        The last page of a shard has no iterator.  Whoever does not ask on holds Kinesis back:
        nothing more is read from the connection then.
        """
        answer = self.client.subscribe_to_shard(
            ConsumerARN=consumer_arn, ShardId=shard_id, StartingPosition=_starting(position)
        )
        behind = position.value if position.resumes else ""
        with closing(answer["EventStream"]) as stream:
            for event in stream:
                told = event.get("SubscribeToShardEvent")
                if told is None:
                    continue
                behind = told.get("ContinuationSequenceNumber") or behind
                ended = bool(told.get("ChildShards"))
                page = page_of(told["Records"], None if ended else behind, _millis(told))
                yield page
                if ended:
                    return

    def _register(self, stream_arn: str) -> None:
        try:
            self.client.register_stream_consumer(StreamARN=stream_arn, ConsumerName=self.named)
        except ClientError as error:
            if error_code(error) != "ResourceInUseException":  # another worker was faster
                raise


def _millis(told: Mapping[str, Any]) -> int | None:
    behind: int | None = told.get("MillisBehindLatest")
    return behind


def _starting(position: Position) -> dict[str, Any]:
    if position.resumes:
        return {"Type": position.kind, "SequenceNumber": position.value}
    if position.kind == "AT_TIMESTAMP":
        return {
            "Type": position.kind,
            "Timestamp": datetime.fromtimestamp(float(position.value), UTC),
        }
    return {"Type": position.kind}
