"""Reading a whole stream: every shard in turn, in order, parents before their children."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from cloudfront_ecs.batches import Origin, Payload, Receipt
from cloudfront_ecs.errors import SourceError, StateError
from cloudfront_ecs.failpoints import reach
from cloudfront_ecs.normalize.documents.aws_fields import Kinesis
from cloudfront_ecs.sources.background import Background
from cloudfront_ecs.sources.kinesis_shards import Pace, ShardBook, ShardReader
from cloudfront_ecs.sources.kinesis_stream import ARN, Page, Trouble, trouble

if TYPE_CHECKING:
    from cloudfront_ecs.delivery.checkpoints import CheckpointStore
    from cloudfront_ecs.sources.background import Answer
    from cloudfront_ecs.sources.kinesis_options import KinesisOptions
    from cloudfront_ecs.sources.kinesis_stream import KinesisStream, Shard, StreamSummary

log = logging.getLogger(__name__)

PATIENCE = 3  # failures in a row before a passing trouble is told


class Call(NamedTuple):
    """A call under way: for the listing, or for one shard."""

    began: float
    reader: ShardReader | None = None
    ticket: int = 0


class KinesisSource:
    """Reads all shards in turn, each in order, parents before their children.

    Settling and releasing go by shard.  A shard may have several payloads in flight; its
    checkpoint follows the oldest of them.  Releasing one forgets it and all later ones of
    the same shard, whether settled or not, and the shard is read again from where it began;
    receipts forgotten that way may still be settled or released, which changes nothing.
    """

    def __init__(
        self,
        options: KinesisOptions,
        stream: KinesisStream,
        store: CheckpointStore,
        pace: Pace | None = None,
    ) -> None:
        """Take over *stream* and *store*; nothing is asked before the first poll."""
        self._options = options
        self._stream = stream
        self._store = store
        self._pace = pace or Pace(idle=options.idle_seconds)
        self._book: ShardBook | None = None
        self._readers: dict[str, ShardReader] = {}
        self._unsaved: dict[str, ShardReader] = {}
        self._sequences = count(1)
        self._started = 0.0
        self._listing_due = 0.0
        self._listing_wanted = True
        self._listing_busy = False
        self._listing_failures = 0
        self._calls: Background[Call] = Background(options.concurrency, "aws_kinesis")
        self._closed = False

    @property
    def lag(self) -> float:
        """How far the shard that is furthest behind is from its tip, seconds."""
        return max((reader.behind for reader in self._readers.values()), default=0.0)

    def poll(self, timeout: float) -> Payload | None:
        """Return the Kinesis records of one page, or None when *timeout* seconds pass."""
        deadline = time.monotonic() + timeout
        try:
            self._save()
        except StateError as error:
            raise SourceError(f"{self._place}: reading waits for checkpoints: {error}") from error
        while True:
            self._submit()
            answer = self._calls.next(min(deadline, self._next_due()) - time.monotonic())
            payload = self._take(answer) if answer else None
            if payload is not None or time.monotonic() >= deadline:
                return payload

    def settle(self, receipt: Receipt) -> None:
        """Move the shard's checkpoint if *receipt* was the oldest in flight."""
        reader = self._readers.get(receipt.partition)
        if reader is not None and reader.watermark.settle(receipt.sequence):
            self._unsaved[receipt.partition] = reader
            with suppress(StateError):  # tried again, and told, by the next poll
                self._save()

    def release(self, receipt: Receipt) -> None:
        """Read the shard again from where *receipt* began."""
        reader = self._readers.get(receipt.partition)
        if reader is not None and reader.release(receipt.sequence):
            log.debug("%s: reading again behind %s", reader.place, reader.position.text())

    def drained(self) -> bool:
        """Say whether every shard was read to the tip as it was at the start, and settled."""
        return (
            not self._listing_awaited
            and not self._unsaved
            and all(
                reader.caught_up and not reader.watermark.in_flight
                for reader in self._readers.values()
            )
        )

    def close(self) -> None:
        """Store the checkpoints and disconnect; answers still under way are dropped."""
        if self._closed:
            return
        self._closed = True
        try:
            self._save()
        except StateError as error:
            log.error("%s: %s", self._place, error)  # noqa: TRY400 - the text says it all
        self._calls.close()
        self._store.close()
        self._stream.client.close()

    @property
    def _place(self) -> str:
        return f"kinesis://{self._book.stream.name if self._book else self._options.stream}"

    def _save(self) -> None:
        """Store the watermarks that moved.

        A shard that has ended leaves only once that is stored: its children wait for it.
        """
        if not self._unsaved or self._book is None:
            return
        self._book.save(self._unsaved)
        reach("checkpointed")
        for shard_id, reader in self._unsaved.items():
            if reader.finished:
                log.info("%s: the shard has ended and all of it is settled", reader.place)
                del self._readers[shard_id]
                self._want_listing()
        self._unsaved.clear()

    def _want_listing(self) -> None:
        self._listing_wanted = True
        self._listing_due = min(self._listing_due, time.monotonic() + self._pace.soonest_listing)

    @property
    def _listing_awaited(self) -> bool:
        return self._listing_wanted or self._listing_busy

    def _ready(self, reader: ShardReader) -> bool:
        """Whether *reader* may be read, be it later; a doubtful one waits for the listing."""
        doubtful = (reader.suspect or reader.missing) and self._listing_awaited
        return not (reader.busy or reader.ended or doubtful)

    def _next_due(self) -> float:
        """Return when there is a call to make, if there is room for one."""
        if self._calls.full:
            return float("inf")
        dues = [reader.due for reader in self._readers.values() if self._ready(reader)]
        if not self._listing_busy:
            dues.append(self._listing_due)
        return min(dues, default=float("inf"))

    def _submit(self) -> None:
        """Make the calls that are due, the one that waits longest first."""
        now = time.monotonic()
        if self._listing_due <= now and not self._listing_busy and not self._calls.full:
            self._listing_busy, self._listing_wanted = True, False
            stream = self._stream
            self._calls.submit(Call(now), lambda: (stream.summary(), stream.shards()))
        ready = [item for item in self._readers.values() if item.due <= now and self._ready(item)]
        for reader in sorted(ready, key=lambda reader: reader.due):
            if self._calls.full:
                return
            reader.busy = True
            if reader.iterator is None:
                call = partial(self._stream.iterator, reader.shard.id, reader.begin())
                self._calls.submit(Call(now, reader, reader.ticket), call)
            else:
                read = partial(self._stream.records, reader.iterator, self._options.limit)
                self._calls.submit(Call(now, reader, reader.ticket), read)

    def _take(self, answer: Answer[Call]) -> Payload | None:
        """Use the end of one call."""
        call = answer.key
        reader = call.reader
        if reader is None:
            self._listing_busy = False
            self._take_listing(answer)
            return None
        if call.ticket != reader.ticket or self._readers.get(reader.shard.id) is not reader:
            return None
        reader.busy = False
        if answer.error is not None:
            self._take_failure(reader, answer.error)
            return None
        if isinstance(answer.result, Page):
            return self._take_page(reader, answer.result, call.began)
        reader.iterator = answer.result
        return None

    def _take_page(self, reader: ShardReader, page: Page, began: float) -> Payload | None:
        assert self._book is not None
        sequence = next(self._sequences)
        reader.take(page, sequence, began, self._pace)
        reader.note_tip(page, self._started)
        if reader.note_stuck(page, self._book.stream.retention):
            reader.jump_gap()
        if reader.finished:
            self._unsaved[reader.shard.id] = reader
            with suppress(StateError):  # the payload must not be lost on the way out
                self._save()
        if not page.messages:
            return None
        reach("received")
        receipt = Receipt(reader.shard.id, sequence)
        return Payload(receipt, _origin(self._book.stream, reader), messages=page.messages)

    def _take_failure(self, reader: ShardReader, error: Exception) -> None:
        kind = trouble(error)
        wanted_iterator = reader.iterator is None
        reader.failures += 1
        reader.due = time.monotonic() + self._pace.pause(reader.failures)
        log.debug("%s: call failed (%d in a row): %s", reader.place, reader.failures, kind.name)
        if kind in (Trouble.EXPIRED, Trouble.INVALID, Trouble.MISSING):
            reader.iterator = None
        if kind is Trouble.MISSING:
            reader.missing = True
            self._want_listing()
        if kind is Trouble.INVALID and wanted_iterator and reader.position.resumes:
            # Too old, or of another stream with this name: the listing tells.
            if reader.suspect:
                reader.jump_gap()
            else:
                reader.suspect = True
                self._want_listing()
        elif kind is Trouble.BLOCKED or (
            kind is not Trouble.THROTTLED and reader.failures >= PATIENCE
        ):
            raise SourceError(f"{reader.place}: {error}") from error

    def _take_listing(self, answer: Answer[Call]) -> None:
        """Bring the readers up to date with which shards there are."""
        if answer.error is not None:
            self._listing_wanted = True
            self._listing_failures += 1
            self._listing_due = time.monotonic() + self._pace.pause(self._listing_failures)
            if trouble(answer.error) is Trouble.THROTTLED and self._listing_failures < PATIENCE:
                return
            raise SourceError(f"{self._place}: {answer.error}") from answer.error
        summary, shards = answer.result
        self._listing_failures = 0
        later = self._pace.soonest_listing if self._listing_wanted else self._pace.listing
        self._listing_due = answer.key.began + later
        try:
            self._follow(summary, shards)
        except StateError as error:
            self._want_listing()
            raise SourceError(f"{self._place}: {error}") from error

    def _follow(self, summary: StreamSummary, shards: dict[str, Shard]) -> None:
        if self._book is None:
            self._started = summary.now + 1  # the service's clock, cut to whole seconds
        if self._book is None or self._book.stream.created != summary.created:
            self._readers.clear()
            self._unsaved.clear()
            start = self._options.first_position(summary.now)
            self._book = ShardBook(self._store, summary, start)
        for shard_id, reader in self._readers.items():
            if shard_id in shards:
                reader.shard = shards[shard_id]
                reader.missing = False
            elif reader.missing and not reader.ended:
                reader.expire()
                self._unsaved[shard_id] = reader
        self._save()
        for reader in self._book.open(shards, self._readers):
            log.info("%s: reading behind %s", reader.place, reader.position.text())
            self._readers[reader.shard.id] = reader


def _origin(stream: StreamSummary, reader: ShardReader) -> Origin:
    arn = ARN.fullmatch(stream.arn)
    shard_id = reader.shard.id
    return Origin(
        place=reader.place,
        identity=("kinesis", stream.arn, stream.created, shard_id),
        account_id=arn["account"] if arn else None,
        region=arn["region"] if arn else None,
        kinesis=Kinesis(stream=stream.name, shard_id=shard_id),
    )
