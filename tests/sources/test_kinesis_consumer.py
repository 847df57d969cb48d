from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from cloudfront_ecs.batches import Message
from cloudfront_ecs.sources.kinesis.consumer import KinesisConsumer
from cloudfront_ecs.sources.kinesis.stream import LATEST, TRIM_HORIZON, Position
from sources.kpl import aggregate
from sources.scripted_kinesis import ARN, client_error

if TYPE_CHECKING:
    from collections.abc import Iterator

CONSUMER = f"{ARN}/consumer/us:1700000000"


class EventStream:
    """Events of a subscription; an exception is raised in its turn."""

    def __init__(self, *events: dict[str, Any] | Exception) -> None:
        self.events = list(events)
        self.closed = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while self.events:
            event = self.events.pop(0)
            if isinstance(event, Exception):
                raise event
            yield event

    def close(self) -> None:
        self.closed = True


class ScriptedClient:
    """Answers calls by name and remembers what was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(**asked: Any) -> Any:
            self.asked.append((name, asked))
            answer = self.answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def event(*records: dict[str, Any], **told: Any) -> dict[str, Any]:
    return {"SubscribeToShardEvent": {"Records": list(records), "MillisBehindLatest": 0, **told}}


def described(status: str) -> dict[str, Any]:
    return {"ConsumerDescription": {"ConsumerARN": CONSUMER, "ConsumerStatus": status}}


def test_an_event_is_a_page_that_goes_on_at_its_continuation() -> None:
    record = {"Data": aggregate([b"a\n", b"b\n"]), "SequenceNumber": "7"}
    stream = EventStream(
        event(record, ContinuationSequenceNumber="9", MillisBehindLatest=1500),
        event(ContinuationSequenceNumber="12"),
    )
    client = ScriptedClient(subscribe_to_shard={"EventStream": stream})

    first, second = KinesisConsumer(client, "us").events(CONSUMER, "a", TRIM_HORIZON)

    assert first.messages == [Message(b"a\n", "7:0"), Message(b"b\n", "7:1")]
    assert (first.iterator, first.behind, first.size) == ("9", 1.5, len(record["Data"]))
    assert (second.messages, second.iterator) == ([], "12")
    assert stream.closed


def test_child_shards_end_a_shard() -> None:
    end = event({"Data": b"z\n", "SequenceNumber": "7"}, ChildShards=[{"ShardId": "b"}])
    stream = EventStream(event(ContinuationSequenceNumber="5"), end, event())
    client = ScriptedClient(subscribe_to_shard={"EventStream": stream})

    pages = list(KinesisConsumer(client, "us").events(CONSUMER, "a", TRIM_HORIZON))

    assert [page.iterator for page in pages] == ["5", None]
    assert [message.data for message in pages[1].messages] == [b"z\n"]


def test_an_event_without_a_continuation_ends_nothing() -> None:
    stream = EventStream(event(), {"SomethingNew": {}}, event(ContinuationSequenceNumber="5"))
    client = ScriptedClient(subscribe_to_shard={"EventStream": stream})
    position = Position("AFTER_SEQUENCE_NUMBER", "3")

    pages = KinesisConsumer(client, "us").events(CONSUMER, "a", position)

    assert [page.iterator for page in pages] == ["3", "5"]


def test_an_error_among_the_events_is_raised_and_the_connection_closed() -> None:
    stream = EventStream(event(), client_error("InternalFailureException"))
    client = ScriptedClient(subscribe_to_shard={"EventStream": stream})

    with pytest.raises(ClientError):
        list(KinesisConsumer(client, "us").events(CONSUMER, "a", TRIM_HORIZON))

    assert stream.closed


@pytest.mark.parametrize(
    ("position", "starting"),
    [
        (TRIM_HORIZON, {"Type": "TRIM_HORIZON"}),
        (LATEST, {"Type": "LATEST"}),
        (
            Position("AFTER_SEQUENCE_NUMBER", "49"),
            {"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": "49"},
        ),
        (
            Position.at(1_700_000_000.5),
            {
                "Type": "AT_TIMESTAMP",
                "Timestamp": datetime(2023, 11, 14, 22, 13, 20, 500_000, UTC),
            },
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, Position) else "",
)
def test_a_subscription_begins_at_a_position(position: Position, starting: dict[str, Any]) -> None:
    client = ScriptedClient(subscribe_to_shard={"EventStream": EventStream()})

    assert list(KinesisConsumer(client, "us").events(CONSUMER, "a", position)) == []

    asked = {"ConsumerARN": CONSUMER, "ShardId": "a", "StartingPosition": starting}
    assert client.asked == [("subscribe_to_shard", asked)]


@pytest.mark.parametrize(
    ("status", "arn"), [("ACTIVE", CONSUMER), ("CREATING", None), ("DELETING", None)]
)
def test_only_an_active_consumer_is_ready(status: str, arn: str | None) -> None:
    client = ScriptedClient(describe_stream_consumer=described(status))

    assert KinesisConsumer(client, "us").ready(ARN) == arn
    assert client.asked == [("describe_stream_consumer", {"StreamARN": ARN, "ConsumerName": "us"})]


@pytest.mark.parametrize("answer", [{}, client_error("ResourceInUseException")], ids=["", "raced"])
def test_a_name_that_nobody_has_is_registered(answer: Any) -> None:
    missing = client_error("ResourceNotFoundException")
    client = ScriptedClient(describe_stream_consumer=missing, register_stream_consumer=answer)

    assert KinesisConsumer(client, "us").ready(ARN) is None
    assert client.asked[1] == (
        "register_stream_consumer",
        {"StreamARN": ARN, "ConsumerName": "us"},
    )


def test_an_arn_that_is_not_there_is_never_registered() -> None:
    client = ScriptedClient(describe_stream_consumer=client_error("ResourceNotFoundException"))

    with pytest.raises(ClientError, match="ResourceNotFound"):
        KinesisConsumer(client, CONSUMER).ready(ARN)

    assert client.asked == [("describe_stream_consumer", {"ConsumerARN": CONSUMER})]


def test_too_many_consumers_are_told() -> None:
    client = ScriptedClient(
        describe_stream_consumer=client_error("ResourceNotFoundException"),
        register_stream_consumer=client_error("LimitExceededException"),
    )

    with pytest.raises(ClientError, match="LimitExceeded"):
        KinesisConsumer(client, "us").ready(ARN)
