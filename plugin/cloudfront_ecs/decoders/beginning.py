"""The beginning of a byte stream, read to see what it is, and then read again with the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cloudfront_ecs.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

BOM = b"\xef\xbb\xbf"


class Begun(NamedTuple):
    """The beginning of a stream, and all of it."""

    head: bytes
    chunks: Iterator[bytes]


def begun(chunks: Iterable[bytes], tells: Callable[[bytes], bool]) -> Begun:
    """Read *chunks* until *tells* says of what was read that it is enough."""
    remaining = iter(chunks)
    read: list[bytes] = []
    head = b""
    broken: PayloadError | None = None
    try:
        while not tells(head):
            chunk = next(remaining, None)
            if chunk is None:
                break
            read.append(chunk)
            head += chunk
    except PayloadError as error:  # raised again where it belongs, after what came before
        broken = error

    def again() -> Iterator[bytes]:
        yield from read
        read.clear()
        if broken is not None:
            raise broken
        yield from remaining

    return Begun(head.removeprefix(BOM), again())
