"""Removing parts of texts: query parameters, cookies, addresses, values in any spelling.

Each function changes what it is asked to change and no other byte, and knows what
percent-encoding can hide: ``%74oken=x`` names ``token``, and so does the ``token%3Dx`` of a
URL that stands in a parameter of another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

from cloudfront_ecs.normalize.values.escapes import unquote_once

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

REDACTED = "REDACTED"
"""Stands where a value was; it has the same spelling in every encoding."""

Change = Callable[[str], "str | None"]
"""From the value, all encoding undone, to what stands in its place; None removes the pair."""

_MOST_ROUNDS = 10
LEAST_SECRET = 6
"""Characters; a shorter value is not looked for inside of other texts, it would be everywhere."""


def decoded(text: str) -> str:
    """Return *text* with percent-encoding undone until nothing changes."""
    for _ in range(_MOST_ROUNDS):
        plain = unquote_once(text)
        if plain == text:
            break
        text = plain
    return text


def names_matching(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return what says whether a name matches one of *patterns* (``*``, ``?``), in any case."""
    either = re.compile("|".join(f"(?:{translate(each)})" for each in patterns), re.IGNORECASE)
    return lambda name: either.match(decoded(name).strip()) is not None


# Query parameters.

_MARK = re.compile(r"(?P<plain>[?&;=])|%(?P<more>(?:25)*)(?P<code>3F|26|3B|3D)", re.IGNORECASE)
_CODES = {"3F": "?", "26": "&", "3B": ";", "3D": "="}


def changed_query(text: str, matches: Callable[[str], bool], change: Change) -> str:
    """Return a query or a URL with the values of matching parameters changed.

    A value ends at the next ``&`` that is encoded as often as its ``=``, or less; so the
    parameters of a URL inside a parameter are found, and no value is cut short.
    """
    kept = ""
    done = name_at = value_at = 0  # what is copied; where a name and the last value began
    value_depth = -1
    for mark, sign, depth in _marks(text):
        if mark.start() < done:
            continue
        if sign != "=":
            name_at = mark.end()
            continue
        starts = [name_at, value_at] if depth > value_depth >= 0 else [name_at]
        found = [at for at in starts if matches(text[at : mark.start()])]
        value_at, value_depth = mark.end(), depth
        if not found:
            continue
        end = _end_of_value(text, mark.end(), depth)
        new = change(decoded(text[mark.end() : end]))
        if new is not None:
            kept += text[done : mark.end()] + new
        else:
            kept += text[done : found[0]]
            # One separator goes with the pair: the one behind it, else the one before it.
            behind = _AMPERSAND.match(text, end)
            if behind:
                end = behind.end()
            else:
                kept = _LAST_MARK.sub("", kept)
        done = name_at = value_at = end
        value_depth = -1
    return kept + text[done:]


_AMPERSAND = re.compile(r"&|%(?:25)*26", re.IGNORECASE)
_LAST_MARK = re.compile(r"(?:[?&;]|%(?:25)*(?:3F|26|3B))\Z", re.IGNORECASE)


def _marks(text: str, start: int = 0) -> Iterator[tuple[re.Match[str], str, int]]:
    for mark in _MARK.finditer(text, start):
        if mark["plain"]:
            yield mark, mark["plain"], 0
        else:
            yield mark, _CODES[mark["code"].upper()], 1 + len(mark["more"]) // 2


def _end_of_value(text: str, start: int, depth: int) -> int:
    for mark, sign, level in _marks(text, start):
        if sign == "&" and level <= depth:
            return mark.start()
    return len(text)


# Cookies.


def changed_cookies(text: str, matches: Callable[[str], bool], change: Change) -> str:
    """Return a Cookie header with the values of matching cookies changed."""
    pairs = text.split(";")
    kept: list[str] = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not matches(name if equals else ""):
            kept.append(pair)
            continue
        new = change(decoded(value if equals else pair.strip()))
        if new is not None:
            lead = pair[: len(pair) - len(pair.lstrip())]
            kept.append(f"{name}={new}" if equals else lead + new)
    changed = ";".join(kept)
    return changed if len(kept) == len(pairs) else changed.lstrip()


