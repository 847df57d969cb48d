"""The format is decided by the content: the first bytes, or the first line that tells."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cloudfront_ecs.adapters import DecoderSpec
from cloudfront_ecs.batches import RecordBatch
from cloudfront_ecs.decoders import cloudtrail, connection, functions
from cloudfront_ecs.decoders.beginning import BOM, begun
from cloudfront_ecs.decoders.cloudtrail import CloudTrailDecoder, CloudTrailOptions
from cloudfront_ecs.decoders.connection import ConnectionDecoder, ConnectionOptions
from cloudfront_ecs.decoders.event_lines import MOST_OBJECT_BYTES, first_message, holds_events
from cloudfront_ecs.decoders.functions import FunctionsDecoder, FunctionsOptions
from cloudfront_ecs.decoders.inflate import inflated_messages
from cloudfront_ecs.decoders.json_lines import JsonDecoder, JsonOptions
from cloudfront_ecs.decoders.lines import (
    KEPT_BYTES,
    MAX_LINE_BYTES,
    NO_LAYOUT,
    line_blocks,
    message_blocks,
    text_of,
)
from cloudfront_ecs.decoders.parquet import MAGIC, ParquetDecoder, ParquetOptions
from cloudfront_ecs.decoders.realtime.decoder import RealtimeDecoder, RealtimeOptions
from cloudfront_ecs.decoders.standard import (
    DELIMITER_DOC,
    FIELDS_LINE,
    StandardDecoder,
    StandardOptions,
    require_delimiter,
)
from cloudfront_ecs.errors import PayloadError, nearest
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.normalize.layouts import realtime_columns, rows_by_column
from cloudfront_ecs.options import option
from cloudfront_ecs.split_rows import TAB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cloudfront_ecs.adapters import AdapterContext, Decoder
    from cloudfront_ecs.batches import Message, Payload

_NO_FIELDS = "real-time records carry no header (give the decoder option 'fields')"
_DAY = re.compile(r"\d{4}-\d\d-\d\d$")
_REALTIME = re.compile(r"\d{9,11}(?:\.\d{1,9})?(?:\t|$)")
_KEY = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:')


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoOptions:
    """Options of the ``auto`` decoder."""

    fields: tuple[str, ...] = option(
        (), doc="Columns of records without a header: real-time, or standard (W3C, plain, raw)."
    )
    delimiter: str = option(TAB, doc=DELIMITER_DOC, example="|")
    max_line_bytes: int = option(MAX_LINE_BYTES, doc="Longest line that is read.", least=1024)

    def __post_init__(self) -> None:
        """Refuse columns that no log has, and what cannot stand between two values."""
        require_delimiter(self.delimiter)
        known = {*rows_by_column("standard"), *realtime_columns()}
        unknown = [name for name in self.fields if name not in known]
        if unknown:
            texts = [f"unknown column {name!r}{nearest(name, known)}" for name in unknown]
            raise ValueError("fields: " + "; ".join(texts))


class AutoDecoder:
    """Hands each payload to the decoder that its content asks for."""

    def __init__(self, options: AutoOptions) -> None:
        """Prepare the decoders there are."""
        columns, most = set(options.fields), options.max_line_bytes
        self._max, self._delimiter = most, options.delimiter
        self._width = len(options.fields)
        explained = columns <= set(rows_by_column("standard"))
        self._standard = StandardDecoder(
            StandardOptions(
                fields=options.fields if explained else (),
                delimiter=options.delimiter,
                max_line_bytes=most,
            )
        )
        self._realtime: Decoder | None = None
        if columns and columns <= set(realtime_columns()):
            known = RealtimeOptions(fields=options.fields, max_line_bytes=most)
            self._realtime = RealtimeDecoder(known)
        self._json = JsonDecoder(JsonOptions(max_line_bytes=most))
        self._parquet = ParquetDecoder(ParquetOptions())
        text = ConnectionOptions(delimiter=options.delimiter, max_line_bytes=most)
        self._cloudtrail = CloudTrailDecoder(CloudTrailOptions(max_event_bytes=most))
        self._others: tuple[tuple[Callable[[str], bool], Decoder], ...] = (
            (cloudtrail.recognised, self._cloudtrail),
            (
                functions.recognised,
                FunctionsDecoder(FunctionsOptions(max_line_bytes=max(most, MOST_OBJECT_BYTES))),
            ),
            (connection.recognised, ConnectionDecoder(text)),
        )

    def decode(self, payload: Payload) -> Iterator[RecordBatch]:
        """Yield the records of *payload*, see ``Decoder``.

        Raises:
            PayloadError: ``foreign``, where the content is no log this version reads.
        """
        if payload.messages is not None:
            yield from self._decode_messages(payload, payload.messages)
            return
        head, chunks = begun(payload.chunks, _tells)
        head = head[:KEPT_BYTES]
        payload = replace(payload, chunks=chunks)
        if head.startswith(MAGIC):
            yield from self._parquet.decode(payload)
            return
        first = _telling(head)
        decoder = self._standard if not first else self._decoder_of(first, head)
        if decoder is not None:
            yield from decoder.decode(payload)
        elif _REALTIME.match(first):
            for block in line_blocks(chunks, self._max):
                yield block.refused("layout", _NO_FIELDS)
        else:
            kind = "JSON" if first.startswith(("{", "[")) else "this content"
            raw = first.encode("utf-8", "surrogateescape")[:KEPT_BYTES]
            raise PayloadError("foreign", f"{kind} is no log that this version reads", raw)

    def _decode_messages(
        self, payload: Payload, messages: Iterable[Message]
    ) -> Iterator[RecordBatch]:
        """Decode messages: those of one format that follow each other together."""
        readable, rejects = inflated_messages(list(messages))
        if rejects:
            yield RecordBatch(NO_LAYOUT, [], [], (), rejects=rejects)
        text = self._text_decoder(readable)
        for decoder, run in itertools.groupby(readable, lambda m: self._of_message(m, text)):
            if decoder is not None:
                yield from decoder.decode(replace(payload, messages=list(run)))
                continue
            for block in message_blocks(run, self._max):
                yield block.refused("layout", _NO_FIELDS)

    def _text_decoder(self, messages: Iterable[Message]) -> Decoder | None:
        """Return the decoder of messages that are rows: by the columns given, or a header."""
        if self._realtime is not None:
            return self._realtime
        begins = (_telling(message.data[:KEPT_BYTES]) for message in messages)
        return self._standard if any(map(self._is_standard, begins)) else None

    def _of_message(self, message: Message, text: Decoder | None) -> Decoder | None:
        first = _telling(message.data[:KEPT_BYTES])
        if first.startswith(("{", "[")):
            return self._decoder_of(first, message.data[:KEPT_BYTES]) or self._json
        return text or self._other(first)

    def _decoder_of(self, first: str, head: bytes) -> Decoder | None:
        """Return the decoder of what begins with *head*, whose first line is *first*, or None."""
        return self._of_events(head) or self._of_line(first) or self._indented(head)

    def _of_events(self, head: bytes) -> Decoder | None:
        """Return the decoder of lines that CloudWatch Logs hands on, by what the first says."""
        if not holds_events(head):
            return None
        said = first_message(text_of(head))
        if not said:
            return self._json if b"CONTROL_MESSAGE" in head else None
        known = self._is_standard(said) or said.count(self._delimiter) + 1 == self._width
        if said.startswith("{"):
            known = _is_access(said)
        return self._of_line(said) if known or connection.recognised(said) else None

    def _of_line(self, first: str) -> Decoder | None:
        """Return the decoder of what begins with the line *first*, or None."""
        other = self._other(first)
        if other is not None:
            return other
        if first.startswith("{"):
            return self._json if _is_access(first) else None
        fits = first.count(self._delimiter) + 1 == self._width
        if _REALTIME.match(first) and (self._realtime is not None or not fits):
            return self._realtime
        if not fits and self._delimiter == TAB:  # told line by line what is wrong
            fits = TAB in first and first.isascii()
        return self._standard if fits or self._is_standard(first) else None

    def _other(self, first: str) -> Decoder | None:
        found = (decoder for recognised, decoder in self._others if recognised(first))
        return next(found, None)

    def _indented(self, head: bytes) -> Decoder | None:
        """Return the decoder of JSON over several lines: people keep CloudTrail so."""
        return self._cloudtrail if cloudtrail.recognised(text_of(head)) else None

    def _is_standard(self, first: str) -> bool:
        """Say whether a line is a header, or a row as standard logs have had it since 2009."""
        return first.startswith("#") or bool(_DAY.match(first.partition(self._delimiter)[0]))


def _tells(head: bytes) -> bool:
    if len(head) >= KEPT_BYTES or head.startswith(MAGIC):
        return True
    *lines, _ = head.removeprefix(BOM).split(b"\n")
    first = _telling(b"\n".join(lines))
    if first.rstrip() in ("{", "["):  # goes on, line by line
        return False
    return bool(first) and (not first.startswith("#") or _has_told(lines))


def _has_told(lines: list[bytes]) -> bool:
    """Say whether comments have come to the header, or to something else."""
    written = (text_of(line) for line in lines if line.strip())
    return any(not line.startswith("#") or FIELDS_LINE.match(line) for line in written)


def _telling(head: bytes) -> str:
    """Return the line of a beginning that tells its format: a header, or the first not blank."""
    first = ""
    for line in text_of(head.removeprefix(BOM)).split("\n"):
        text = line.removesuffix("\r")
        if not text.strip():
            continue
        if not text.startswith("#"):
            return first or text
        if FIELDS_LINE.match(text):
            return text
        first = first or text
    return first


def _is_access(first: str) -> bool:
    """Say whether the keys of an object, which may be cut off, are of a standard log."""
    return not rows_by_column("standard").keys().isdisjoint(_KEY.findall(first))


def _open(options: AutoOptions, _: AdapterContext) -> AutoDecoder:
    return AutoDecoder(options)


@hookimpl
def decoder_specs() -> Iterable[DecoderSpec]:
    """Offer the ``auto`` decoder."""
    summary = "Whatever the content is: any of the formats below; real-time needs fields."
    return [DecoderSpec("auto", summary, AutoOptions, _open)]
