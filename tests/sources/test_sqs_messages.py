from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from cloudfront_ecs.errors import CloudFrontEcsError, SourceError
from cloudfront_ecs.sources.sqs.calls import SqsCalls
from cloudfront_ecs.sources.sqs.messages import LONGEST, MARGIN, QueueMessage, SqsMessages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUEUE = "https://sqs.eu-central-1.amazonaws.com/210987654321/logs"


@dataclass
class Queue:
    """An SQS client that gives *messages* at a time and notes what it is asked.

    It answers with *error* as a whole, or for the handles in *codes* alone.
    """

    messages: int = 1
    error: Exception | None = None
    codes: dict[str, str] = field(default_factory=dict)
    hidden: list[tuple[str, int]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    requests: int = 0
    received: int = 0
    closed: bool = False

    def receive_message(self, **_: Any) -> dict[str, Any]:
        self._fail()
        numbers = range(self.received, self.received + self.messages)
        self.received += self.messages
        return {
            "Messages": [
                {"MessageId": f"m{n}", "ReceiptHandle": f"h{n}", "Body": "{}"} for n in numbers
            ]
        }

    def change_message_visibility_batch(self, **request: Any) -> dict[str, Any]:
        self.hidden += [(e["ReceiptHandle"], e["VisibilityTimeout"]) for e in request["Entries"]]
        return self._answer(request)

    def delete_message_batch(self, **request: Any) -> dict[str, Any]:
        self.deleted += [entry["ReceiptHandle"] for entry in request["Entries"]]
        return self._answer(request)

    def close(self) -> None:
        self.closed = True

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        assert request["QueueUrl"] == QUEUE
        assert len(request["Entries"]) <= 10
        self.requests += 1
        self._fail()
        answer: dict[str, Any] = {"Successful": [], "Failed": []}
        for entry in request["Entries"]:
            code = self.codes.get(entry["ReceiptHandle"])
            told = {"Id": entry["Id"]}
            if code is None:
                answer["Successful"].append(told)
            else:
                answer["Failed"].append({**told, "Code": code, "SenderFault": False})
        return answer

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class StillMessages(SqsMessages):
    """Messages whose thread never runs: the test calls ``renew`` and ``tell`` itself."""

    def _keep(self) -> None:
        pass

    def flush(self, timeout: float) -> bool:  # noqa: ARG002 - nobody could do anything meanwhile
        return True


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
    messages = StillMessages(SqsCalls(queue, QUEUE), 10_000, clock)
    messages._backoff.base = 0.0
    yield messages
    messages.close()


def test_a_message_is_renewed_at_half_its_timeout(
    queue: Queue, clock: Clock, messages: SqsMessages
) -> None:
    messages.receive(0)

    for seconds in (4_999, 1, 4_999, 1):
        clock.now += seconds
        messages.renew()

    assert queue.hidden == [("h0", 10_000)] * 2


def test_many_messages_are_renewed_ten_in_a_request(
    queue: Queue, clock: Clock, messages: SqsMessages
) -> None:
    queue.messages = 10
    for _ in range(3):
        messages.receive(0)
    clock.now += 5_000

    messages.renew()

    assert len(queue.hidden) == 30
    assert queue.requests == 3


def test_before_twelve_hours_are_over_a_message_is_given_back_and_never_hidden_again(
    queue: Queue, clock: Clock, messages: SqsMessages, caplog: pytest.LogCaptureFixture
) -> None:
    (message,) = messages.receive(0)
    begun = clock.now

    while clock.now < begun + 2 * LONGEST:
        clock.now += 30
        messages.renew()
        if message.lost and clock.now < begun + LONGEST:
            lost, begun = clock.now - begun, begun - LONGEST

    assert LONGEST - MARGIN <= lost < LONGEST
    *renewals, last = [seconds for _, seconds in queue.hidden]
    assert renewals[:6] == [10_000] * 6
    assert max(renewals[6:]) < 10_000
    assert last == 0
    assert "was held for 12 h" in caplog.text
    count = len(queue.hidden)
    messages.give_back(message)
    messages.tell()
    assert len(queue.hidden) == count, "a message that is not hidden is not given back again"


def test_no_renewal_reaches_beyond_twelve_hours(
    queue: Queue, clock: Clock, messages: SqsMessages
) -> None:
    messages.receive(0)
    begun = clock.now
    ends = []

    while clock.now < begun + LONGEST:
        clock.now += 100
        before = len(queue.hidden)
        messages.renew()
        ends += [clock.now - begun + seconds for _, seconds in queue.hidden[before:]]

    assert max(ends) <= LONGEST
    assert ends[-1] >= LONGEST - MARGIN - 100, "it is kept for as long as can be"


@pytest.mark.parametrize(
    "code",
    [
        "ReceiptHandleIsInvalid",
        "InvalidParameterValue",
        "AWS.SimpleQueueService.MessageNotInflight",
    ],
)
@pytest.mark.parametrize("blamed", ["entry", "request"])
def test_renewing_ends_when_the_message_is_not_ours(
    queue: Queue, clock: Clock, messages: SqsMessages, code: str, blamed: str
) -> None:
    (message,) = messages.receive(0)
    if blamed == "request":
        queue.error = refused(code)
    else:
        queue.codes = {"h0": code}

    for _ in range(3):
        clock.now += 5_000
        messages.renew()

    assert len(queue.hidden) == 1
    assert message.lost
    queue.error = None
    messages.delete(message)
    messages.tell()
    assert queue.deleted == ["h0"], "deleting it is harmless, and right if nobody has it yet"
    assert messages.held == 0


def test_one_lost_message_does_not_cost_the_others_their_renewal(
    queue: Queue, clock: Clock, messages: SqsMessages
) -> None:
    queue.messages = 3
    received = messages.receive(0)
    queue.codes = {"h1": "ReceiptHandleIsInvalid"}
    clock.now += 5_000

    messages.renew()

    assert [message.lost for message in received] == [False, True, False]
    assert [message.renewed for message in received] == [6_000.0, 1_000.0, 6_000.0]


def test_where_sqs_blames_a_whole_request_each_message_is_asked_for_alone(
    queue: Queue, clock: Clock, messages: SqsMessages, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.messages = 3
    received = messages.receive(0)
    answer = queue._answer

    def blaming(request: dict[str, Any]) -> dict[str, Any]:
        if any(entry["ReceiptHandle"] == "h1" for entry in request["Entries"]):
            raise refused("InvalidParameterValue")
        return answer(request)

    monkeypatch.setattr(queue, "_answer", blaming)
    clock.now += 5_000

    messages.renew()

    assert [message.lost for message in received] == [False, True, False]


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

    assert queue.hidden == [("h0", 10_000)] * 2
    assert not message.lost


def test_a_message_that_goes_back_is_never_hidden_again(
    queue: Queue, clock: Clock, messages: SqsMessages
) -> None:
    (message,) = messages.receive(0)
    messages.give_back(message, 3.9)
    clock.now += 9_000
    messages.renew()

    messages.tell()
    messages.renew()

    assert queue.hidden == [("h0", 3)]
    assert messages.held == 0


@pytest.mark.parametrize("end", [SqsMessages.delete, SqsMessages.give_back])
def test_a_message_ends_once(
    queue: Queue, messages: SqsMessages, end: Callable[[SqsMessages, QueueMessage], None]
) -> None:
    (message,) = messages.receive(0)
    end(messages, message)

    messages.delete(message)
    messages.give_back(message)
    messages.tell()
    messages.tell()

    assert len(queue.deleted) + len(queue.hidden) == 1


def test_what_sqs_does_not_take_is_told_again_and_nothing_else(
    queue: Queue, messages: SqsMessages
) -> None:
    queue.messages = 4
    for message in messages.receive(0)[:3]:
        messages.delete(message)
    queue.codes = {"h1": "InternalError", "h2": "ReceiptHandleIsInvalid"}

    messages.tell()
    assert messages.held == 2
    queue.codes = {}
    messages.tell()

    assert queue.deleted == ["h0", "h1", "h2", "h1"]
    assert messages.held == 1


def test_a_request_that_fails_is_made_again_for_all(queue: Queue, messages: SqsMessages) -> None:
    queue.messages = 2
    first, second = messages.receive(0)
    messages.delete(first)
    messages.give_back(second)
    queue.error = ConnectTimeoutError(endpoint_url="x")
    messages.tell()
    assert messages.held == 2

    queue.error = None
    messages.tell()

    assert queue.deleted == ["h0", "h0"]
    assert queue.hidden == [("h1", 0)] * 2
    assert messages.held == 0


def test_an_undeleted_message_stays_hidden(
    queue: Queue, clock: Clock, messages: SqsMessages
) -> None:
    (message,) = messages.receive(0)
    messages.delete(message)
    queue.codes = {"h0": "InternalError"}
    messages.tell()
    queue.codes = {}
    clock.now += 5_000

    messages.renew()

    assert queue.hidden == [("h0", 10_000)]


def test_what_is_received_after_all_was_given_back_goes_back_at_once(
    queue: Queue, messages: SqsMessages
) -> None:
    messages.give_back_all()

    assert messages.receive(0) == []

    assert queue.hidden == [("h0", 0)]
    assert messages.held == 0


def test_closing_deletes_what_is_settled_and_gives_back_the_rest(queue: Queue) -> None:
    queue.messages = 25
    messages = SqsMessages(SqsCalls(queue, QUEUE), 120)
    received = messages.receive(0)
    for message in received[:12]:
        messages.delete(message)

    messages.close()
    messages.close()

    assert sorted(queue.deleted) == sorted(message.handle for message in received[:12])
    assert sorted(queue.hidden) == sorted((message.handle, 0) for message in received[12:])
    assert queue.closed


def test_closing_does_not_wait_for_a_queue_that_does_not_answer(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("cloudfront_ecs.sources.sqs.messages.FAREWELL", 0.2)
    messages = SqsMessages(SqsCalls(queue, QUEUE), 120)
    messages.receive(0)
    queue.error = ConnectTimeoutError(endpoint_url="x")

    messages.close()

    assert "was not told of 1 messages" in caplog.text
    assert queue.closed


def test_a_defect_of_the_keeper_is_told_and_not_only_logged(queue: Queue) -> None:
    messages = SqsMessages(SqsCalls(queue, QUEUE), 120)
    [message] = messages.receive(0)
    messages.check()
    queue.error = KeyError("Successful")
    messages.delete(message)
    deadline = time.monotonic() + 5
    while messages._defect is None and time.monotonic() < deadline:
        time.sleep(0.01)

    with pytest.raises(CloudFrontEcsError, match=r"a defect \(KeyError, see the log\)"):
        messages.check()


def test_an_error_names_the_queue_and_the_code(queue: Queue, messages: SqsMessages) -> None:
    queue.error = refused("AWS.SimpleQueueService.NonExistentQueue")

    with pytest.raises(SourceError, match=f"^{QUEUE}: NonExistentQueue: so it is$"):
        messages.receive(0)