def in_encoded(raw: str, change: Callable[[str], str], encode: Callable[[str], str]) -> str:
    """Return *raw*, as logged, changed as the text it stands for is.

    The raw text itself is changed where that gives the same, so that its other bytes stay.
    """
    wanted = change(unquote_once(raw))
    if wanted == unquote_once(raw):
        return raw
    kept = change(raw)
    return kept if unquote_once(kept) == wanted else encode(wanted)


# Addresses.

_V4_BITS, _V6_BITS = 24, 48
_START = r"(?:(?<![0-9A-Fa-f:.])|(?<=%[0-9A-Fa-f]{2})|(?<=\\x[0-9A-Fa-f]{2}))"
_TOKEN = re.compile(
    _START
    + r"(?:(?:[0-9A-Fa-f]{0,4}(?::|%(?:25)*3A)){2,7}(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4})"
    r"|(?<!\d)\d{1,3}(?:\.\d{1,3}){3})(?!\d|\.\d)",
    re.IGNORECASE,
)
_V4_TOKEN = re.compile(r"(?:(?<![\d.])|(?<=%[0-9A-Fa-f]{2}))\d{1,3}(?:\.\d{1,3}){3}(?!\d|\.\d)")
_COLON = re.compile("%(?:25)*3A", re.IGNORECASE)


def truncated(address: str) -> str:
    """Return the network of an address: /24 of IPv4, /48 of IPv6."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return f"::ffff:{truncated(str(parsed.ipv4_mapped))}"
        return str(IPv6Network((parsed, _V6_BITS), strict=False).network_address)
    return str(IPv4Network((parsed, _V4_BITS), strict=False).network_address)


def canonical(text: str) -> str | None:
    """Return an address as documents have it, or None where it is none."""
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return f"::ffff:{parsed.ipv4_mapped}"
    return parsed.compressed


def changed_addresses(text: str, new: Mapping[str, str]) -> str:
    """Return *text* with every spelling of the addresses in *new* replaced."""
    # Only an IPv6 address has several spellings without any encoding.
    varied = ":" in text and any(":" in address for address in new)
    if "%" not in text and not varied and not any(address in text for address in new):
        return text

    def replaced(match: re.Match[str]) -> str:
        colon = _COLON.search(match[0])
        address = canonical(_COLON.sub(":", match[0]))
        put = None if address is None else new.get(address)
        if put is None:
            return _V4_TOKEN.sub(inner, match[0]) if ":" in match[0] or colon else match[0]
        return put.replace(":", colon[0]) if colon else put

    def inner(match: re.Match[str]) -> str:
        return new.get(match[0], match[0])

    changed = _V4_TOKEN.sub(inner, _TOKEN.sub(replaced, text))
    plain = decoded(changed)
    if plain != changed and any(_is_hidden(found, new) for found in _TOKEN.findall(plain)):
        return REDACTED
    return changed


def _is_hidden(text: str, new: Mapping[str, str]) -> bool:
    address = canonical(text)
    return address is not None and new.get(address, address) != address


# Values.


def swept(text: str, secrets: Mapping[str, str]) -> str:
    """Return *text* without the *secrets*, however they are encoded and in any case.

    Args:
        text: Any text.
        secrets: Values, all encoding undone, each with what stands in its place.
    """
    for secret, new in secrets.items():
        if holds(text, secret):
            text = _spellings(secret).sub(lambda _, new=new: new, text)  # type: ignore[misc]
            if new.casefold() != secret.casefold() and holds(text, secret):
                return REDACTED
    return text


def holds(text: str, secret: str) -> bool:
    """Say whether *text*, or what it encodes, has *secret* in it."""
    wanted = secret.casefold()
    return wanted in text.casefold() or ("%" in text and wanted in decoded(text).casefold())


def _spellings(secret: str) -> re.Pattern[str]:
    """Return an expression for *secret* with any of its characters percent-encoded."""
    parts = []
    for character in secret:
        codes = [f"%(?:25)*{byte:02X}" for byte in character.encode("utf-8", "surrogatepass")]
        parts.append(f"(?:{re.escape(character)}|{''.join(codes)})")
    return re.compile("".join(parts), re.IGNORECASE)
