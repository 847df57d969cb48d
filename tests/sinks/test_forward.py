from __future__ import annotations

import gzip
import struct
from typing import Any

import msgpack
import msgspec
import pytest
from fluent.sender import EventTime

from cloudfront_ecs.batches import Document, Rejection
from cloudfront_ecs.normalize.documents import ecs
from cloudfront_ecs.options import Secret
from cloudfront_ecs.sinks.forward import (
    Chunk,
    Credentials,
    Hello,
    Packer,
    acknowledged,
    event_time,
    pack_entry,
    pack_message,
    ping,
    read_hello,
    read_pong,
)

TIME_NS = 1_700_000_000_123_456_789
SALT = "00112233445566778899aabbccddeeff"
NONCE, AUTH = bytes(range(16)), bytes(range(16, 32))
HELLO = Hello(NONCE, AUTH, keepalive=True)
ALICE = Credentials("client.example", Secret("s3cr3t"), "alice", Secret("pa55"))

# Worked out by hand from the specification's formulas, over the constants above.
CLIENT_PROOF = (
    "57a88e27fd736942d4ef1231510a246c7ccd19844d6bf8f6d12b0d2924550aa0"
    "038ab487d30febbcf991e7eccf050215926a8aef27de737bcb93b60801d25ba1"
)
USER_PROOF = (
    "c91118e5669affdbc553ded7061a3c3c1f015d32365150701344a75344ff9c49"
    "68347cbb2aebd7685f184cacfb7a04276ecc767afd3e376807eb390f1335d8eb"
)
SERVER_PROOF = (
    "04672510836b133252c5174de8123a71f7fc07155872dffbe6bbd0092ec548e2"
    "f06b68580788bf9334b82240ec055f7ba8a944e8c9a7a3155cb849971b454e63"
)


def document(number: int = 0, body: object = None, **changes: Any) -> Document:
    values: dict[str, Any] = {
        "id": f"{number:030}",
        "dataset": "cloudfront.standard",
        "time_ns": TIME_NS,
    }
    return Document(**(values | changes), opened={"number": number} if body is None else body)


def packer(**changes: Any) -> Packer:
    values: dict[str, Any] = {
        "tag": "t",
        "chunk_bytes": 1_048_576,
        "compress": "none",
        "require_ack": True,
    }
    return Packer(**(values | changes))


def pack(documents: list[Document], **changes: Any) -> tuple[list[Chunk], list[Rejection]]:
    rejected: list[Rejection] = []
    return list(packer(**changes).chunks(documents, rejected)), rejected


def test_a_message_has_the_known_bytes() -> None:
    entries = pack_entry(TIME_NS, {"a": 1})

    message = pack_message("t", entries, {"chunk": "AAECAwQFBgcICQoLDA0ODw==", "size": 1})

    assert message.hex() == (
        "93a174c40f92d7006553f100075bcd1581a1610182a56368756e6b"
        "b841414543417751464267634943516f4c4441304f44773d3da473697a6501"
    )


