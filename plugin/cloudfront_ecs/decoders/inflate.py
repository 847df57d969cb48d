"""Gzip and zstd by their content, never by a name: all of it, truncation noticed, memory bounded.

A file may hold several gzip members, or several zstd frames, one after the other.

Source: RFC 1952 (gzip); RFC 8878 (zstd): section 3.1.1 for frames, 3.1.2 for skippable ones.
"""

from __future__ import annotations

import importlib
import itertools
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from isal import isal_zlib

from cloudfront_ecs.batches import RejectedLine
from cloudfront_ecs.errors import PayloadError
from cloudfront_ecs.failpoints import reach

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cloudfront_ecs.batches import Message

PIECE = 32_768
"""Largest piece handed on: the documents of its lines stay in the processor's caches until they
are encoded, which makes the whole conversion nearly twice as fast as with 256 KiB."""

MOST_MESSAGE_BYTES = 16_777_216
"""How large a compressed message may become; a Kinesis record has 10 MiB at most."""

NO_ZSTD = "zstd is read with an extra that is missing (pip install 'cloudfront-ecs[zstd]')"

_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31
"""zlib's window size for "gzip header and trailer"."""

_ZSTD = (b"\x28\xb5\x2f\xfd", *(bytes([0x50 + i]) + b"\x2a\x4d\x18" for i in range(16)))
"""How a zstd frame begins, and how skippable frames do."""

_MAGICS = (_GZIP, *_ZSTD)
_LONGEST_MAGIC = 4
_KEPT = 65_536


def inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield *chunks* as they are, or decompressed where the content is gzip or zstd.

    Raises:
        PayloadError: ``truncated`` where a member does not end, ``not_gzip`` or ``not_zstd``
            where it is damaged or something else follows the last one; all that could be
            read before has been yielded.  ``no_zstd`` where nothing is installed to read it.
    """
    incoming = filter(None, chunks)
    head = b""
    for chunk in incoming:
        head += chunk
        if not _may_become_magic(head):
            break
    if head.startswith(_MAGICS):
        member_of = _GzipMember if head.startswith(_GZIP) else _ZstdFrame
        yield from _members(member_of, head, incoming)
        return
    for chunk in itertools.chain([head], incoming):
        for start in range(0, len(chunk), PIECE):
            yield chunk[start : start + PIECE]


def _may_become_magic(head: bytes) -> bool:
    short = len(head) < _LONGEST_MAGIC
    return short and any(len(head) < len(magic) and magic.startswith(head) for magic in _MAGICS)


class _Member(Protocol):
    """One of the parts that a compressed file is made of.

    Attributes:
        kind: What it is called.
        magics: How each of them begins.
        padded: Whether zeros may follow it.
    """

    kind: str
    magics: tuple[bytes, ...]
    padded: bool

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what it makes of *data*, to its end or the end of *data*.

        Raises:
            PayloadError: It is damaged.
        """
        ...

    @property
    def ended(self) -> bool:
        """Whether its end has been read, and its checksum was right."""
        ...

    @property
    def rest(self) -> bytes:
        """What follows its end."""
        ...


class _GzipMember:
    """A gzip member."""

    kind = "gzip"
    magics: tuple[bytes, ...] = (_GZIP,)
    padded = True

    def __init__(self) -> None:
        self._stream: Any = isal_zlib.decompressobj(wbits=_GZIP_WINDOW)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        piece = b""
        # A full piece may leave more to come in the decompressor, even with no data left.
        while not self._stream.eof and (data or len(piece) == PIECE):
            try:
                piece = self._stream.decompress(data, PIECE)
            except isal_zlib.error as error:  # type: ignore[misc]  # isal has no types
                raise PayloadError("not_gzip", str(error)) from error
            data = self._stream.unconsumed_tail
            if piece:
                yield piece

    @property
    def ended(self) -> bool:
        return bool(self._stream.eof)

    @property
    def rest(self) -> bytes:
        return bytes(self._stream.unused_data)


class _ZstdFrame:
    """A zstd frame, or a skippable one; its window may have 128 MiB, as in zstd itself."""

    kind = "zstd"
    magics: tuple[bytes, ...] = _ZSTD
    padded = False

    def __init__(self) -> None:
        self._zstd = _zstd()
        self._stream: Any = self._zstd.ZstdDecompressor()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while True:
            try:
                piece = self._stream.decompress(data, PIECE)
            except self._zstd.ZstdError as error:
                raise PayloadError("not_zstd", str(error)) from error
            data = b""
            if piece:
                yield piece
            if self._stream.eof or self._stream.needs_input:
                return

    @property
    def ended(self) -> bool:
        return bool(self._stream.eof)

    @property
    def rest(self) -> bytes:
        return bytes(self._stream.unused_data) if self._stream.eof else b""


@cache
def _zstd() -> Any:
    """Import zstd: of Python itself from 3.14 on, of its backport before.

    Raises:
        PayloadError: ``no_zstd``: it is not there.
    """
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise PayloadError("no_zstd", NO_ZSTD) from error


def _members(
    member_of: type[_GzipMember | _ZstdFrame], data: bytes, incoming: Iterator[bytes]
) -> Iterator[bytes]:
    """Yield the content of members one after the other."""
    try:
        member: _Member = member_of()
    except PayloadError as error:
        error.raw = data[:_KEPT]
        raise
    consumed = 0
    last = b"\n"
    while data := data or next(incoming, b""):
        if member.ended:
            data = _next_member(member, data, incoming)
            if not data:
                break
            if not data.startswith(member.magics):
                if not last.endswith(b"\n"):
                    yield b"\n"  # the member is whole, and so is its last line
                detail = f"something else follows the last {_part_of(member)}"
                raise PayloadError(f"not_{member.kind}", detail, data[:_KEPT])
            member = member_of()
        try:
            for piece in member.pieces(data):
                reach("inflating")
                yield piece
                last = piece
        except PayloadError as error:
            detail = f"{member.kind} is damaged after about {consumed} bytes: {error.detail}"
            raise PayloadError(error.reason, detail, data[:_KEPT]) from error
        rest = member.rest if member.ended else b""
        consumed += len(data) - len(rest)
        data = rest
    if not member.ended:
        raise PayloadError("truncated", f"{member.kind} ends in mid-stream after {consumed} bytes")


def _part_of(member: _Member) -> str:
    return "zstd frame" if member.kind == "zstd" else "gzip member"


def _next_member(member: _Member, data: bytes, incoming: Iterator[bytes]) -> bytes:
    """Return what follows *member*, without the zeros that some writers of gzip pad with."""
    longest = max(map(len, member.magics))
    while True:
        if member.padded:
            data = data.lstrip(b"\0")
        if len(data) >= longest or not (more := next(incoming, b"")):
            return data
        data += more


def inflated_messages(
    messages: Sequence[Message], most: int = MOST_MESSAGE_BYTES
) -> tuple[Sequence[Message], list[RejectedLine]]:
    """Return messages with gzip and zstd undone, and those in which they are damaged or too much.

    CloudFront compresses no record, but others do that write into the same stream.

    Args:
        messages: As they were read.
        most: Bytes that one message may become.
    """
    if not any(message.data.startswith(_MAGICS) for message in messages):
        return messages, []
    readable: list[Message] = []
    rejects: list[RejectedLine] = []
    for message in messages:
        if not message.data.startswith(_MAGICS):
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
