from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from cloudfront_ecs.batches import Message
from cloudfront_ecs.sources.kinesis.answers import read_quickly
from cloudfront_ecs.sources.kinesis.stream import KinesisStream, Page

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD = {
    "Data": base64.b64encode(b"line\n").decode(),
    "SequenceNumber": "49590338271490256608559692538361571095921575989136588898",
    "ApproximateArrivalTimestamp": 1700000000.123,
    "PartitionKey": "k",
    "EncryptionType": "KMS",
}


class Raw(io.BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.getvalue()


def page_of(answer: dict[str, Any] | bytes, *, quick: bool = True, status: int = 200) -> Page:
    """Return what comes of an answer."""
    client = boto3.client("kinesis", region_name="us-east-1", endpoint_url="http://127.0.0.1:9")
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    headers = {"content-type": "application/x-amz-json-1.1"}

    def answered(request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, status, headers, Raw(body))

    client.meta.events.register("before-send.kinesis.GetRecords", answered)
    if quick:
        read_quickly(client)
    try:
        return KinesisStream(client, "edge").records("i", 10)
    finally:
        client.close()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"Records": []}, id="nothing"),
        pytest.param({"Records": [RECORD] * 3, "NextShardIterator": "n"}, id="records"),
        pytest.param({"Records": [], "MillisBehindLatest": 1500}, id="behind"),
        pytest.param({"Records": [], "NextShardIterator": None}, id="null-iterator"),
        pytest.param(
            {"Records": [], "ChildShards": [{"ShardId": "a", "ParentShards": []}]}, id="end"
        ),
        pytest.param({"Records": [{"Data": "", "SequenceNumber": "7"}]}, id="without-the-optional"),
        pytest.param(
            {"Records": [{**RECORD, "ApproximateArrivalTimestamp": 1700000000}]}, id="whole-time"
        ),
        pytest.param(
            {"Records": [{**RECORD, "ApproximateArrivalTimestamp": "2023-11-14T22:13:20Z"}]},
            id="unusual-time",
        ),
    ],
)
def test_an_answer_says_the_same_as_by_botocore(answer: dict[str, Any]) -> None:
    assert page_of(answer) == page_of(answer, quick=False)


def test_a_record_is_a_message() -> None:
    page = page_of({"Records": [RECORD], "NextShardIterator": "n", "MillisBehindLatest": 250})

    assert page.messages == [Message(b"line\n", RECORD["SequenceNumber"], 1700000000.123)]
    assert (page.iterator, page.behind, page.size) == ("n", 0.25, 5)


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize(
    "body", [b'{"Records":[{"Da', b"<html>sign in</html>", b"{}", b""], ids=repr
)
def test_a_body_that_is_no_answer_is_neither_a_page_nor_the_end_of_a_shard(
    body: bytes, *, quick: bool
) -> None:
    with pytest.raises(ResponseParserError):
        page_of(body, quick=quick)


def test_an_error_is_left_to_botocore() -> None:
    with pytest.raises(ClientError, match="ExpiredIterator"):
        page_of({"__type": "ExpiredIteratorException", "message": "old"}, status=400)
