"""Options of the ``aws_kinesis`` source."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cloudfront_ecs import aws
from cloudfront_ecs.delivery.checkpoints.dynamodb import (
    DynamoDbOptions,  # noqa: TC001 - the type of an option is read at run time
)
from cloudfront_ecs.options import option
from cloudfront_ecs.sources.kinesis.shards import Pace
from cloudfront_ecs.sources.kinesis.stream import ARN, NAME, TRIM_HORIZON, Position


@dataclass(frozen=True, slots=True, kw_only=True)
class KinesisOptions(aws.AwsOptions):
    """Options of the ``aws_kinesis`` source."""

    stream: str = option(
        doc="Name or ARN of the data stream; or the ARN of a consumer of it, whose enhanced "
        "fan-out is then used.",
        example="cloudfront-realtime",
    )
    consumer: str | None = option(
        None,
        doc="Read by enhanced fan-out as the consumer of this name; registered if there is none. "
        "AWS charges for it.",
        example="cloudfront-ecs",
    )
    start: str = option(
        "trim_horizon",
        doc="Where the first run begins: trim_horizon (the oldest record), latest (now), or a "
        "time in RFC 3339. Later runs go on at their checkpoints.",
        example="2026-01-31T00:00:00Z",
    )
    limit: int = option(2000, doc="Most Kinesis records to ask for at once.", least=1, most=10_000)
    idle_seconds: float = option(
        0.6, doc="Pause before a shard that had nothing new is asked again.", least=0.2, most=60
    )
    gather_records: int = option(
        1000, doc="Do not wait for more records of a shard than these.", least=1, most=10_000
    )
    gather_seconds: float = option(
        0.4, doc="Longest wait for more records of a shard.", least=0, most=60
    )
    concurrency: int = option(
        8, doc="Most shards asked at the same time; each may hold 10 MiB.", least=1, most=64
    )
    buffer_bytes: int = option(
        32 * 1024 * 1024,
        doc="Enhanced fan-out: read nothing more while so many bytes wait.",
        least=1024 * 1024,
    )

    checkpoints: Literal["sqlite"] | DynamoDbOptions = option(
        "sqlite",
        doc="Where checkpoints are kept: a file of the state directory, for one worker, or a "
        "DynamoDB table, for several.",
        example='{ kind = "dynamodb", table = "cloudfront-ecs" }',
    )

    def __post_init__(self) -> None:
        """Check what the types cannot."""
        arn = ARN.fullmatch(self.stream)
        if not arn and not NAME.fullmatch(self.stream):
            raise ValueError(f"stream: {self.stream!r} is neither a stream name nor its ARN")
        if self.consumer is not None and arn and arn["consumer"]:
            raise ValueError("consumer: 'stream' is the ARN of a consumer already")
        if self.consumer is not None and not NAME.fullmatch(self.consumer):
            raise ValueError(f"consumer: {self.consumer!r} is no name of a consumer")
        self.first_position(0.0)

    @property
    def stream_named(self) -> str:
        """The name or ARN of the stream, without a consumer."""
        return self.stream.partition("/consumer/")[0]

    @property
    def consumer_named(self) -> str | None:
        """The name or ARN of the consumer, if there is one."""
        return self.consumer if self.stream_named == self.stream else self.stream

    def pace(self) -> Pace:
        """Return how often what is asked."""
        few = min(self.gather_records, self.limit)
        return Pace(idle=self.idle_seconds, gather=self.gather_seconds, few=few)

    def first_position(self, now: float) -> Position:
        """Return where shards begin that were never read; *now* is the service's time.

        ``latest`` means from *now* on, also after a restart before the first record.
        """
        if self.start in ("trim_horizon", "latest"):
            latest = Position("LATEST", f"{now:.3f}")
            return TRIM_HORIZON if self.start == "trim_horizon" else latest
        try:
            start = datetime.fromisoformat(self.start)
        except ValueError:
            start = None
        if start is None or start.tzinfo is None:
            raise ValueError(
                f"start: unknown value {self.start!r} "
                "(trim_horizon, latest, or a time such as 2026-01-31T00:00:00Z)"
            )
        return Position.at(start.timestamp())
