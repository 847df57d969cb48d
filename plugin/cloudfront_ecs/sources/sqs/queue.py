"""Queue mode: an SQS queue tells which objects are new.

Messages are independent of each other.  Each names any number of objects, every object is
one payload, and the message is deleted when all of them are settled.  If one of them is
released the message goes back once the others have ended; when it comes again, only what
was not settled is read again (another worker, or a restart, reads all of it; ids make that
harmless).  A message that comes again while its objects are still in flight, because it could
not be kept hidden, is taken for what it is: nothing is read twice.

What can never be read is tried until its message was received ``max_receives`` times, then it
becomes a dead letter: the message's bytes where nobody can read it, and an object that S3 says is
gone.  An object in a foreign bucket becomes one at once.  With ``redrive`` none of them does:
the message is given back each time, until the queue's own redrive policy takes it away.
Nothing else is ever given up: what cannot be read now, for want of rights, for one, comes
again after a growing pause.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from cloudfront_ecs.batches import Origin, Payload, Receipt
from cloudfront_ecs.errors import PayloadError, SourceError
from cloudfront_ecs.failpoints import reach
from cloudfront_ecs.sources.background import Background
from cloudfront_ecs.sources.s3.newest import Newest
from cloudfront_ecs.sources.s3.prefetch import Prefetch
from cloudfront_ecs.sources.sqs.attributes import count_messages
from cloudfront_ecs.sources.sqs.claims import Appetite, Claim, Remembered, Unpacked, claims_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cloudfront_ecs.sources.s3.objects import S3Objects
    from cloudfront_ecs.sources.sqs.claims import Rules
    from cloudfront_ecs.sources.sqs.messages import QueueMessage, SqsMessages

log = logging.getLogger(__name__)

PATIENCE = 3.0
"""Seconds beyond its long poll for which the end of a receive is waited for."""


class SqsQueue:
    """A source that reads the objects named by the messages of one queue.

    Attributes:
        skipped: How often something asked for nothing, by why: as ``Notice.skipped`` has it,
            ``repeated`` (a notice of a write that is settled) and ``superseded`` (of one that
            a later write has replaced).
    """

    def __init__(
        self,
        messages: SqsMessages,
        objects: S3Objects,
        rules: Rules,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read *objects* that *messages* name, by *rules*."""
        self.skipped: Counter[str] = Counter()
        self._messages = messages
        self._objects = objects
        self._rules = rules
        self._clock = clock
        self._woken = threading.Event()
        self._receiving = Background[str](1, "sqs-receive", self._woken.set)
        self._prefetch = Prefetch(objects, most=rules.prefetch_bytes, notify=self._woken.set)
        self._newest = Newest(clock)
        self._appetite = Appetite(rules)
        self._waiting: list[Claim] = []
        self._open: dict[str, Unpacked] = {}  # by message id
        self._remembered = Remembered()
        self._sequence = 0
        self._heard = False
        self._empty_answers = 0
        self._next_count = clock()
        self._noted: Exception | None = None
        self._failing: Exception | None = None
        self._closed = False

    def poll(self, timeout: float) -> Payload | None:
        """Return the next object that a message names and that has begun to come, or None."""
        deadline = self._clock() + timeout
        while True:
            self._woken.clear()
            self._messages.check()
            self._receive()
            claim = self._ready()
            if claim is not None:
                return self._hand_out(claim)
            if self._noted is not None:
                noted, self._noted = self._noted, None
                raise noted
            left = deadline - self._clock()
            if left <= 0 and self._failing is not None:
                raise self._failing.with_traceback(None)  # until a receive has succeeded again
            if left <= 0:
                return None
            self._woken.wait(left)

    def settle(self, receipt: Receipt) -> None:
        """Delete the message once this was the last of its objects."""
        if isinstance(receipt.token, Claim):
            self._end(receipt.token, settled=True)

    def release(self, receipt: Receipt) -> None:
        """Make the message visible again once nothing else of it is in flight."""
        if isinstance(receipt.token, Claim):
            self._end(receipt.token, settled=False)

    def drained(self) -> bool:
        """Say whether the queue is empty, also of messages that others hold.

        SQS counts approximately, so it is asked twice, at least a second apart.  What a
        receive under way has been given is counted as hidden.
        """
        now = self._clock()
        if self._waiting or self._open or self._messages.held:
            self._empty_answers = 0
            return False
        if now < self._next_count:
            return False
        self._next_count = now + 1.0
        try:
            empty = count_messages(self._messages.calls) == 0
        except SourceError as error:
            self._noted = error  # the next poll raises it
            return False
        self._empty_answers = self._empty_answers + 1 if empty else 0
        return self._empty_answers > 1

    def lag(self) -> Mapping[str, float]:
        """Return how long ago the oldest message in hand was sent; 0 while there is none."""
        oldest = self._messages.oldest
        if oldest:
            return {"queue": max(0.0, time.time() - oldest)}
        return {"queue": 0.0} if self._heard else {}

    def skipped_by_reason(self) -> Mapping[str, int]:
        """Return how often something asked for nothing."""
        return dict.copy(self.skipped)

    def close(self) -> None:
        """Give back every message that is not settled.  Safe to call twice.

        A receive under way is waited for: what it brings would stay hidden otherwise.
        """
        if self._closed:
            return
        self._closed = True
        self._messages.give_back_all()
        self._prefetch.close()
        self._waiting.clear()
        if self._receiving.full:
            self._receiving.next(self._rules.wait_seconds + PATIENCE)
        self._receiving.close()
        self._messages.close()
        self._objects.close()
        if self.skipped:
            log.info("%s: asked for nothing: %s", self._messages.queue_url, dict(self.skipped))

    def _receive(self) -> None:
        """Take in what a receive has brought, and begin the next one when it is time."""
        answer = self._receiving.next(0.0) if self._receiving.full else None
        if answer is not None:
            self._noted = self._failing = answer.error
            self._heard = self._heard or answer.error is None
            if answer.result:
                reach("received")
                self._empty_answers = 0
            for message in answer.result or ():
                self._unpack(message)
        most = self._appetite.messages(self._messages.held, self._waiting)
        if most > 0 and self._noted is None and not self._receiving.full:
            call = partial(self._messages.receive, self._rules.wait_seconds, most)
            self._receiving.submit("receive", call)

    def _unpack(self, message: QueueMessage) -> None:
        """Turn a message into parts; end it at once if there is nothing to do."""
        settled = self._remembered.of(message)
        before = self._open.pop(message.id, None)
        if settled is None and before is None:
            self.skipped["repeated"] += 1
            self._messages.delete(message)
            return
        unpacked = Unpacked(message, settled=set(settled or ()))
        if before is not None:
            self._messages.forget(before.message)
            unpacked.claims, unpacked.settled = before.claims, before.settled
            for claim in unpacked.claims.values():
                claim.source = unpacked
        self._open[message.id] = unpacked
        for claim in claims_of(unpacked, self._rules, self.skipped):
            if claim.part not in unpacked.settled and claim.part not in unpacked.claims:
                unpacked.claims[claim.part] = claim
                self._waiting.append(claim)
                self._appetite.learn(claim)
        if not unpacked.claims:
            self._close_message(unpacked)

    def _ready(self) -> Claim | None:
        """Return a part that can be handed out; those that cannot be any more are ended."""
        for claim in tuple(self._waiting):
            if claim.source.message.lost:
                self._end(claim, settled=False)
                continue
            if claim.problem is None and claim.fetch is None:
                self._begin(claim)
            fetch = claim.fetch
            if fetch is not None and fetch.ready and isinstance(fetch.error, PayloadError):
                claim.problem = claim.problem or (None if fetch.pieces else fetch.error)
            if claim.problem is not None and not self._rules.give_up(claim):
                self._leave(claim, claim.problem)
            elif claim.problem is not None or (fetch is not None and fetch.ready):
                self._waiting.remove(claim)
                return claim
        return None

    def _begin(self, claim: Claim) -> None:
        """Have an object fetched, unless another notice makes that needless."""
        assert claim.write is not None
        verdict = self._newest.judge(claim.write)
        if verdict == "read":
            self._newest.begin(claim.write)
            claim.fetch = self._prefetch.begin(claim.write.stored, claim.source.message.raw)
        elif verdict != "wait":
            self.skipped[verdict] += 1
            self._end(claim, settled=True)

    def _leave(self, claim: Claim, problem: PayloadError) -> None:
        """Let the message come again: what cannot be read may be readable then, or be moved."""
        message = claim.source.message
        level = logging.WARNING if self._rules.redrive and message.receives == 1 else logging.INFO
        log.log(level, "%s: message %s goes back: %s", self._messages.queue_url, message.id,
                problem.detail if problem.reason != "notice" else problem.reason)  # fmt: skip
        if self._rules.redrive:
            claim.source.go_back_after(claim.source.patience() / 2)
        elif claim.write is not None:
            claim.source.go_back_after(1.0)
        self._end(claim, settled=False)

    def _hand_out(self, claim: Claim) -> Payload:
        self._sequence += 1
        if claim.write is None:
            name = ("sqs", self._messages.queue_url, claim.source.message.id)
            origin = Origin(f"{name[1]}#{name[2]}", name)
        else:
            stored = claim.fetch.stored if claim.fetch else claim.write.stored
            origin = self._objects.origin(stored)
        receipt = Receipt(origin.place, self._sequence, claim)
        return Payload(receipt, origin, self._chunks(claim))

    def _chunks(self, claim: Claim) -> Iterator[bytes]:
        if claim.problem is not None:
            raise claim.problem
        assert claim.fetch is not None
        try:
            yield from self._prefetch.read(claim.fetch)
        except PayloadError as error:
            claim.problem = error
            if self._rules.give_up(claim):
                raise
            claim.source.go_back_after(claim.source.patience() / 2)
            raise SourceError(error.detail) from error
        except SourceError:
            claim.source.go_back_after(claim.source.patience())
            raise

    def _end(self, claim: Claim, *, settled: bool) -> None:
        """End a part, and with the last of them the message."""
        if claim.ended:
            return
        claim.ended = True
        if claim in self._waiting:
            self._waiting.remove(claim)
        if claim.fetch is not None and claim.write is not None:
            self._prefetch.cancel(claim.fetch)
            self._newest.end(claim.write, read=settled and claim.problem is None)
        source = claim.source
        del source.claims[claim.part]
        if settled:
            source.settled.add(claim.part)
        else:
            source.released = True
        if not source.claims:
            self._close_message(source)

    def _close_message(self, unpacked: Unpacked) -> None:
        self._open.pop(unpacked.message.id, None)
        self._remembered.keep(unpacked)
        if unpacked.released:
            self._messages.give_back(unpacked.message, unpacked.pause)
        else:
            reach("checkpointed")
            self._messages.delete(unpacked.message)
