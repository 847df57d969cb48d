from __future__ import annotations

import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from cloudfront_ecs.errors import PayloadError, SourceError
from cloudfront_ecs.sources.s3.objects import (
    ATTEMPTS,
    CHUNK,
    S3Objects,
    StoredObject,
    requester_pays,
)
from servers.flaky_store import FlakyStore, Refusal, running_store
from servers.process import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = bytes(range(256)) * 4096  # 1 MiB
KEY = "E1TESTS0000001.2026-03-04-05.0a1b2c3d.gz"


@pytest.fixture(name="store")
def _store() -> Iterator[FlakyStore]:
    with running_store(BODY) as store:
        yield store


@contextmanager
def opened(endpoint: str) -> Iterator[S3Objects]:
    objects = S3Objects(boto3.client("s3", endpoint_url=endpoint), lambda _: None)
    try:
        yield objects
    finally:
        objects.close()


@pytest.fixture(name="objects")
def _objects(store: FlakyStore) -> Iterator[S3Objects]:
    with opened(store.endpoint) as objects:
        yield objects


STORED = StoredObject("logs", KEY, etag="first")


def test_nothing_is_asked_for_before_the_first_piece(store: FlakyStore, objects: S3Objects) -> None:
    reading = objects.read(STORED)

    assert store.requests == []
    assert len(next(reading)) == 256 * 1024
    assert len(store.requests) == 1
    reading.close()  # type: ignore[attr-defined]  # it is a generator


@pytest.mark.parametrize(
    "cuts",
    [
        pytest.param([], id="whole"),
        pytest.param([0], id="at-once"),
        pytest.param([300_001], id="in-the-middle"),
        pytest.param([len(BODY) - 1], id="before-the-last-byte"),
        pytest.param([1, 262_144, 5, 400_000], id="again-and-again"),
    ],
)
def test_a_body_that_breaks_off_is_continued(
    store: FlakyStore, objects: S3Objects, cuts: list[int]
) -> None:
    store.cuts = list(cuts)

    read = b"".join(objects.read(STORED))

    assert zlib.crc32(read) == zlib.crc32(BODY)
    assert read == BODY
    reached = [sum(cuts[: i + 1]) for i in range(len(cuts))]
    assert [request.get("Range") for request in store.requests] == [
        None,
        *(f"bytes={byte}-" if byte else None for byte in reached),
    ]
    assert all(request["If-Match"] == '"first"' for request in store.requests)


def test_a_body_that_always_breaks_off_goes_back(store: FlakyStore, objects: S3Objects) -> None:
    store.cuts = [10] * ATTEMPTS

    with pytest.raises(SourceError, match=rf"s3://logs/{KEY}: .* \(tried 5 times\)"):
        list(objects.read(STORED))


def test_a_long_body_may_break_off_often_as_long_as_it_comes_on(
    store: FlakyStore, objects: S3Objects
) -> None:
    store.body = bytes(CHUNK * (ATTEMPTS + 3))
    store.cuts = [CHUNK] * (ATTEMPTS + 2)

    assert sum(map(len, objects.read(STORED))) == len(store.body)

    assert len(store.requests) == ATTEMPTS + 3


def test_a_store_that_is_away_for_a_moment_goes_on_where_it_was(
    store: FlakyStore, objects: S3Objects
) -> None:
    store.cuts = [500_000]
    away = EndpointConnectionError(endpoint_url=store.endpoint)
    answers: list[Exception | None] = [None, away, away]
    get = objects._client.get_object

    def get_object(**request: str) -> Any:
        if (error := answers.pop(0) if answers else None) is not None:
            raise error
        return get(**request)

    objects._client.get_object = get_object

    assert b"".join(objects.read(STORED)) == BODY
    assert [request.get("Range") for request in store.requests] == [None, "bytes=500000-"]


def test_a_version_is_asked_for_by_name(store: FlakyStore, objects: S3Objects) -> None:
    store.cuts = [10]

    list(objects.read(StoredObject("logs", KEY, version="v1")))

    assert all("versionId=v1" in path for path in store.paths)
    assert [request.get("If-Match") for request in store.requests] == [None, '"first"']


