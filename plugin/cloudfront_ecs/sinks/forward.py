"""The Forward protocol v1 of Fluentd as bytes: chunks, acks, handshake.  No sockets here.

Sources: the Forward specification v1 and Fluentd's ``in_forward`` and ``out_forward``.

Documents become ``[EventTime, record]`` entries in C, through msgspec, and travel as one
binary payload in PackedForward form, the cheapest to read for every receiver.  The time is
``EventTime`` of fluent-logger, the official client, built from nanoseconds: from a float
it would lose some at today's dates.  Its ``FluentSender`` is not used: it has no acks, TLS,
shared key, batches or IPv6, and it reads and throws away whatever the receiver answers.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
from base64 import b64encode
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from fluent.sender import EventTime
from isal import igzip

from cloudfront_ecs.batches import Rejection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudfront_ecs.batches import Document
    from cloudfront_ecs.options import Secret

Compression = Literal["none", "gzip"]

TAG = re.compile(r"[A-Za-z0-9_.-]+")
"""Tags that every receiver can match, route and use in a file name."""

_TIME_BYTES = 11  # fixarray 2, then fixext 8 with its type: where the record begins
_MAP_16, _MAP_32 = 0xDE, 0xDF
_GZIP_LEVEL = 1

_encode = msgspec.msgpack.Encoder().encode


@lru_cache(maxsize=8192)
def event_time(time_ns: int) -> msgspec.msgpack.Ext:
    """Return a time as extension type 0: seconds and nanoseconds, 32 bits each.

    Raises:
        struct.error: The time is before 1970 or after 2106-02-07.
    """
    time = EventTime.from_unix_nano(time_ns)
    return msgspec.msgpack.Ext(time.code, time.data)


def pack_entry(time_ns: int, body: object) -> bytes:
    """Return ``[EventTime, record]``.

    Receivers acknowledge and then throw away what they cannot use (Fluentd from 1.19 does
    so with a record that is no map), so everything is checked here.

    Raises:
        ValueError: The body can never be sent; the text holds none of its content.
    """
    try:
        entry = _encode((event_time(time_ns), body))
    except struct.error as error:
        raise ValueError("time is not within 1970..2106") from error
    except UnicodeEncodeError as error:
        raise ValueError("text is not UTF-8 (a lone surrogate)") from error
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"no MessagePack form ({type(error).__name__})") from error
    first = entry[_TIME_BYTES]
    if first & 0xF0 != 0x80 and first not in (_MAP_16, _MAP_32):  # noqa: PLR2004 - fixmap
        raise ValueError("record is not a map")
    if isinstance(body, dict) and not all(isinstance(key, str) for key in body):
        raise ValueError("record has a key that is not text")
    return entry


def pack_message(tag: str, entries: bytes, option: dict[str, object]) -> bytes:
    """Return ``[tag, entries, option]``, the entries as MessagePack bin."""
    return b"".join((b"\x93", _encode(tag), _encode(entries), _encode(option)))


@dataclass(frozen=True, slots=True)
class Chunk:
    """Documents of one tag, packed: what one ack answers.

    Attributes:
        id: Base64 of 16 bytes made from the documents' ids, so the same documents have the
            same chunk id whenever they are offered again.
        documents: In the order of the entries.
        message: The bytes to send.
    """

    id: str
    documents: tuple[Document, ...]
    message: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Packer:
    """How documents become chunks.

    Attributes:
        tag: May hold ``{dataset}``.
        chunk_bytes: The most bytes of entries in a chunk, before compression; only a single
            larger document exceeds it.  Fluent Bit refuses more than 6,144,000.
        require_ack: Whether the receiver is asked to acknowledge.
    """

    tag: str
    chunk_bytes: int
    compress: Compression
    require_ack: bool

    def chunks(self, documents: Iterable[Document], rejected: list[Rejection]) -> Iterator[Chunk]:
        """Yield each chunk as soon as it is full; what cannot be sent goes to *rejected*."""
        tags: dict[str, str | None] = {}
        filling: dict[str, _Filling] = {}
        for document in documents:
            dataset = document.dataset
            if dataset not in tags:
                tags[dataset] = self.tag_for(dataset)
            tag = tags[dataset]
            if tag is None:
                rejected.append(Rejection(document, "dataset gives a tag that is not allowed"))
                continue
            try:
                entry = pack_entry(document.time_ns, document.body)
            except ValueError as error:
                rejected.append(Rejection(document, str(error)))
                continue
            part = filling.get(tag)
            if part is not None and part.size + len(entry) > self.chunk_bytes:
                yield self._chunk(tag, part)
                part = None
            if part is None:
                part = filling[tag] = _Filling([], [])
            part.documents.append(document)
            part.entries.append(entry)
            part.size += len(entry)
        for tag, part in filling.items():
            yield self._chunk(tag, part)

    def tag_for(self, dataset: str) -> str | None:
        """Return the tag for documents of *dataset*, or None when it has other characters."""
        tag = self.tag.replace("{dataset}", dataset)
        return tag if TAG.fullmatch(tag) else None

    def _chunk(self, tag: str, part: _Filling) -> Chunk:
        ids = "\n".join([tag, *(document.id for document in part.documents)])
        digest = hashlib.blake2b(ids.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        identity = b64encode(digest).decode("ascii")
        option: dict[str, object] = {"chunk": identity} if self.require_ack else {}
        option["size"] = len(part.documents)
        entries = b"".join(part.entries)
        if self.compress == "gzip":
            option["compressed"] = "gzip"
            entries = igzip.compress(entries, _GZIP_LEVEL, mtime=0)
        return Chunk(identity, tuple(part.documents), pack_message(tag, entries, option))


@dataclass(slots=True)
class _Filling:
    """A chunk that still has room."""

    documents: list[Document]
    entries: list[bytes]
    size: int = 0


def acknowledged(answer: object) -> str | None:
    """Return the chunk id that an answer acknowledges, or None when it is no ack.

    ``{}`` is how Vector refuses a chunk.
    """
    ack = answer.get(b"ack") if isinstance(answer, dict) else None
    return ack.decode("ascii", "replace") if isinstance(ack, bytes) else None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the handshake proves, and to whom.

    Attributes:
        hostname: Our own name.  It must differ from the receiver's, or anybody could send
            our digest back as his.
    """

    hostname: str
    shared_key: Secret
    username: str = ""
    password: Secret | None = None


