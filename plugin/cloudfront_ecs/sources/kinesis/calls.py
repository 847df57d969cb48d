"""Which calls are due: the listing, and for each shard its next page or its subscription."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from cloudfront_ecs.sources.background import Background
from cloudfront_ecs.sources.kinesis.fan_out import Subscriptions
from cloudfront_ecs.sources.kinesis.stream import Page, Position, Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudfront_ecs.sources.background import Answer
    from cloudfront_ecs.sources.kinesis.consumer import KinesisConsumer
    from cloudfront_ecs.sources.kinesis.options import KinesisOptions
    from cloudfront_ecs.sources.kinesis.shards import Pace, ShardReader
    from cloudfront_ecs.sources.kinesis.stream import KinesisStream, Shard, StreamSummary


class Call(NamedTuple):
    """A call under way: for the listing, or for one shard."""

    began: float
    reader: ShardReader | None = None
    ticket: int = 0

    @property
    def leaving(self) -> bool:
        """Whether another worker waits for the shard."""
        return self.reader is not None and self.reader.leaving > 0

    def current(self, readers: Mapping[str, ShardReader]) -> bool:
        """Say whether its answer may be used: the shard was not given back meanwhile."""
        reader = self.reader
        return (
            reader is not None
            and self.ticket == reader.ticket
            and readers.get(reader.shard.id) is reader
        )


class Listing(NamedTuple):
    """What there is: the stream, its shards, and the consumer's ARN once it can be used."""

    stream: StreamSummary
    shards: dict[str, Shard]
    consumer: str | None


class Calls:
    """Makes the calls that are due, the one that waits longest first, and hands on answers.

    With a consumer, shards are subscribed to; else their pages are asked for one by one.

    Attributes:
        listing_failures: Failed listings in a row.
    """

    def __init__(
        self,
        stream: KinesisStream,
        consumer: KinesisConsumer | None,
        options: KinesisOptions,
        pace: Pace,
    ) -> None:
        """Start the threads; nothing is asked yet."""
        self.listing_failures = 0
        self._stream = stream
        self._consumer = consumer
        self._limit = options.limit
        self._pace = pace
        self._background: Background[Call] = Background(options.concurrency, "aws_kinesis")
        self._subscriptions: Subscriptions[Call] | None = None
        if consumer is not None:
            report = self._background.report
            self._subscriptions = Subscriptions(consumer, report, options.buffer_bytes)
        self._consumer_arn: str | None = None
        self._listing_due = 0.0
        self._listing_wanted = True
        self._listing_busy = False
        self._listing_was_wanted = False

    @property
    def listing_awaited(self) -> bool:
        """Whether a listing is wanted, or one that was is under way; the usual ones count not."""
        return self._listing_wanted or (self._listing_busy and self._listing_was_wanted)

    def want_listing(self) -> None:
        """Have the shards listed soon."""
        self._listing_wanted = True
        self._listing_due = min(self._listing_due, time.monotonic() + self._pace.soonest_listing)

    def next(self, readers: Mapping[str, ShardReader], until: float) -> Answer[Call] | None:
        """Make the calls that are due; return the next answer, or None when time is up.

        Args:
            readers: Of all shards that are read.
            until: On the monotonic clock; it may also be over sooner, when a call is due.
        """
        self._make(readers)
        answer = self._background.next(min(until, self._next_due(readers)) - time.monotonic())
        if answer is None:
            return None
        if self._subscriptions is not None and isinstance(answer.result, Page):
            self._subscriptions.taken(answer.result)
        if answer.key.reader is None:
            self._listed(answer)
        return answer

    def rest(self, call: Call, failures: int, kind: Trouble) -> float:
        """Return until when the shard of a *call* that failed must rest, monotonic clock."""
        now = time.monotonic()
        due = now + self._pace.pause(failures, throttled=kind is Trouble.THROTTLED)
        if self._subscriptions is None:
            return due
        # Within seconds of a subscription another one is refused.
        return max(due, (now if kind is Trouble.IN_USE else call.began) + self._pace.renewal)

    def close(self) -> None:
        """Drop the answers still under way."""
        if self._subscriptions is not None:
            self._subscriptions.close()
        self._background.close()

    def _next_due(self, readers: Mapping[str, ShardReader]) -> float:
        """Return when there is a call to make, if there is room for one."""
        if self._background.full:
            return float("inf")
        dues = [reader.due for reader in readers.values() if self._ready(reader)]
        if not self._listing_busy:
            dues.append(self._listing_due)
        return min(dues, default=float("inf"))

    def _ready(self, reader: ShardReader) -> bool:
        """Whether *reader* may be read, be it later; a doubtful one waits for the listing."""
        doubtful = (reader.suspect or reader.missing) and self.listing_awaited
        unheard = self._subscriptions is not None and self._consumer_arn is None
        return not (reader.busy or reader.ended or reader.leaving or doubtful or unheard)

    def _make(self, readers: Mapping[str, ShardReader]) -> None:
        now = time.monotonic()
        if self._subscriptions is not None:
            self._subscriptions.keep(lambda call: call.current(readers) and not call.leaving)
        if self._listing_due <= now and not self._listing_busy and not self._background.full:
            self._listing_was_wanted, self._listing_wanted = self._listing_wanted, False
            self._listing_busy = True
            self._background.submit(Call(now), self._list)
        ready = [item for item in readers.values() if item.due <= now and self._ready(item)]
        for reader in sorted(ready, key=lambda reader: reader.due):
            if self._background.full:
                return
            reader.busy = True
            self._ask(Call(now, reader, reader.ticket), reader)

    def _ask(self, call: Call, reader: ShardReader) -> None:
        shard_id = reader.shard.id
        if self._subscriptions is not None and self._consumer_arn is not None:
            reader.due = call.began + self._pace.renewal
            goes_on = Position("AFTER_SEQUENCE_NUMBER", reader.iterator or "")
            start = goes_on if reader.iterator else reader.begin()
            self._subscriptions.open(call, self._consumer_arn, shard_id, start)
        elif reader.iterator is None:
            wanted = partial(self._stream.iterator, shard_id, reader.begin())
            self._background.submit(call, wanted)
        else:
            read = partial(self._stream.records, reader.iterator, self._limit)
            self._background.submit(call, read)

    def _list(self) -> Listing:
        stream, shards = self._stream.summary(), self._stream.shards()
        consumer = self._consumer.ready(stream.arn) if self._consumer is not None else None
        return Listing(stream, shards, consumer)

    def _listed(self, answer: Answer[Call]) -> None:
        """Say when the next listing is due."""
        self._listing_busy = False
        if answer.error is not None:
            self._listing_wanted = True
            self.listing_failures += 1
            self._listing_due = time.monotonic() + self._pace.pause(self.listing_failures)
            return
        self.listing_failures = 0
        self._consumer_arn = answer.result.consumer
        if self._subscriptions is not None and self._consumer_arn is None:
            self._listing_wanted = True
        later = self._pace.soonest_listing if self._listing_wanted else self._pace.listing
        self._listing_due = answer.key.began + later
