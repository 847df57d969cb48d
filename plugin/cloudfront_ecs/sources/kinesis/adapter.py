"""The ``aws_kinesis`` source: real-time logs from a Kinesis data stream.

Shards are read with GetRecords, or by enhanced fan-out where a consumer is named.  The
checkpoint of a shard is the end of the last record below which everything is settled, written
on every settlement that moves it; a crash costs re-reading what was in flight, never a record.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from cloudfront_ecs import aws
from cloudfront_ecs.adapters import SourceSpec
from cloudfront_ecs.delivery.checkpoints.dynamodb import DynamoDbOptions, check_shared, open_shared
from cloudfront_ecs.delivery.checkpoints.store import open_checkpoints
from cloudfront_ecs.errors import ConfigError, SourceError
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.sources.kinesis.answers import read_quickly
from cloudfront_ecs.sources.kinesis.consumer import KinesisConsumer
from cloudfront_ecs.sources.kinesis.options import KinesisOptions
from cloudfront_ecs.sources.kinesis.source import KinesisSource
from cloudfront_ecs.sources.kinesis.stream import (
    ARN,
    TRIM_HORIZON,
    KinesisStream,
    error_code,
    trouble,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.delivery.checkpoints.store import CheckpointStore

_SILENCE = 15.0
"""Longest wait for the next byte of an answer, seconds."""

_SILENCE_BETWEEN_EVENTS = 35.0
"""Likewise in a subscription, where an event comes every few seconds also when there is nothing."""


def _open_stream(options: KinesisOptions, context: AdapterContext) -> KinesisStream:
    options = replace(options, region=_region(options))
    try:
        client = aws.client(
            "kinesis",
            options,
            connect_timeout=5,
            read_timeout=_SILENCE_BETWEEN_EVENTS if options.consumer_named else _SILENCE,
            max_pool_connections=options.concurrency,
            retries={"total_max_attempts": 1},
        )
    except BotoCoreError as error:
        raise ConfigError(f"{context.name}: {error}") from error
    read_quickly(client)
    return KinesisStream(client, options.stream_named)


def _consumer(options: KinesisOptions, stream: KinesisStream) -> KinesisConsumer | None:
    named = options.consumer_named
    return KinesisConsumer(stream.client, named) if named else None


def open_source(options: KinesisOptions, context: AdapterContext) -> KinesisSource:
    """Open the source; the stream is first asked in ``poll``."""
    store = _open_checkpoints(options, context)
    try:
        stream = _open_stream(options, context)
    except BaseException:
        store.close()
        raise
    return KinesisSource(options, stream, store, consumer=_consumer(options, stream))


def _open_checkpoints(options: KinesisOptions, context: AdapterContext) -> CheckpointStore:
    if isinstance(options.checkpoints, DynamoDbOptions):
        return open_shared(options.checkpoints, context, _region(options))
    return open_checkpoints(context)


def _region(options: KinesisOptions) -> str | None:
    arn = ARN.fullmatch(options.stream)
    return options.region or (arn["region"] if arn else None)


def check_source(options: KinesisOptions, context: AdapterContext) -> str:
    """Ask whether the stream is there and a shard of it can be read."""
    stream = _open_stream(options, context)
    try:
        summary, shards = stream.summary(), stream.shards()
        how = _fan_out(options, stream, summary.arn)
        if not how:
            stream.iterator(next(iter(shards)), TRIM_HORIZON)
    except Exception as error:
        trouble(error)
        raise SourceError(f"kinesis://{options.stream}: {error}") from error
    finally:
        stream.client.close()
    taking = sum(not shard.closed for shard in shards.values())
    kept = ""
    if isinstance(options.checkpoints, DynamoDbOptions):
        kept = "; " + check_shared(options.checkpoints, context, _region(options))
    return (
        f"stream {summary.name} is {summary.status.lower()}, "
        f"{taking} of {len(shards)} shards take records{how}{kept}"
    )


def _fan_out(options: KinesisOptions, stream: KinesisStream, stream_arn: str) -> str:
    """Return what there is to say of the consumer; nothing is registered."""
    consumer = _consumer(options, stream)
    if consumer is None:
        return ""
    try:
        arn, status = consumer.status(stream_arn)
    except ClientError as error:
        if options.consumer is None or error_code(error) != "ResourceNotFoundException":
            raise
        return f", consumer {options.consumer} is not registered yet (running registers it)"
    name = arn.rpartition("/")[2].partition(":")[0]
    return f", consumer {name} is {status.lower()}"


@hookimpl
def source_specs() -> Iterable[SourceSpec]:
    """Offer the ``aws_kinesis`` source."""
    summary = "Real-time logs from a Kinesis data stream."
    return [SourceSpec("aws_kinesis", summary, KinesisOptions, open_source, check_source)]
