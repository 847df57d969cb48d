"""The messages of one SQS queue that are in our hands: received, kept hidden, ended.

From receive until delete a thread renews the visibility timeout of every message at half of
it, and tells SQS which messages are done with and which go back, ten in a request.  The
renewing ends when SQS says that the message is not ours any more, and shortly before the
twelve hours for which SQS lets one receive last: then the message is given back.

``receive`` may be called in a thread of its own; everything else belongs to one thread, and of
that nothing but closing waits for SQS.

Facts: deleting with an old receipt handle does no harm; a receive waits whole seconds, and
one that does not wait asks only some of SQS's servers, so it may find nothing although there
is something.  boto3 clients may be used by several threads.

Source: Amazon SQS developer guide, "visibility timeout" and "short and long polling".
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.delivery.backoff import Backoff
from cloudfront_ecs.errors import CloudFrontEcsError
from cloudfront_ecs.sources.sqs.calls import AT_ONCE, NOT_OURS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cloudfront_ecs.sources.sqs.calls import SqsCalls

log = logging.getLogger(__name__)

LONGEST = 12 * 3600
"""Seconds for which SQS keeps one receive of a message hidden, all renewals together."""

MARGIN = 60
"""Seconds before that end at which a message is given back."""

FAREWELL = 5.0
"""Seconds for which closing waits until SQS has been told of all messages."""


@dataclass(slots=True, eq=False)
class QueueMessage:
    """One message in our hands.

    Attributes:
        id: The same each time the message is received.
        handle: What this receive of it is known by.
        body: The text.
        receives: How often it was received, this time included.
        received: When we received it.
        renewed: When it was last hidden for a whole visibility timeout.
        sent: When it was put into the queue, seconds since 1970, or 0 where SQS does not say.
        lost: The message is not hidden any more; others may have it.
        ending: It is to be deleted or given back.
        warned: That it cannot be renewed has been said.
    """

    id: str
    handle: str
    body: str
    receives: int
    received: float
    renewed: float
    sent: float = 0.0
    lost: bool = False
    ending: bool = False
    warned: bool = False

    @property
    def raw(self) -> bytes:
        """The body as bytes, for dead letters."""
        return self.body.encode("utf-8", "surrogatepass")


class SqsMessages:
    """Receives the messages of one queue and keeps them hidden until they are ended.

    Attributes:
        calls: The way to SQS.
        queue_url: Of which queue.
    """

    def __init__(
        self, calls: SqsCalls, visibility: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Ask by *calls*; a message is hidden for *visibility* seconds at a time."""
        self.calls = calls
        self.queue_url = calls.queue_url
        self._visibility = visibility
        self._clock = clock
        self._held: dict[str, QueueMessage] = {}  # by handle
        self._settled: deque[QueueMessage] = deque()
        self._returned: deque[tuple[QueueMessage, int]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._stop = threading.Event()
        self._backoff = Backoff(self._stop, cap=5.0)
        self._thread: threading.Thread | None = None
        self._defect: Exception | None = None

    def check(self) -> None:
        """See that somebody keeps the messages hidden and tells SQS what is done with.

        Raises:
            CloudFrontEcsError: A defect has ended that; messages become visible by themselves.
        """
        if self._defect is not None:
            kind = type(self._defect).__name__
            raise CloudFrontEcsError(f"{self.queue_url}: a defect ({kind}, see the log)")

    @property
    def held(self) -> int:
        """How many messages are in our hands, those included that SQS is being told of."""
        return len(self._held)

    @property
    def oldest(self) -> float:
        """When the oldest message in our hands was sent, seconds since 1970; 0 without one."""
        return min((message.sent for message in list(self._held.values())), default=0.0)

    def receive(self, wait: int, most: int = AT_ONCE) -> Sequence[QueueMessage]:
        """Return up to *most* messages, waiting up to *wait* seconds for the first.

        What comes after ``give_back_all`` goes back at once.

        Raises:
            SourceError: SQS could not be asked.
        """
        answer = self.calls.receive(wait, most, self._visibility)
        now = self._clock()
        received = [_message(item, now) for item in answer]
        with self._changed:
            self._held.update((message.handle, message) for message in received)
            if received and self._thread is None:
                self._thread = threading.Thread(target=self._keep, name="sqs-keeper", daemon=True)
                self._thread.start()
            if not self._closing:
                return received
        self.calls.hide({message.handle: 0 for message in received})
        with self._changed:
            for message in received:
                self._held.pop(message.handle, None)
        return []

    def delete(self, message: QueueMessage) -> None:
        """Have a message deleted for good; it is tried until SQS answers."""
        with self._changed:
            if not message.ending:
                message.ending = True
                self._settled.append(message)
                self._changed.notify_all()

    def give_back(self, message: QueueMessage, delay: float = 0.0) -> None:
        """Have a message made visible again after *delay* seconds, or at once."""
        with self._changed:
            if message.ending:
                return
            message.ending = True
            if message.lost:
                self._held.pop(message.handle, None)
            else:
                self._returned.append((message, int(delay)))
            self._changed.notify_all()

    def forget(self, message: QueueMessage) -> None:
        """Drop a receive of a message that has been received once more since."""
        with self._changed:
            message.lost = message.ending = True
            self._held.pop(message.handle, None)

    def give_back_all(self) -> None:
        """Give back every message in our hands that is not settled, and all yet to come."""
        with self._changed:
            self._closing = True
            held = list(self._held.values())
        for message in held:
            self.give_back(message)

    def flush(self, timeout: float) -> bool:
        """Wait until SQS has been told of every ended message; say whether it has."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not any(message.ending for message in self._held.values()), timeout
            )

    def close(self) -> None:
        """Give back every message in our hands and end the thread.  Safe to call twice."""
        if self._stop.is_set():
            return
        self.give_back_all()
        if not self.flush(FAREWELL):
            problem = "SQS was not told of %d messages, which come again by themselves"
            log.warning(f"%s: {problem}", self.queue_url, self.held)  # noqa: G004
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=1.0)
        self.calls.close()

    def renew(self) -> None:
        """Hide every message anew whose visibility timeout is half over."""
        now = self._clock()
        with self._changed:
            returned = {message.handle for message, _ in self._returned}
            due = [
                message
                for message in self._held.values()
                if not message.lost
                and message.handle not in returned
                and (now - message.renewed >= self._visibility / 2 or self._left(message) <= MARGIN)
            ]
        seconds: dict[str, int] = {}
        for message in due:
            if self._left(message) <= MARGIN:
                text = "%s: message %s was held for 12 h; given back, to be read again"
                log.warning(text, self.queue_url, message.id)
                message.lost = True
                seconds[message.handle] = 0
            else:
                seconds[message.handle] = min(self._visibility, int(self._left(message)))
        answers = self.calls.hide(seconds)
        for message in due:
            if not message.lost:
                self._renewed(message, answers[message.handle], now)

    def tell(self) -> None:
        """Tell SQS of some messages that have ended; what it does not take is kept."""
        with self._changed:
            returned = _some(self._returned)
            settled = _some(self._settled)
        answers = self.calls.hide({message.handle: delay for message, delay in returned})
        answers |= self.calls.delete([message.handle for message in settled])
        again = {handle for handle, code in answers.items() if code and code not in NOT_OURS}
        with self._changed:
            for handle in answers.keys() - again:
                self._held.pop(handle, None)
            self._returned.extend(item for item in returned if item[0].handle in again)
            self._settled.extend(message for message in settled if message.handle in again)
            self._changed.notify_all()
        if not again:
            self._backoff.reset()
            return
        if self._backoff.failures == 0:
            code = answers[next(iter(again))]
            log.warning("%s: %d messages not ended (will be tried again): %s",
                        self.queue_url, len(again), code)  # fmt: skip
        self._backoff.wait()

    def _keep(self) -> None:
        """Renew and tell until the end; no other thread does either."""
        try:
            self._keep_on()
        except Exception as error:
            log.exception("%s: messages are not kept any more", self.queue_url)
            self._defect = error

    def _keep_on(self) -> None:
        beat = min(self._visibility / 8, 5.0)
        renewed = self._clock()
        while not self._stop.is_set():
            with self._changed:
                if not (self._settled or self._returned):
                    self._changed.wait(beat)
            if self._settled or self._returned:
                self.tell()
            if self._clock() - renewed >= beat:
                renewed = self._clock()
                self.renew()

    def _left(self, message: QueueMessage) -> float:
        """Return for how many seconds more SQS lets this receive last."""
        return message.received + LONGEST - self._clock()

    def _renewed(self, message: QueueMessage, code: str | None, now: float) -> None:
        if code is None:
            message.renewed, message.warned = now, False
        elif code in NOT_OURS:
            log.info("%s: message %s is not ours any more", self.queue_url, message.id)
            message.lost = True
        elif not message.warned:
            log.warning("%s: message %s cannot be kept hidden (will be tried again): %s",
                        self.queue_url, message.id, code)  # fmt: skip
            message.warned = True


def _message(item: Mapping[str, Any], now: float) -> QueueMessage:
    told = item.get("Attributes", {})
    return QueueMessage(
        id=item["MessageId"],
        handle=item["ReceiptHandle"],
        body=item["Body"],
        receives=int(told.get("ApproximateReceiveCount", 1)),
        received=now,
        renewed=now,
        sent=int(told.get("SentTimestamp", 0)) / 1000,
    )


def _some(waiting: deque[Any]) -> list[Any]:
    return [waiting.popleft() for _ in range(min(AT_ONCE, len(waiting)))]
