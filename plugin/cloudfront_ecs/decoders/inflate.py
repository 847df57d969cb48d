"""Gzip by its content, never by a name: all members, truncation noticed, memory bounded."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from isal import isal_zlib

from cloudfront_ecs.batches import RejectedLine
from cloudfront_ecs.errors import PayloadError
from cloudfront_ecs.failpoints import reach

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cloudfront_ecs.batches import Message

_MAGIC = b"\x1f\x8b"
_GZIP = 31
"""zlib's window size for "gzip header and trailer"."""

PIECE = 32_768
"""Largest piece handed on: the documents of its lines stay in the processor's caches until they
are encoded, which makes the whole conversion nearly twice as fast as with 256 KiB."""

MOST_MESSAGE_BYTES = 16_777_216
"""How large a compressed message may become; a Kinesis record has 10 MiB at most."""

_KEPT = 65_536


def inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield *chunks* as they are, or decompressed where the content is gzip.

    Raises:
        PayloadError: ``truncated`` where a member does not end, ``not_gzip`` where it is
            damaged or something else follows the last one; all that could be read before
            has been yielded.
    """
    incoming = filter(None, chunks)
    head = b""
    for chunk in incoming:
        head += chunk
        if len(head) >= len(_MAGIC):
            break
    if not head.startswith(_MAGIC):
        for chunk in itertools.chain([head], incoming):
            for start in range(0, len(chunk), PIECE):
                yield chunk[start : start + PIECE]
        return
    yield from _members(head, incoming)


def _members(data: bytes, incoming: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the content of gzip members one after the other."""
    member = isal_zlib.decompressobj(wbits=_GZIP)
    consumed = 0
    last = b"\n"
    while data := data or next(incoming, b""):
        if member.eof:
            data = _next_member(data, incoming)
            if not data:
                break
            if not data.startswith(_MAGIC):
                if not last.endswith(b"\n"):
                    yield b"\n"  # the member is whole, and so is its last line
                detail = "something else follows the last gzip member"
                raise PayloadError("not_gzip", detail, data[:_KEPT])
            member = isal_zlib.decompressobj(wbits=_GZIP)
        try:
            for piece in _pieces(member, data):
                reach("inflating")
                yield piece
                last = piece
        except isal_zlib.error as error:  # type: ignore[misc]  # isal has no types
            detail = f"gzip is damaged after about {consumed} bytes: {error}"
            raise PayloadError("not_gzip", detail, data[:_KEPT]) from error
        rest = member.unused_data if member.eof else b""
        consumed += len(data) - len(rest)
        data = rest
    if not member.eof:
        raise PayloadError("truncated", f"gzip ends in mid-stream after {consumed} bytes")


def _pieces(member: Any, data: bytes) -> Iterator[bytes]:
    """Yield what a member makes of *data*, to its end or the end of *data*."""
    piece = b""
    # A full piece may leave more to come in the decompressor, even with no data left.
    while not member.eof and (data or len(piece) == PIECE):
        piece = member.decompress(data, PIECE)
        data = member.unconsumed_tail
        if piece:
            yield piece


def _next_member(data: bytes, incoming: Iterator[bytes]) -> bytes:
    """Return what follows a member, without the zeros that some writers pad with."""
    data = data.lstrip(b"\0")
    while len(data) < len(_MAGIC) and (more := next(incoming, b"")):
        data = (data + more).lstrip(b"\0")
    return data


def inflated_messages(
    messages: Sequence[Message], most: int = MOST_MESSAGE_BYTES
) -> tuple[Sequence[Message], list[RejectedLine]]:
    """Return messages with gzip undone, and those in which it is damaged or too much.

    CloudFront compresses no record, but others do that write into the same stream.

    Args:
        messages: As they were read.
        most: Bytes that one message may become.
    """
    if not any(message.data.startswith(_MAGIC) for message in messages):
        return messages, []
    readable: list[Message] = []
    rejects: list[RejectedLine] = []
    for message in messages:
        if not message.data.startswith(_MAGIC):
            readable.append(message)
            continue
        try:
            readable.append(message._replace(data=_whole(message.data, most)))
        except PayloadError as error:
            raw = message.data[:_KEPT]
            length = len(message.data) if len(message.data) > _KEPT else None
            rejects.append(
                RejectedLine(
                    error.reason, error.detail, raw, position=message.position, length=length
                )
            )
    return readable, rejects


def _whole(data: bytes, most: int) -> bytes:
    parts: list[bytes] = []
    length = 0
    for piece in inflate([data]):
        length += len(piece)
        if length > most:
            detail = f"the message holds more than {most} bytes, compressed"
            raise PayloadError("too_long", detail)
        parts.append(piece)
    return b"".join(parts)
