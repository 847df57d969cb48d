"""Letters become documents: each is one record with a place of its own.

Its bytes are decoded alone, so a decoder counts anew; here the record gets back the line it
had, and with it the id.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.batches import Document, RecordBatch, RejectedLine
from cloudfront_ecs.conversion import Conversion, Converted, Trace
from cloudfront_ecs.decoders.lines import NO_LAYOUT, text_of
from cloudfront_ecs.decoders.rows import split_rows
from cloudfront_ecs.sources.dead_letters import GZIP, letter_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs.adapters import Decoder
    from cloudfront_ecs.batches import Payload
    from cloudfront_ecs.delivery.kept_letters import KeptLetter

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NOTHING = "neither a record nor anything to refuse was found in its bytes"
_NO_DOCUMENT = "the document that was kept has no id, dataset or time"


class LetterDecoder:
    """Decodes letters as their pipeline's decoder does, and gives records their place."""

    def __init__(self, decoder: Decoder) -> None:
        """Use the decoder of today."""
        self._decoder = decoder

    def decode(self, payload: Payload) -> Iterator[RecordBatch]:
        """Yield the record of a letter, see ``Decoder``.

        Bytes that are more than one record now, or none at all, are refused: two records of
        one place would have one id.
        """
        letter = letter_of(payload.origin)
        batches = _kept_record(letter) or list(self._decoder.decode(payload))
        if letter.position is not None and letter.raw.startswith(GZIP):
            yield from batches  # the whole message, so places are those of its lines
            return
        places = [place for batch in batches for place in _places(batch)]
        filtered = sum(batch.filtered for batch in batches)
        if not places and not filtered:
            yield _refused(letter, _NOTHING)
        elif len(set(places)) + filtered > 1:
            yield _refused(letter, f"{len(places) + filtered} records where one was refused")
        else:
            for batch in batches:
                batch.numbers = [_number(letter)] * len(batch.lines)
                batch.rejects = [_placed(reject, letter) for reject in batch.rejects]
                if letter.note and batch.lines and not batch.notes:
                    batch.notes = {0: letter.note}
                yield batch


class LetterConversion(Conversion):
    """Converts letters; documents that were kept as they were sent need no conversion."""

    def convert(self, payload: Payload) -> Iterator[Converted]:
        """Yield the documents of a letter, see ``Conversion``.

        Raises:
            SourceError: A decoder cannot learn now what it has to know.
        """
        letter = letter_of(payload.origin)
        if not letter.as_sent:
            yield from super().convert(payload)
            return
        try:
            document = _kept_document(letter.raw)
        except (ValueError, LookupError, TypeError):
            yield Converted([], [_reject(letter, _NO_DOCUMENT)], 1, 0, 0, 0)
            return
        batch = RecordBatch(NO_LAYOUT, [], [text_of(letter.raw)], [letter.line or 0])
        trace = Trace((document,), batch, (0,), concealed=True)
        yield Converted([document], [], 1, 0, 0, len(letter.raw), trace=trace)


def _kept_record(letter: KeptLetter) -> list[RecordBatch]:
    """Return the record that a letter holds column by column, if it does."""
    layout, line = letter.layout, text_of(letter.raw)
    if layout is None:
        return []
    if layout.named_by == "parquet":
        return list(split_rows(layout, [line], [_number(letter)], plain=line.isascii()))
    if letter.values is None or len(letter.values) != len(layout.columns):
        return []
    positions = None if letter.position is None else [letter.position]
    row = list(letter.values)
    plain = line.isascii() and "".join(row).isascii()
    return [RecordBatch(layout, [row], [line], [_number(letter)], positions, plain=plain)]


def _number(letter: KeptLetter) -> int:
    """Return the position of a letter's record, as a ``RecordBatch`` has it."""
    number = letter.line or 0
    return number if letter.position is None else max(number - 1, 0)


def _kept_document(raw: bytes) -> Document:
    body: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, Any])
    moment = datetime.fromisoformat(body["@timestamp"])
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    ident, dataset = body["event"]["id"], body["data_stream"]["dataset"]
    if not isinstance(ident, str) or not isinstance(dataset, str):
        raise TypeError("no texts")
    time_ns = (moment - _EPOCH) // _MICROSECOND * 1000
    return Document(ident, dataset, time_ns, body)


def _places(batch: RecordBatch) -> Iterator[int]:
    """Yield the number that each record of a decoder has, refused ones too."""
    yield from batch.numbers
    for reject in batch.rejects:
        line = reject.line or 0
        yield line if reject.position is None else max(line - 1, 0)


def _placed(reject: RejectedLine, letter: KeptLetter) -> RejectedLine:
    return replace(reject, line=letter.line, position=letter.position)


def _reject(letter: KeptLetter, detail: str) -> RejectedLine:
    return RejectedLine(letter.reason, detail, letter.raw, letter.line, letter.position)


def _refused(letter: KeptLetter, detail: str) -> RecordBatch:
    return RecordBatch(NO_LAYOUT, [], [], (), rejects=[_reject(letter, detail)])
