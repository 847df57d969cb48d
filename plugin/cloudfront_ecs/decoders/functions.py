"""Logs of CloudFront Functions and connection functions, as CloudWatch Logs hands them on.

A function that logs writes ``<request-id> START DistributionID: <id>``, its own lines, each
behind the request id, and ``<request-id> END``.  They come as plain text, as text behind the
time of each event (an export to S3), and as JSON: an event a line, or the objects of a
subscription (``logEvents``) and of the API (``events``).
Source: CloudFront developer guide, "Edge function logs"; CloudWatch Logs user guide,
"Export log data to Amazon S3", "Log group-level subscription filters".
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudfront_ecs.adapters import DecoderSpec
from cloudfront_ecs.batches import RecordBatch, RejectedLine
from cloudfront_ecs.decoders.event_lines import MOST_OBJECT_BYTES
from cloudfront_ecs.decoders.log_events import Entry, entries
from cloudfront_ecs.decoders.payload_lines import payload_blocks
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.normalize.function_log import LAYOUT, Written
from cloudfront_ecs.options import option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Payload
    from cloudfront_ecs.decoders.lines import LineBlock

MOST_OPEN = 10_000
"""Requests whose START line is remembered at a time."""

_ID = r"[A-Za-z0-9_-]{54}=="
"""40 bytes in base64url, as all ids of requests and connections."""

_TIMED = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)) (.*)", re.DOTALL | re.ASCII
)
_OF_REQUEST = re.compile(rf"({_ID})(?: (.*))?", re.DOTALL)
_START = re.compile(r"START DistributionID:\s*(\S+)\s*")
_WRAPPED = re.compile(r'\{.*?"logGroup"\s*:\s*"/aws/cloudfront/', re.DOTALL)
_EVENT = re.compile(rf'"@?message"\s*:\s*"{_ID}[ "\\]')


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionsOptions:
    """Options of the ``functions`` decoder."""

    function: str | None = option(
        None, doc="Name of the function, where the log does not name its log group."
    )
    max_line_bytes: int = option(
        MOST_OBJECT_BYTES, doc="Longest line or JSON object that is read.", least=1024
    )


def recognised(first: str) -> bool:
    """Say whether *first*, the first line that is not blank, is of a function's log.

    It may be cut.
    """
    if first.startswith(("{", "[")):
        return bool(_WRAPPED.match(first) or _EVENT.search(first))
    timed = _TIMED.fullmatch(first)
    return bool(_OF_REQUEST.fullmatch(timed[2] if timed else first))


class FunctionsDecoder:
    """Makes a record of each line that a function wrote."""

    def __init__(self, options: FunctionsOptions) -> None:
        """Remember what the logs do not tell."""
        self._function = options.function
        self._max = options.max_line_bytes

    def decode(self, payload: Payload) -> Iterator[RecordBatch]:
        """Yield the records of *payload*, see ``Decoder``.

        Objects that follow each other without a line end count as lines of their own.
        """
        log = _Log(self._function)
        for block in payload_blocks(payload, self._max, events=False):
            yield log.batch(block)


class _Log:
    """Reads one log and remembers which requests are open."""

    def __init__(self, function: str | None) -> None:
        """Begin a log of *function*, if nothing in the log tells its name."""
        self._function = function or ""
        self._open: OrderedDict[str, str] = OrderedDict()
        self._timed: Written | None = None
        """The writing before, where lines carry times: what has none belongs to it."""

    def batch(self, block: LineBlock) -> RecordBatch:
        """Return the records of some lines."""
        if block.position is not None and block.first == 0:
            self._timed = None  # another message
        found = _Found(block)
        for index, line in enumerate(block.lines):
            if not line.strip():
                found.skipped += 1
                continue
            events = entries(line) if line.startswith(("{", "[")) else None
            if events is None:
                self._take_line(found, index, line)
                continue
            self._timed = None
            found.skipped += not events
            for entry in events:
                self._take_entry(found, index, entry)
        return found.batch()

    def _take_line(self, found: _Found, index: int, line: str) -> None:
        timed = _TIMED.fullmatch(line)
        written = self._written(timed[2] if timed else line, timed[1] if timed else "")
        before, self._timed = self._timed, written if timed else None
        if written is None:
            found.filtered += 1
        elif timed or written.request_id or before is None:
            found.take(index, written, line)
        else:  # the rest of a message of several lines
            self._timed = before
            found.take(index, before._replace(message=line), line)

    def _take_entry(self, found: _Found, index: int, entry: Entry) -> None:
        if entry.problem:
            found.refuse(index, entry)
            return
        written = None if entry.control else self._written(entry.text, entry.time)
        if written is None:
            found.filtered += 1
            return
        written = written._replace(
            log_group=entry.group, log_stream=entry.stream, event_id=entry.id
        )
        found.take(index, written, entry.line)

    def _written(self, text: str, time: str) -> Written | None:
        """Return what was written; None for START and END lines."""
        match = _OF_REQUEST.fullmatch(text)
        if not match:
            return Written(text, time, function=self._function)
        request, rest = match[1], match[2] or ""
        if start := _START.fullmatch(rest):
            self._open[request] = start[1]
            self._open.move_to_end(request)
            if len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
            return None
        if rest.strip() == "END":
            self._open.pop(request, None)
            return None
        return Written(rest, time, request, self._open.get(request, ""), function=self._function)


class _Found:
    """What the lines of a block hold."""

    def __init__(self, block: LineBlock) -> None:
        self._block = block
        self._rows: list[list[str]] = []
        self._lines: list[str] = []
        self._numbers: list[int] = []
        self._rejects = list(block.rejects)
        self.skipped = self.filtered = 0

    def take(self, index: int, written: Written, line: str) -> None:
        """Add a record."""
        self._rows.append(list(written))
        self._lines.append(line)
        self._numbers.append(self._block.first + index)

    def refuse(self, index: int, entry: Entry) -> None:
        """Add what stands among events and is none."""
        raw = entry.line.encode("utf-8", "surrogateescape")
        place = self._block.place(index)
        self._rejects.append(RejectedLine("json", entry.problem, raw, *place))

    def batch(self) -> RecordBatch:
        """Return all of it."""
        position = self._block.position
        return RecordBatch(
            LAYOUT,
            self._rows,
            self._lines,
            self._numbers,
            None if position is None else [position] * len(self._rows),
            rejects=self._rejects,
            skipped=self.skipped,
            filtered=self.filtered,
            plain=self._block.plain,
        )


def _open(options: FunctionsOptions, _: AdapterContext) -> FunctionsDecoder:
    return FunctionsDecoder(options)


@hookimpl
def decoder_specs() -> Iterable[DecoderSpec]:
    """Offer the ``functions`` decoder."""
    summary = "Logs of CloudFront Functions: text, exports and JSON of CloudWatch Logs."
    return [DecoderSpec("functions", summary, FunctionsOptions, _open)]
