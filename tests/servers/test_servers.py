from __future__ import annotations

import json
import socket
import ssl
import struct
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from servers.aws import ACCOUNT, start_moto
from servers.forward import Security

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.aws import MotoServer
    from servers.certificates import Certificate
    from servers.forward import ForwardServer
    from servers.kinesis import KinesisServer
    from servers.search_node import SearchNode

    Start = Callable[..., ForwardServer]

pytestmark = pytest.mark.integration


def test_an_object_put_into_s3_is_announced_in_sqs(
    aws: MotoServer, unique: Callable[[str], str]
) -> None:
    s3, sqs = aws.client("s3"), aws.client("sqs")
    bucket, name = unique("bucket"), unique("queue")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    s3.create_bucket(Bucket=bucket)
    target = {
        "QueueArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}",
        "Events": ["s3:ObjectCreated:*"],
    }
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [target]}
    )

    s3.put_object(Bucket=bucket, Key="a/b.gz", Body=b"lines")
    bodies = [json.loads(message["Body"]) for message in _receive(sqs, queue, 2)]

    records = [record for body in bodies for record in body.get("Records", [])]
    assert [record["s3"]["bucket"]["name"] for record in records] == [bucket]
    assert s3.get_object(Bucket=bucket, Key="a/b.gz")["Body"].read() == b"lines"


def test_moto_forgets_on_reset(tmp_path: Path) -> None:
    with closing(start_moto(tmp_path)) as aws:
        aws.client("s3").create_bucket(Bucket="bucket")

        aws.reset()

        assert aws.client("s3").list_buckets()["Buckets"] == []


@pytest.mark.parametrize("server", ["kinesalite", "kinesis_local"])
def test_kinesis_records_come_back_in_order(
    request: pytest.FixtureRequest, server: str, unique: Callable[[str], str]
) -> None:
    kinesis: KinesisServer = request.getfixturevalue(server)
    client, stream = kinesis.client(), unique("stream")
    client.create_stream(StreamName=stream, ShardCount=1)
    client.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})
    sent = [f"line {number}".encode() for number in range(20)]

    entries = [{"Data": data, "PartitionKey": "key"} for data in sent]
    put = client.put_records(StreamName=stream, Records=entries)
    shard = put["Records"][0]["ShardId"]
    iterator = client.get_shard_iterator(
        StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    got = client.get_records(ShardIterator=iterator)["Records"]

    assert put["FailedRecordCount"] == 0
    assert [record["Data"] for record in got] == sent


def test_kinesalite_outlives_a_client_that_is_killed_in_the_midst_of_a_request(
    kinesalite: KinesisServer,
) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"

    for _ in range(3):
        with socket.create_connection(("127.0.0.1", kinesalite.port), timeout=30) as connection:
            linger = struct.pack("ii", 1, 0)  # a reset instead of an orderly end
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.sendall(head + b"half")
            time.sleep(0.1)
    names = kinesalite.client().list_streams()["StreamNames"]

    assert isinstance(names, list)
    assert kinesalite.process.running
    assert "ECONNRESET" in kinesalite.process.log_tail()


@pytest.mark.parametrize("server", ["opensearch", "elasticsearch"])
def test_a_search_node_keeps_its_documents_over_a_restart(
    request: pytest.FixtureRequest, server: str, unique: Callable[[str], str]
) -> None:
    node: SearchNode = request.getfixturevalue(server)
    index, url = unique("index"), node.url
    lines: list[Any] = []
    for number in range(50):
        lines += [{"create": {"_id": str(number)}}, {"status": 200 + number % 2}]

    bulk = node.call("POST", f"/{index}/_bulk?refresh=true", lines)
    before = node.call("POST", f"/{index}/_count", {"query": {"term": {"status": 201}}})
    node.restart()
    after = node.call("POST", f"/{index}/_count", {"query": {"term": {"status": 201}}})

    assert (bulk.status, bulk.body["errors"]) == (200, False)
    assert before.body["count"] == after.body["count"] == 25
    assert node.url == url


def test_a_packed_forward_chunk_is_acked_and_reported_to_the_nanosecond(
    forward_server: Start,
) -> None:
    server = forward_server()
    times = [(1_700_000_000, 1), (1_700_000_000, 999_999_999), (1_700_000_001, 123_456_789)]

    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        ack = _send(connection, "edge.logs", times, "chunk-1")
    entries = server.wait_for(len(times))

    assert ack == {"ack": "chunk-1"}
    assert [(entry.seconds, entry.nanoseconds) for entry in entries] == times
    assert [entry.record for entry in entries] == [{"number": n, "text": "ä"} for n in range(3)]
    assert {entry.tag for entry in entries} == {"edge.logs"}


def test_a_receiver_with_shared_key_and_tls_greets_first(
    forward_server: Start, certificate: Certificate
) -> None:
    server = forward_server(
        Security(shared_key="key", users={"bob": "secret"}, certificate=certificate)
    )
    trust = ssl.create_default_context(cafile=certificate.authority)

    with (
        socket.create_connection((server.host, server.port), timeout=30) as plain,
        trust.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        kind, options = msgpack.unpackb(connection.recv(65536))

    assert kind == "HELO"
    assert len(options["nonce"]) == len(options["auth"]) == 16


def test_a_receiver_takes_a_hundred_thousand_entries_and_survives_a_restart(
    forward_server: Start,
) -> None:
    server = forward_server()
    times = [(1_700_000_000, number) for number in range(5_000)]

    for half in range(2):
        with socket.create_connection((server.host, server.port), timeout=60) as connection:
            for chunk in range(10):
                _send(connection, "edge.logs", times, f"chunk-{half}-{chunk}")
        server.wait_for(50_000 * (half + 1))
        server.process.restart()

    assert len(server.entries()) == server.count() == 100_000


def _receive(sqs: Any, queue: str, count: int) -> list[dict[str, Any]]:
    """Return *count* messages, or fewer when no more come for a while."""
    messages: list[dict[str, Any]] = []
    deadline = time.monotonic() + 30
    while len(messages) < count and time.monotonic() < deadline:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=2)
        messages += answer.get("Messages", [])
    return messages


def _send(
    connection: socket.socket, tag: str, times: list[tuple[int, int]], chunk: str
) -> dict[str, str]:
    """Send one PackedForward message and return the answer to it."""
    packed = b"".join(
        msgpack.packb(
            [
                msgpack.ExtType(0, seconds.to_bytes(4, "big") + nanoseconds.to_bytes(4, "big")),
                {"number": number, "text": "ä"},
            ]
        )
        for number, (seconds, nanoseconds) in enumerate(times)
    )
    connection.sendall(msgpack.packb([tag, packed, {"chunk": chunk, "size": len(times)}]))
    unpacker = msgpack.Unpacker()
    while True:
        unpacker.feed(connection.recv(4096))
        for answer in unpacker:
            return dict(answer)
