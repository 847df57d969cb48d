"""JSON objects that follow each other without a line end get one.

Firehose joins records as they are: without its delimiter option an object in S3 is one line,
``{…}{…}{…}``, of any length.  Each object then counts as a line of its own.
"""

from __future__ import annotations

import re
from itertools import chain, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudfront_ecs.batches import Message

_BOM = b"\xef\xbb\xbf"
_SEAM = b"}{"
_TOKENS = re.compile(rb'"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*(?P<open>\\?\Z)?|\}(?=\{)')
"""A text (to its closing quote, the line end or the end), or a brace before another one."""

_LONGEST_HEAD = 65_536


def apart(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield *chunks* with a line end between objects that have none.

    Braces inside of texts are left alone.  Nothing is held back, and where the bytes are cut
    changes nothing.
    """
    head = b""
    """What came since the last line end or seam; it tells whether a text is open."""
    for chunk in chunks:
        if _SEAM in chunk or (chunk.startswith(b"{") and head.endswith(b"}")):
            before, text = len(head), head + chunk
            cuts = [at for at in _seams(text) if at >= before]
            yield b"\n".join(text[a:b] for a, b in pairwise([before, *cuts, len(text)]))
            tail = text[cuts[-1] :] if cuts else text
        else:
            yield chunk
            tail = head + chunk if b"\n" not in chunk else chunk
        head = tail[tail.rfind(b"\n") + 1 :]
        if len(head) > _LONGEST_HEAD:
            head = _state(head)


def json_apart(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield *chunks* ``apart`` where they begin with an object, and as they are where not."""
    remaining = iter(chunks)
    head = b""
    for chunk in remaining:
        head += chunk
        begin = head.removeprefix(_BOM).lstrip()
        if len(head) > _LONGEST_HEAD or (begin and not _BOM.startswith(begin)):
            break
    whole = chain([head], remaining)
    yield from apart(whole) if head.removeprefix(_BOM).lstrip().startswith(b"{") else whole


def messages_apart(messages: Iterable[Message]) -> Iterator[Message]:
    """Yield messages in which every object stands on a line of its own."""
    for message in messages:
        if _SEAM in message.data:
            yield message._replace(data=b"".join(apart([message.data])))
        else:
            yield message


def _seams(text: bytes) -> Iterator[int]:
    """Yield the places at which one object ends and the next begins."""
    at = 0
    while token := _TOKENS.search(text, at):
        at = token.end()
        if token[0] == b"}":
            yield at
        elif text[at : at + 1] == b'"':
            at += 1


def _state(head: bytes) -> bytes:
    """Return a short text that leaves the same things open as *head*."""
    at = 0
    while token := _TOKENS.search(head, at):
        at = token.end()
        if token[0] != b"}" and at == len(head):
            return b'"\\' if token["open"] == b"\\" else b'"'
        at += head[at : at + 1] == b'"'
    return b"}" if head.endswith(b"}") else b""
