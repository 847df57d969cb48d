from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from cloudfront_ecs.errors import PayloadError, SourceError
from cloudfront_ecs.sources.s3.errors import s3_error


def client_error(
    code: str, message: str = "so it is", operation: str = "GetObject", **more: str
) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": message, **more}}
    return ClientError(answer, operation)


@pytest.mark.parametrize("code", ["NoSuchKey", "NoSuchBucket", "NoSuchVersion", "404"])
def test_what_s3_does_not_know_is_missing(code: str) -> None:
    error = s3_error("s3://logs/a", client_error(code), b"notice")

    assert isinstance(error, PayloadError)
    assert (error.reason, error.detail, error.raw) == ("missing", f"s3://logs/a: {code}", b"notice")


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        pytest.param(client_error("InternalError"), "", id="s3-is-ill"),
        pytest.param(client_error("SomethingNew"), "", id="unknown"),
        pytest.param(client_error("MethodNotAllowed"), "", id="no-delete-marker"),
        pytest.param(client_error("SlowDown"), "S3 asks for fewer requests", id="slow-down"),
        pytest.param(client_error("AccessDenied"), "allow 's3:GetObject' on it", id="denied"),
        pytest.param(client_error("403", operation="HeadObject"), "'s3:ListBucket'", id="head"),
        pytest.param(client_error("AccessDenied"), "'requester_pays'", id="requester-pays"),
        pytest.param(
            client_error("AccessDenied", operation="ListObjectsV2"),
            "allow 's3:ListBucket' on the bucket",
            id="list",
        ),
        pytest.param(
            client_error("AccessDenied", operation="AssumeRole"), "'external_id'", id="role"
        ),
        pytest.param(
            client_error("AccessDenied", "not authorized to perform: kms:Decrypt on resource: k"),
            "allow 'kms:Decrypt' on the key",
            id="kms-denied",
        ),
        pytest.param(client_error("KMS.DisabledException"), "enable the key", id="kms-disabled"),
        pytest.param(client_error("KMS.NotFoundException"), "is gone, or hidden", id="kms-gone"),
        pytest.param(
            client_error("KMS.KMSInvalidStateException"), "awaits its deletion", id="kms-state"
        ),
        pytest.param(
            client_error("InvalidObjectState", StorageClass="GLACIER"),
            "lies in GLACIER: restore it",
            id="archived",
        ),
        pytest.param(
            client_error(
                "InvalidRequest", "The object was stored using a form of Server Side Encryption."
            ),
            "SSE-C",
            id="customer-key",
        ),
        pytest.param(
            client_error("AuthorizationHeaderMalformed", Region="eu-west-1"),
            "the bucket is in 'eu-west-1': set 'region'",
            id="region",
        ),
        pytest.param(client_error("ExpiredToken"), "no newer credentials", id="expired"),
        pytest.param(client_error("InvalidAccessKeyId"), "no newer credentials", id="rotated"),
        pytest.param(client_error("RequestTimeTooSkewed"), "set this machine's clock", id="clock"),
    ],
)
def test_every_other_answer_may_change_and_says_how(error: ClientError, hint: str) -> None:
    found = s3_error("s3://logs/a", error)

    told = error.response["Error"]
    assert isinstance(found, SourceError)
    beginning = f"s3://logs/a: {told['Code']}: {told['Message']}"
    assert str(found).startswith(beginning)
    assert hint in str(found)
    assert bool(hint) == (len(str(found)) > len(beginning))


def test_errors_without_an_answer_may_change() -> None:
    error = s3_error("s3://logs/a", EndpointConnectionError(endpoint_url="http://x"))

    assert isinstance(error, SourceError)
