"""Standard logs: W3C files whose ``#Fields`` line names the columns.

Source: CloudFront developer guide, "Standard log file format": two header lines, the names
apart by blanks, the values by tabs.  Files of 2014 to today differ in their columns, v2
deliveries choose them, and files are concatenated: so the header decides, each time one
comes by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudfront_ecs.adapters import DecoderSpec
from cloudfront_ecs.batches import Layout, RecordBatch, RejectedLine
from cloudfront_ecs.decoders.lines import MAX_LINE_BYTES, LineBlock, line_blocks
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

_FIELDS = re.compile(r"#\s*Fields:?\s*(.*)", re.IGNORECASE)
_NO_HEADER = "no #Fields line says what the columns are (give the decoder option 'fields')"
_NO_LAYOUT = Layout("standard", ())


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
        chunks: Iterable[bytes] = payload.chunks
        if payload.messages is not None:
            chunks = (message.data for message in payload.messages)
        return self.decode_blocks(line_blocks(chunks, self._max_line_bytes))

    def decode_blocks(self, blocks: Iterable[LineBlock]) -> Iterator[RecordBatch]:
        """Yield the records of numbered lines."""
        layout = self._given
        refusal: RejectedLine | None = None
        for block in blocks:
            if block.rejects:
                yield RecordBatch(_NO_LAYOUT, [], [], (), rejects=block.rejects)
            for first, lines, header in _sections(block):
                if header is not None:
                    layout, refusal = _layout_of(header, first, layout)
                    rejects = [refusal] if refusal else []
                    skipped = 0 if refusal else 1
                    yield RecordBatch(_NO_LAYOUT, [], [], (), rejects=rejects, skipped=skipped)
                    continue
                numbers = range(first, first + len(lines))
                if layout is None and refusal is None:
                    layout = _legacy_layout(lines)
                if layout is None:
                    yield from unexplained([LineBlock(lines, first)], _NO_HEADER)
                else:
                    yield from split_rows(layout, lines, numbers, plain=block.plain)


def _sections(block: LineBlock) -> Iterator[tuple[int, list[str], str | None]]:
    """Yield ``(number, lines, None)`` for records and ``(number, [], header)`` for headers."""
    if not block.has_headers:
        if block.lines:
            yield block.first, block.lines, None
        return
    begin = 0
    for index, line in enumerate(block.lines):
        if line.startswith("#"):
            if index > begin:
                yield block.first + begin, block.lines[begin:index], None
            yield block.first + index, [], line
            begin = index + 1
    if begin < len(block.lines):
        yield block.first + begin, block.lines[begin:], None


def _layout_of(
    header: str, number: int, before: Layout | None
) -> tuple[Layout | None, RejectedLine | None]:
    """Return the layout that a header line sets, or why it cannot be used."""
    match = _FIELDS.fullmatch(header)
    if not match:
        return before, None
    # A zero-width blank was copied into many files from an old sample in AWS's documentation.
    names = tuple(match[1].replace("\u200b", "").split())
    repeated = sorted({name for name in names if names.count(name) > 1})
    if names and not repeated:
        return Layout("standard", names), None
    detail = f"names {', '.join(repeated)} twice" if repeated else "names no columns"
    raw = header.encode("utf-8", "surrogateescape")
    return None, RejectedLine("header", f"#Fields {detail}", raw, line=number)


def _legacy_layout(lines: list[str]) -> Layout | None:
    """Return the legacy layout that explains headerless lines, if one surely does."""
    row = next((line.split("\t") for line in lines if line), [])
    if len(row) not in LEGACY_WIDTHS:
        return None
    layout = Layout("standard", legacy_columns()[: len(row)])
    return layout if has_shape(layout, row) else None


def unexplained(blocks: Iterable[LineBlock], detail: str) -> Iterator[RecordBatch]:
    """Refuse every line of *blocks*, since nothing says what its columns are."""
    for block in blocks:
        rejects = [
            RejectedLine("layout", detail, line.encode("utf-8", "surrogateescape"), line=number)
            for number, line in enumerate(block.lines, block.first)
            if line
        ]
        skipped = len(block.lines) - len(rejects)
        rejects += block.rejects
        yield RecordBatch(_NO_LAYOUT, [], [], (), rejects=rejects, skipped=skipped)


def _open(options: StandardOptions, _: AdapterContext) -> StandardDecoder:
    return StandardDecoder(options)


@hookimpl
def decoder_specs() -> Iterable[DecoderSpec]:
    """Offer the ``standard`` decoder."""
    summary = "Standard logs (W3C text, legacy and v2): columns from the #Fields line."
    return [DecoderSpec("standard", summary, StandardOptions, _open)]
