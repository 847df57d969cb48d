from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from cloudfront_ecs import aws
from cloudfront_ecs.aws_signing import RenewedCredentials, ServerClock
from cloudfront_ecs.options import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers.aws import MotoServer

CALLS = {
    "s3": lambda client: client.list_objects_v2(Bucket="logs"),
    "sqs": lambda client: client.receive_message(QueueUrl="https://sqs.example.com/1/q"),
    "kinesis": lambda client: client.list_shards(StreamName="logs"),
    "dynamodb": lambda client: client.list_tables(),
}
EXPIRED = {
    "s3": "ExpiredToken",
    "sqs": "ExpiredToken",
    "kinesis": "ExpiredTokenException",
    "dynamodb": "ExpiredTokenException",
}
SKEWED = {
    "s3": "RequestTimeTooSkewed",
    "sqs": "SignatureDoesNotMatch",
    "kinesis": "InvalidSignatureException",
    "dynamodb": "InvalidSignatureException",
}


class PlayedAws:
    """AWS as one client meets it: refuses some keys, and requests off its clock.

    Attributes:
        refused: Codes of errors by the key they answer.
        ahead: How far its clock is ahead of this machine's.
        skew_code: The code for a request more than 5 minutes off.
        seen: The requests, in order.
    """

    def __init__(self, service: str) -> None:
        self.refused: dict[str, str] = {}
        self.ahead = timedelta(0)
        self.skew_code = SKEWED.get(service, "")
        self.seen: list[Any] = []
        self._xml = service == "s3"

    @property
    def keys(self) -> list[str]:
        """The ids of the keys that requests were signed with."""
        return [_key(request) for request in self.seen]

    def answer(self, request: Any, **_: object) -> AWSResponse:
        """Stand in for the network (botocore's event ``before-send``)."""
        self.seen.append(request)
        now = datetime.now(UTC) + self.ahead
        stamp = request.headers["X-Amz-Date"].decode()
        signed = datetime.strptime(stamp, "%Y%m%dT%H%M%S%z")
        code = self.refused.get(_key(request))
        if abs(signed - now) > timedelta(minutes=5):
            code = self.skew_code
        body = b"<A/>" if self._xml else b"{}"
        if code:
            body = f"<Error><Code>{code}</Code></Error>".encode()
            if not self._xml:
                body = f'{{"__type": "{code}", "message": "no"}}'.encode()
        headers = {"Date": format_datetime(now, usegmt=True)}
        answer = AWSResponse(request.url, 403 if code else 200, headers, None)
        answer._content = body
        return answer


def _key(request: Any) -> str:
    text: str = request.headers["Authorization"].decode()
    return text.partition("Credential=")[2].partition("/")[0]


@contextmanager
def played(service: str, **options: Any) -> Iterator[tuple[Any, PlayedAws]]:
    client = aws.client(
        service,
        aws.AwsOptions(region="eu-west-1", endpoint_url="http://aws.example.com", **options),
        retries={"total_max_attempts": 1},
    )
    server = PlayedAws(service)
    client.meta.events.register("before-send", server.answer)
    try:
        yield client, server
    finally:
        client.close()


