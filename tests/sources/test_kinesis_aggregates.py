from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudfront_ecs.batches import Message
from cloudfront_ecs.sources.kinesis.aggregates import record_position, user_messages
from sources.kpl import aggregate, member, packed_records, sealed, varint

POSITION = "49590338271490256608559692538361571095921575989136588898"


def unpacked(data: bytes) -> list[bytes]:
    return [message.data for message in user_messages(Message(data, "7", 1.5))]


def test_user_records_have_the_position_of_their_record_and_their_index() -> None:
    found = user_messages(Message(aggregate([b"a\n", b"", b"c\n"]), POSITION, 1.5))

    assert found == [
        Message(b"a\n", f"{POSITION}:0", 1.5),
        Message(b"", f"{POSITION}:1", 1.5),
        Message(b"c\n", f"{POSITION}:2", 1.5),
    ]
    assert {record_position(message.position) for message in found} == {POSITION}


def test_a_record_by_the_letter_of_the_format_is_read() -> None:
    # Worked out by hand: a table of one key "a", then one record {key 0, data "hi"}.
    packed = bytes.fromhex("0a0161 1a06 0800 1a026869")

    assert unpacked(sealed(packed)) == [b"hi"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"a line\n", id="plain"),
        pytest.param(b"\xf3\x89\x9a", id="part-of-the-magic"),
        pytest.param(b"\xf3\x89\x9a\xc2", id="magic-alone"),
        pytest.param(b"\xf3\x89\x9a\xc2" + b"x" * 15, id="no-room-for-a-digest"),
        pytest.param(aggregate([b"a"])[:-1] + b"\0", id="another-digest"),
        pytest.param(aggregate([b"a"])[:-1], id="cut-off"),
        pytest.param(aggregate([]), id="no-user-record"),
        pytest.param(sealed(b""), id="empty-message"),
        pytest.param(sealed(b"\x1a\x7fx"), id="longer-than-there-is"),
        pytest.param(sealed(packed_records([b"a"]) + b"\x1b"), id="unknown-wire-type"),
        pytest.param(sealed(packed_records([b"a"]) + b"\xff" * 11), id="endless-number"),
        pytest.param(sealed(member(3, 7)), id="a-number-as-record"),
        pytest.param(sealed(member(3, b"")), id="a-user-record-without-data"),
        pytest.param(sealed(member(3, b"\x1a\x09x")), id="data-beyond-its-record"),
    ],
)
def test_what_only_looks_like_an_aggregate_is_a_record_like_others(data: bytes) -> None:
    message = Message(data, "7", 1.5)

    assert user_messages(message) == [message]


def test_members_of_a_later_version_are_passed_over() -> None:
    later = member(9, 300) + varint(10 << 3 | 1) + b"8 bytes." + varint(11 << 3 | 5) + b"four"

    assert unpacked(sealed(later + packed_records([b"a", b"b"]) + later)) == [b"a", b"b"]


@given(st.lists(st.binary(max_size=400), min_size=1, max_size=20))
def test_everything_that_was_packed_comes_out(datas: list[bytes]) -> None:
    assert unpacked(aggregate(datas)) == datas


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(packed: bytes) -> None:
    found = unpacked(sealed(packed))

    assert found
    assert all(isinstance(data, bytes) for data in found)