def test_an_object_overwritten_while_it_is_read_goes_back(
    store: FlakyStore, objects: S3Objects, caplog: pytest.LogCaptureFixture
) -> None:
    store.cuts = [500_000]
    store.overwrite_at = 2

    with pytest.raises(SourceError, match="was overwritten"):
        list(objects.read(STORED))

    assert "when 500000 of 1048576 bytes had been read" in caplog.text
    assert objects.identified(STORED).etag == "second"


def test_an_object_overwritten_before_is_read_under_its_new_identity(
    store: FlakyStore, objects: S3Objects
) -> None:
    store.etag = "second"

    assert objects.identified(STORED) == STORED
    with pytest.raises(SourceError, match="was overwritten"):
        list(objects.read(STORED))
    again = objects.identified(STORED)

    assert objects.origin(again).identity == ("s3", "logs", KEY, "second")
    assert b"".join(objects.read(again)) == BODY


def test_an_object_without_version_and_etag_is_looked_up(objects: S3Objects) -> None:
    assert objects.identified(StoredObject("logs", KEY)).etag == "first"


def test_a_bucket_in_another_region_is_followed(store: FlakyStore, objects: S3Objects) -> None:
    store.region = "ap-southeast-2"

    assert b"".join(objects.read(STORED)) == BODY
    assert b"".join(objects.read(STORED)) == BODY

    assert len(store.requests) == 3  # it is remembered


def test_a_region_that_is_not_told_is_asked_of_the_user(
    store: FlakyStore, objects: S3Objects
) -> None:
    store.refusals = [Refusal(301, "PermanentRedirect")] * 9

    with pytest.raises(SourceError, match=r"PermanentRedirect: so it is \(set 'region'\)"):
        list(objects.read(STORED))


def test_who_pays_is_told_with_each_request(store: FlakyStore, objects: S3Objects) -> None:
    requester_pays(objects._client)
    sent: list[str] = []
    objects._client.meta.events.register(
        "before-send.s3",
        lambda request, **_: sent.append(request.headers["x-amz-request-payer"].decode()),
    )

    stored = objects.identified(StoredObject("logs", KEY))
    list(objects.read(stored))

    assert sent == ["requester", "requester"]
    assert store.methods == ["HEAD", "GET"]


def test_a_delete_marker_is_missing(store: FlakyStore, objects: S3Objects) -> None:
    marker = {"x-amz-delete-marker": "true"}
    store.refusals = [Refusal(405, "MethodNotAllowed", headers=marker)]

    with pytest.raises(PayloadError, match="missing: s3://logs"):
        list(objects.read(STORED, b"notice"))


def test_a_dead_endpoint_is_no_loss() -> None:
    with (
        opened(f"http://127.0.0.1:{free_port()}") as objects,
        pytest.raises(SourceError, match=f"s3://logs/{KEY}: EndpointConnectionError"),
    ):
        list(objects.read(STORED))


@pytest.mark.parametrize(
    ("key", "distribution", "account"),
    [
        pytest.param("E2ABCDEFGH1234.2026-01-02-03.0a1b2c3d.gz", "E2ABCDEFGH1234", None, id="flat"),
        pytest.param("a/b/E2ABC.2026-01-02-03.x.gz", None, None, id="too-short"),
        pytest.param("e2abcdefgh1234.2026-01-02-03.x.gz", None, None, id="lower-case"),
        pytest.param(
            "AWSLogs/210987654321/CloudFront/E2ABCDEFGH1234.2026-01-02-03.0a1b2c3d.gz",
            "E2ABCDEFGH1234",
            "210987654321",
            id="v2",
        ),
        pytest.param(
            "AWSLogs/aws-account-id=210987654321/CloudFront/DistributionId=E2ABCDEFGH1234/year=2026/x.parquet",
            "E2ABCDEFGH1234",
            "210987654321",
            id="hive",
        ),
        pytest.param(
            "x/accountid=210987654321/distributionid=E2ABCDEFGH1234/x",
            "E2ABCDEFGH1234",
            "210987654321",
            id="hive-lower-case",
        ),
        pytest.param(
            "t/AWSLogs/o-abc123/210987654321/CloudTrail/us-east-1/2026/01/02/210987654321_CloudTrail_x.json.gz",
            None,
            "210987654321",
            id="organization-trail",
        ),
    ],
)
def test_the_key_tells_distribution_and_account(
    objects: S3Objects, key: str, distribution: str | None, account: str | None
) -> None:
    origin = objects.origin(StoredObject("logs", key, etag="e"))

    assert (origin.distribution_id, origin.account_id) == (distribution, account)


