"""The format is decided by the content: the first line that is not blank."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudfront_ecs.adapters import DecoderSpec
from cloudfront_ecs.decoders.lines import (
    KEPT_BYTES,
    MAX_LINE_BYTES,
    line_blocks,
    message_blocks,
    text_of,
)
from cloudfront_ecs.decoders.realtime import RealtimeDecoder, RealtimeOptions
from cloudfront_ecs.decoders.standard import StandardDecoder, StandardOptions
from cloudfront_ecs.errors import PayloadError, nearest
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.normalize.layouts import realtime_columns, rows_by_column
from cloudfront_ecs.options import option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Payload, RecordBatch
    from cloudfront_ecs.decoders.lines import LineBlock

_STANDARD = re.compile(r"#|\d{4}-\d\d-\d\d\t")
_ENOUGH = 64
_NO_FIELDS = "real-time records carry no header (give the decoder option 'fields')"
_REALTIME = re.compile(r"\d{9,11}(?:\.\d{1,9})?(?:\t|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoOptions:
    """Options of the ``auto`` decoder."""

    fields: tuple[str, ...] = option(
        (), doc="Columns of records without a header: of a real-time configuration, or W3C."
    )
    max_line_bytes: int = option(MAX_LINE_BYTES, doc="Longest line that is read.", least=1024)

    def __post_init__(self) -> None:
        """Refuse columns that no log has."""
        known = {*rows_by_column("standard"), *realtime_columns()}
        unknown = [name for name in self.fields if name not in known]
        if unknown:
            texts = [f"unknown column {name!r}{nearest(name, known)}" for name in unknown]
            raise ValueError("fields: " + "; ".join(texts))


class AutoDecoder:
    """Hands each payload to the decoder that its content asks for."""

    def __init__(self, options: AutoOptions) -> None:
        """Prepare the decoders there are."""
        self._max = options.max_line_bytes
        self._width = len(options.fields)
        columns = set(options.fields)
        self._standard = StandardDecoder(
            StandardOptions(fields=options.fields, max_line_bytes=options.max_line_bytes)
            if columns <= set(rows_by_column("standard"))
            else StandardOptions(max_line_bytes=options.max_line_bytes)
        )
        fits = columns and columns <= set(realtime_columns())
        self._realtime = (
            RealtimeDecoder(
                RealtimeOptions(fields=options.fields, max_line_bytes=options.max_line_bytes)
            )
            if fits
            else None
        )

    def decode(self, payload: Payload) -> Iterator[RecordBatch]:
        """Yield the records of *payload*, see ``Decoder``.

        Raises:
            PayloadError: ``foreign``, where the content is no log this version reads.
        """
        if payload.messages is not None:
            yield from self._decode_messages(payload)
            return
        blocks = line_blocks(payload.chunks, self._max)
        for block in blocks:
            first = next((line for line in block.lines if line.strip()), None)
            if first is None:
                yield from self._standard.decode_blocks([block])
                continue
            yield from self._decoded(first, itertools.chain([block], blocks))

    def _decode_messages(self, payload: Payload) -> Iterator[RecordBatch]:
        """Decode messages: real-time records where columns are given, else what explains itself."""
        messages = payload.messages or ()
        if self._realtime is not None:
            yield from self._realtime.decode(payload)
        elif any(_STANDARD.match(text_of(message.data[:_ENOUGH])) for message in messages):
            yield from self._standard.decode(payload)
        else:
            for block in message_blocks(messages, self._max):
                yield block.refused("layout", _NO_FIELDS)

    def _decoded(self, first: str, blocks: Iterable[LineBlock]) -> Iterator[RecordBatch]:
        """Decode all of *blocks* by what their first line looks like."""
        if _REALTIME.match(first):
            if self._realtime is None:
                return (block.refused("layout", _NO_FIELDS) for block in blocks)
            return self._realtime.decode_blocks(blocks)
        tabs = first.count("\t")
        if _STANDARD.match(first) or (tabs and (first.isascii() or tabs + 1 == self._width)):
            return self._standard.decode_blocks(blocks)
        kind = "JSON" if first.startswith(("{", "[")) else "this content"
        raw = first.encode("utf-8", "surrogateescape")[:KEPT_BYTES]
        raise PayloadError("foreign", f"{kind} is no log that this version reads", raw)


def _open(options: AutoOptions, _: AdapterContext) -> AutoDecoder:
    return AutoDecoder(options)


@hookimpl
def decoder_specs() -> Iterable[DecoderSpec]:
    """Offer the ``auto`` decoder."""
    summary = "Whatever the content is: standard (W3C) or, with fields, real-time."
    return [DecoderSpec("auto", summary, AutoOptions, _open)]
