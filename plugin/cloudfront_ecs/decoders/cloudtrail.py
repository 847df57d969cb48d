"""CloudTrail: the calls of CloudFront's API, from files, streams and event buses.

Whatever carries them (files of a trail, EventBridge, CloudWatch Logs subscriptions, one event
a line), each event becomes one record: its JSON text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudfront_ecs.adapters import DecoderSpec
from cloudfront_ecs.batches import Layout, RecordBatch, RejectedLine
from cloudfront_ecs.decoders.cloudtrail_events import unwrapped
from cloudfront_ecs.decoders.inflate import inflated_messages
from cloudfront_ecs.decoders.json_records import json_records
from cloudfront_ecs.decoders.lines import MAX_LINE_BYTES, line_of, text_of
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.options import option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Message, Payload
    from cloudfront_ecs.decoders.json_splitter import Piece

LAYOUT = Layout("api", ("event",))

_OTHER_FILES = re.compile(r"(?:^|/)CloudTrail-(?:Digest|Insight|NetworkActivity|Aggregated)/")
_BEGINNING = re.compile(
    r'[\s,\[]*\{\s*(?:"Records"\s*:\s*\[[\s,]*(?:[\]{]|\Z)|"Events"\s*:\s*\[\s*\{\s*"Event)'
)
_MEMBERS = (
    ('"eventVersion"', '"eventName"'),
    ('"eventName"', '"userIdentity"'),
    (' via CloudTrail"', '"detail"'),
    ('"messageType"', '\\"eventVersion\\"'),
    ('"awsDigestStartTime"', '"digestS3Object"'),
    ('"digestStartTime"', '"digestS3Object"'),
    ('"CloudTrailEvent"', '"EventName"'),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudTrailOptions:
    """Options of the ``cloudtrail`` decoder."""

    all_deliveries: bool = option(
        default=False,
        doc="Also keep log delivery calls that name nothing of CloudFront, as `DeleteDelivery`.",
    )
    max_event_bytes: int = option(MAX_LINE_BYTES, doc="Longest event that is read.", least=1024)


class CloudTrailDecoder:
    """Finds the events of CloudFront; all others count as filtered."""

    def __init__(self, options: CloudTrailOptions) -> None:
        """Keep the options."""
        self._options = options

    def decode(self, payload: Payload) -> Iterator[RecordBatch]:
        """Yield the events of *payload*, see ``Decoder``; a record's number is its index from 1.

        Digests, insights, network activity and aggregated events are skipped by their path,
        unread.
        """
        if payload.messages is not None:
            return self._decode_messages(payload.messages)
        if _OTHER_FILES.search(payload.origin.place):
            return iter([RecordBatch(LAYOUT, [], [], (), skipped=1)])
        return self._decode_chunks(payload.chunks)

    def _decode_chunks(self, chunks: Iterable[bytes]) -> Iterator[RecordBatch]:
        number = 1
        for pieces in json_records(chunks, self._options.max_event_bytes):
            yield self._batch(pieces, number)
            number += len(pieces)

    def _decode_messages(self, messages: Sequence[Message]) -> Iterator[RecordBatch]:
        readable, damaged = inflated_messages(messages)
        if damaged:
            yield RecordBatch(LAYOUT, [], [], (), rejects=damaged)
        for message in readable:
            found = json_records([message.data], self._options.max_event_bytes)
            pieces = [piece for some in found for piece in some]
            if pieces:
                yield self._batch(pieces, 0, message.position)

    def _batch(
        self, pieces: Sequence[Piece], first: int, position: str | None = None
    ) -> RecordBatch:
        lines: list[str] = []
        numbers: list[int] = []
        rejects: list[RejectedLine] = []
        skipped = filtered = 0
        for number, piece in enumerate(pieces, first):
            reason, detail = piece.reason, piece.detail
            if reason is None:
                found = unwrapped(piece.data, all_deliveries=self._options.all_deliveries)
                if found.event is not None:
                    lines.append(text_of(found.event))
                    numbers.append(number)
                    continue
                if not found.refused:
                    filtered += found.filtered
                    skipped += not found.filtered
                    continue
                reason, detail = "json", found.refused
            line = line_of(number, position)
            rejects.append(
                RejectedLine(
                    reason, detail, piece.data, line=line, position=position, length=piece.length
                )
            )
        return RecordBatch(
            LAYOUT,
            [[line] for line in lines],
            lines,
            numbers,
            None if position is None else [position] * len(lines),
            rejects=rejects,
            skipped=skipped,
            filtered=filtered,
            plain=all(map(str.isascii, lines)),
        )


def recognised(first: str) -> bool:
    """Return whether content is CloudTrail's, by its first line or its first 64 KiB.

    A file of a trail, one event a line, what EventBridge or CloudWatch Logs wraps around
    events, a digest; other logs in CloudWatch Logs' wrapper are not.
    """
    if not first.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        return False
    if _BEGINNING.match(first.lstrip("\ufeff")):
        return True
    return any(all(member in first for member in members) for members in _MEMBERS)


def _open(options: CloudTrailOptions, _: AdapterContext) -> CloudTrailDecoder:
    return CloudTrailDecoder(options)


@hookimpl
def decoder_specs() -> Iterable[DecoderSpec]:
    """Offer the ``cloudtrail`` decoder."""
    summary = "CloudTrail: calls of CloudFront's API; other services' count as filtered."
    return [DecoderSpec("cloudtrail", summary, CloudTrailOptions, _open)]
