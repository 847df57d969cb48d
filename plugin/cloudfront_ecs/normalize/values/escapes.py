"""Texts: what the log encoded is decoded once, which gives what the viewer sent.

``-`` and the empty text are absent (None).  ``+`` stays ``+``: CloudFront does not use form
encoding.  Headers are split before they are decoded.
Source: CloudFront developer guide, "Standard log file fields" and "Real-time log fields".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_to_bytes

from cloudfront_ecs.normalize.memo import Memo
from cloudfront_ecs.normalize.values.plain import PartlyReadError, absent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def percent(value: str) -> str | None:
    """Return the text with its percent-encoding undone once, see ``decoded``."""
    if absent(value):
        return None
    return decoded(value)


def decoded(value: str) -> str:
    """Undo percent-encoding once, like ``unquote_once``, where the result tells it all.

    Raises:
        PartlyReadError: Some escapes are no UTF-8 and stay; nobody could tell them from
            those that the viewer itself sent (``%FF`` from ``%25FF``).
    """
    text = unquote_once(value)
    if "%" in text and _NOT_ASCII.search(value):
        readable = _ESCAPES.sub(_utf8_or_encoded, value)
        if readable != value and not _is_cut(value):
            raise PartlyReadError("", value, readable)
    return text


def _is_cut(value: str) -> bool:
    """Say whether only the end is no text, because the log was cut within a character."""
    return len(value) == _CUT_AT and "\ufffd" not in unquote(_CUT_END.sub("", value))


_CUT_AT = 800
_CUT_END = re.compile(r"(?:%[89A-Fa-f][0-9A-Fa-f]){1,3}\Z")
_NOT_ASCII = re.compile(r"%[89A-Fa-f][0-9A-Fa-f]")


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
    return "".join(escapes if is_bad else text for escapes, text, is_bad in _characters(match[0]))


def _utf8_or_encoded(match: re.Match[str]) -> str:
    """Return escapes, but those that are no text with their ``%`` encoded."""
    return "".join(
        f"%25{escapes[1:]}" if is_bad else escapes for escapes, _, is_bad in _characters(match[0])
    )


def _characters(escapes: str) -> Iterator[tuple[str, str, bool]]:
    """Yield the escapes of each character, the character, and whether it is none."""
    data = unquote_to_bytes(escapes)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "surrogateescape")
    else:
        yield escapes, text, False
        return
    at = 0
    for character in text:
        is_bad = "\udc80" <= character <= "\udcff"  # a byte that is no text
        width = 3 if is_bad else 3 * len(character.encode("utf-8"))
        yield escapes[at : at + width], character, is_bad
        at += width


_TWICE_ENCODED = re.compile(r"%25(20|22|5C)", re.IGNORECASE)
_ONCE_ENCODED = re.compile(r"%20|%22|%5C|[^%!-~]", re.IGNORECASE)


def agent(value: str) -> str | None:
    """Return a User-Agent header."""
    return percent(value)


ONCE_SINCE = {"date": "2020-02-10", "timestamp": "1581292800", "timestamp(ms)": "1581292800000"}
"""From this day on no User-Agent is encoded twice; files of 2019-12-17 still have it.

