"""Records that the Kinesis Producer Library packed into one.

CloudFront puts each line as a record of its own; programs that publish its records again may
pack them.  Source of the format: "KPL aggregated record format" of the KPL's documentation: 4
bytes of magic, a protocol buffer message ``AggregatedRecord``, the MD5 of the message.
"""

from __future__ import annotations

from hashlib import md5
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs.batches import Message

MAGIC = b"\xf3\x89\x9a\xc2"
_DIGEST_LENGTH = 16
_RECORDS = 3  # of AggregatedRecord: its user records
_DATA = 3  # of Record: what the user put
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_LENGTHS = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT = 70  # bits; 64 are used


def user_messages(message: Message) -> list[Message]:
    """Return what was packed into *message*, or the message alone where it is no aggregate.

    The position of a user record is that of the message, a colon and its index from 0, so
    that ids are stable.  All of them are kept, also those whose hash key lies in another
    shard since the shards have changed: the producer library may put these a second time, but
    other programs that pack do not, and nothing is to be lost.  What only looks like an
    aggregate (another digest, an unreadable message, no user record) is a record like others.
    """
    data = message.data
    if not data.startswith(MAGIC):
        return [message]
    packed = data[len(MAGIC) : -_DIGEST_LENGTH]
    digest = md5(packed, usedforsecurity=False).digest()
    if digest != data[len(MAGIC) + len(packed) :]:
        return [message]
    try:
        records = [_user_data(packed, *place) for place in _members(packed, _RECORDS)]
    except ValueError:
        return [message]
    return [
        message._replace(data=record, position=f"{message.position}:{index}")
        for index, record in enumerate(records)
    ] or [message]


def record_position(position: str) -> str:
    """Return the sequence number of the Kinesis record that holds *position*."""
    return position.partition(":")[0]


def _user_data(packed: bytes, start: int, end: int) -> bytes:
    data = [packed[first:last] for first, last in _members(packed, _DATA, start, end)]
    if not data:
        raise ValueError("a user record has no data")
    return data[-1]


def _members(
    packed: bytes, wanted: int, start: int = 0, end: int | None = None
) -> Iterator[tuple[int, int]]:
    """Yield where the values of the member *wanted* begin and end.

    Raises:
        ValueError: It is no protocol buffer message.
    """
    at = start
    end = len(packed) if end is None else end
    while at < end:
        tag, at = _varint(packed, at, end)
        kind = tag & 7
        if kind == _VARINT:
            _, following = _varint(packed, at, end)
        elif kind == _BYTES:
            length, at = _varint(packed, at, end)
            following = at + length
        elif kind in _FIXED_LENGTHS:
            following = at + _FIXED_LENGTHS[kind]
        else:
            raise ValueError(f"unknown wire type {kind}")
        if following > end:
            raise ValueError("the message is cut off")
        if tag >> 3 == wanted:
            if kind != _BYTES:
                raise ValueError(f"member {wanted} is no text")
            yield at, following
        at = following


def _varint(packed: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the number at *at* and where it ends."""
    number = 0
    for shift in range(0, _LONGEST_VARINT, 7):
        if at >= end:
            raise ValueError("the message is cut off")
        byte = packed[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follow
            return number, at
    raise ValueError("a number is too long")
