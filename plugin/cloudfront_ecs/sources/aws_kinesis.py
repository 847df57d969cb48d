"""The ``aws_kinesis`` source: real-time logs from a Kinesis data stream.

Every shard of the stream is read by this one process with GetRecords.  The checkpoint of
a shard is the end of the last record below which everything is settled, written on every
settlement that moves it; a crash costs re-reading what was in flight, never a record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError

from cloudfront_ecs import aws
from cloudfront_ecs.adapters import SourceSpec
from cloudfront_ecs.delivery.checkpoints import open_checkpoints
from cloudfront_ecs.errors import ConfigError, SourceError
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.options import option
from cloudfront_ecs.sources.kinesis_source import KinesisSource
from cloudfront_ecs.sources.kinesis_stream import (
    ARN,
    NAME,
    TRIM_HORIZON,
    KinesisStream,
    Position,
    trouble,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudfront_ecs.adapters import AdapterContext


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


def _open_stream(options: KinesisOptions, context: AdapterContext) -> KinesisStream:
    arn = ARN.fullmatch(options.stream)
    if arn and options.region is None:
        options = replace(options, region=arn["region"])
    try:
        client = aws.client(
            "kinesis",
            options,
            connect_timeout=5,
            read_timeout=15,
            max_pool_connections=options.concurrency,
        )
    except BotoCoreError as error:
        raise ConfigError(f"{context.name}: {error}") from error
    return KinesisStream(client, options.stream)


def open_source(options: KinesisOptions, context: AdapterContext) -> KinesisSource:
    """Open the source; the stream is first asked in ``poll``."""
    store = open_checkpoints(context)
    try:
        stream = _open_stream(options, context)
    except BaseException:
        store.close()
        raise
    return KinesisSource(options, stream, store)


def check_source(options: KinesisOptions, context: AdapterContext) -> str:
    """Ask whether the stream is there and a shard of it can be read."""
    stream = _open_stream(options, context)
    try:
        summary, shards = stream.summary(), stream.shards()
        stream.iterator(next(iter(shards)), TRIM_HORIZON)
    except Exception as error:
        trouble(error)
        raise SourceError(f"kinesis://{options.stream}: {error}") from error
    finally:
        stream.client.close()
    taking = sum(not shard.closed for shard in shards.values())
    return (
        f"stream {summary.name} is {summary.status.lower()}, "
        f"{taking} of {len(shards)} shards take records"
    )


@hookimpl
def source_specs() -> Iterable[SourceSpec]:
    """Offer the ``aws_kinesis`` source."""
    summary = "Real-time logs from a Kinesis data stream."
    return [SourceSpec("aws_kinesis", summary, KinesisOptions, open_source, check_source)]