@pytest.mark.parametrize(
    "time_ns",
    [
        pytest.param(0, id="first"),
        pytest.param(TIME_NS, id="nanoseconds"),
        pytest.param(2**32 * 10**9 - 1, id="last"),
    ],
)
def test_the_time_is_that_of_fluent_logger(time_ns: int) -> None:
    packed = msgspec.msgpack.encode(event_time(time_ns))

    assert packed == msgpack.packb(EventTime(time_ns // 10**9, time_ns % 10**9))
    assert packed == b"\xd7\x00" + struct.pack(">II", *divmod(time_ns, 10**9))


def test_a_typed_body_is_packed_like_its_json() -> None:
    http = ecs.Http(response=ecs.HttpResponse(status_code=200, bytes=2**40))
    body = ecs.EcsDocument(timestamp="2023-11-14T22:13:20Z", http=http, tags=["a"])

    _, record = msgpack.unpackb(pack_entry(TIME_NS, body))

    assert record == msgspec.json.decode(msgspec.json.encode(body))


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        pytest.param({"time_ns": -1}, "time is not within 1970..2106", id="before-1970"),
        pytest.param({"time_ns": 2**32 * 10**9}, "time is not within 1970..2106", id="after-2106"),
        pytest.param({"body": {"a": "\udc80"}}, "not UTF-8 (a lone surrogate)", id="surrogate"),
        pytest.param({"body": {"\udc80": 1}}, "not UTF-8 (a lone surrogate)", id="surrogate-key"),
        pytest.param({"body": {"a": 2**64}}, "no MessagePack form (OverflowError)", id="integer"),
        pytest.param({"body": {"a": object()}}, "no MessagePack form (TypeError)", id="object"),
        pytest.param({"body": [1]}, "record is not a map", id="list"),
        pytest.param({"body": "text"}, "record is not a map", id="text"),
        pytest.param({"body": {1: 2}}, "record has a key that is not text", id="key"),
        pytest.param({"dataset": "a b"}, "gives a tag that is not allowed", id="tag-blank"),
        pytest.param({"dataset": "é"}, "gives a tag that is not allowed", id="tag-letter"),
    ],
)
def test_what_a_receiver_would_throw_away_is_rejected(changes: Any, detail: str) -> None:
    bad = document(1, **changes)

    chunks, rejected = pack([document(0), bad, document(2)], tag="{dataset}")

    assert [doc.id for chunk in chunks for doc in chunk.documents] == [f"{0:030}", f"{2:030}"]
    assert [rejection.document for rejection in rejected] == [bad]
    assert detail in rejected[0].detail


@pytest.mark.parametrize("size", [15, 16, 65_536], ids=["fixmap", "map16", "map32"])
def test_a_record_of_any_size_is_a_map(size: int) -> None:
    body = {str(number): number for number in range(size)}

    assert msgpack.unpackb(pack_entry(TIME_NS, body))[1] == body


def test_every_dataset_has_its_own_tag_and_order() -> None:
    datasets = ["a", "b", "a", "b", "a"]
    documents = [document(n, dataset=name) for n, name in enumerate(datasets)]

    chunks, _ = pack(documents, tag="cdn.{dataset}")

    assert [msgpack.unpackb(chunk.message)[0] for chunk in chunks] == ["cdn.a", "cdn.b"]
    assert [chunk.documents for chunk in chunks] == [tuple(documents[::2]), tuple(documents[1::2])]


def test_chunks_stay_below_their_limit() -> None:
    documents = [document(n, {"text": "x" * 400}) for n in range(100)]

    chunks, _ = pack(documents, chunk_bytes=2_000)

    sizes = [len(msgpack.unpackb(chunk.message)[1]) for chunk in chunks]
    assert [doc for chunk in chunks for doc in chunk.documents] == documents
    assert max(sizes) <= 2_000
    assert min(sizes) > 1_200


def test_a_document_above_the_limit_goes_alone() -> None:
    documents = [document(0), document(1, {"text": "x" * 5_000}), document(2)]

    chunks, rejected = pack(documents, chunk_bytes=1_024)

    assert [len(chunk.documents) for chunk in chunks] == [1, 1, 1]
    assert not rejected


def test_a_chunk_id_is_made_from_the_documents() -> None:
    documents = [document(n) for n in range(3)]

    [first], _ = pack(documents)
    [again], _ = pack(documents, compress="gzip")
    [other], _ = pack(documents[:2])

    assert first.id == again.id != other.id
    assert len(first.id) == 24
    assert msgpack.unpackb(first.message)[2] == {"chunk": first.id, "size": 3}


def test_without_acks_no_chunk_id_is_sent() -> None:
    [chunk], _ = pack([document()], require_ack=False)

    assert msgpack.unpackb(chunk.message)[2] == {"size": 1}


