"""Values as CloudFront writes them: the opposite of ``escapes``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cloudfront_ecs.normalize.values.escapes import unquote_once

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

ABSENT = "-"
LONGEST = 800
"""Bytes that CloudFront keeps of cookies, headers and what functions log."""

_SPECIAL = re.compile(r"""[\0-\x20\x7f-\xff<>"#%{}|\\^~\[\]`']""")
_LINE_END = "%0A"
_LONGEST_TAIL = 12
"""Characters of an undecoded end: at most four escapes, which would be one character."""

_ENCODED_TWICE = re.compile("%(20|22|5C)")


def encoded(text: str) -> str:
    """Return *text* percent-encoded as CloudFront does, and ``-`` for none."""
    if text in ("", ABSENT):
        return "%2D" if text else ABSENT
    if not text.isascii():
        text = text.encode("utf-8", "surrogateescape").decode("latin-1")
    return _SPECIAL.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return f"%{ord(match[0]):02X}"


def encoded_cut(text: str, room: int = LONGEST) -> str:
    """Return *text* encoded, where the log may have cut it in the middle of a character.

    Its end then stands in the document as in the log (``%``, ``%2``, ``%E2%82``), and must
    not be encoded again.  The length tells: a text that was cut has *room* bytes.
    """
    whole = encoded(text)
    if len(whole) <= room:
        return whole
    for at in range(len(text) - 1, max(-1, len(text) - 1 - _LONGEST_TAIL), -1):
        if text[at] == "%":
            cut = (encoded(text[:at]) if at else "") + text[at:]
            if len(cut) == room and unquote_once(cut) == text:
                return cut
    return whole


def encoded_old_agent(text: str) -> str:
    """Return a User-Agent as before 2020: blanks, quotes and backslashes encoded twice."""
    return _ENCODED_TWICE.sub(r"%25\1", encoded(text))


def token_text(text: str, *, quoted: bool) -> str:
    """Return a CMCD value, in quotes where it is a string or would not be read without."""
    if quoted or text == ABSENT or (len(text) > 1 and text[0] == text[-1] == '"'):
        inner = text.replace("\\", "\\\\").replace('"', '\\"')
        return encoded(f'"{inner}"')
    return encoded(text)


def seconds_text(value: Decimal) -> str:
    """Return seconds with three decimals, or more where they are needed."""
    whole, _, fraction = f"{value:f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(3, '0')}"


def name_lines(names: Sequence[str]) -> str:
    """Return header names, each with an encoded line end, cut at 800 bytes."""
    *complete, last = names
    return _cut("".join(encoded(name) + _LINE_END for name in complete), last)


def header_lines(headers: Mapping[str, str | list[str]], names: Sequence[str]) -> str:
    """Return headers as ``cs-headers`` has them.

    Args:
        headers: By lower-case name; a list where a name repeats.
        names: The names as received, in their order; headers without one come last.
    """
    left = {
        name: [value] if isinstance(value, str) else list(value) for name, value in headers.items()
    }
    lines = [(name, left[name.lower()].pop(0)) for name in names if left.get(name.lower())]
    lines += [(name, value) for name, values in left.items() for value in values]
    if not lines:
        return ABSENT
    *complete, (name, last) = lines
    head = "".join(f"{_named(name)}{encoded(value)}{_LINE_END}" for name, value in complete)
    return _cut(head + _named(name), last)


def _named(name: str) -> str:
    return encoded(name).replace(":", "%3A") + ":"


def _cut(head: str, last: str) -> str:
    """Return *head* and *last* with its line end, or without where that was cut off."""
    text = head + encoded_cut(last, LONGEST - len(head))
    return text if len(text) > LONGEST else (text + _LINE_END)[:LONGEST]
