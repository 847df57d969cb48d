"""Packs records as the Kinesis Producer Library does."""

from __future__ import annotations

from hashlib import md5


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def member(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def packed_records(datas: list[bytes], *, key: bytes = b"k", hash_key: bytes = b"1") -> bytes:
    """Return the message, with every member that there can be."""
    records = [
        member(1, 0) + member(2, 0) + member(3, data) + member(4, member(1, b"tag"))
        for data in datas
    ]
    parts = [member(1, key), member(2, hash_key), *(member(3, record) for record in records)]
    return b"".join(parts)


def sealed(packed: bytes) -> bytes:
    """Return a message with magic and digest."""
    return b"\xf3\x89\x9a\xc2" + packed + md5(packed, usedforsecurity=False).digest()


def aggregate(datas: list[bytes]) -> bytes:
    """Return one Kinesis record that holds *datas*."""
    return sealed(packed_records(datas))
