from __future__ import annotations

import json
from typing import Any

import pytest

from cloudfront_ecs.errors import PayloadError
from cloudfront_ecs.sources.s3.notices import read_notice
from cloudfront_ecs.sources.s3.objects import StoredObject
from sources.s3_world import record

TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "logs"}


def sns(message: object, kind: str = "Notification") -> str:
    inner = message if isinstance(message, str) else json.dumps(message)
    topic = "arn:aws:sns:eu-west-1:210987654321:logs"
    return json.dumps({"Type": kind, "MessageId": "1", "TopicArn": topic, "Message": inner})


def eventbridge(key: str, kind: str = "Object Created", **changes: Any) -> dict[str, Any]:
    stored = {"key": key, "size": 7, "etag": "e7", "version-id": "v7", **changes}
    detail = {"version": "0", "bucket": {"name": "logs"}, "object": stored}
    return {"version": "0", "source": "aws.s3", "detail-type": kind, "detail": detail}


CLOUDTRAIL = {"s3Bucket": "trail", "s3ObjectKey": ["AWSLogs/1/a%2Bb c.json.gz", "d"]}


@pytest.mark.parametrize(
    ("body", "objects"),
    [
        pytest.param(
            json.dumps({"Records": [record("logs", "a", versionId="v1", eTag="e1", size=3)]}),
            [StoredObject("logs", "a", "v1", "e1", 3)],
            id="direct",
        ),
        pytest.param(
            json.dumps({"Records": [record("logs", "a"), record("more", "b")]}),
            [StoredObject("logs", "a"), StoredObject("more", "b")],
            id="several-records",
        ),
        pytest.param(
            json.dumps({"Records": [record("logs", "a"), record("logs", "a")]}),
            [StoredObject("logs", "a")],
            id="the-same-object-twice",
        ),
        pytest.param(
            sns({"Records": [record("logs", "a", eTag='"e"')]}),
            [StoredObject("logs", "a", None, "e")],
            id="in-an-sns-envelope",
        ),
        pytest.param(
            json.dumps(eventbridge("year=2026/a+b%2B ü.gz")),
            [StoredObject("logs", "year=2026/a+b%2B ü.gz", "v7", "e7", 7)],
            id="eventbridge-keys-stand-as-they-are",
        ),
        pytest.param(
            json.dumps(eventbridge("a", **{"version-id": "null"})),
            [StoredObject("logs", "a", None, "e7", 7)],
            id="eventbridge-of-a-bucket-without-versions",
        ),
        pytest.param(
            sns(eventbridge("a")),
            [StoredObject("logs", "a", "v7", "e7", 7)],
            id="eventbridge-through-sns",
        ),
        pytest.param(
            sns(CLOUDTRAIL),
            [StoredObject("trail", "AWSLogs/1/a%2Bb c.json.gz"), StoredObject("trail", "d")],
            id="cloudtrail-keys-stand-as-they-are",
        ),
        pytest.param(
            json.dumps(CLOUDTRAIL),
            [StoredObject("trail", "AWSLogs/1/a%2Bb c.json.gz"), StoredObject("trail", "d")],
            id="cloudtrail-raw",
        ),
    ],
)
def test_every_shape_names_its_objects(body: str, objects: list[StoredObject]) -> None:
    notice = read_notice(body)

    assert list(notice.objects) == objects
    assert notice.unreadable is None


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        pytest.param("a+b", "a b", id="plus-is-a-space"),
        pytest.param("a%2Bb", "a+b", id="encoded-plus"),
        pytest.param("a%252Bb", "a%2Bb", id="decoded-once-only"),
        pytest.param("year%3D2026/x", "year=2026/x", id="hive"),
        pytest.param("%C3%BC%E2%82%AC%2Fx", "ü€/x", id="unicode-and-slash"),
        pytest.param("ü", "ü", id="not-encoded-unicode"),
    ],
)
def test_keys_of_s3_records_are_decoded_once(encoded: str, key: str) -> None:
    (stored,) = read_notice(json.dumps({"Records": [record("logs", encoded)]})).objects

    assert stored.key == key


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(json.dumps(TEST_EVENT), id="test-event"),
        pytest.param(sns(TEST_EVENT), id="test-event-through-sns"),
        pytest.param(sns("CloudTrail validation message."), id="cloudtrail-validation"),
        pytest.param(sns("bye", "UnsubscribeConfirmation"), id="unsubscribed"),
        pytest.param(json.dumps(eventbridge("a", "Object Deleted")), id="eventbridge-deleted"),
        pytest.param(json.dumps({"Records": []}), id="no-records"),
        pytest.param(
            json.dumps({"Records": [record("logs", "a") | {"eventName": "ObjectRemoved:Delete"}]}),
            id="deleted",
        ),
        pytest.param(
            json.dumps({"Records": [record("logs", "AWSLogs/1/CloudTrail-Digest/x.json.gz")]}),
            id="digest",
        ),
        pytest.param(json.dumps({"Records": [record("logs", "cdn%2F", size=0)]}), id="folder"),
    ],
)
def test_other_messages_ask_for_nothing(body: str) -> None:
    notice = read_notice(body)

    assert notice.objects == ()
    assert notice.unreadable is None


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param("", "not JSON", id="empty"),
        pytest.param("hello", "not JSON", id="text"),
        pytest.param("\ud800", "not JSON", id="half-a-character"),
        pytest.param("[" * 100_000, "not JSON", id="deep"),
        pytest.param("[]", "expected a JSON object", id="list"),
        pytest.param("{}", "neither", id="empty-object"),
        pytest.param('{"Records": 7}', "expected a list", id="records-no-list"),
        pytest.param('{"Records": [7]}', "expected a JSON object", id="record-no-object"),
        pytest.param('{"Records": [{"eventVersion": "2.1"}]}', "eventName", id="no-event"),
        pytest.param(
            json.dumps({"Records": [record("logs", "a") | {"eventVersion": "3.0"}]}),
            "eventVersion '3.0'",
            id="next-major-version",
        ),
        pytest.param(json.dumps({"Records": [record("logs", "")]}), "key", id="no-key"),
        pytest.param(json.dumps({"Records": [record("logs", "%FF")]}), "UTF-8", id="not-utf-8"),
        pytest.param(json.dumps({"Records": [record("", "a")]}), "name", id="no-bucket"),
        pytest.param(sns("hello"), "SNS message: is not JSON", id="sns-text"),
        pytest.param(sns("x", "SubscriptionConfirmation"), "SubscribeURL", id="sns-confirmation"),
        pytest.param(json.dumps(eventbridge("a", "AWS API Call")), "AWS API Call", id="api-call"),
        pytest.param('{"source": "aws.s3", "detail-type": "Object Created"}', "name", id="bare"),
        pytest.param('{"s3Bucket": "b", "s3ObjectKey": "k"}', "expected a list", id="one-key"),
        pytest.param('{"s3Bucket": "b", "s3ObjectKey": [7]}', "s3ObjectKey", id="key-no-text"),
    ],
)
def test_an_unreadable_message_keeps_its_bytes(body: str, problem: str) -> None:
    with pytest.raises(PayloadError, match=problem) as caught:
        read_notice(body)

    assert caught.value.reason == "notice"
    assert caught.value.raw == body.encode("utf-8", "surrogatepass")


