"""Connection logs of mutual TLS: JSON lines, or W3C, plain and raw text.

Source: CloudFront developer guide, "Observability using connection logs": one record for each
attempt to connect, delivered like standard logs (v2), in the same formats.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cloudfront_ecs.adapters import DecoderSpec
from cloudfront_ecs.batches import Layout, RecordBatch
from cloudfront_ecs.decoders.json_objects import object_batches
from cloudfront_ecs.decoders.lines import MAX_LINE_BYTES, NO_LAYOUT
from cloudfront_ecs.decoders.payload_lines import payload_blocks
from cloudfront_ecs.decoders.rows import split_rows
from cloudfront_ecs.decoders.standard import (
    DELIMITER_DOC,
    FIELDS_LINE,
    JSON_AMONG_TEXT,
    NO_HEADER,
    header_layout,
    require_delimiter,
)
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.normalize.layouts import require_columns, rows_by_column
from cloudfront_ecs.options import option
from cloudfront_ecs.split_rows import TAB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Payload
    from cloudfront_ecs.decoders.lines import LineBlock

_LOG = "connection"
_OWN = frozenset({"eventTimestamp", "connectionId", "connectionStatus"})
"""Columns that no other log has."""

_KEY = re.compile(r'"(\w+)"\s*:', re.ASCII)
_W3C = "a W3C header among JSON lines is not read, nor what follows it"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """Options of the ``connection`` decoder."""

    fields: tuple[str, ...] = option(
        (), doc="Columns of text files that have no #Fields line, in their order."
    )
    delimiter: str = option(TAB, doc=DELIMITER_DOC, example="|")
    max_line_bytes: int = option(MAX_LINE_BYTES, doc="Longest line that is read.", least=1024)

    def __post_init__(self) -> None:
        """Refuse unknown columns, and what cannot stand between two values."""
        require_delimiter(self.delimiter)
        require_columns(_LOG, self.fields, "fields")


def recognised(first: str) -> bool:
    """Say whether *first*, the first line that is not blank, is of a connection log.

    It may be cut, and several objects may stand in it.
    """
    if header := FIELDS_LINE.fullmatch(first):
        return not _OWN.isdisjoint(header[1].split())
    if not first.lstrip().startswith("{"):
        return False
    keys = set(_KEY.findall(first))
    return bool(keys & _OWN) and len(keys & rows_by_column(_LOG).keys()) > 1


class ConnectionDecoder:
    """Splits connection logs into records; each object or file tells its own format."""

    def __init__(self, options: ConnectionOptions) -> None:
        """Remember what headerless files look like."""
        self._given = Layout(_LOG, options.fields) if options.fields else None
        self._delimiter = options.delimiter
        self._max = options.max_line_bytes

    def decode(self, payload: Payload) -> Iterator[RecordBatch]:
        """Yield the records of *payload*, see ``Decoder``.

        Objects that follow each other without a line end count as lines of their own.
        """
        blocks = payload_blocks(payload, self._max)
        for _, log in itertools.groupby(blocks, lambda block: block.position):
            yield from self._blocks(log)  # each message is a log of its own

    def _blocks(self, blocks: Iterable[LineBlock]) -> Iterator[RecordBatch]:
        reader = _Reader(self._given, self._delimiter)
        for block in blocks:
            if block.rejects:
                yield RecordBatch(NO_LAYOUT, [], [], (), rejects=block.rejects)
            for kind, part in _parts(block):
                yield from reader.read(kind, part)


class _Reader:
    """Reads one log: JSON or text, as its first line is, and to its end."""

    def __init__(self, layout: Layout | None, delimiter: str) -> None:
        self._layout = layout
        self._delimiter = delimiter
        self._format = ""
        self._turned = ""
        """Why nothing more is read, where the log turned into another."""

    def read(self, kind: str, block: LineBlock) -> Iterator[RecordBatch]:
        """Yield the records of lines that are all ``header``, ``json``, ``text`` or ``blank``."""
        if kind == "blank":
            yield RecordBatch(NO_LAYOUT, [], [], (), skipped=len(block.lines))
            return
        self._format = self._format or ("json" if kind == "json" else "text")
        if self._format == "json" and kind == "header":
            self._turned = _W3C
        elif self._format == "text" and kind == "json":
            self._turned = JSON_AMONG_TEXT
        if kind == "header" and self._format == "text":
            yield from self._read_headers(block)
        elif self._turned:
            yield block.refused("foreign", self._turned)
        elif self._format == "json":
            yield from object_batches(block, _LOG)
        elif self._layout is None:
            yield block.refused("layout", NO_HEADER)
        else:
            yield from self._read_text(self._layout, block)

    def _read_headers(self, block: LineBlock) -> Iterator[RecordBatch]:
        for index, line in enumerate(block.lines):
            problem = ""
            if fields := FIELDS_LINE.fullmatch(line):
                layout, problem = header_layout(fields[1], self._delimiter)
                self._layout = replace(layout, log=_LOG) if layout else None
                self._turned = ""
            if problem:
                one = replace(block, lines=[line], first=block.first + index, rejects=[])
                yield one.refused("header", problem)
            else:
                yield RecordBatch(NO_LAYOUT, [], [], (), skipped=1)

    def _read_text(self, layout: Layout, block: LineBlock) -> Iterator[RecordBatch]:
        return split_rows(
            layout,
            block.lines,
            range(block.first, block.first + len(block.lines)),
            plain=block.plain,
            positions=None if block.position is None else [block.position] * len(block.lines),
            delimiter=self._delimiter,
        )


def _parts(block: LineBlock) -> Iterator[tuple[str, LineBlock]]:
    """Yield runs of lines of the same kind."""
    begin = 0
    for kind, lines in itertools.groupby(block.lines, _kind):
        part = replace(block, lines=list(lines), first=block.first + begin, rejects=[])
        begin += len(part.lines)
        yield kind, part


def _kind(line: str) -> str:
    if line.startswith("#"):
        return "header"
    if line.startswith("{"):
        return "json"
    return "text" if line else "blank"


def _open(options: ConnectionOptions, _: AdapterContext) -> ConnectionDecoder:
    return ConnectionDecoder(options)


@hookimpl
def decoder_specs() -> Iterable[DecoderSpec]:
    """Offer the ``connection`` decoder."""
    summary = "Connection logs (mutual TLS): JSON lines, or text with columns as in #Fields."
    return [DecoderSpec("connection", summary, ConnectionOptions, _open)]
