"""Real-time logs: records without a header, in a layout that only the configuration tells.

Source: CloudFront developer guide, "Real-time logs": one line per Kinesis record, apart by
tabs, one line end; AWS fixes the order of the columns, a configuration picks a subset.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudfront_ecs.adapters import AdapterContext, DecoderSpec
from cloudfront_ecs.batches import RecordBatch, RejectedLine
from cloudfront_ecs.decoders.inflate import inflated_messages
from cloudfront_ecs.decoders.lines import KEPT_BYTES, NO_LAYOUT, line_blocks, text_of
from cloudfront_ecs.decoders.realtime.config import RealtimeConfig
from cloudfront_ecs.decoders.realtime.history import LayoutHistory, stream_of
from cloudfront_ecs.decoders.realtime.layouts import KnownLayouts
from cloudfront_ecs.decoders.realtime.options import RealtimeOptions
from cloudfront_ecs.decoders.realtime.rows import StreamRows
from cloudfront_ecs.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from cloudfront_ecs.batches import Layout, Message, Origin, Payload
    from cloudfront_ecs.decoders.lines import LineBlock

__all__ = ["RealtimeDecoder", "RealtimeOptions"]

_NOWHERE = AdapterContext("realtime")

_SOON = 5.0
"""Seconds between two looks at the configuration when records do not fit."""


@dataclass(slots=True)
class _Stream:
    """One stream: what it was configured to have when we last looked, and how it is split."""

    configured: tuple[Layout, ...]
    rows: StreamRows


class RealtimeDecoder:
    """Splits real-time records by the layouts that their stream has or had."""

    def __init__(
        self,
        options: RealtimeOptions,
        context: AdapterContext = _NOWHERE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Read the history; ask CloudFront nothing yet.

        Args:
            options: The configured layouts, or where to read them.
            context: Where the history is kept.
            clock: Returns epoch seconds.

        Raises:
            StateError: The history is damaged.
        """
        self._options = options
        self._name = context.name
        self._clock = clock
        self._given = options.given()
        self._config = (
            RealtimeConfig(options.config_arn, options, clock) if options.config_arn else None
        )
        self._history = LayoutHistory(context.state)
        self._streams: dict[str, _Stream] = {}
        self._max = options.max_line_bytes

    def decode(self, payload: Payload) -> Iterator[RecordBatch]:
        """Yield the records of *payload*, see ``Decoder``.

        Raises:
            SourceError: The configuration cannot be read, and never was.
            StateError: The history cannot be written.
        """
        if payload.messages is not None:
            return self._decode_messages(payload.messages, payload.origin)
        return self.decode_blocks(line_blocks(payload.chunks, self._max), payload.origin)

    def decode_blocks(
        self, blocks: Iterable[LineBlock], origin: Origin | None = None
    ) -> Iterator[RecordBatch]:
        """Yield the records of numbered lines."""
        for block in blocks:
            if block.rejects:
                yield RecordBatch(NO_LAYOUT, [], [], (), rejects=block.rejects)
            if block.lines:
                rows = self._rows_of(origin)
                numbers = range(block.first, block.first + len(block.lines))
                yield from rows.batches(block.lines, numbers, plain=block.plain)

    def _decode_messages(
        self, messages: Sequence[Message], origin: Origin
    ) -> Iterator[RecordBatch]:
        messages, damaged = inflated_messages(messages)
        if damaged:
            yield RecordBatch(NO_LAYOUT, [], [], (), rejects=damaged)
        joined = b"".join(message.data for message in messages)
        one_each = joined.count(b"\n") == len(messages) and all(
            message.data.endswith(b"\n") for message in messages
        )
        if one_each and max(map(_length, messages), default=0) <= self._max:
            lines = text_of(joined).split("\n")[:-1]
            positions = [message.position for message in messages]
            numbers: Sequence[int] = [0] * len(lines)
            rejects: list[RejectedLine] = []
        else:
            lines, positions, numbers, rejects = _lines_of(messages, self._max)
        lines = [line.removesuffix("\r") for line in lines] if b"\r" in joined else lines
        if rejects:
            yield RecordBatch(NO_LAYOUT, [], [], (), rejects=rejects)
        if lines:
            rows = self._rows_of(origin)
            yield from rows.batches(lines, numbers, positions, plain=joined.isascii())

    def _rows_of(self, origin: Origin | None) -> StreamRows:
        """Return what splits the lines of a stream, by a configuration that is not too old."""
        stream = f"decoder {self._name}" if origin is None else stream_of(origin, self._name)
        learned = self._learn(stream, self._options.refresh_seconds)
        there = self._streams[stream]
        if learned is not None:
            there.rows.learn(*learned)
        return there.rows

    def _learn(self, stream: str, max_age: float) -> tuple[KnownLayouts, Layout] | None:
        """Look what the stream is configured to have; return what is new, or None."""
        configured = self._given
        if self._config is not None:
            configured = (*configured, self._config.layout(max_age))
        changed = self._history.note(stream, configured, self._clock())
        there = self._streams.get(stream)
        if there is not None and there.configured == configured and not changed:
            return None
        known = KnownLayouts(self._history.known(stream), self._options.overlap_hours * 3600)
        likely = configured[-1] if self._config is not None else configured[0]
        if there is not None:
            there.configured = configured
            return known, likely
        again = lambda: self._learn(stream, _SOON)  # noqa: E731 - bound to this stream
        self._streams[stream] = _Stream(configured, StreamRows(known, likely, again))
        return None


def _length(message: Message) -> int:
    return len(message.data)


def _lines_of(
    messages: Sequence[Message], max_bytes: int
) -> tuple[list[str], list[str], list[int], list[RejectedLine]]:
    """Return lines, positions and indexes of messages that hold none or several lines."""
    lines: list[str] = []
    positions: list[str] = []
    numbers: list[int] = []
    rejects: list[RejectedLine] = []
    for message in messages:
        for index, line in enumerate(message.data.removesuffix(b"\n").split(b"\n")):
            if len(line) > max_bytes:
                detail = f"the line has {len(line)} bytes, at most {max_bytes} are read"
                rejects.append(
                    RejectedLine(
                        "too_long",
                        detail,
                        line[:KEPT_BYTES],
                        line=index + 1 if index else None,
                        position=message.position,
                        length=len(line),
                    )
                )
                continue
            lines.append(text_of(line))
            positions.append(message.position)
            numbers.append(index)
    return lines, positions, numbers, rejects


def _open(options: RealtimeOptions, context: AdapterContext) -> RealtimeDecoder:
    return RealtimeDecoder(options, context)


def _check(options: RealtimeOptions, context: AdapterContext) -> str:
    """Read the history and the configuration; nothing is written."""
    LayoutHistory(context.state)
    if not options.config_arn:
        return " and ".join(f"{len(layout.columns)} columns" for layout in options.given())
    layout = RealtimeConfig(options.config_arn, options).read()
    return f"{len(layout.columns)} columns, sampled at {layout.sampling_rate or 100} %"


@hookimpl
def decoder_specs() -> Iterable[DecoderSpec]:
    """Offer the ``realtime`` decoder."""
    summary = "Real-time logs: records without header, columns as configured or as CloudFront says."
    return [DecoderSpec("realtime", summary, RealtimeOptions, _open, _check)]
