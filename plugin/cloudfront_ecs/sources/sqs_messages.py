"""The messages of one SQS queue that are in our hands: received, kept hidden, ended.

From receive until delete a thread renews the visibility timeout of every message at half of
it.  The renewing ends when SQS says that the message is not ours any more, and before the
twelve hours SQS allows in total: then the message becomes visible again by itself.

``receive`` may be called in a thread of its own; everything else belongs to one thread.

Facts: deleting with an old receipt handle does no harm; a receive waits whole seconds, and
one that does not wait asks only some of SQS's servers, so it may find nothing although there
is something.  boto3 clients may be used by several threads.

Source: Amazon SQS developer guide, "visibility timeout" and "short and long polling".
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from cloudfront_ecs.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

LONGEST = 12 * 3600
"""Seconds for which SQS keeps one receive of a message hidden, all renewals together."""

_NOT_OURS = frozenset({"ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight"})
_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


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
        lost: The message is not hidden any more; others may have it.
        lock: Held while the message is renewed or ended, so neither undoes the other.
    """

    id: str
    handle: str
    body: str
    receives: int
    received: float
    renewed: float
    lost: bool = False
    warned: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def raw(self) -> bytes:
        """The body as bytes, for dead letters."""
        return self.body.encode("utf-8", "surrogatepass")


class SqsMessages:
    """Receives the messages of one queue and keeps them hidden until they are ended."""

    def __init__(
        self,
        client: Any,
        queue_url: str,
        visibility: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use *client* for the queue; a message is hidden for *visibility* seconds at a time."""
        self._client = client
        self.queue_url = queue_url
        self._visibility = visibility
        self._clock = clock
        self._held: dict[str, QueueMessage] = {}  # by handle
        self._undeleted: list[QueueMessage] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def held(self) -> int:
        """How many messages are in our hands."""
        return len(self._held)

    def receive(self, wait: int) -> Sequence[QueueMessage]:
        """Return up to ten messages, waiting up to *wait* seconds for the first.

        Raises:
            SourceError: SQS could not be asked.
        """
        try:
            answer = self._client.receive_message(
                QueueUrl=self.queue_url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=wait,
                VisibilityTimeout=self._visibility,
                AttributeNames=["ApproximateReceiveCount"],
            )
        except (ClientError, BotoCoreError) as error:
            raise self._error(error) from error
        now = self._clock()
        received = [
            QueueMessage(
                item["MessageId"],
                item["ReceiptHandle"],
                item["Body"],
                int(item.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
                now,
                now,
            )
            for item in answer.get("Messages", [])
        ]
        self._held.update((message.handle, message) for message in received)
        if received and self._thread is None:
            self._thread = threading.Thread(target=self._renew_on, name="sqs-heartbeat")
            self._thread.daemon = True
            self._thread.start()
        return received

    def delete(self, message: QueueMessage) -> None:
        """Delete a message for good; if SQS does not answer, ``delete_again`` does."""
        with message.lock:
            try:
                self._client.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message.handle)
            except (ClientError, BotoCoreError) as error:
                if _code(error) not in _NOT_OURS:
                    log.warning("%s (the message will be deleted later)", self._error(error))
                    self._undeleted.append(message)
                    return
            self._held.pop(message.handle, None)

    def delete_again(self) -> None:
        """Delete the messages that could not be deleted before."""
        undeleted, self._undeleted = self._undeleted, []
        for message in undeleted:
            self.delete(message)

    def give_back(self, message: QueueMessage, delay: float = 0.0) -> None:
        """Make a message visible again after *delay* seconds, or at once."""
        with message.lock:
            self._held.pop(message.handle, None)
            if message.lost:
                return
            try:
                self._hide(message, int(delay))
            except (ClientError, BotoCoreError) as error:
                # It becomes visible by itself once the timeout ends.
                log.info("%s: message %s not given back: %s", self.queue_url, message.id, error)

    def count(self) -> int:
        """Return about how many messages the queue holds, hidden and delayed ones included.

        Raises:
            SourceError: SQS could not be asked.
        """
        try:
            answer = self._client.get_queue_attributes(
                QueueUrl=self.queue_url, AttributeNames=list(_COUNTS)
            )
        except (ClientError, BotoCoreError) as error:
            raise self._error(error) from error
        return sum(int(answer["Attributes"].get(name, 0)) for name in _COUNTS)

    def give_back_all(self) -> None:
        """Give back every message in our hands that is not settled."""
        self.delete_again()
        for message in list(self._held.values()):
            if message not in self._undeleted:
                self.give_back(message)

    def close(self) -> None:
        """Give back every message in our hands and end the heartbeat.  Safe to call twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
            self._thread = None
        self.give_back_all()
        self._client.close()

    def renew(self) -> None:
        """Hide every message anew whose visibility timeout is half over."""
        for message in list(self._held.values()):
            now = self._clock()
            if message.lost or now - message.renewed < self._visibility / 2:
                continue
            left = int(message.received + LONGEST - now)
            with message.lock:
                if message.handle not in self._held:
                    continue
                if left < 1:
                    log.warning("%s: message %s held for 12 h", self.queue_url, message.id)
                    message.lost = True
                    continue
                self._renew_one(message, min(self._visibility, left))

    def _renew_on(self) -> None:
        while not self._stop.wait(min(self._visibility / 8, 5.0)):
            self.renew()

    def _renew_one(self, message: QueueMessage, seconds: int) -> None:
        now = self._clock()
        try:
            self._hide(message, seconds)
        except (ClientError, BotoCoreError) as error:
            if _code(error) in _NOT_OURS:
                log.info("%s: message %s is not ours any more", self.queue_url, message.id)
                message.lost = True
            elif not message.warned:
                log.warning("%s (will be tried again)", self._error(error))
                message.warned = True
            return
        message.renewed = now

    def _hide(self, message: QueueMessage, seconds: int) -> None:
        self._client.change_message_visibility(
            QueueUrl=self.queue_url, ReceiptHandle=message.handle, VisibilityTimeout=seconds
        )

    def _error(self, error: Exception) -> SourceError:
        if not isinstance(error, ClientError):
            return SourceError(f"{self.queue_url}: {type(error).__name__}: {error}")
        message = error.response.get("Error", {}).get("Message", "")
        return SourceError(f"{self.queue_url}: {_code(error)}: {message}")


def _code(error: Exception) -> str:
    """Return the error code as both of SQS's protocols spell it."""
    if not isinstance(error, ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", "")).rpartition(".")[2]
