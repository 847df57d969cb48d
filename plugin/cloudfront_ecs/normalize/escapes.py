"""Texts: what the log encoded is decoded once, which gives what the viewer sent.

``-`` and the empty text are absent (None).  ``+`` stays ``+``: CloudFront does not use form
encoding.  Headers are split before they are decoded.
Source: CloudFront developer guide, "Standard log file fields" and "Real-time log fields".
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from cloudfront_ecs.normalize.plain import absent


def percent(value: str) -> str | None:
    """Return the text with its percent-encoding undone once.

    Escapes that are no UTF-8 together stay as they are, so that nothing is lost.
    """
    if absent(value):
        return None
    return unquote_once(value)


def unquote_once(value: str) -> str:
    """Undo percent-encoding once; ``+`` is not a blank, broken escapes stay."""
    first, *rest = value.split("%")
    if not rest:
        return value
    try:
        return first + "".join([_ASCII_ESCAPES[part[:2]] + part[2:] for part in rest])
    except KeyError:  # not ASCII, or no escape at all
        return _ESCAPES.sub(_utf8_or_as_it_was, value)


_ASCII_ESCAPES = {
    high + low: chr(int(high + low, 16)) for high in "01234567" for low in "0123456789abcdefABCDEF"
}
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


def _utf8_or_as_it_was(match: re.Match[str]) -> str:
    escapes = match[0]
    data = unquote_to_bytes(escapes)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    parts: list[str] = []
    at = 0
    for character in data.decode("utf-8", "surrogateescape"):
        if "\udc80" <= character <= "\udcff":  # a byte that is no text
            parts.append(escapes[3 * at : 3 * at + 3])
            at += 1
        else:
            parts.append(character)
            at += len(character.encode("utf-8"))
    return "".join(parts)


_TWICE_ENCODED = re.compile(r"%25(?:20|22|5C)", re.IGNORECASE)
_ONCE_ENCODED = re.compile(r"%20|%22|%5C|[^%!-~]", re.IGNORECASE)


def agent(value: str) -> str | None:
    """Return a User-Agent header."""
    return percent(value)


ONCE_SINCE = "2020-02-10"
"""From this day on no User-Agent is encoded twice; files of 2019-12-17 still have it."""


def old_agent(value: str) -> str | None:
    """Return a User-Agent header of a standard log from before ``ONCE_SINCE``.

    In those years CloudFront encoded blanks, quotes and backslashes of this column twice
    (``%2520``), but for a few weeks of 2013.  Evidence decides: such a sequence is there
    and no singly encoded one is.
    """
    if absent(value):
        return None
    once = unquote_once(value)
    if _TWICE_ENCODED.search(value) and not _ONCE_ENCODED.search(value.replace("%25", "")):
        return unquote_once(once)
    return once


def media_type(value: str) -> tuple[str | None, str | None]:
    """Return ``(type/subtype in lower case, the whole text where it differs)``."""
    if absent(value):
        return None, None
    whole = unquote_once(value)
    short = whole.partition(";")[0].strip().lower()
    return short or None, whole if whole != short else None


def path(value: str) -> tuple[str | None, str | None]:
    """Return ``(path, file extension)`` of ``cs-uri-stem``; decoded once, without the dot."""
    decoded = percent(value)
    if decoded is None:
        return None, None
    name = decoded[decoded.rfind("/") + 1 :]
    dot = name.rfind(".")
    return decoded, name[dot + 1 :] or None if dot > 0 else None


def headers(value: str) -> dict[str, str | list[str]] | None:
    """Return request headers by lower-case name; a list where a name repeats.

    Headers are split before they are decoded, so that no value can forge a header.
    """
    if absent(value):
        return None
    found: dict[str, list[str]] = {}
    for part in filter(None, re.split("%0A", value, flags=re.IGNORECASE)):
        name, _, rest = part.partition(":")
        key, content = unquote_once(name).lower(), unquote_once(rest)
        if key and content:  # an empty header says no more than an absent one
            found.setdefault(key, []).append(content)
    single = {key: values[0] if len(values) == 1 else values for key, values in found.items()}
    return single or None


def header_names(value: str) -> list[str] | None:
    """Return the names of the request headers as received."""
    if absent(value):
        return None
    parts = re.split("%0A", value, flags=re.IGNORECASE)
    return [unquote_once(part) for part in parts if part] or None


def quoted(value: str) -> str | None:
    """Return a CMCD value without the quotes that CTA-5004 puts around strings."""
    plain = percent(value)
    if plain is None:
        return None
    if len(plain) > 1 and plain[0] == plain[-1] == '"':
        plain = plain[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return plain or None