def test_a_compressed_chunk_holds_the_same_entries() -> None:
    documents = [document(n) for n in range(50)]

    [plain], _ = pack(documents)
    [packed], _ = pack(documents, compress="gzip")

    _, entries, option = msgpack.unpackb(packed.message)
    assert option == {"chunk": packed.id, "size": 50, "compressed": "gzip"}
    assert gzip.decompress(entries) == msgpack.unpackb(plain.message)[1]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param({b"ack": b"AAECAwQFBgcICQoLDA0ODw=="}, "AAECAwQFBgcICQoLDA0ODw==", id="ack"),
        pytest.param({}, None, id="refusal-of-vector"),
        pytest.param({b"ack": None}, None, id="nil"),
        pytest.param([b"HELO", {}], None, id="list"),
        pytest.param(72, None, id="http"),
    ],
)
def test_only_an_ack_is_an_ack(answer: object, expected: str | None) -> None:
    assert acknowledged(answer) == expected


def test_ping_has_the_known_proofs() -> None:
    assert msgpack.unpackb(ping(HELLO, ALICE, SALT)) == [
        "PING",
        "client.example",
        SALT,
        CLIENT_PROOF,
        "alice",
        USER_PROOF,
    ]


def test_ping_without_a_user_has_no_user_proof() -> None:
    hello = Hello(NONCE, b"", keepalive=True)

    answer = msgpack.unpackb(ping(hello, Credentials("client.example", Secret("s3cr3t")), SALT))

    assert answer[3:] == [CLIENT_PROOF, "", ""]


@pytest.mark.parametrize(
    ("packed", "expected"),
    [
        pytest.param(
            b"\x92\xa4HELO\x83\xa5nonce\xc4\x10" + NONCE + b"\xa4auth\xc4\x10" + AUTH
            + b"\xa9keepalive\xc3",
            HELLO,
            id="fluentd",
        ),
        pytest.param(
            b"\x92\xa4HELO\x82\xa5nonce\xb0" + b"\xff" * 16 + b"\xa4auth\xb0" + AUTH,
            Hello(b"\xff" * 16, AUTH, keepalive=True),
            id="fluent-bit",
        ),
        pytest.param(
            b"\x92\xa4HELO\x83\xa5nonce\xc4\x10" + NONCE + b"\xa4auth\xa0\xa9keepalive\xc2",
            Hello(NONCE, b"", keepalive=False),
            id="no-user-one-chunk",
        ),
        pytest.param(b"\x92\xa4HELO\x80", None, id="no-nonce"),
        pytest.param(b"\x81\xa3ack\xa1x", None, id="ack"),
        pytest.param(b"\x01", None, id="number"),
    ],
)  # fmt: skip
def test_a_greeting_is_read_as_each_receiver_packs_it(packed: bytes, expected: Any) -> None:
    assert read_hello(msgpack.unpackb(packed, raw=True)) == expected


def test_a_receiver_that_proves_the_key_is_believed() -> None:
    pong = [b"PONG", True, b"", b"server.example", SERVER_PROOF.encode()]

    assert read_pong(pong, HELLO, ALICE, SALT) == "server.example"


@pytest.mark.parametrize(
    ("pong", "problem"),
    [
        pytest.param(
            [b"PONG", True, b"", b"server.example", CLIENT_PROOF.encode()],
            "does not know the shared key",
            id="wrong-proof",
        ),
        pytest.param(
            [b"PONG", True, b"", b"client.example", CLIENT_PROOF.encode()],
            "has our own name",
            id="our-proof-sent-back",
        ),
        pytest.param(
            [b"PONG", False, b"shared_key mismatch", b"", b""],
            "authentication failed: 'shared_key mismatch'",
            id="refused",
        ),
        pytest.param([b"PONG", True], "not a PONG", id="short"),
        pytest.param({b"ack": b"x"}, "not a PONG", id="ack"),
    ],
)
def test_any_other_pong_is_refused(pong: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_pong(pong, HELLO, ALICE, SALT)