@dataclass(frozen=True, slots=True)
class Hello:
    """The receiver's greeting.

    Attributes:
        nonce: Random bytes, part of both digests.
        auth: Random bytes for the password's digest; empty when no user is asked for.
        keepalive: Whether the connection may serve more than one chunk.
    """

    nonce: bytes
    auth: bytes
    keepalive: bool


def read_hello(message: object) -> Hello | None:
    """Return the greeting in a message that was unpacked without decoding text, or None.

    Fluentd packs nonce and auth as bin, Fluent Bit as str of raw bytes; unpacked raw, both
    are bytes.  Fluent Bit leaves ``keepalive`` out.
    """
    match message:
        case [b"HELO", {b"nonce": bytes(nonce), **option}]:
            auth: Any = option.get(b"auth", b"")
            keepalive = option.get(b"keepalive", True) is not False
            return Hello(nonce, auth if isinstance(auth, bytes) else b"", keepalive)
    return None


def ping(hello: Hello, credentials: Credentials, salt: str) -> bytes:
    """Return the answer to a greeting.

    Args:
        hello: The greeting.
        credentials: What is proven.
        salt: 32 hexadecimal characters: Fluent Bit refuses a salt that is not text.
    """
    name = credentials.hostname
    user_digest = ""
    if hello.auth:
        password = credentials.password.reveal() if credentials.password else ""
        user_digest = _hex(hello.auth, credentials.username.encode(), password.encode())
    proof = _key_digest(salt, name.encode(), hello, credentials)
    return _encode(["PING", name, salt, proof, credentials.username, user_digest])


def read_pong(message: object, hello: Hello, credentials: Credentials, salt: str) -> str:
    """Return the receiver's name once it has proven that it knows the shared key too.

    Raises:
        ValueError: It refuses us, or does not prove it.
    """
    match message:
        case [b"PONG", True, _, bytes(name), bytes(proof)]:
            if name == credentials.hostname.encode():
                raise ValueError("receiver has our own name (set client_hostname)")
            expected = _key_digest(salt, name, hello, credentials)
            if not hmac.compare_digest(proof, expected.encode()):
                raise ValueError("receiver does not know the shared key")
            return name.decode("utf-8", "replace")
        case [b"PONG", False, bytes(reason), *_]:
            raise ValueError(f"authentication failed: {reason[:200].decode('utf-8', 'replace')!r}")
    raise ValueError("answer to PING is not a PONG")


def _key_digest(salt: str, name: bytes, hello: Hello, credentials: Credentials) -> str:
    return _hex(salt.encode(), name, hello.nonce, credentials.shared_key.reveal().encode())


def _hex(*parts: bytes) -> str:
    return hashlib.sha512(b"".join(parts)).hexdigest()