def test_the_origin_names_the_object(objects: S3Objects) -> None:
    origin = objects.origin(StoredObject("logs", "a b", version="v", etag="e"))

    assert origin.place == "s3://logs/a b"
    assert origin.identity == ("s3", "logs", "a b", "v")
    assert origin.s3 is not None
    assert origin.s3.bucket is not None
    assert origin.s3.object is not None
    assert (origin.s3.bucket.name, origin.s3.bucket.arn) == ("logs", "arn:aws:s3:::logs")
    assert origin.s3.object.key == "a b"


@pytest.mark.parametrize("version", [None, "null"])
def test_without_versions_the_etag_is_the_identity(objects: S3Objects, version: str | None) -> None:
    origin = objects.origin(StoredObject("logs", "a", version=version, etag="e"))

    assert origin.identity == ("s3", "logs", "a", "e")


@pytest.mark.parametrize(
    ("key", "size", "logs"),
    [
        pytest.param("AWSLogs/1/CloudTrail/us-east-1/x.json.gz", 1, True, id="cloudtrail"),
        pytest.param("AWSLogs/1/CloudTrail-Digest/x.json.gz", 1, False, id="digest"),
        pytest.param("AWSLogs/1/CloudTrail-Insight/x.json.gz", 1, False, id="insight"),
        pytest.param("AWSLogs/1/CloudTrail-NetworkActivity/x", 1, False, id="network"),
        pytest.param("AWSLogs/1/CloudTrail-Aggregated/x", 1, False, id="aggregated"),
        pytest.param("cdn/", 0, False, id="folder"),
        pytest.param("cdn/", None, False, id="folder-of-unknown-size"),
        pytest.param("cdn/", 5, True, id="no-folder-but-bytes"),
        pytest.param("cdn/x.gz", 0, True, id="empty-log"),
        pytest.param("cdn_$folder$", 0, False, id="folder-of-hadoop"),
        pytest.param("AWSLogs/210987654321/CloudFront/E1.gz", 1, True, id="cloudfront"),
        pytest.param("AWSLogs/210987654321/CloudTrail/eu-west-1/x.gz", 1, True, id="trail"),
        pytest.param("AWSLogs/210987654321/elasticloadbalancing/x.gz", 1, False, id="elb"),
        pytest.param("a/AWSLogs/o-abc12/210987654321/vpcflowlogs/x.gz", 1, False, id="vpc"),
        pytest.param(
            "AWSLogs/aws-account-id=210987654321/aws-service=vpcflowlogs/x", 1, False, id="hive"
        ),
        pytest.param("AWSLogs/210987654321/WAFLogs/cloudfront/acl/x.gz", 1, False, id="waf"),
        pytest.param(
            "AWSLogs/210987654321/Config/ConfigWritabilityCheckFile", 0, False, id="check"
        ),
        pytest.param("cdn/aws-programmatic-access-test-object", 9, False, id="test-object"),
        pytest.param("inv/b/all/2026-01-02T01-00Z/manifest.json", 9, False, id="inventory"),
        pytest.param("inv/b/all/2026-01-02T01-00Z/manifest.checksum", 9, False, id="checksum"),
        pytest.param("inv/b/all/hive/dt=2026-01-02-01-00/symlink.txt", 9, False, id="symlink"),
        pytest.param("cdn/WAFLogs/x.gz", 1, True, id="only-looks-like-a-service"),
        pytest.param("cdn/manifest.json", 1, True, id="only-looks-like-an-inventory"),
    ],
)
def test_some_keys_are_never_logs(key: str, size: int | None, *, logs: bool) -> None:
    assert StoredObject("logs", key, size=size).holds_logs is logs


class Versions:
    """An S3 client that only knows HEAD."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer

    def head_object(self, **_: str) -> dict[str, Any]:
        return self.answer


def test_the_current_version_is_what_head_says() -> None:
    head = {"ETag": '"e2"', "ContentLength": 9, "VersionId": "v2"}

    stored = S3Objects(Versions(head)).current(StoredObject("logs", "a", etag="e1"))

    assert stored == StoredObject("logs", "a", "v2", "e2", 9)
