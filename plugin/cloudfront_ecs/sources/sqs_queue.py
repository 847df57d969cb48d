"""Queue mode: an SQS queue tells which objects are new.

Messages are independent of each other.  Each names any number of objects, every object is
one payload, and the message is deleted when all of them are settled.  If one of them is
released the message goes back once the others have ended; when it comes again, only what
was not settled is read again (another worker, or a restart, reads all of it; ids make that
harmless).

A message nobody can read is given back until it has been received ``max_receives`` times,
then it becomes a dead letter with its bytes.  An object that S3 says is gone, or that lies
in a foreign bucket, becomes one at once.  Nothing else ever does: what cannot be read now,
for want of rights, for one, comes again after a growing pause.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudfront_ecs.batches import Origin, Payload, Receipt
from cloudfront_ecs.errors import PayloadError, SourceError
from cloudfront_ecs.failpoints import reach
from cloudfront_ecs.sources.background import Background
from cloudfront_ecs.sources.s3_notices import read_notice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cloudfront_ecs.errors import CloudFrontEcsError
    from cloudfront_ecs.sources.s3_objects import S3Objects, StoredObject
    from cloudfront_ecs.sources.sqs_messages import QueueMessage, SqsMessages

log = logging.getLogger(__name__)

MOST_DOUBLINGS = 6
"""An object that cannot be read is tried again after 2, 4, … 64 seconds, then each 64."""

PATIENCE = 3.0
"""Seconds beyond its long poll for which the end of a receive is waited for."""

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Rules:
    """What is asked of messages.

    Attributes:
        wait_seconds: How long one receive waits for a message.
        max_receives: Receives of an unreadable message before it is a dead letter.
        buckets: The only buckets read from, or empty for any.
    """

    wait_seconds: int = 2
    max_receives: int = 5
    buckets: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class _Unpacked:
    """A message and how far its parts have come.

    Attributes:
        message: The message.
        open: How many parts have not ended.
        settled: The parts that are settled, now or when the message was here before.
        released: At least one part goes back, so the message does.
        failed: Reading one of them broke off.
    """

    message: QueueMessage
    open: int
    settled: set[object]
    released: bool = False
    failed: bool = False


@dataclass(slots=True, eq=False)
class _Claim:
    """One part of a message: an object, or a reason why there is none.

    Attributes:
        source: The message.
        part: What tells the part from the message's others, each time it is received.
        stored: The object.
        problem: Why the part becomes a dead letter.
        ended: It was settled or released.
    """

    source: _Unpacked
    part: object
    stored: StoredObject | None = None
    problem: CloudFrontEcsError | None = None
    ended: bool = False


class SqsQueue:
    """A source that reads the objects named by the messages of one queue."""

    def __init__(
        self,
        messages: SqsMessages,
        objects: S3Objects,
        rules: Rules,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read *objects* that *messages* name, by *rules*."""
        self._messages = messages
        self._objects = objects
        self._rules = rules
        self._clock = clock
        self._receiving = Background[str](1, "sqs-receive")
        self._waiting: deque[_Claim] = deque()
        self._settled: dict[str, set[object]] = {}  # by message id, of messages given back
        self._sequence = 0
        self._empty_answers = 0
        self._next_count = clock()
        self._noted: SourceError | None = None
        self._closed = False

    def poll(self, timeout: float) -> Payload | None:
        """Return the next object that a message names, or None.

        Nothing is received while objects of earlier messages wait to be asked for.  A
        receive goes on in the background when *timeout* is shorter than its long poll.
        """
        if self._noted is not None:
            noted, self._noted = self._noted, None
            raise noted
        self._messages.delete_again()
        deadline = self._clock() + timeout
        while True:
            while self._waiting:
                claim = self._waiting.popleft()
                if not claim.source.message.lost:
                    return self._hand_out(claim)
                self._end(claim, settled=False)
            if not self._receiving.full:
                self._receiving.submit("receive", self._receive)
            answer = self._receiving.next(deadline - self._clock())
            if answer is None:
                return None
            if answer.error is not None:
                raise answer.error
            if answer.result:
                reach("received")
            for message in answer.result:
                self._empty_answers = 0
                self._unpack(message)

    def settle(self, receipt: Receipt) -> None:
        """Delete the message once this was the last of its objects."""
        claim = receipt.token
        if isinstance(claim, _Claim):
            self._end(claim, settled=True)

    def release(self, receipt: Receipt) -> None:
        """Make the message visible again once nothing else of it is in flight."""
        claim = receipt.token
        if isinstance(claim, _Claim):
            self._end(claim, settled=False)

    def drained(self) -> bool:
        """Say whether the queue is empty, also of messages that others hold.

        SQS counts approximately, so it is asked twice, at least a second apart.  What a
        receive under way has been given is counted as hidden.
        """
        now = self._clock()
        if self._waiting or self._messages.held:
            self._empty_answers = 0
            return False
        if now < self._next_count:
            return False
        self._next_count = now + 1.0
        try:
            empty = self._messages.count() == 0
        except SourceError as error:
            self._noted = error  # the next poll raises it
            return False
        self._empty_answers = self._empty_answers + 1 if empty else 0
        return self._empty_answers > 1

    def close(self) -> None:
        """Give back every message that is not settled.  Safe to call twice.

        A receive under way is waited for: what it brings would stay hidden otherwise.
        """
        if self._closed:
            return
        self._closed = True
        self._waiting.clear()
        self._messages.give_back_all()
        if self._receiving.full:
            self._receiving.next(self._rules.wait_seconds + PATIENCE)
        self._receiving.close()
        self._messages.close()
        self._objects.close()

    def _receive(self) -> Sequence[QueueMessage]:
        return self._messages.receive(self._rules.wait_seconds)

    def _unpack(self, message: QueueMessage) -> None:
        """Turn a message into parts; end it at once if there is nothing to do."""
        settled = self._settled.get(message.id, set())
        unpacked = _Unpacked(message, 0, settled)
        parts: list[_Claim] = []
        try:
            notice = read_notice(message.body)
        except PayloadError as error:
            if message.receives < self._rules.max_receives:
                log.debug("%s: message %s: %s", self._messages.queue_url, message.id, error)
                self._messages.give_back(message)
                return
            parts.append(_Claim(unpacked, "notice", problem=error))
        else:
            parts += [
                _Claim(unpacked, stored, stored, self._foreign(stored, message.raw))
                for stored in notice.objects
            ]
            if notice.unreadable:
                parts.append(_Claim(unpacked, "notice", problem=notice.unreadable))
        parts = [part for part in parts if part.part not in settled]
        if not parts:
            self._delete(message)
        unpacked.open = len(parts)
        self._waiting.extend(parts)

    def _foreign(self, stored: StoredObject, raw: bytes) -> PayloadError | None:
        if not self._rules.buckets or stored.bucket in self._rules.buckets:
            return None
        detail = f"{stored.place}: is in none of the configured buckets"
        return PayloadError("foreign", detail, raw)

    def _hand_out(self, claim: _Claim) -> Payload:
        self._sequence += 1
        message, stored = claim.source.message, claim.stored
        if stored is None:
            place = f"{self._messages.queue_url}#{message.id}"
            origin = Origin(place, ("sqs", self._messages.queue_url, message.id))
        else:
            try:
                if claim.problem is None:
                    stored = self._objects.identified(stored, message.raw)
            except (PayloadError, SourceError) as error:
                claim.problem = error
            origin = self._objects.origin(stored)
        receipt = Receipt(origin.place, self._sequence, claim)
        return Payload(receipt, origin, self._chunks(claim, stored))

    def _chunks(self, claim: _Claim, stored: StoredObject | None) -> Iterator[bytes]:
        try:
            if claim.problem is not None:
                raise claim.problem
            assert stored is not None
            yield from self._objects.read(stored, claim.source.message.raw)
        except SourceError:
            claim.source.failed = True
            raise

    def _end(self, claim: _Claim, *, settled: bool) -> None:
        if claim.ended:
            return
        claim.ended = True
        source = claim.source
        if settled:
            source.settled.add(claim.part)
        else:
            source.released = True
        source.open -= 1
        if source.open:
            return
        if source.released:
            self._give_back(source)
        else:
            self._delete(source.message)

    def _delete(self, message: QueueMessage) -> None:
        reach("checkpointed")
        self._settled.pop(message.id, None)
        self._messages.delete(message)

    def _give_back(self, source: _Unpacked) -> None:
        """Return a message: at once, or after a pause if reading an object broke off."""
        if source.settled:
            if len(self._settled) >= _REMEMBERED:
                self._settled.pop(next(iter(self._settled)))
            self._settled[source.message.id] = source.settled
        doublings = min(source.message.receives, MOST_DOUBLINGS)
        pause = 2.0**doublings if source.failed else 0.0
        self._messages.give_back(source.message, pause)
