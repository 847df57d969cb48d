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
    from collections.abc import Iterable, Iterator

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
        layout = self._given
        refused: tuple[str, str] | None = None
        for block in blocks:
            if block.rejects:
                yield RecordBatch(NO_LAYOUT, [], [], (), rejects=block.rejects)
            for section in _sections(block):
                if section.header is not None:
                    names = _FIELDS.fullmatch(section.header)
                    if names is None:
                        yield RecordBatch(NO_LAYOUT, [], [], (), skipped=1)
                        continue
                    layout, problem = _layout_of(names[1])
                    refused = ("layout", _NO_HEADER) if problem else None
                    if problem:
                        yield section.block.refused("header", problem)
                    else:
                        yield RecordBatch(NO_LAYOUT, [], [], (), skipped=1)
                    continue
                lines = section.block
                if refused is None and layout is None:
                    layout, before, lines = _legacy_layout(lines)
                    yield from before
                if refused is None and lines.has_json:
                    before_json, lines = _cut(lines, _first_json(lines))
                    if layout is not None:
                        yield from _split(layout, before_json)
                    if lines.lines:
                        refused = ("foreign", _JSON)
                if refused is not None:
                    yield lines.refused(*refused)
                elif layout is not None:
                    yield from _split(layout, lines)


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


def _split(layout: Layout, block: LineBlock) -> Iterator[RecordBatch]:
    """Return the records of *block*."""
    numbers = range(block.first, block.first + len(block.lines))
    positions = None if block.position is None else [block.position] * len(block.lines)
    return split_rows(layout, block.lines, numbers, plain=block.plain, positions=positions)


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


def _legacy_layout(
    block: LineBlock,
) -> tuple[Layout | None, list[RecordBatch], LineBlock]:
    """Return the legacy layout that explains headerless lines, if one surely does.

    The first line that it explains decides; those before it are refused.
    """
    for index, line in enumerate(block.lines):
        width = line.count("\t") + 1
        if width not in LEGACY_WIDTHS:
            continue
        layout = Layout("standard", legacy_columns()[:width])
        if has_shape(layout, line.split("\t")):
            before, lines = _cut(block, index)
            return layout, [before.refused("layout", _NO_HEADER)] if index else [], lines
    return None, [block.refused("layout", _NO_HEADER)], _part(block, 0, 0)


def _open(options: StandardOptions, _: AdapterContext) -> StandardDecoder:
    return StandardDecoder(options)


@hookimpl
def decoder_specs() -> Iterable[DecoderSpec]:
    """Offer the ``standard`` decoder."""
    summary = "Standard logs (W3C text, legacy and v2): columns from the #Fields line."
    return [DecoderSpec("standard", summary, StandardOptions, _open)]
