"""Standard logs as JSON (v2): an object a line, CloudFront's column names as its keys.

Source: CloudFront developer guide, "Standard logging (v2)": all values are texts, ``-`` where
there is none, percent-encoded as in the W3C form.  Which columns there are, and in which
order, can change from object to object.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cloudfront_ecs.adapters import DecoderSpec
from cloudfront_ecs.batches import RecordBatch
from cloudfront_ecs.decoders.json_objects import JsonError, object_batches, pairs_of
from cloudfront_ecs.decoders.lines import MAX_LINE_BYTES, NO_LAYOUT
from cloudfront_ecs.decoders.objects import apart
from cloudfront_ecs.decoders.payload_lines import payload_blocks
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.normalize.layouts import rows_by_column
from cloudfront_ecs.options import option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Payload

_OTHER = re.compile(
    r"#|\d{4}-\d\d-\d\d\t|\d{9,11}(?:\.\d{1,9})?\t"  # W3C, real-time
    r'|\{\s*"(?:Records|[a-z]+[A-Z]\w*)"'  # no column of an access log is spelt like this
)
_TURNED = "another log among JSON lines is not read, nor what follows it"


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonOptions:
    """Options of the ``json`` decoder."""

    max_line_bytes: int = option(MAX_LINE_BYTES, doc="Longest object that is read.", least=1024)


class JsonDecoder:
    """Splits JSON lines of standard logs into records."""

    def __init__(self, options: JsonOptions) -> None:
        """Remember how long an object may be."""
        self._max = options.max_line_bytes

    def decode(self, payload: Payload) -> Iterator[RecordBatch]:
        """Yield the records of *payload*, see ``Decoder``.

        Objects that follow each other without a line end count as lines of their own.
        """
        turned = False
        for block in payload_blocks(payload, self._max, apart):
            # A message that is no JSON says nothing about those that follow.
            at = 0 if turned else len(block.lines) if payload.messages else _turn(block.lines)
            if block.rejects:
                yield RecordBatch(NO_LAYOUT, [], [], (), rejects=block.rejects)
            yield from object_batches(replace(block, lines=block.lines[:at]), "standard")
            if at < len(block.lines):
                turned = True
                rest = replace(block, lines=block.lines[at:], first=block.first + at, rejects=[])
                yield rest.refused("foreign", _TURNED)


def _turn(lines: Sequence[str]) -> int:
    """Return the index of the first line of another log, or how many lines there are."""
    other = _OTHER.match
    found = (index for index, line in enumerate(lines) if other(line) and not _is_access(line))
    return next(found, len(lines))


def _is_access(line: str) -> bool:
    try:
        return not rows_by_column("standard").keys().isdisjoint(pairs_of(line))
    except JsonError:
        return False


def _open(options: JsonOptions, _: AdapterContext) -> JsonDecoder:
    return JsonDecoder(options)


@hookimpl
def decoder_specs() -> Iterable[DecoderSpec]:
    """Offer the ``json`` decoder."""
    summary = "Standard logs as JSON lines (v2), also joined without line ends."
    return [DecoderSpec("json", summary, JsonOptions, _open)]
