"""Standard logs as text: W3C files whose ``#Fields`` line names the columns, and plain ones.

Source: CloudFront developer guide, "Standard log file format": two header lines, the names
apart by blanks, the values by tabs.  Files of 2014 to today differ in their columns, v2
deliveries choose them, and files are concatenated: so the header decides, each time one
comes by.  Deliveries of v2 as ``plain`` or ``raw`` are the same rows without a header, and
every one of them can have another delimiter than the tab: the options say which.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from cloudfront_ecs.adapters import DecoderSpec
from cloudfront_ecs.batches import Layout, RecordBatch
from cloudfront_ecs.decoders.headerless import UNCLEAR, legacy_layout, runs
from cloudfront_ecs.decoders.lines import (
    MAX_LINE_BYTES,
    NO_LAYOUT,
    LineBlock,
)
from cloudfront_ecs.decoders.payload_lines import payload_blocks
from cloudfront_ecs.decoders.rows import split_rows
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.normalize.layouts import require_columns, rows_by_column
from cloudfront_ecs.options import option
from cloudfront_ecs.split_rows import TAB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Payload

MOST_COLUMNS = 512
"""More than any log has; a header of thousands is noise, and compiling it would take long."""

LONGEST_DELIMITER = 5
"""Characters that CloudWatch's deliveries allow (API reference, ``CreateDelivery``)."""

FIELDS_LINE = re.compile(r"#\s*Fields(?::|\s|$)\s*(.*)", re.IGNORECASE | re.DOTALL)
"""The header line that names the columns; the group holds the names."""

NO_HEADER = "no #Fields line says what the columns are (give the decoder option 'fields')"
JSON_AMONG_TEXT = (
    "JSON among W3C lines is not read, nor what follows it up to the next #Fields line"
)

DELIMITER_DOC = "What stands between two values (v2), 1 to 5 characters; default: a tab."


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardOptions:
    """Options of the ``standard`` decoder."""

    fields: tuple[str, ...] = option(
        (), doc="Columns of files that have no #Fields line, in their order."
    )
    delimiter: str = option(TAB, doc=DELIMITER_DOC, example="|")
    max_line_bytes: int = option(MAX_LINE_BYTES, doc="Longest line that is read.", least=1024)

    def __post_init__(self) -> None:
        """Refuse unknown columns, and what cannot stand between two values."""
        require_delimiter(self.delimiter)
        require_columns("standard", self.fields, "fields")


def require_delimiter(text: str) -> None:
    """Refuse what cannot stand between two values.

    Raises:
        ValueError: It has no or too many characters, or ends lines.
    """
    if not 1 <= len(text) <= LONGEST_DELIMITER:
        raise ValueError(f"delimiter: 1 to {LONGEST_DELIMITER} characters needed, got {len(text)}")
    if "\n" in text or "\r" in text:
        raise ValueError("delimiter: a line end cannot stand between two values")


class StandardDecoder:
    """Splits W3C files into records; the columns come from the latest header line."""

    def __init__(self, options: StandardOptions) -> None:
        """Remember what headerless files look like."""
        self._given = Layout("standard", options.fields) if options.fields else None
        self._delimiter = options.delimiter
        self._max_line_bytes = options.max_line_bytes

    def decode(self, payload: Payload) -> Iterator[RecordBatch]:
        """Yield the records of *payload*, see ``Decoder``."""
        reader = _Reader(self._given, self._delimiter)
        for block in payload_blocks(payload, self._max_line_bytes, iter):
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

    def __init__(self, layout: Layout | None, delimiter: str) -> None:
        self._layout = layout
        self._delimiter = delimiter
        self._headerless = False
        self._refused: tuple[str, str] | None = None

    def header(self, block: LineBlock, text: str) -> RecordBatch:
        """Take the columns from a header line."""
        fields = FIELDS_LINE.fullmatch(text)
        if fields:
            self._layout, problem = header_layout(fields[1], self._delimiter)
            self._headerless = False
            self._refused = ("layout", NO_HEADER) if problem else None
            if problem:
                return block.refused("header", problem)
        return RecordBatch(NO_LAYOUT, [], [], (), skipped=1)

    def records(self, block: LineBlock) -> Iterator[RecordBatch]:
        """Yield the records of lines that are no headers."""
        if self._refused is None and self._layout is None:
            self._layout, at = legacy_layout(block.lines, self._delimiter)
            self._headerless = self._layout is not None
            before, block = _cut(block, at)
            if before.lines:
                yield before.refused("layout", NO_HEADER)
        if self._refused is None and block.has_json:
            before, block = _cut(block, _first_json(block, self._delimiter))
            yield from self._split(before)
            if block.lines:
                self._refused = ("foreign", JSON_AMONG_TEXT)
        if self._refused is not None:
            yield block.refused(*self._refused)
        else:
            yield from self._split(block)

    def _split(self, block: LineBlock) -> Iterator[RecordBatch]:
        if self._layout is None or not block.lines:
            return
        if not self._headerless:
            yield from self._rows(self._layout, block)
            return
        for layout, begin, end in runs(block.lines, self._layout, self._delimiter):
            part = _part(block, begin, end)
            if layout is None:
                yield part.refused("layout", UNCLEAR)
            else:
                yield from self._rows(layout, part)

    def _rows(self, layout: Layout, block: LineBlock) -> Iterator[RecordBatch]:
        return split_rows(
            layout,
            block.lines,
            range(block.first, block.first + len(block.lines)),
            plain=block.plain,
            positions=None if block.position is None else [block.position] * len(block.lines),
            delimiter=self._delimiter,
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


def _first_json(block: LineBlock, delimiter: str) -> int:
    """Return the index of the first line that is JSON, or how many lines there are."""
    for index, line in enumerate(block.lines):
        if line.startswith("{") and (delimiter != TAB or TAB not in line):
            return index
    return len(block.lines)


def header_layout(text: str, delimiter: str) -> tuple[Layout | None, str]:
    """Return the layout of a header line, or why it cannot be used."""
    # A zero-width blank was copied into many files from an old sample in AWS's documentation.
    names = tuple(text.replace("\u200b", "").split())
    if len(names) == 1 and names[0] not in rows_by_column("standard"):
        names = tuple(names[0].split(delimiter))
    if not names:
        return None, "#Fields names no columns"
    if len(names) > MOST_COLUMNS:
        return None, f"#Fields names {len(names)} columns, at most {MOST_COLUMNS} are read"
    repeated = sorted({name for name in names if names.count(name) > 1})
    if not "".join(names).isprintable():  # surrogate escapes are not printable either
        return None, "#Fields names a column in bytes that are no text"
    if repeated:
        return None, f"#Fields names {', '.join(repeated)} twice"
    return Layout("standard", names, named_by="header"), ""


def _open(options: StandardOptions, _: AdapterContext) -> StandardDecoder:
    return StandardDecoder(options)


@hookimpl
def decoder_specs() -> Iterable[DecoderSpec]:
    """Offer the ``standard`` decoder."""
    summary = (
        "Standard logs as text (W3C, plain, raw): columns from the #Fields line, or as configured."
    )
    return [DecoderSpec("standard", summary, StandardOptions, _open)]