@pytest.fixture(name="keys")
def _keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that AWS users keep their keys in; it says ``AKIDOLD``."""
    path = tmp_path / "credentials"
    write_keys(path, "AKIDOLD")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return path


def write_keys(path: Path, key: str) -> None:
    path.write_text(
        f"[default]\naws_access_key_id = {key}\naws_secret_access_key = secret\n"
        f"aws_session_token = token-of-{key}\n"
    )


@pytest.mark.parametrize("service", CALLS)
def test_a_rotated_file_is_read_again_when_its_token_has_expired(service: str, keys: Path) -> None:
    with played(service) as (client, server):
        CALLS[service](client)
        write_keys(keys, "AKIDNEW")
        server.refused["AKIDOLD"] = EXPIRED[service]

        CALLS[service](client)
        CALLS[service](client)

    assert server.keys == ["AKIDOLD", "AKIDOLD", "AKIDNEW", "AKIDNEW"]
    assert server.seen[-1].headers["X-Amz-Security-Token"] == b"token-of-AKIDNEW"


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "TokenRefreshRequired", "RequestExpired"])
def test_keys_that_are_known_no_more_are_looked_for_again(code: str, keys: Path) -> None:
    with played("s3") as (client, server):
        CALLS["s3"](client)
        write_keys(keys, "AKIDNEW")
        server.refused["AKIDOLD"] = code

        CALLS["s3"](client)

    assert server.keys[-1] == "AKIDNEW"


@pytest.mark.usefixtures("keys")
def test_without_other_keys_the_error_is_the_callers() -> None:
    with played("s3") as (client, server):
        server.refused["AKIDOLD"] = "ExpiredToken"

        with pytest.raises(ClientError, match="ExpiredToken"):
            CALLS["s3"](client)

    assert server.keys == ["AKIDOLD"]


def test_new_keys_that_are_refused_too_are_not_tried_for_ever(keys: Path) -> None:
    with played("kinesis") as (client, server):
        CALLS["kinesis"](client)
        write_keys(keys, "AKIDNEW")
        server.refused |= dict.fromkeys(["AKIDOLD", "AKIDNEW"], "ExpiredTokenException")

        with pytest.raises(ClientError, match="ExpiredToken"):
            CALLS["kinesis"](client)

    assert server.keys == ["AKIDOLD", "AKIDOLD", "AKIDNEW"]


@pytest.mark.usefixtures("keys")
def test_denied_access_is_no_reason_to_look_for_keys() -> None:
    with played("sqs") as (client, server):
        server.refused["AKIDOLD"] = "AccessDenied"

        with pytest.raises(ClientError, match="AccessDenied"):
            CALLS["sqs"](client)

    assert len(server.seen) == 1


def test_many_threads_that_are_refused_renew_once(keys: Path) -> None:
    with played("s3") as (client, server):
        CALLS["s3"](client)
        write_keys(keys, "AKIDNEW")
        server.refused["AKIDOLD"] = "ExpiredToken"
        credentials = client._request_signer._credentials
        threads = [threading.Thread(target=CALLS["s3"], args=(client,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert credentials.generation == 1
    assert server.keys.count("AKIDNEW") == 8


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.parametrize("service", CALLS)
def test_a_wrong_clock_is_corrected_by_the_servers(
    service: str, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with played(service) as (client, server):
        server.ahead = timedelta(hours=hours)

        CALLS[service](client)
        CALLS[service](client)

    # One request is refused, every later one is right at once.
    assert len(server.seen) == 3
    request = server.seen[-1]
    stamp = datetime.strptime(request.headers["X-Amz-Date"].decode(), "%Y%m%dT%H%M%S%z")
    authorization = request.headers["Authorization"].decode()
    signed = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: stamp)
    again = AWSRequest(request.method, request.url, data=request.body or b"")
    for name, value in request.headers.items():
        if name.lower() in signed and name not in {"X-Amz-Date", "X-Amz-Security-Token"}:
            again.headers[name] = value.decode() if isinstance(value, bytes) else value
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    credentials = ReadOnlyCredentials("AKIDOLD", "secret", "token-of-AKIDOLD", None)
    signer(credentials, service, "eu-west-1").add_auth(again)
    assert authorization == again.headers["Authorization"]


@pytest.mark.usefixtures("keys")
def test_a_clock_that_is_put_right_is_trusted_again() -> None:
    with played("s3") as (client, server):
        server.ahead = timedelta(hours=1)
        CALLS["s3"](client)
        server.ahead = timedelta(0)

        CALLS["s3"](client)

    signed = [request.headers["X-Amz-Date"].decode() for request in server.seen]
    assert len(signed) == 4
    assert (signed[1] > signed[0], signed[2] > signed[0], signed[3] < signed[2]) == (True,) * 3


@pytest.mark.usefixtures("keys")
def test_a_signature_refused_at_the_right_time_is_the_callers() -> None:
    with played("kinesis") as (client, server):
        server.refused["AKIDOLD"] = "InvalidSignatureException"

        with pytest.raises(ClientError, match="InvalidSignature"):
            CALLS["kinesis"](client)

    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("date", "heeded"),
    [
        pytest.param(None, False, id="absent"),
        pytest.param("yesterday", False, id="unreadable"),
        pytest.param("Wed, 21 Oct 2015 07:28:00 GMT", True, id="gmt"),
        pytest.param("Wed, 21 Oct 2015 07:28:00 -0000", True, id="no-zone"),
    ],
)
def test_the_clock_heeds_dates(date: str | None, *, heeded: bool) -> None:
    clock = ServerClock()

    assert clock.heed(date, timedelta(minutes=4)) is heeded
    assert (clock.now().year == 2015) is heeded


@pytest.fixture(name="role")
def _role(aws: MotoServer, keys: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.endpoint)
    assert keys.exists()
    return "arn:aws:iam::210987654321:role/logs"


@pytest.mark.integration
def test_a_role_is_assumed_again_when_its_session_is_refused(role: str) -> None:
    with played("s3", role_arn=role, external_id=Secret("for-us"), session_seconds=1800) as (
        client,
        server,
    ):
        CALLS["s3"](client)
        first = server.keys[0]
        server.refused[first] = "ExpiredToken"

        CALLS["s3"](client)

    assert server.keys[:2] == [first, first]
    assert len(server.keys) == 3
    assert server.keys[2] not in {first, "AKIDOLD"}


@pytest.mark.integration
def test_a_role_serves_a_machine_whose_clock_is_hours_ahead(
    role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(hours=3)

    monkeypatch.setattr("cloudfront_ecs.aws_signing.datetime", Ahead)
    with played("s3", role_arn=role) as (client, server):
        credentials = client._request_signer._credentials
        # Its session of one hour seems to have ended before it began.
        with pytest.raises(BotoCoreError, match="still expired"):
            CALLS["s3"](client)
        clock = credentials._load.args[1]
        clock.offset = timedelta(hours=-3)

        CALLS["s3"](client)

    assert len(server.seen) == 1


def test_ended_credentials_of_the_environment_are_an_error_of_botocore(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.unlink()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z")
    with played("s3") as (client, _), pytest.raises(BotoCoreError, match="expired"):
        CALLS["s3"](client)


def test_keys_may_appear_after_the_start(keys: Path) -> None:
    keys.unlink()
    with played("s3") as (client, server):
        with pytest.raises(NoCredentialsError):
            CALLS["s3"](client)
        write_keys(keys, "AKIDNEW")

        CALLS["s3"](client)

    assert server.keys == ["AKIDNEW"]


def test_keys_that_cannot_be_renewed_stay() -> None:
    found: list[Any] = [ReadOnlyHolder("A"), None]
    credentials = RenewedCredentials(lambda: found.pop(0))
    assert credentials.access_key == "A"

    with pytest.raises(NoCredentialsError):
        credentials.renew(0)

    assert (credentials.access_key, credentials.generation) == ("A", 0)


class ReadOnlyHolder:
    """What botocore returns for keys without an end."""

    method = "played"

    def __init__(self, key: str) -> None:
        self._keys = ReadOnlyCredentials(key, "secret", None, None)

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        return self._keys
