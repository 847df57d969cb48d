from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from botocore.parsers import ResponseParserError

from cloudfront_ecs.batches import Message
from cloudfront_ecs.sources.kinesis.shards import Pace
from cloudfront_ecs.sources.kinesis.stream import (
    TRIM_HORIZON,
    KinesisStream,
    Position,
    Shard,
    Trouble,
    trouble,
)
from sources.scripted_kinesis import ARN, client_error


class ScriptedClient:
    """Answers calls from a list and remembers what was asked."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        def call(**asked: Any) -> dict[str, Any]:
            self.asked.append(asked)
            return self.answers.pop(0)

        return call


def told(shard_id: str, **more: Any) -> dict[str, Any]:
    return {"ShardId": shard_id, "SequenceNumberRange": {"StartingSequenceNumber": "1"}, **more}


def test_later_pages_of_the_listing_are_asked_for_by_token_alone() -> None:
    closed = {"SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": "9"}}
    client = ScriptedClient(
        {"Shards": [told("a", **closed)], "NextToken": "more"},
        {"Shards": [told("b", ParentShardId="a", AdjacentParentShardId="z")]},
    )

    shards = KinesisStream(client, "edge").shards()

    assert shards == {"a": Shard("a", closed=True), "b": Shard("b", ("a", "z"))}
    assert client.asked == [
        {"StreamName": "edge", "MaxResults": 1000},
        {"NextToken": "more", "MaxResults": 1000},
    ]


def test_a_stream_given_by_arn_is_asked_for_by_arn() -> None:
    client = ScriptedClient({"ShardIterator": "i"}, {"Records": []})
    stream = KinesisStream(client, ARN)

    stream.iterator("a", TRIM_HORIZON)
    stream.records("i", 10)

    assert [asked["StreamARN"] for asked in client.asked] == [ARN, ARN]
    assert not any("StreamName" in asked for asked in client.asked)


def test_a_record_may_lack_partition_key_and_arrival() -> None:
    arrived = datetime(2026, 1, 31, tzinfo=UTC)
    record = {"Data": b"x\n", "SequenceNumber": "12", "ApproximateArrivalTimestamp": arrived}
    client = ScriptedClient(
        {
            "Records": [record, {"Data": b"\xff", "SequenceNumber": "13"}],
            "NextShardIterator": "next",
            "MillisBehindLatest": 1500,
        }
    )

    page = KinesisStream(client, "edge").records("i", 10)

    assert page.messages == [
        Message(b"x\n", "12", arrived.timestamp()),
        Message(b"\xff", "13", None),
    ]
    assert (page.iterator, page.behind, page.size) == ("next", 1.5, 3)


def test_the_end_of_a_shard_is_a_page_without_iterator() -> None:
    page = KinesisStream(ScriptedClient({"Records": []}), "edge").records("i", 10)

    assert page.iterator is None


@pytest.mark.parametrize(
    ("position", "text"),
    [
        (TRIM_HORIZON, "trim_horizon"),
        (Position("AT_TIMESTAMP", "1700000000.500"), "@1700000000.500"),
        (Position("AFTER_SEQUENCE_NUMBER", "4968", 1.5), "4968"),
    ],
)
def test_positions_survive_being_stored(position: Position, text: str) -> None:
    assert position.text() == text
    assert Position.parse(text, position.arrived) == position


def test_latest_is_stored_as_a_time() -> None:
    assert Position("LATEST", "1700000000.000").text() == "@1700000000.000"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client_error("ProvisionedThroughputExceededException"), Trouble.THROTTLED),
        (client_error("KMSThrottlingException"), Trouble.THROTTLED),
        (client_error("ExpiredIteratorException"), Trouble.EXPIRED),
        (client_error("InvalidArgumentException"), Trouble.INVALID),
        (client_error("ResourceNotFoundException"), Trouble.MISSING),
        (client_error("InternalFailureException", 500), Trouble.PASSING),
        (client_error("ServiceUnavailable", 503), Trouble.PASSING),
        (client_error("AccessDeniedException"), Trouble.BLOCKED),
        (client_error("KMSAccessDeniedException"), Trouble.BLOCKED),
        (client_error("ExpiredTokenException"), Trouble.BLOCKED),
        (NoCredentialsError(), Trouble.BLOCKED),
        (EndpointConnectionError(endpoint_url="http://x"), Trouble.PASSING),
        (ResponseParserError("cut"), Trouble.PASSING),
    ],
    ids=repr,
)
def test_every_error_is_a_kind_of_trouble(error: Exception, kind: Trouble) -> None:
    assert trouble(error) is kind


def test_an_error_of_our_own_is_no_trouble() -> None:
    with pytest.raises(KeyError):
        trouble(KeyError("x"))


def test_pauses_grow_with_jitter_up_to_a_limit() -> None:
    pace = Pace(interval=0.2, longest_pause=30)

    early = [pace.pause(1) for _ in range(200)]
    late = [pace.pause(10_000) for _ in range(200)]

    assert 0.2 <= min(early) <= max(early) <= 0.6
    assert max(early) - min(early) > 0.1
    assert max(late) <= 30.2
    assert max(late) > 15