By the columns that tell the time, as text: a later time is a greater text, and ``-`` is less.
"""


def encoded_once(times: Mapping[str, str]) -> bool:
    """Say by columns that tell the time whether a record is of since ``ONCE_SINCE``.

    Where none of them is there it counts as one.
    """
    told = [times[column] >= since for column, since in ONCE_SINCE.items() if column in times]
    return any(told) or not told


def old_agent(value: str) -> str | None:
    """Return a User-Agent header of a standard log from before ``ONCE_SINCE``.

    In those years CloudFront encoded blanks, quotes and backslashes of this column twice
    (``%2520``), but for a few weeks of 2013.  Evidence decides: such a sequence is there
    and no singly encoded one is.
    """
    if absent(value):
        return None
    if _TWICE_ENCODED.search(value) and not _ONCE_ENCODED.search(value.replace("%25", "")):
        return decoded(_TWICE_ENCODED.sub(r"%\1", value))
    return decoded(value)


def media_type(value: str) -> tuple[str | None, str | None]:
    """Return ``(type/subtype in lower case, the whole text where it differs)``."""
    if absent(value):
        return None, None
    whole = decoded(value)
    short = whole.partition(";")[0].strip().lower()
    return short or None, whole if whole != short else None


def query(value: str) -> str | None:
    """Return a query decoded once; ``url.original`` has the escapes that are no text."""
    return None if absent(value) else unquote_once(value)


def path(value: str) -> tuple[str | None, str | None]:
    """Return ``(path, file extension)`` of ``cs-uri-stem``; decoded once, without the dot."""
    if absent(value):
        return None, None
    text = unquote_once(value)  # as in a query
    name = text[text.rfind("/") + 1 :]
    dot = name.rfind(".")
    return text, name[dot + 1 :] or None if dot > 0 else None


_LINE_END = "%0A"
"""What follows each header; alone it says that there was none."""


def headers(value: str) -> dict[str, str | list[str]] | None:
    """Return request headers by lower-case name; a list where a name repeats.

    Headers are split before they are decoded, so that no value can forge a header.

    Raises:
        PartlyReadError: Something is no header with a name and a value.
    """
    if absent(value) or value == _LINE_END:
        return None
    parts = value.split(_LINE_END)
    if not parts[-1]:  # each header has a line end, but for one that was cut
        parts.pop()
    try:
        once: dict[str, str | list[str]] = dict([_HEADER[part] for part in parts])
    except ValueError:
        return _headers_carefully(value)
    return once if len(once) == len(parts) else _headers_carefully(value)


def _header(part: str) -> tuple[str, str]:
    """Return name and value of a header as most are.

    Raises:
        ValueError: It needs care, see ``_headers_carefully``.
    """
    name, _, rest = part.partition(":")
    key, content = decoded(name).lower(), decoded(rest)
    if not key or not content or "\0" in key or "%0a" in part:
        raise ValueError("not a usual header")
    return key, content


_HEADER = Memo(_header)
"""Most headers of a viewer's requests are the same each time."""


def _headers_carefully(value: str) -> dict[str, str | list[str]]:
    """Return request headers where a name repeats, or something is no header."""
    found: dict[str, list[str]] = {}
    whole = True
    for part in _lines(value):
        name, _, rest = part.partition(":")
        try:
            key, content = decoded(name).lower(), decoded(rest)
        except PartlyReadError:
            key = content = ""
        if key and content and "\0" not in key:  # Elasticsearch takes no such name
            found.setdefault(key, []).append(content)
        else:
            whole = False
    if not whole:
        raise PartlyReadError("", value, _readable_headers(value))
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def _readable_headers(value: str) -> str:
    """Return the headers that have a name and a value, with nothing that is no text."""
    text = _ESCAPES.sub(_utf8_or_encoded, value)
    parts = (part.partition(":") for part in re.split(_LINE_END, text, flags=re.IGNORECASE))
    # An empty header says no more than an absent one.
    kept = (
        f"{name}:{rest}{_LINE_END}"
        for name, _, rest in parts
        if name and rest and "\0" not in unquote_once(name)
    )
    return "".join(kept) or "-"


def header_names(value: str) -> list[str] | None:
    """Return the names of the request headers as received.

    Raises:
        PartlyReadError: A name is empty or no text.
    """
    if absent(value) or value == _LINE_END:
        return None
    try:
        decoded(value)
        text = value
    except PartlyReadError as error:
        text = error.readable
    names = _lines(text)
    if text != value or not all(names):
        raise PartlyReadError("", value, _LINE_END.join(filter(None, names)) or "-")
    return [unquote_once(name) for name in names]


def _lines(value: str) -> list[str]:
    """Return the parts of *value* that end in an encoded line end; the last one may lack it."""
    parts = re.split(_LINE_END, value, flags=re.IGNORECASE)
    return parts if parts[-1] else parts[:-1]


def headers_named(value: str) -> list[str] | None:
    """Return the names of the headers in ``cs-headers``, as received."""
    if absent(value):
        return None
    parts = re.split(_LINE_END, value, flags=re.IGNORECASE)
    return [unquote_once(part.partition(":")[0]) for part in parts if part] or None


def quoted(value: str) -> str | None:
    """Return a CMCD value without the quotes that CTA-5004 puts around strings."""
    plain = percent(value)
    if plain is None:
        return None
    if len(plain) > 1 and plain[0] == plain[-1] == '"':
        plain = plain[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return plain or None
