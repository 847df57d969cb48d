"""Log lines that CloudWatch Logs hands on: each event of an object counts as a line of its own.

Standard logs (v2) and connection logs may be delivered to CloudWatch Logs, and a subscription
sends them on inside of its objects, see ``log_events``.  What an event says is the line; the
events of a stream, or of a message, are numbered like lines.  A line that is no object of
CloudWatch Logs stays what it is.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import chain, groupby
from typing import TYPE_CHECKING, Literal

import msgspec

from cloudfront_ecs.batches import RejectedLine
from cloudfront_ecs.decoders.json_objects import without_halves
from cloudfront_ecs.decoders.lines import KEPT_BYTES, LineBlock, line_of
from cloudfront_ecs.decoders.log_events import Entry, entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_OBJECT_BYTES = 8_388_608
"""An object of a subscription is one line; it holds up to 1 MiB of texts, each with an id."""

LOOKED_AT = 4096
"""Bytes of a beginning that tell whether it is an object of CloudWatch Logs."""

_OUTER = re.compile(rb'"(?:messageType|logEvents|@?message)"\s*:')
_INNER = re.compile(rb'"(?:Records|eventVersion)"\s*:')
"""CloudTrail's own objects; inside of an event their quotes are escaped."""

_FIRST = re.compile(r'"@?message"\s*:\s*("(?:[^"\\]|\\.)*+")', re.DOTALL)

_CONTROL = "CWL CONTROL MESSAGE"
"""How the text begins that comes when a subscription is made."""


class _Event(msgspec.Struct):
    message: str


class _Subscription(msgspec.Struct):
    messageType: Literal["DATA_MESSAGE"]  # noqa: N815 - its name there
    logEvents: list[_Event]  # noqa: N815 - the same


_SUBSCRIPTION = msgspec.json.Decoder(_Subscription)


def holds_events(head: bytes) -> bool:
    """Say whether a stream or message that begins so is of CloudWatch Logs."""
    head = head[:LOOKED_AT].lstrip()
    return head[:1] in (b"{", b"[") and bool(_OUTER.search(head)) and not _INNER.search(head)


def first_message(head: str) -> str:
    """Return what the first event says; empty where none can be seen."""
    for found in _FIRST.finditer(head):
        try:
            said = str(json.loads(found[1], strict=False))
        except ValueError:
            continue
        if not said.startswith(_CONTROL):
            return said
    return ""


def event_blocks(blocks: Iterable[LineBlock], most: int) -> Iterator[LineBlock]:
    """Yield what events say as lines of at most *most* bytes.

    Args:
        blocks: The lines of one stream or one message, each an object of CloudWatch Logs.
        most: Bytes of a line.
    """
    number: int | None = None
    for block in blocks:
        number = block.first if number is None else number
        said = (text for line in block.lines for text in _said(line, most))
        for _, run in groupby(chain(block.rejects, said), lambda each: isinstance(each, str)):
            found = list(run)
            yield _block(found, number, block.position)
            number += len(found)


def _said(line: str, most: int) -> Iterator[str | RejectedLine]:
    """Yield what the events of an object say; blank for a message about the subscription."""
    try:
        texts: list[str | RejectedLine] = [
            event.message.removesuffix("\n").removesuffix("\r")
            for event in _SUBSCRIPTION.decode(line).logEvents
        ]
    except (msgspec.DecodeError, UnicodeError):
        found = entries(line)
        texts = [_text(entry) for entry in ([_no_event(line)] if found is None else found)]
    for text in texts:
        if isinstance(text, RejectedLine):
            yield text
            continue
        size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))
        if size <= most:
            yield text
            continue
        raw = text[:KEPT_BYTES].encode("utf-8", "surrogateescape")[:KEPT_BYTES]
        detail = f"the line has {size} bytes, at most {most} are read"
        yield RejectedLine("too_long", detail, raw, length=size)


def _no_event(line: str) -> Entry:
    """Return a line that holds no events: as it is, or refused where it should hold some."""
    broken = _OUTER.search(line[:LOOKED_AT].encode("utf-8", "surrogateescape"))
    return Entry(line, line, problem="not an object of CloudWatch Logs" if broken else "")


def _text(entry: Entry) -> str | RejectedLine:
    if entry.problem:
        raw = entry.line.encode("utf-8", "surrogateescape")
        return RejectedLine("json", entry.problem, raw)
    return "" if entry.control else without_halves(entry.text)


def _block(found: list[str | RejectedLine], first: int, position: str | None) -> LineBlock:
    """Return lines, or rejects, that take the places from *first* on."""
    lines = [each for each in found if isinstance(each, str)]
    rejects = [
        replace(each, line=line_of(first + index, position), position=position)
        for index, each in enumerate(found)
        if isinstance(each, RejectedLine)
    ]
    return LineBlock(
        lines,
        first,
        plain=all(map(str.isascii, lines)),
        has_headers=any(line.startswith("#") for line in lines),
        has_json=any(line.startswith("{") for line in lines),
        rejects=rejects,
        position=position,
    )
