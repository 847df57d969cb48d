from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.errors import PayloadError, SourceError, StateError
from sources.s3_world import World, key, next_payload, read_all, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cloudfront_ecs.sources.s3.objects import StoredObject
    from servers.aws import MotoServer

pytestmark = pytest.mark.integration


@pytest.fixture(name="world")
def _world(aws: MotoServer, unique: Callable[[str], str], tmp_path: Path) -> Iterator[World]:
    world = World(aws, unique, tmp_path)
    yield world
    world.close()


def places(world: World, *keys: str) -> set[str]:
    return {f"s3://{world.bucket}/{name}" for name in keys}


def test_every_object_is_read_as_it_is_stored(world: World) -> None:
    names = ["cdn/ü + %2B.gz", "cdn/year=2026/a", key(1)]
    stored = {f"s3://{world.bucket}/{name}": world.put(name, name.encode()) for name in names}

    source = world.source(bucket=world.bucket)

    assert dict(read_all(source)) == stored


def test_only_the_prefix_after_the_start_is_read_and_no_digests(world: World) -> None:
    for name in ("a", "cdn/1", "cdn/2", "cdn/AWSLogs/1/CloudTrail-Digest/x", "z"):
        world.put(name)
    world.s3.put_object(Bucket=world.bucket, Key="cdn/9/", Body=b"")

    source = world.source(bucket=world.bucket, prefix="cdn/", start_after="cdn/1")

    assert {place for place, _ in read_all(source)} == places(world, "cdn/2")
    assert getattr(source, "skipped", None) == {"no_log": 2}  # a digest, a folder


def test_an_empty_bucket_is_drained_after_one_listing(world: World) -> None:
    source = world.source(bucket=world.bucket)

    assert not source.drained()
    assert list(read_all(source)) == []
    assert source.drained()


def test_a_restart_reads_nothing_twice(world: World) -> None:
    for number in range(3):
        world.put(key(number))
    source = world.source(bucket=world.bucket)
    source.settle(next_payload(source).receipt)
    second, third = next_payload(source), next_payload(source)
    source.settle(third.receipt)
    source.close()

    source = world.source(bucket=world.bucket)
    assert [place for place, _ in read_all(source)] == [second.origin.place]
    source.close()

    source = world.source(bucket=world.bucket)
    assert list(read_all(source)) == []


def test_an_object_that_comes_late_is_read_whatever_its_name(world: World) -> None:
    world.put("cdn/z")
    source = world.source(bucket=world.bucket, poll_seconds=0.1)
    assert [place for place, _ in read_all(source)] == [*places(world, "cdn/z")]

    world.put("cdn/a")

    payload = next_payload(source)
    assert payload.origin.place in places(world, "cdn/a")
    source.settle(payload.receipt)
    time.sleep(0.2)
    assert source.poll(0.3) is None


def test_an_overwritten_object_is_read_again_under_a_new_identity(world: World) -> None:
    world.put(key(1), b"one")
    source = world.source(bucket=world.bucket, poll_seconds=0.1)
    first = next_payload(source)
    source.settle(first.receipt)

    stored = world.put(key(1), b"two")

    second = next_payload(source)
    assert text(second) == stored
    assert second.origin.identity != first.origin.identity


def test_an_object_overwritten_after_it_was_listed_is_read_under_its_true_identity(
    world: World,
) -> None:
    world.put(key(1), b"one")
    source: Any = world.source(bucket=world.bucket, poll_seconds=0.1)
    read, stored = source._objects.read, b""

    def late(named: StoredObject, notice: bytes = b"") -> Iterator[bytes]:
        nonlocal stored
        stored = stored or world.put(key(1), b"two")
        yield from read(named, notice)

    source._objects.read = late
    first = next_payload(source)
    with pytest.raises(SourceError, match="overwritten"):
        list(first.chunks)
    source.release(first.receipt)

    second = next_payload(source)

    assert text(second) == stored
    assert second.origin.identity != first.origin.identity
    source.settle(second.receipt)
    time.sleep(0.2)
    assert source.poll(0.3) is None


