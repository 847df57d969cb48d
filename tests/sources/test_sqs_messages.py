from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from cloudfront_ecs.errors import SourceError
from cloudfront_ecs.sources.sqs_messages import LONGEST, SqsMessages

if TYPE_CHECKING:
    from collections.abc import Iterator

QUEUE = "https://sqs.eu-central-1.amazonaws.com/210987654321/logs"


@dataclass
class Queue:
    """An SQS client of one message that notes what it is asked and answers with *error*."""

    error: Exception | None = None
    hidden: list[tuple[str, int]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    closed: bool = False

    def receive_message(self, **_: Any) -> dict[str, Any]:
        self._fail()
        return {"Messages": [{"MessageId": "m", "ReceiptHandle": "h", "Body": "{}"}]}

    def change_message_visibility(self, **request: Any) -> None:
        assert request["QueueUrl"] == QUEUE
        self.hidden.append((request["ReceiptHandle"], request["VisibilityTimeout"]))
        self._fail()

    def delete_message(self, **request: Any) -> None:
        assert request["QueueUrl"] == QUEUE
        self.deleted.append(request["ReceiptHandle"])
        self._fail()

    def close(self) -> None:
        self.closed = True

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "so it is"}}, "Operation")


@pytest.fixture(name="queue")
def _queue() -> Queue:
    return Queue()


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="messages")
def _messages(queue: Queue, clock: Clock) -> Iterator[SqsMessages]:
    messages = SqsMessages(queue, QUEUE, 10_000, clock)
    yield messages
    queue.error = None
    messages.close()


def test_a_message_is_renewed_at_half_its_timeout(
    queue: Queue, clock: Clock, messages: SqsMessages
) -> None:
    messages.receive(0)

    for seconds in (4_999, 1, 4_999, 1):
        clock.now += seconds
        messages.renew()

    assert queue.hidden == [("h", 10_000)] * 2


def test_renewing_ends_before_twelve_hours(
    queue: Queue, clock: Clock, messages: SqsMessages
) -> None:
    (message,) = messages.receive(0)

    for _ in range(20):
        clock.now += 5_000
        messages.renew()

    assert [seconds for _, seconds in queue.hidden] == [10_000] * 6 + [8_200, 3_200]
    assert sum(5_000 for _ in queue.hidden) < LONGEST
    assert message.lost
    messages.give_back(message)
    assert len(queue.hidden) == 8, "a message that is not hidden is not given back"


@pytest.mark.parametrize(
    "code",
    [
        "ReceiptHandleIsInvalid",
        "InvalidParameterValue",
        "AWS.SimpleQueueService.MessageNotInflight",
    ],
)
def test_renewing_ends_when_the_message_is_not_ours(
    queue: Queue, clock: Clock, messages: SqsMessages, code: str
) -> None:
    (message,) = messages.receive(0)
    queue.error = refused(code)

    for _ in range(3):
        clock.now += 5_000
        messages.renew()

    assert len(queue.hidden) == 1
    assert message.lost
    queue.error = None
    messages.delete(message)
    assert queue.deleted == ["h"], "deleting it is harmless, and right if nobody has it yet"


@pytest.mark.parametrize("error", [refused("Throttled"), ConnectTimeoutError(endpoint_url="x")])
def test_renewing_is_tried_again_after_other_errors(
    queue: Queue, clock: Clock, messages: SqsMessages, error: Exception
) -> None:
    (message,) = messages.receive(0)
    queue.error = error
    clock.now += 5_000
    messages.renew()

    queue.error = None
    messages.renew()
    messages.renew()

    assert queue.hidden == [("h", 10_000)] * 2
    assert not message.lost


def test_a_message_that_has_ended_is_never_hidden_again(
    queue: Queue, clock: Clock, messages: SqsMessages
) -> None:
    (message,) = messages.receive(0)
    messages.give_back(message)

    clock.now += 9_000
    messages.renew()

    assert queue.hidden == [("h", 0)]
    assert messages.held == 0


def test_a_delete_is_tried_until_sqs_answers(queue: Queue, messages: SqsMessages) -> None:
    (message,) = messages.receive(0)
    queue.error = ConnectTimeoutError(endpoint_url="x")
    messages.delete(message)
    assert messages.held == 1

    queue.error = refused("ReceiptHandleIsInvalid")
    messages.delete_again()

    assert queue.deleted == ["h", "h"]
    assert messages.held == 0


def test_closing_deletes_what_is_settled_and_gives_back_the_rest(
    queue: Queue, messages: SqsMessages
) -> None:
    (message,) = messages.receive(0)
    queue.error = refused("InternalError")
    messages.delete(message)
    queue.error = None

    messages.close()

    assert queue.deleted == ["h", "h"]
    assert queue.hidden == []
    assert queue.closed


def test_an_error_names_the_queue_and_the_code(queue: Queue, messages: SqsMessages) -> None:
    queue.error = refused("AWS.SimpleQueueService.NonExistentQueue")

    with pytest.raises(SourceError, match=f"^{QUEUE}: NonExistentQueue: so it is$"):
        messages.receive(0)
