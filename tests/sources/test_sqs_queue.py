from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.errors import PayloadError, SourceError
from cloudfront_ecs.normalize.documents.aws_fields import AwsS3, S3Bucket, S3Object
from cloudfront_ecs.sources.sqs.attributes import check_queue
from cloudfront_ecs.sources.sqs.calls import SqsCalls
from cloudfront_ecs.sources.sqs.claims import Rules
from sources.s3_world import KEY, World, key, next_payload, read_all, record, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cloudfront_ecs.adapters import Source
    from cloudfront_ecs.batches import Payload
    from cloudfront_ecs.sources.s3.objects import StoredObject
    from servers.aws import MotoServer

pytestmark = pytest.mark.integration

AWKWARD = "year=2026/ü + %2B&.gz"


@pytest.fixture(name="world")
def _world(aws: MotoServer, unique: Callable[[str], str], tmp_path: Path) -> Iterator[World]:
    world = World(aws, unique, tmp_path)
    yield world
    world.close()


def refuse(source: Source, service: str, operation: str, code: str) -> list[int]:
    """Let a call of the source's client fail from now on; the list counts how often it did."""
    client = source._objects._client if service == "s3" else source._messages.calls._client  # type: ignore[attr-defined]
    calls: list[int] = []

    def answer(**_: object) -> tuple[Any, dict[str, Any]]:
        calls.append(1)
        http = type("Response", (), {"status_code": 403, "headers": {}})()
        return http, {"Error": {"Code": code, "Message": "so it is"}, "ResponseMetadata": {}}

    client.meta.events.register(f"before-call.{service}.{operation}", answer, unique_id=operation)
    return calls


def allow(source: Source, service: str, operation: str) -> None:
    client = source._objects._client if service == "s3" else source._messages.calls._client  # type: ignore[attr-defined]
    client.meta.events.unregister(f"before-call.{service}.{operation}", unique_id=operation)


def told(source: Source) -> None:
    """Wait until the queue knows of every message that has ended."""
    assert source._messages.flush(5.0)  # type: ignore[attr-defined]


def payloads(source: Source, number: int) -> list[Payload]:
    """Return the next payloads in the order of their places: they come in any order."""
    return sorted((next_payload(source) for _ in range(number)), key=lambda p: p.origin.place)


def reason(payload: Payload) -> PayloadError:
    with pytest.raises(PayloadError) as caught:
        list(payload.chunks)
    return caught.value


def test_s3_tells_the_queue_directly(world: World) -> None:
    world.notify_queue()
    stored = {f"s3://{world.bucket}/{name}": world.put(name) for name in (AWKWARD, KEY)}
    world.put("gone")
    world.s3.delete_object(Bucket=world.bucket, Key="gone")

    found = dict(read_all(world.source()))

    assert found == {**stored, f"s3://{world.bucket}/gone": "missing"}
    assert (world.visible(), world.hidden()) == (0, 0)


@pytest.mark.parametrize("raw", ["false", "true"])
def test_s3_tells_the_queue_through_sns(world: World, raw: str) -> None:
    sns = world.aws.client("sns")
    topic = sns.create_topic(Name=world.unique("logs"))["TopicArn"]
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=world.queue_arn,
        Attributes={"RawMessageDelivery": raw},
    )
    world.notify(TopicConfigurations=[{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}])
    stored = world.put(AWKWARD)

    assert list(read_all(world.source())) == [(f"s3://{world.bucket}/{AWKWARD}", stored)]
    assert (world.visible(), world.hidden()) == (0, 0)


def test_s3_tells_the_queue_through_eventbridge(world: World) -> None:
    events = world.aws.client("events")
    rule = world.unique("logs")
    events.put_rule(
        Name=rule,
        EventPattern=json.dumps(
            {"source": ["aws.s3"], "detail": {"bucket": {"name": [world.bucket]}}}
        ),
    )
    events.put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": world.queue_arn}])
    world.notify(EventBridgeConfiguration={})
    stored = world.put(AWKWARD)

    assert list(read_all(world.source())) == [(f"s3://{world.bucket}/{AWKWARD}", stored)]
    assert (world.visible(), world.hidden()) == (0, 0)


def test_a_multipart_upload_notified_twice_has_one_identity(world: World) -> None:
    world.notify_queue()
    upload = world.s3.create_multipart_upload(Bucket=world.bucket, Key=KEY)["UploadId"]
    names = {"Bucket": world.bucket, "Key": KEY, "UploadId": upload}
    part = world.s3.upload_part(**names, PartNumber=1, Body=b"one")
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    world.s3.complete_multipart_upload(**names, MultipartUpload={"Parts": parts})
    source = world.source()
    identities = set()

    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not source.drained():
        payload = source.poll(0.2)
        if payload is None:
            continue
        try:
            assert text(payload) == b"one"
        except SourceError:
            source.release(payload.receipt)
            continue
        identities.add(payload.origin.identity)
        source.settle(payload.receipt)

    assert len(identities) == 1