def test_one_bad_record_does_not_hide_the_good_ones() -> None:
    body = json.dumps({"Records": [record("logs", "a"), {"eventName": 1}, record("logs", "b")]})

    notice = read_notice(body)

    assert [stored.key for stored in notice.objects] == ["a", "b"]
    assert notice.unreadable is not None
    assert notice.unreadable.raw == body.encode()


@pytest.mark.parametrize(
    ("body", "skipped"),
    [
        pytest.param(json.dumps(TEST_EVENT), {"no_event": 1}, id="test-event"),
        pytest.param(sns("CloudTrail validation message."), {"no_event": 1}, id="validation"),
        pytest.param(json.dumps({"Records": []}), {"no_event": 1}, id="no-records"),
        pytest.param(json.dumps(eventbridge("a", "Object Deleted")), {"other_event": 1}, id="eb"),
        pytest.param(
            json.dumps(
                {
                    "Records": [
                        record("logs", "a") | {"eventName": "ObjectRemoved:Delete"},
                        record("logs", "a") | {"eventName": "ObjectRestore:Completed"},
                        record("logs", "cdn%2F", size=0),
                        record("logs", "b"),
                    ]
                }
            ),
            {"other_event": 2, "no_log": 1},
            id="records",
        ),
    ],
)
def test_what_asks_for_nothing_is_counted(body: str, skipped: dict[str, int]) -> None:
    assert read_notice(body).skipped == skipped


def test_notices_tell_the_place_of_a_write_among_those_of_its_key() -> None:
    direct = {"Records": [record("logs", "a", sequencer="0A"), record("logs", "b")]}
    del direct["Records"][1]["s3"]["object"]["sequencer"]

    assert read_notice(json.dumps(direct)).sequencers == {
        StoredObject("logs", "a"): "0A",
        StoredObject("logs", "b"): "",
    }
    told = read_notice(json.dumps(eventbridge("a", sequencer="0B")))
    assert list(told.sequencers.values()) == ["0B"]


def test_of_two_records_of_one_object_the_later_place_counts() -> None:
    body = {"Records": [record("logs", "a", sequencer=sequencer) for sequencer in ("0B", "0A")]}

    assert list(read_notice(json.dumps(body)).sequencers.values()) == ["0B"]
