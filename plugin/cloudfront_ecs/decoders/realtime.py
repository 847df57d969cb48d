"""Real-time logs: records without a header, in a layout that the configuration gives.

Source: CloudFront developer guide, "Real-time logs": one line per Kinesis record, apart by
tabs, one line end; AWS fixes the order of the columns, a configuration picks a subset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudfront_ecs.adapters import DecoderSpec
from cloudfront_ecs.batches import RecordBatch, RejectedLine
from cloudfront_ecs.decoders.lines import KEPT_BYTES, MAX_LINE_BYTES, line_blocks, text_of
from cloudfront_ecs.decoders.rows import split_rows
from cloudfront_ecs.errors import ConfigError
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.normalize.layouts import realtime_layout
from cloudfront_ecs.options import option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Message, Payload
    from cloudfront_ecs.decoders.lines import LineBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeOptions:
    """Options of the ``realtime`` decoder."""

    fields: tuple[str, ...] = option(
        doc="Columns of the real-time configuration, in any order: AWS's order holds.",
        least=1,
        example='["timestamp", "c-ip", "sc-status"]',
    )
    max_line_bytes: int = option(MAX_LINE_BYTES, doc="Longest line that is read.", least=1024)

    def __post_init__(self) -> None:
        """Refuse unknown columns."""
        try:
            realtime_layout(self.fields, "fields")
        except ConfigError as error:
            raise ValueError(str(error)) from error


class RealtimeDecoder:
    """Splits real-time records by the one layout it was given."""

    def __init__(self, options: RealtimeOptions) -> None:
        """Bring the columns into AWS's order."""
        self._layout = realtime_layout(options.fields, "fields")
        self._max = options.max_line_bytes

    def decode(self, payload: Payload) -> Iterator[RecordBatch]:
        """Yield the records of *payload*, see ``Decoder``."""
        if payload.messages is not None:
            return self._decode_messages(payload.messages)
        return self.decode_blocks(line_blocks(payload.chunks, self._max))

    def decode_blocks(self, blocks: Iterable[LineBlock]) -> Iterator[RecordBatch]:
        """Yield the records of numbered lines."""
        for block in blocks:
            if block.rejects:
                yield RecordBatch(self._layout, [], [], (), rejects=block.rejects)
            if block.lines:
                numbers = range(block.first, block.first + len(block.lines))
                yield from split_rows(self._layout, block.lines, numbers, plain=block.plain)

    def _decode_messages(self, messages: Sequence[Message]) -> Iterator[RecordBatch]:
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
            yield RecordBatch(self._layout, [], [], (), (), rejects=rejects)
        yield from split_rows(
            self._layout, lines, numbers, plain=joined.isascii(), positions=positions
        )


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
                        position=message.position,
                        length=len(line),
                    )
                )
                continue
            lines.append(text_of(line))
            positions.append(message.position)
            numbers.append(index)
    return lines, positions, numbers, rejects


def _open(options: RealtimeOptions, _: AdapterContext) -> RealtimeDecoder:
    return RealtimeDecoder(options)


@hookimpl
def decoder_specs() -> Iterable[DecoderSpec]:
    """Offer the ``realtime`` decoder."""
    summary = "Real-time logs: records without header, columns as configured."
    return [DecoderSpec("realtime", summary, RealtimeOptions, _open)]
