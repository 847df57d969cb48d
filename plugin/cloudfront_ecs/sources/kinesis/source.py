"""Reading a whole stream: every shard in turn, in order, parents before their children."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from cloudfront_ecs.batches import Origin, Payload, Receipt
from cloudfront_ecs.errors import CheckpointError, SourceError, StateError
from cloudfront_ecs.failpoints import reach
from cloudfront_ecs.normalize.documents.aws_fields import Kinesis
from cloudfront_ecs.sources.kinesis.book import ShardBook
from cloudfront_ecs.sources.kinesis.calls import Calls
from cloudfront_ecs.sources.kinesis.gathering import Gathering
from cloudfront_ecs.sources.kinesis.stream import ARN, Page, Trouble, trouble

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudfront_ecs.delivery.checkpoints.store import CheckpointStore
    from cloudfront_ecs.sources.background import Answer
    from cloudfront_ecs.sources.kinesis.calls import Call
    from cloudfront_ecs.sources.kinesis.consumer import KinesisConsumer
    from cloudfront_ecs.sources.kinesis.gathering import Gathered
    from cloudfront_ecs.sources.kinesis.options import KinesisOptions
    from cloudfront_ecs.sources.kinesis.shards import Gap, Pace, ShardReader
    from cloudfront_ecs.sources.kinesis.stream import KinesisStream, Shard, StreamSummary

log = logging.getLogger(__name__)

PATIENCE = 3  # failures in a row before a passing trouble is told


class KinesisSource:
    """Reads all shards in turn, each in order, parents before their children.

    Settling and releasing go by shard.  A shard may have several payloads in flight; its
    checkpoint follows the oldest of them.  Releasing one forgets it and all later ones of
    the same shard, whether settled or not, and the shard is read again from where it began;
    receipts forgotten that way may still be settled or released, which changes nothing.  A
    shard that another worker has now is forgotten likewise, with all that is in flight.

    Attributes:
        gaps: What left the stream before it was read.
    """

    def __init__(
        self,
        options: KinesisOptions,
        stream: KinesisStream,
        store: CheckpointStore,
        pace: Pace | None = None,
        consumer: KinesisConsumer | None = None,
    ) -> None:
        """Take over *stream* and *store*; nothing is asked before the first poll.

        With a *consumer*, records come by enhanced fan-out.
        """
        self._options = options
        self._stream = stream
        self._store = store
        self._pace = pace or options.pace()
        self.gaps: list[Gap] = []
        self._book: ShardBook | None = None
        self._shards: Mapping[str, Shard] = {}
        self._revision = store.revision
        self._readers: dict[str, ShardReader] = {}
        self._unsaved: dict[str, ShardReader] = {}
        self._sequences = count(1)
        self._started = 0.0
        self._calls = Calls(stream, consumer, options, self._pace)
        self._gathering = Gathering(self._pace.few, self._pace.gather)
        self._refusals: dict[str | None, str] = {}  # by shard; of the stream under None
        self._closed = False

    def lag(self) -> Mapping[str, float]:
        """Return how far each shard is from its tip, seconds, as ``Lagging`` wants it."""
        now = time.monotonic()
        known = [reader for reader in tuple(self._readers.values()) if reader.seen]
        return {reader.shard.id: reader.lag(now) for reader in known}

    def missed(self) -> int:
        """Return how many gaps were found, as ``Missing`` wants it."""
        return len(self.gaps)

    def poll(self, timeout: float) -> Payload | None:
        """Return Kinesis records of one shard, or None when *timeout* seconds pass."""
        deadline = time.monotonic() + timeout
        try:
            self._save()
            self._share()
        except StateError as error:
            text = f"{self._place}: reading waits for checkpoints: {error}"
            raise CheckpointError(text) from error
        while True:
            gathered = self._gathering.take(self._readers, time.monotonic())
            if gathered is not None:
                return self._payload(gathered)
            answer = self._calls.next(self._readers, min(deadline, self._gathering.due))
            if answer is not None:
                self._take(answer)
            elif time.monotonic() >= deadline:
                self._raise_refusal()
                return None

    def _raise_refusal(self) -> None:
        """Raise what a shard, or the stream, last failed with until it works again."""
        for shard, text in self._refusals.items():
            if shard is None or shard in self._readers:
                raise SourceError(text)

    def settle(self, receipt: Receipt) -> None:
        """Move the shard's checkpoint if *receipt* was the oldest in flight."""
        reader = self._readers.get(receipt.partition)
        if reader is None:
            return
        sequences: Sequence[int] = receipt.token  # type: ignore[assignment] # ours
        moved = [reader.watermark.settle(sequence) for sequence in sequences]
        if any(moved):
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
            not self._calls.listing_awaited
            and not self._unsaved
            and not self._store.awaiting
            and self._store.revision == self._revision
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
        for shard_id in self._unsaved.keys() - self._book.unstored():
            reader = self._unsaved.pop(shard_id)
            if reader.finished:
                log.info("%s: the shard has ended and all of it is settled", reader.place)
                del self._readers[shard_id]
                self._calls.want_listing()

    def _share(self) -> None:
        """Stop reading what other workers have now, and read what came from them."""
        if self._book is None:
            return
        for shard_id in self._book.gone(self._readers):
            del self._readers[shard_id]
            self._unsaved.pop(shard_id, None)
        if self._store.revision != self._revision:
            self._revision = self._store.revision
            self._open_readers()

    def _open_readers(self) -> None:
        assert self._book is not None
        for reader in self._book.open(self._shards, self._readers):
            log.info("%s: reading behind %s", reader.place, reader.position.text())
            self._readers[reader.shard.id] = reader
            if reader.finished:
                self._unsaved[reader.shard.id] = reader

    def _take(self, answer: Answer[Call]) -> None:
        """Use the end of one call, or a page of a subscription."""
        call, result = answer.key, answer.result
        reader = call.reader
        if reader is None:
            self._take_listing(answer)
        elif call.current(self._readers):
            reader.busy = isinstance(result, Page) and not answer.asked
            if answer.error is None and result is not None:
                self._refusals.pop(reader.shard.id, None)
            if answer.error is not None:
                self._take_failure(call, reader, answer.error)
            elif isinstance(result, Page):
                self._take_page(reader, result, call.began)
            elif result is not None:
                reader.iterator = result
            else:
                log.debug("%s: the subscription has ended", reader.place)
            if not answer.asked and answer.error is None:
                reader.due = call.began + self._pace.renewal

    def _take_page(self, reader: ShardReader, page: Page, began: float) -> None:
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
        if page.messages:
            self._gathering.add(reader, sequence, page, time.monotonic())

    def _payload(self, gathered: Gathered) -> Payload:
        assert self._book is not None
        reach("received")
        reader, sequences = gathered.reader, tuple(gathered.sequences)
        receipt = Receipt(reader.shard.id, sequences[0], sequences)
        return Payload(receipt, _origin(self._book.stream, reader), messages=gathered.messages)

    def _take_failure(self, call: Call, reader: ShardReader, error: Exception) -> None:
        kind = trouble(error)
        from_position = not reader.iterator
        reader.failures += 1
        reader.due = self._calls.rest(call, reader.failures, kind)
        log.debug("%s: call failed (%d in a row): %s", reader.place, reader.failures, kind.name)
        if kind in (Trouble.EXPIRED, Trouble.INVALID, Trouble.MISSING):
            reader.iterator = None
        if kind is Trouble.MISSING:
            reader.missing = True
            self._calls.want_listing()
        if kind is Trouble.INVALID and from_position and reader.position.resumes:
            # Too old, or of another stream with this name: the listing tells.
            if reader.suspect:
                reader.jump_gap()
            else:
                reader.suspect = True
                self._calls.want_listing()
        elif kind is Trouble.BLOCKED or (
            kind is not Trouble.THROTTLED and reader.failures >= PATIENCE
        ):
            self._refusals[reader.shard.id] = f"{reader.place}: {error}"
            raise SourceError(f"{reader.place}: {error}") from error

    def _take_listing(self, answer: Answer[Call]) -> None:
        """Bring the readers up to date with which shards there are."""
        if answer.error is not None:
            kind = trouble(answer.error)
            if kind is Trouble.THROTTLED and self._calls.listing_failures < PATIENCE:
                return
            self._refusals[None] = f"{self._place}: {answer.error}"
            raise SourceError(self._refusals[None]) from answer.error
        self._refusals.pop(None, None)
        try:
            self._follow(answer.result.stream, answer.result.shards)
        except StateError as error:
            self._calls.want_listing()
            raise CheckpointError(f"{self._place}: {error}") from error

    def _follow(self, summary: StreamSummary, shards: dict[str, Shard]) -> None:
        if self._book is None:
            self._started = summary.now + 1  # the service's clock, cut to whole seconds
        if self._book is None or self._book.stream.created != summary.created:
            self._readers.clear()
            self._unsaved.clear()
            start = self._options.first_position(summary.now)
            self._book = ShardBook(self._store, summary, start, self.gaps)
        self._shards = shards
        for shard_id, reader in self._readers.items():
            if shard_id in shards:
                reader.shard = shards[shard_id]
                reader.missing = False
            elif reader.missing and not reader.ended:
                reader.expire()
                self._unsaved[shard_id] = reader
        self._save()
        self._open_readers()


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