def test_a_payload_knows_where_it_comes_from(world: World) -> None:
    world.notify_queue()
    world.put(KEY)
    etag = world.s3.head_object(Bucket=world.bucket, Key=KEY)["ETag"].strip('"')

    payload = next_payload(world.source())

    assert payload.messages is None
    assert payload.origin.place == f"s3://{world.bucket}/{KEY}"
    assert payload.origin.identity == ("s3", world.bucket, KEY, etag)
    assert payload.origin.distribution_id == "E1TESTS0000001"
    assert payload.origin.s3 == AwsS3(
        bucket=S3Bucket(name=world.bucket, arn=f"arn:aws:s3:::{world.bucket}"),
        object=S3Object(key=KEY),
    )


def test_the_version_that_was_notified_is_the_one_that_is_read(world: World) -> None:
    world.s3.put_bucket_versioning(
        Bucket=world.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    first = world.s3.put_object(Bucket=world.bucket, Key=KEY, Body=b"one")["VersionId"]
    world.s3.put_object(Bucket=world.bucket, Key=KEY, Body=b"two")
    world.send({"Records": [record(world.bucket, KEY, versionId=first)]})

    payload = next_payload(world.source())

    assert text(payload) == b"one"
    assert payload.origin.identity == ("s3", world.bucket, KEY, first)


def test_cloudtrail_objects_get_the_identity_that_s3_notices_give(world: World) -> None:
    world.put(KEY)
    etag = world.s3.head_object(Bucket=world.bucket, Key=KEY)["ETag"].strip('"')
    world.send({"s3Bucket": world.bucket, "s3ObjectKey": [KEY]})

    assert next_payload(world.source()).origin.identity == ("s3", world.bucket, KEY, etag)


def test_a_message_goes_when_the_last_of_its_objects_is_settled(world: World) -> None:
    for number in range(3):
        world.put(key(number))
    world.send({"Records": [record(world.bucket, key(number)) for number in range(3)]})
    source = world.source()
    three = payloads(source, 3)

    for payload in (three[2], three[0], three[0]):
        source.settle(payload.receipt)
    told(source)
    assert world.hidden() == 1
    source.settle(three[1].receipt)
    told(source)

    assert (world.visible(), world.hidden()) == (0, 0)


def test_one_missing_object_does_not_hold_up_the_others(world: World) -> None:
    stored = [world.put(key(number)) for number in (0, 2)]
    body = {"Records": [record(world.bucket, key(number)) for number in range(3)]}
    world.send(body)
    source = world.source(max_receives=1)
    first, missing, third = payloads(source, 3)

    error = reason(missing)
    assert [text(first), text(third)] == stored
    for payload in (first, missing, third):
        source.settle(payload.receipt)
    told(source)

    assert (error.reason, json.loads(error.raw)) == ("missing", body)
    assert key(1) in error.detail
    assert (world.visible(), world.hidden()) == (0, 0)


def test_a_released_message_is_visible_again_at_once(world: World) -> None:
    world.put(KEY)
    world.send({"Records": [record(world.bucket, KEY)]})
    source = world.source()
    first = next_payload(source)
    assert (world.visible(), world.hidden()) == (0, 1)

    source.release(first.receipt)
    told(source)

    assert (world.visible(), world.hidden()) == (1, 0)
    assert not source.drained()
    again = next_payload(source)
    assert again.origin == first.origin
    source.settle(again.receipt)
    told(source)
    assert (world.visible(), world.hidden()) == (0, 0)


def test_a_message_is_given_back_only_when_nothing_else_of_it_is_in_flight(world: World) -> None:
    for number in range(2):
        world.put(key(number))
    world.send({"Records": [record(world.bucket, key(number)) for number in range(2)]})
    source = world.source()
    first, second = next_payload(source), next_payload(source)

    source.release(first.receipt)
    assert (world.visible(), world.hidden()) == (0, 1)
    source.settle(second.receipt)
    told(source)

    assert (world.visible(), world.hidden()) == (1, 0)


def test_only_what_was_not_settled_is_read_when_a_message_comes_again(world: World) -> None:
    for number in range(3):
        world.put(key(number))
    world.send({"Records": [record(world.bucket, key(number)) for number in range(3)]})
    source = world.source()
    first, second, third = payloads(source, 3)
    source.settle(first.receipt)
    source.release(second.receipt)
    source.settle(third.receipt)

    again = next_payload(source)

    assert again.origin == second.origin
    source.settle(again.receipt)
    told(source)
    assert (world.visible(), world.hidden()) == (0, 0)


def test_an_object_that_may_not_be_read_is_no_loss_and_comes_again_later(world: World) -> None:
    world.put(KEY)
    world.send({"Records": [record(world.bucket, KEY)]})
    source = world.source()
    refuse(source, "s3", "GetObject", "AccessDenied")
    payload = next_payload(source)

    with pytest.raises(SourceError, match=f"s3://{world.bucket}/{KEY}: AccessDenied"):
        list(payload.chunks)
    source.release(payload.receipt)
    told(source)

    assert (world.visible(), world.hidden()) == (0, 1), "it waits, lest it is tried in a rush"
    allow(source, "s3", "GetObject")
    again = next_payload(source)
    assert text(again)


def test_an_unreadable_message_is_dead_lettered_at_its_last_receive(world: World) -> None:
    world.send("no notice")
    source = world.source(max_receives=3)

    payload = next_payload(source)
    error = reason(payload)

    assert (error.reason, error.raw) == ("notice", b"no notice")
    assert payload.origin.place.startswith(f"{world.queue_url}#")
    source.settle(payload.receipt)
    told(source)
    assert (world.visible(), world.hidden()) == (0, 0)


def test_an_unreadable_message_goes_back_before(world: World) -> None:
    world.send("no notice")
    source = world.source(max_receives=1000)

    assert source.poll(0.5) is None
    assert not source.drained()
    source.close()

    assert (world.visible(), world.hidden()) == (1, 0)


def test_an_unreadable_record_does_not_hold_up_the_others(world: World) -> None:
    stored = world.put(KEY)
    world.send({"Records": [{"eventName": 7}, record(world.bucket, KEY)]})

    outcomes = [outcome for _, outcome in read_all(world.source())]

    assert sorted(outcomes, key=str) == sorted([stored, "notice"], key=str)
    assert (world.visible(), world.hidden()) == (0, 0)


def test_messages_that_ask_for_nothing_are_deleted(world: World) -> None:
    world.send({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"})
    world.send({"Records": [record(world.bucket, KEY) | {"eventName": "ObjectRemoved:Delete"}]})

    assert list(read_all(world.source())) == []
    assert (world.visible(), world.hidden()) == (0, 0)


def test_what_asks_for_nothing_is_counted_once(world: World) -> None:
    world.put(KEY)
    world.send({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"})
    removed = record(world.bucket, KEY) | {"eventName": "ObjectRemoved:Delete"}
    for _ in range(2):
        world.send({"Records": [removed, record(world.bucket, KEY, eTag="e", sequencer="0A")]})
    source: Any = world.source()
    source._objects.read = lambda *_: (piece for piece in [b"x"])

    assert len(list(read_all(source))) == 1

    assert source.skipped_by_reason() == {"no_event": 1, "other_event": 2, "repeated": 1}


def test_a_bucket_that_is_not_allowed_is_foreign(world: World) -> None:
    stored = world.put(KEY)
    body = {"Records": [record("other", "a"), record(world.bucket, KEY)]}
    world.send(body)
    source = world.source(buckets=(world.bucket,))
    foreign, own = payloads(source, 2)
    if not foreign.origin.place.startswith("s3://other/"):
        foreign, own = own, foreign

    error = reason(foreign)

    assert (error.reason, json.loads(error.raw)) == ("foreign", body)
    assert error.detail == "s3://other/a: is in none of the configured buckets"
    assert text(own) == stored


def test_without_a_list_every_bucket_is_read(world: World) -> None:
    bucket = world.unique("other")
    world.s3.create_bucket(Bucket=bucket)
    world.s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    world.send({"Records": [record(bucket, "a")]})

    assert list(read_all(world.source())) == [(f"s3://{bucket}/a", b"x")]


def test_closing_gives_everything_back_at_once(world: World) -> None:
    for number in range(3):
        world.put(key(number))
    world.send({"Records": [record(world.bucket, key(number)) for number in range(2)]})
    world.send({"Records": [record(world.bucket, key(2))]})
    source = world.source()
    one = next_payload(source)
    while one.origin.place.endswith(f"{2:08x}.gz"):
        one = next_payload(source)
    source.settle(one.receipt)

    source.close()
    source.close()

    assert (world.visible(), world.hidden()) == (2, 0)


def test_what_a_receive_brings_after_the_last_poll_is_given_back(world: World) -> None:
    world.put(KEY)
    source = world.source(wait_seconds=2)
    assert source.poll(0.1) is None
    world.send({"Records": [record(world.bucket, KEY)]})

    source.close()

    assert (world.visible(), world.hidden()) == (1, 0)


def test_a_poll_keeps_to_its_timeout_while_a_receive_waits(world: World) -> None:
    source = world.source(wait_seconds=3)
    began = time.monotonic()

    for _ in range(3):
        assert source.poll(0.1) is None

    assert time.monotonic() - began < 1.0
    stored = world.put(KEY)
    world.send({"Records": [record(world.bucket, KEY)]})
    payload = source.poll(3.0)
    assert payload is not None
    assert text(payload) == stored


def test_the_heartbeat_hides_a_message_beyond_its_timeout(world: World) -> None:
    world.put(KEY)
    world.send({"Records": [record(world.bucket, KEY)]})
    source = world.source(visibility_timeout=2)
    payload = next_payload(source)

    until = time.monotonic() + 5
    while time.monotonic() < until:
        assert (world.visible(), world.hidden()) == (0, 1)
        time.sleep(0.1)
    source.settle(payload.receipt)
    told(source)

    assert (world.visible(), world.hidden()) == (0, 0)


def test_the_heartbeat_survives_refusals(world: World) -> None:
    world.put(KEY)
    world.send({"Records": [record(world.bucket, KEY)]})
    source = world.source(visibility_timeout=2)
    next_payload(source)
    calls = refuse(source, "sqs", "ChangeMessageVisibilityBatch", "ThrottlingException")
    time.sleep(1.5)
    assert calls
    allow(source, "sqs", "ChangeMessageVisibilityBatch")

    time.sleep(2)

    assert (world.visible(), world.hidden()) == (0, 1)


def test_a_message_that_others_hold_keeps_the_queue_from_being_drained(world: World) -> None:
    world.send({"Event": "s3:TestEvent"})
    other = world.sqs.receive_message(QueueUrl=world.queue_url)["Messages"][0]
    source = world.source()
    for _ in range(8):
        assert source.poll(0.2) is None
        assert not source.drained()

    world.sqs.delete_message(QueueUrl=world.queue_url, ReceiptHandle=other["ReceiptHandle"])

    assert list(read_all(source)) == []


def test_an_empty_queue_is_drained_after_two_empty_answers(world: World) -> None:
    source = world.source()

    assert not source.drained()
    assert not source.drained()
    time.sleep(1.1)
    assert source.drained()


def test_a_queue_that_cannot_be_counted_tells_the_next_poll(world: World) -> None:
    source = world.source()
    refuse(source, "sqs", "GetQueueAttributes", "AccessDenied")

    assert not source.drained()
    with pytest.raises(SourceError, match=f"{world.queue_url}: AccessDenied"):
        source.poll(0.0)
    assert source.poll(0.0) is None


def test_a_queue_that_is_not_there_is_an_error(world: World) -> None:
    source = world.source(queue_url=world.queue_url + "x")

    with pytest.raises(SourceError, match="NonExistentQueue"):
        source.poll(5.0)
    for _ in range(3):  # also while the next receive is under way
        with pytest.raises(SourceError, match="NonExistentQueue"):
            source.poll(0.0)


def test_a_delete_that_fails_is_made_up_for(world: World) -> None:
    world.put(KEY)
    world.send({"Records": [record(world.bucket, KEY)]})
    source = world.source()
    payload = next_payload(source)
    calls = refuse(source, "sqs", "DeleteMessageBatch", "InternalError")

    source.settle(payload.receipt)
    assert not source._messages.flush(1.0)  # type: ignore[attr-defined]
    assert calls
    assert not source.drained()
    allow(source, "sqs", "DeleteMessageBatch")
    told(source)

    assert (world.visible(), world.hidden()) == (0, 0)


def test_two_workers_share_a_queue(world: World) -> None:
    stored = {f"s3://{world.bucket}/{key(n)}": world.put(key(n), b"%d" % n) for n in range(30)}
    for number in range(30):
        world.send({"Records": [record(world.bucket, key(number))]})
    workers = [world.source(), world.source()]
    found: list[tuple[str, bytes]] = []

    while len(found) < 30:
        for worker in workers:
            payload = worker.poll(0.05)
            if payload is not None:
                found.append((payload.origin.place, text(payload)))
                worker.settle(payload.receipt)
    for worker in workers:
        told(worker)

    assert sorted(found) == sorted(stored.items())
    assert (world.visible(), world.hidden()) == (0, 0)


def test_objects_that_come_later_do_not_hold_up_others(world: World) -> None:
    for number in range(4):
        world.put(key(number))
    source: Any = world.source()
    released = threading.Event()
    read = source._objects.read

    def slow(stored: StoredObject, notice: bytes = b"") -> Iterator[bytes]:
        if stored.key == key(0):
            assert released.wait(10)
        yield from read(stored, notice)

    source._objects.read = slow
    world.send({"Records": [record(world.bucket, key(number)) for number in range(4)]})

    others = payloads(source, 3)

    assert [payload.origin.place[-5:] for payload in others] == ["01.gz", "02.gz", "03.gz"]
    assert source.poll(0.1) is None
    released.set()
    assert text(next_payload(source))


def test_no_more_messages_are_held_than_allowed(world: World) -> None:
    for number in range(12):
        world.put(key(number))
        world.send({"Records": [record(world.bucket, key(number))]})
    source = world.source(concurrency=5)

    held = payloads(source, 5)

    assert source.poll(0.5) is None
    assert world.hidden() == 5
    source.settle(held[0].receipt)
    told(source)
    next_payload(source)
    assert world.hidden() == 5


def test_a_worker_takes_no_more_large_objects_than_it_will_soon_read(world: World) -> None:
    large = 5 * 1024 * 1024
    for number in range(12):
        world.put(key(number))
        world.send({"Records": [record(world.bucket, key(number), size=large)]})
    source: Any = world.source(prefetch_bytes=2 * large)
    source._appetite._mean = large

    next_payload(source)
    source.poll(0.2)

    assert world.hidden() <= 3, "the others are left to other workers"


def test_a_message_that_comes_again_while_in_flight_is_taken_up_where_it_is(world: World) -> None:
    for number in range(2):
        world.put(key(number))
    world.send({"Records": [record(world.bucket, key(number)) for number in range(2)]})
    source: Any = world.source()
    first, second = payloads(source, 2)
    source.settle(first.receipt)
    (message,) = source._messages._held.values()
    world.sqs.change_message_visibility(
        QueueUrl=world.queue_url, ReceiptHandle=message.handle, VisibilityTimeout=0
    )

    deadline = time.monotonic() + 10
    while message.handle in source._messages._held:
        assert source.poll(0.2) is None, "nothing is handed out twice"
        assert time.monotonic() < deadline
    source.settle(second.receipt)
    told(source)

    assert (world.visible(), world.hidden()) == (0, 0)


def test_with_redrive_nothing_becomes_a_dead_letter(world: World) -> None:
    stored = world.put(KEY)
    world.send("no notice")
    world.send({"Records": [record(world.bucket, "gone", eTag="e")]})
    world.send({"Records": [record("other", "a"), record(world.bucket, KEY)]})
    source = world.source(poison="redrive", max_receives=1, buckets=(world.bucket,))

    payload = next_payload(source)
    assert text(payload) == stored
    source.settle(payload.receipt)

    until = time.monotonic() + 3
    while time.monotonic() < until:
        assert source.poll(0.2) is None
    assert world.visible() + world.hidden() == 3, "the one with the good object stays, too"


def test_an_object_that_is_gone_is_a_dead_letter_after_its_last_receive(world: World) -> None:
    world.send({"Records": [record(world.bucket, "gone", eTag="e")]})
    source = world.source(max_receives=2)
    began = time.monotonic()

    error = reason(next_payload(source))

    assert error.reason == "missing"
    assert time.monotonic() - began > 0.9, "it was given time to appear"


def test_the_age_of_the_oldest_message_in_hand_is_the_lag(world: World) -> None:
    source: Any = world.source()
    assert source.lag() == {}
    world.put(KEY)
    world.send({"Records": [record(world.bucket, KEY)]})
    time.sleep(1.0)

    payload = next_payload(source)

    assert 1.0 <= source.lag()["queue"] < 20
    source.settle(payload.receipt)
    told(source)
    assert source.lag() == {"queue": 0.0}


def test_a_redrive_policy_must_fit_what_becomes_of_poison(world: World) -> None:
    calls = SqsCalls(world.sqs, world.queue_url)

    assert "reachable" in check_queue(calls, Rules())
    with pytest.raises(SourceError, match="has no redrive policy"):
        check_queue(calls, Rules(redrive=True))
    _, arn = world.queue()
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "3"})
    world.sqs.set_queue_attributes(QueueUrl=world.queue_url, Attributes={"RedrivePolicy": policy})
    assert "reachable" in check_queue(calls, Rules(redrive=True))
    assert "reachable" in check_queue(calls, Rules(max_receives=3))
    with pytest.raises(SourceError, match="takes messages away after 3 receives"):
        check_queue(calls, Rules(max_receives=4))
