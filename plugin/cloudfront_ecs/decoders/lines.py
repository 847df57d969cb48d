"""Byte streams become numbered lines of text; no line is ever held back by a later one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cloudfront_ecs.batches import Layout, RecordBatch, RejectedLine
from cloudfront_ecs.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from cloudfront_ecs.batches import Message

MAX_LINE_BYTES = 1_048_576
"""Longest line that is read; CloudFront's own stay below 40 KiB."""

KEPT_BYTES = 65_536
"""How much of a line that is too long goes into its dead letter."""

NO_LAYOUT = Layout("standard", ())
"""The layout of batches that hold no records."""

_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class LineBlock:
    """Consecutive lines of one object.

    Attributes:
        lines: Without line ends; bytes that are not UTF-8 stand as surrogate escapes.
        first: The number of the first line, from 1.
        plain: Whether all of it is ASCII.
        has_headers: Whether a line may begin with ``#``.
        has_json: Whether a line may begin with ``{``.
        rejects: Lines that were too long.
        position: The sequence number of the message that held the lines, for streams;
            then *first* is the index of the first line within the message.
    """

    lines: list[str]
    first: int
    plain: bool = True
    has_headers: bool = False
    has_json: bool = False
    rejects: list[RejectedLine] = field(default_factory=list)
    position: str | None = None

    def place(self, index: int) -> tuple[int | None, str | None]:
        """Return the line and the position of a line, as a ``RejectedLine`` has them."""
        return line_of(self.first + index, self.position), self.position

    def refused(self, reason: str, detail: str) -> RecordBatch:
        """Return all lines of the block refused; blank ones are only counted."""
        rejects = [
            RejectedLine(
                reason,
                detail,
                line.encode("utf-8", "surrogateescape"),
                *self.place(index),
            )
            for index, line in enumerate(self.lines)
            if line
        ]
        skipped = len(self.lines) - len(rejects)
        return RecordBatch(NO_LAYOUT, [], [], (), rejects=rejects + self.rejects, skipped=skipped)


def line_of(number: int, position: str | None) -> int | None:
    """Return how a reject tells a line: in the first line of a message it tells none.

    Args:
        number: The line number from 1, or within a message the index from 0.
        position: The position of the message, if it is one.
    """
    return number if position is None else (number + 1 if number else None)


def text_of(data: bytes) -> str:
    """Return bytes as text; what is not UTF-8 stands as surrogate escapes."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape")


def line_blocks(chunks: Iterable[bytes], max_bytes: int = MAX_LINE_BYTES) -> Iterator[LineBlock]:
    """Yield the complete lines of each chunk as soon as the chunk is there.

    Raises:
        PayloadError: As raised by *chunks*; what stood in an unfinished line is its ``raw``.
    """
    framer = _Framer(max_bytes)
    try:
        for chunk in chunks:
            yield from framer.feed(chunk)
    except PayloadError as error:
        error.raw = framer.unfinished() or error.raw
        raise
    yield from framer.finish()


def message_blocks(
    messages: Iterable[Message], max_bytes: int = MAX_LINE_BYTES
) -> Iterator[LineBlock]:
    """Yield the lines of each message; the end of a message ends a line."""
    for message in messages:
        framer = _Framer(max_bytes, 0)
        for block in (*framer.feed(message.data), *framer.finish()):
            block.position = message.position
            block.rejects = [
                replace(
                    reject,
                    line=line_of(reject.line or 0, message.position),
                    position=message.position,
                )
                for reject in block.rejects
            ]
            yield block


class _Framer:
    """Splits a stream at line ends and remembers where it is."""

    def __init__(self, max_bytes: int, first: int = 1) -> None:
        self._max = max_bytes
        self._carry = b""
        self._skipped = 0
        self._number = first
        self._at_start = True

    def unfinished(self) -> bytes:
        """Return what has been read of the current line (its beginning, if it is too long)."""
        return self._carry

    def feed(self, chunk: bytes) -> Iterator[LineBlock]:
        """Yield the lines that *chunk* completes."""
        if self._skipped:
            chunk = yield from self._skip(chunk)
            if self._skipped:
                return
        data = self._carry + chunk if self._carry else chunk
        if self._at_start:
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._carry = data
                return
            data = data.removeprefix(_BOM)
            self._at_start = False
        cut = data.rfind(b"\n")
        if cut < 0:
            self._carry = data
        else:
            self._carry = data[cut + 1 :]
            yield from self._blocks(data[:cut])
        if len(self._carry) > self._max:
            self._skipped = len(self._carry)
            self._carry = self._carry[:KEPT_BYTES]

    def finish(self) -> Iterator[LineBlock]:
        """Yield the last line, where no line end follows it."""
        if self._carry:
            self._at_start = False
            yield from self.feed(b"\n")

    def _skip(self, chunk: bytes) -> Generator[LineBlock, None, bytes]:
        """Pass over the rest of a line that is too long; return what follows it."""
        end = chunk.find(b"\n")
        if end < 0:
            self._keep(chunk)
            self._skipped += len(chunk)
            return b""
        self._keep(chunk[:end])
        length = self._skipped + end
        yield LineBlock([], self._number, rejects=[self._too_long(self._carry, length)])
        self._number += 1
        self._carry, self._skipped = b"", 0
        return chunk[end + 1 :]

    def _keep(self, part: bytes) -> None:
        self._carry += part[: KEPT_BYTES - len(self._carry)]

    def _blocks(self, data: bytes) -> Iterator[LineBlock]:
        if len(data) <= self._max:
            yield self._block(data)
            return
        fitting: list[bytes] = []
        for line in data.split(b"\n"):  # only where one line may be too long
            if len(line) <= self._max:
                fitting.append(line)
                continue
            if fitting:
                yield self._block(b"\n".join(fitting))
                fitting = []
            yield LineBlock([], self._number, rejects=[self._too_long(line, len(line))])
            self._number += 1
        if fitting:
            yield self._block(b"\n".join(fitting))

    def _block(self, data: bytes) -> LineBlock:
        text = text_of(data)
        lines = text.split("\n")
        if "\r" in text:
            lines = [line.removesuffix("\r") for line in lines]
        block = LineBlock(
            lines,
            self._number,
            plain=text.isascii(),
            # CloudFront encodes both characters, so the quick look for one mostly settles it.
            has_headers="#" in text and (text.startswith("#") or "\n#" in text),
            has_json="{" in text and (text.startswith("{") or "\n{" in text),
        )
        self._number += len(lines)
        return block

    def _too_long(self, beginning: bytes, length: int) -> RejectedLine:
        detail = f"the line has {length} bytes, at most {self._max} are read"
        raw = beginning[:KEPT_BYTES]
        return RejectedLine("too_long", detail, raw, line=self._number, length=length)
