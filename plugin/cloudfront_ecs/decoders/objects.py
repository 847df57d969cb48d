"""JSON objects that follow each other without a line end get one.

Firehose joins records as they are: without its delimiter option an object in S3 is one line,
``{…}{…}{…}``, of any length.  Each object then counts as a line of its own.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from cloudfront_ecs.decoders.beginning import BOM, begun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SEAM = b"}{"
"""An object ends and another begins, if it is not inside of a text."""

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
        if SEAM in chunk or (chunk.startswith(b"{") and head.endswith(b"}")):
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
    head, chunks = begun(chunks, _has_begun)
    yield from apart(chunks) if head.lstrip().startswith(b"{") else chunks


def _has_begun(head: bytes) -> bool:
    begin = head.removeprefix(BOM).lstrip()
    return len(head) > _LONGEST_HEAD or (bool(begin) and not BOM.startswith(begin))


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
