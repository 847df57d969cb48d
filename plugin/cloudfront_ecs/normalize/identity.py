"""Ids: the same source bytes get the same id on every machine and every attempt.

An id is 6 bytes of event time in seconds (so that ids of one hour lie together in an
index) and 16 bytes that name the record, in base64url: 30 characters.
"""

from __future__ import annotations

from binascii import b2a_base64
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudfront_ecs.batches import Origin, RecordBatch

_MASK = (1 << 128) - 1
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_LENGTH = 30


def document_id(seconds: int, key: int) -> str:
    """Return the id of the record *key* (128 bits) at *seconds* since 1970."""
    raw = ((seconds << 144) | ((key & _MASK) << 16)).to_bytes(24, "big")
    return b2a_base64(raw, newline=False)[:_LENGTH].translate(_URL_SAFE).decode("ascii")


class RecordKeys:
    """The 128-bit keys of the records of one payload.

    Within an object the key is the object's hash plus the line number: as unique as the
    hash, and cheap.  Kinesis sequence numbers are unique within their shard only, so the
    shard takes part.  Where the bytes have no name (standard input), their content does.
    """

    def __init__(self, origin: Origin) -> None:
        """Prepare the part that all records of the payload share."""
        self._content = origin.content_identity
        self._seed = blake2b(digest_size=16)
        for part in origin.identity:
            encoded = part.encode("utf-8", "surrogateescape")
            self._seed.update(len(encoded).to_bytes(4, "big") + encoded)
        self._base = int.from_bytes(self._seed.digest(), "big")

    def of(self, batch: RecordBatch) -> list[int]:
        """Return the key of each row of *batch*."""
        if batch.positions is not None:
            pairs = zip(batch.positions, batch.numbers, strict=True)
            return [self._hash(position.encode()) + number for position, number in pairs]
        if self._content:
            lines = (line.encode("utf-8", "surrogateescape") for line in batch.lines)
            pairs_of_lines = zip(lines, batch.numbers, strict=True)
            return [self._hash(line) + number for line, number in pairs_of_lines]
        base = self._base
        return [base + number for number in batch.numbers]

    def _hash(self, content: bytes) -> int:
        seeded = self._seed.copy()
        seeded.update(content)
        return int.from_bytes(seeded.digest(), "big")