def test_in_flight_objects_are_not_handed_out_by_the_next_listing(world: World) -> None:
    world.put(key(1))
    source = world.source(bucket=world.bucket, poll_seconds=0.05)

    next_payload(source)

    assert source.poll(0.5) is None
    assert not source.drained()


def test_a_released_object_is_offered_again_at_once(world: World) -> None:
    world.put(key(1))
    source = world.source(bucket=world.bucket)
    first = next_payload(source)

    source.release(first.receipt)
    second = source.poll(0.0)

    assert second is not None
    assert second.origin == first.origin
    source.settle(first.receipt)  # of no effect: that receipt was released
    assert not source.drained()
    source.settle(second.receipt)
    assert source.drained()


def test_pages_are_listed_one_after_the_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        world.put(key(number))
    source = world.source(bucket=world.bucket)
    listing = source._client.list_objects_v2  # type: ignore[attr-defined]  # S3Listing
    monkeypatch.setattr(
        source._client,  # type: ignore[attr-defined]
        "list_objects_v2",
        lambda **request: listing(**request, MaxKeys=2),
    )

    found = [place for place, _ in read_all(source)]

    assert found == sorted(places(world, *(key(number) for number in range(7))))


def test_the_record_forgets_what_the_bucket_no_longer_holds(world: World) -> None:
    for number in range(3):
        world.put(key(number))
    source = world.source(bucket=world.bucket, poll_seconds=0.01)
    assert len(list(read_all(source))) == 3

    world.s3.delete_object(Bucket=world.bucket, Key=key(1))
    source.poll(0.5)

    known = source._settled.between("", None)  # type: ignore[attr-defined]  # S3Listing
    assert set(known) == {key(0), key(2)}


def test_an_object_deleted_after_it_was_listed_is_missing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(key(1))
    source = world.source(bucket=world.bucket)
    pages = source._pages  # type: ignore[attr-defined]  # S3Listing
    listing = pages.after

    def listed_then_deleted(after: str) -> object:
        page = listing(after)
        world.s3.delete_object(Bucket=world.bucket, Key=key(1))
        return page

    monkeypatch.setattr(pages, "after", listed_then_deleted)
    payload = next_payload(source)

    with pytest.raises(PayloadError) as caught:
        list(payload.chunks)

    assert caught.value.reason == "missing"


def test_a_bucket_that_is_not_there_is_an_error_and_not_empty(world: World) -> None:
    source = world.source(bucket=world.bucket + "x")

    with pytest.raises(SourceError, match="NoSuchBucket"):
        source.poll(10.0)

    assert not source.drained()


def test_a_bucket_with_versions_gives_the_ids_of_queue_mode(world: World) -> None:
    world.s3.put_bucket_versioning(
        Bucket=world.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    versions = [
        world.s3.put_object(Bucket=world.bucket, Key=name, Body=b"x")["VersionId"]
        for name in ("a", "b")
    ]
    source = world.source(bucket=world.bucket)

    payloads = [next_payload(source), next_payload(source)]

    assert [payload.origin.identity[-1] for payload in payloads] == versions
    for payload in payloads:
        assert text(payload) == b"x"
        source.settle(payload.receipt)
    source.close()
    assert list(read_all(world.source(bucket=world.bucket))) == []


def test_a_second_process_is_refused(world: World) -> None:
    world.source(bucket=world.bucket)

    with pytest.raises(StateError, match="in use"):
        world.source(bucket=world.bucket)


def test_a_record_that_cannot_be_written_stops_reading_until_it_can(world: World) -> None:
    for number in range(2):
        world.put(key(number))
    source = world.source(bucket=world.bucket)
    payload = next_payload(source)
    database = source._settled._connection  # type: ignore[attr-defined]  # S3Listing
    database.execute("PRAGMA query_only = ON")

    source.settle(payload.receipt)
    with pytest.raises(SourceError, match="cannot be written"):
        source.poll(0.0)

    database.execute("PRAGMA query_only = OFF")
    assert next_payload(source).origin.place == f"s3://{world.bucket}/{key(1)}"
    source.close()
    assert len(list(read_all(world.source(bucket=world.bucket)))) == 1
