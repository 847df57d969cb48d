"""Standard logs: W3C files whose ``#Fields`` line names the columns.

Source: CloudFront developer guide, "Standard log file format": two header lines, the names
apart by blanks, the values by tabs.  Files of 2014 to today differ in their columns, v2
deliveries choose them, and files are concatenated: so the header decides, each time one
comes by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from cloudfront_ecs.adapters import DecoderSpec
from cloudfront_ecs.batches import Layout, RecordBatch
from cloudfront_ecs.decoders.lines import (
    MAX_LINE_BYTES,
    NO_LAYOUT,
    LineBlock,
    line_blocks,
    message_blocks,
)
from cloudfront_ecs.decoders.rows import has_shape, split_rows
from cloudfront_ecs.errors import ConfigError
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.normalize.layouts import legacy_columns, standard_layout
from cloudfront_ecs.options import option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Payload

LEGACY_WIDTHS = (18, 19, 24, 26, 33)
"""How many columns legacy files had over the years; each is a prefix of the 33."""

MOST_COLUMNS = 512
"""More than any log has; a header of thousands is noise, and compiling it would take long."""

_FIELDS = re.compile(r"#\s*Fields(?::|\s|$)\s*(.*)", re.IGNORECASE | re.DOTALL)
_NO_HEADER = "no #Fields line says what the columns are (give the decoder option 'fields')"
_JSON = "JSON among W3C lines is not read, nor what follows it up to the next #Fields line"


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardOptions:
    """Options of the ``standard`` decoder."""

    fields: tuple[str, ...] = option(
        (), doc="Columns of files that have no #Fields line, in their order."
    )
    max_line_bytes: int = option(MAX_LINE_BYTES, doc="Longest line that is read.", least=1024)

    def __post_init__(self) -> None:
        """Refuse unknown columns."""
        try:
            standard_layout(self.fields, "fields")
        except ConfigError as error:
            raise ValueError(str(error)) from error


class StandardDecoder:
    """Splits W3C files into records; the columns come from the latest header line."""

    def __init__(self, options: StandardOptions) -> None:
        """Remember what headerless files look like."""
        self._given = standard_layout(options.fields, "fields") if options.fields else None
        self._max_line_bytes = options.max_line_bytes

    def decode(self, payload: Payload) -> Iterator[RecordBatch]:
        """Yield the records of *payload*, see ``Decoder``."""
        if payload.messages is not None:
            return self.decode_blocks(message_blocks(payload.messages, self._max_line_bytes))
        return self.decode_blocks(line_blocks(payload.chunks, self._max_line_bytes))

    def decode_blocks(self, blocks: Iterable[LineBlock]) -> Iterator[RecordBatch]:
        """Yield the records of numbered lines."""
        reader = _Reader(self._given)
        for block in blocks:
            if block.rejects:
                yield RecordBatch(NO_LAYOUT, [], [], (), rejects=block.rejects)
            for section in _sections(block):
                if section.header is None:
                    yield from reader.records(section.block)
                else:
                    yield reader.header(section.block, section.header)


class _Reader:
    """Reads one object and remembers the columns that hold at the moment.

    Without a layout nothing has said yet what the columns are; where lines are refused, a
    header that could not be used, or JSON, came before them.
    """

    def __init__(self, layout: Layout | None) -> None:
        self._layout = layout
        self._refused: tuple[str, str] | None = None

    def header(self, block: LineBlock, text: str) -> RecordBatch:
        """Take the columns from a header line."""
        fields = _FIELDS.fullmatch(text)
        if fields:
            self._layout, problem = _layout_of(fields[1])
            self._refused = ("layout", _NO_HEADER) if problem else None
            if problem:
                return block.refused("header", problem)
        return RecordBatch(NO_LAYOUT, [], [], (), skipped=1)

    def records(self, block: LineBlock) -> Iterator[RecordBatch]:
        """Yield the records of lines that are no headers."""
        if self._refused is None and self._layout is None:
            self._layout, at = _legacy_layout(block.lines)
            before, block = _cut(block, at)
            if before.lines:
                yield before.refused("layout", _NO_HEADER)
        if self._refused is None and block.has_json:
            before, block = _cut(block, _first_json(block))
            yield from self._split(before)
            if block.lines:
                self._refused = ("foreign", _JSON)
        if self._refused is not None:
            yield block.refused(*self._refused)
        else:
            yield from self._split(block)

    def _split(self, block: LineBlock) -> Iterator[RecordBatch]:
        if self._layout is not None and block.lines:
            numbers = range(block.first, block.first + len(block.lines))
            positions = None if block.position is None else [block.position] * len(block.lines)
            yield from split_rows(
                self._layout, block.lines, numbers, plain=block.plain, positions=positions
            )


class _Section(NamedTuple):
    """A header line, or the lines between two of them."""

    block: LineBlock
    header: str | None = None


def _sections(block: LineBlock) -> Iterator[_Section]:
    """Yield the headers among the lines of *block*, and the lines between them."""
    if not block.has_headers:
        if block.lines:
            yield _Section(block)
        return
    begin = 0
    for index, line in enumerate(block.lines):
        if line.startswith("#"):
            if index > begin:
                yield _Section(_part(block, begin, index))
            yield _Section(_part(block, index, index + 1), line)
            begin = index + 1
    if begin < len(block.lines):
        yield _Section(_part(block, begin, len(block.lines)))


def _part(block: LineBlock, begin: int, end: int) -> LineBlock:
    first = block.first + begin
    return replace(block, lines=block.lines[begin:end], first=first, rejects=[])


def _cut(block: LineBlock, at: int) -> tuple[LineBlock, LineBlock]:
    return _part(block, 0, at), _part(block, at, len(block.lines))


def _first_json(block: LineBlock) -> int:
    """Return the index of the first line that is JSON, or how many lines there are."""
    found = (i for i, line in enumerate(block.lines) if line.startswith("{") and "\t" not in line)
    return next(found, len(block.lines))


def _layout_of(text: str) -> tuple[Layout | None, str]:
    """Return the layout of a header line, or why it cannot be used."""
    # A zero-width blank was copied into many files from an old sample in AWS's documentation.
    names = tuple(text.replace("\u200b", "").split())
    repeated = sorted({name for name in names if names.count(name) > 1})
    if not names:
        return None, "#Fields names no columns"
    if len(names) > MOST_COLUMNS:
        return None, f"#Fields names {len(names)} columns, at most {MOST_COLUMNS} are read"
    if not "".join(names).isprintable():  # surrogate escapes are not printable either
        return None, "#Fields names a column in bytes that are no text"
    if repeated:
        return None, f"#Fields names {', '.join(repeated)} twice"
    return Layout("standard", names), ""


def _legacy_layout(lines: Sequence[str]) -> tuple[Layout | None, int]:
    """Return the legacy layout that surely explains a headerless line, and that line's index."""
    for index, line in enumerate(lines):
        width = line.count("\t") + 1
        if width in LEGACY_WIDTHS:
            layout = Layout("standard", legacy_columns()[:width])
            if has_shape(layout, line.split("\t")):
                return layout, index
    return None, len(lines)


def _open(options: StandardOptions, _: AdapterContext) -> StandardDecoder:
    return StandardDecoder(options)


@hookimpl
def decoder_specs() -> Iterable[DecoderSpec]:
    """Offer the ``standard`` decoder."""
    summary = "Standard logs (W3C text, legacy and v2): columns from the #Fields line."
    return [DecoderSpec("standard", summary, StandardOptions, _open)]
