from __future__ import annotations

import threading
import zlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from cloudfront_ecs.errors import PayloadError, SourceError
from cloudfront_ecs.sources.s3_objects import ATTEMPTS, S3Objects, StoredObject, s3_error
from servers.process import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = bytes(range(256)) * 4096  # 1 MiB
KEY = "E1TESTS0000001.2026-03-04-05.0a1b2c3d.gz"


class FlakyStore(ThreadingHTTPServer):
    """An S3 of one object whose answers break off after some bytes.

    Attributes:
        cuts: After how many bytes each coming answer breaks off; then all are whole.
        etag: The object's ETag.
        overwrite_at: The number of the GET before which the ETag changes.
        requests: The headers of every GET.
        paths: The path and query of every GET.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", free_port()), _Handler)
        self.cuts: list[int] = []
        self.etag = "first"
        self.overwrite_at = 0
        self.requests: list[dict[str, str]] = []
        self.paths: list[str] = []

    def handle_error(self, *_: object) -> None:
        """Say nothing of readers that leave early."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FlakyStore

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(200, BODY, send=b"")

    def do_GET(self) -> None:
        store = self.server
        store.requests.append(dict(self.headers))
        store.paths.append(self.path)
        if len(store.requests) == store.overwrite_at:
            store.etag = "second"
        if self.headers.get("If-Match", f'"{store.etag}"') != f'"{store.etag}"':
            error = b"<Error><Code>PreconditionFailed</Code><Message>no</Message></Error>"
            self._answer(412, error, send=error)
            return
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        part = BODY[start:]
        cut = store.cuts.pop(0) if store.cuts else len(part)
        self._answer(206 if start else 200, part, send=part[:cut], start=start)
        if cut < len(part):
            self.close_connection = True

    def _answer(self, status: int, body: bytes, *, send: bytes, start: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{self.server.etag}"')
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        self.end_headers()
        self.wfile.write(send)


@pytest.fixture(name="store")
def _store() -> Iterator[FlakyStore]:
    store = FlakyStore()
    thread = threading.Thread(target=store.serve_forever)
    thread.start()
    yield store
    store.shutdown()
    store.server_close()
    thread.join()


@contextmanager
def opened(endpoint: str) -> Iterator[S3Objects]:
    objects = S3Objects(boto3.client("s3", endpoint_url=endpoint), lambda _: None)
    try:
        yield objects
    finally:
        objects.close()


@pytest.fixture(name="objects")
def _objects(store: FlakyStore) -> Iterator[S3Objects]:
    with opened(f"http://127.0.0.1:{store.server_port}") as objects:
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


def test_a_version_is_asked_for_by_name(store: FlakyStore, objects: S3Objects) -> None:
    store.cuts = [10]

    list(objects.read(StoredObject("logs", KEY, version="v1")))

    assert all("versionId=v1" in path for path in store.paths)
    assert [request.get("If-Match") for request in store.requests] == [None, '"first"']


def test_an_object_overwritten_while_it_is_read_goes_back(
    store: FlakyStore, objects: S3Objects
) -> None:
    store.cuts = [500_000]
    store.overwrite_at = 2

    with pytest.raises(SourceError, match="was overwritten"):
        list(objects.read(STORED))


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


def test_a_dead_endpoint_is_no_loss() -> None:
    with (
        opened(f"http://127.0.0.1:{free_port()}") as objects,
        pytest.raises(SourceError, match=f"s3://logs/{KEY}: EndpointConnectionError"),
    ):
        list(objects.read(STORED))


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "so it is"}}, "GetObject")


@pytest.mark.parametrize("code", ["NoSuchKey", "NoSuchBucket", "NoSuchVersion", "404"])
def test_what_s3_does_not_know_is_missing(code: str) -> None:
    error = s3_error("s3://logs/a", client_error(code), b"notice")

    assert isinstance(error, PayloadError)
    assert (error.reason, error.detail, error.raw) == ("missing", f"s3://logs/a: {code}", b"notice")


@pytest.mark.parametrize(
    "code",
    [
        "AccessDenied",
        "403",
        "ExpiredToken",
        "SlowDown",
        "InternalError",
        "KMS.DisabledException",
        "InvalidObjectState",
        "InvalidAccessKeyId",
        "RequestTimeTooSkewed",
        "SomethingNew",
    ],
)
def test_every_other_answer_may_change(code: str) -> None:
    error = s3_error("s3://logs/a", client_error(code))

    assert isinstance(error, SourceError)
    assert str(error) == f"s3://logs/a: {code}: so it is"


def test_errors_without_an_answer_may_change() -> None:
    error = s3_error("s3://logs/a", EndpointConnectionError(endpoint_url="http://x"))

    assert isinstance(error, SourceError)


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
