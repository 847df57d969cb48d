"""Options of the ``aws_kinesis`` source."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cloudfront_ecs import aws
from cloudfront_ecs.options import option
from cloudfront_ecs.sources.kinesis_stream import ARN, NAME, TRIM_HORIZON, Position


@dataclass(frozen=True, slots=True, kw_only=True)
class KinesisOptions(aws.AwsOptions):
    """Options of the ``aws_kinesis`` source."""

    stream: str = option(doc="Name or ARN of the data stream.", example="cloudfront-realtime")
    start: str = option(
        "trim_horizon",
        doc="Where the first run begins: trim_horizon (the oldest record), latest (now), or a "
        "time in RFC 3339. Later runs go on at their checkpoints.",
        example="2026-01-31T00:00:00Z",
    )
    limit: int = option(2000, doc="Most Kinesis records to ask for at once.", least=1, most=10_000)
    idle_seconds: float = option(
        1.0, doc="Pause before a shard that had nothing new is asked again.", least=0.2, most=60
    )
    concurrency: int = option(
        8, doc="Most shards asked at the same time; each may hold 10 MiB.", least=1, most=64
    )

    def __post_init__(self) -> None:
        """Check what the types cannot."""
        arn = ARN.fullmatch(self.stream)
        if arn and arn["consumer"]:
            raise ValueError(
                f"stream: {self.stream!r} is the ARN of a consumer, and enhanced fan-out is not "
                f"there yet (give the stream's ARN, {self.stream.partition('/consumer/')[0]!r})"
            )
        if not arn and not NAME.fullmatch(self.stream):
            raise ValueError(f"stream: {self.stream!r} is neither a stream name nor its ARN")
        self.first_position(0.0)

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
