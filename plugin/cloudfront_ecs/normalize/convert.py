"""Conversions: the text of one column becomes a value, or a ValueError says why not.

The names are those of the column ``conversion`` in ``mappings/fields.csv``.  ``-`` and the
empty text are absent (None), never 0.  Percent-encoding is undone once, which gives what
the viewer sent, and ``+`` stays ``+``: CloudFront does not use form encoding.
Source: CloudFront developer guide, "Standard log file fields" and "Real-time log fields".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address
from socket import AF_INET, inet_pton
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

_Value = TypeVar("_Value")
_Key = TypeVar("_Key", bound="str | int")

MAX_LONG_DIGITS = 18
"""Any number of so many digits fits into a signed 64-bit integer."""

_LONGEST_REMEMBERED = 512
_YEAR_10000 = 253_402_300_800
_BILLION = 1_000_000_000
_MAX_PORT = 65_535
_MAX_STATUS = 999


class Memo(dict[_Key, _Value], Generic[_Key, _Value]):
    """Remembers the conversions of values that repeat, up to a bound.

    Only for columns with few values: for numbers, converting is faster than looking up.
    When it is full it forgets everything, which is cheaper than keeping an order.
    """

    def __init__(self, convert: Callable[[_Key], _Value], limit: int = 16_384) -> None:
        """Remember at most *limit* results of *convert*."""
        super().__init__()
        self._convert = convert
        self._limit = limit

    def __missing__(self, key: _Key) -> _Value:
        """Convert, and remember what is not too long to be worth it."""
        value = self._convert(key)
        if isinstance(key, str) and len(key) > _LONGEST_REMEMBERED:
            return value
        if len(self) >= self._limit:
            self.clear()
        self[key] = value
        return value


class UndatedError(ValueError):
    """The record has no time, and a document cannot be without one."""


class PartlyReadError(ValueError):
    """Some parts of a list could be read.

    Attributes:
        readable: The column's text without the parts that could not be read.
        unreadable: Those parts.
    """

    def __init__(self, message: str, readable: str, unreadable: str) -> None:
        """Keep what can still be used."""
        super().__init__(message)
        self.readable = readable
        self.unreadable = unreadable


def absent(text: str) -> bool:
    """Say whether the log says that there is no value."""
    return text in ("-", "")


def text(value: str) -> str | None:
    """Return the text as it is."""
    return None if absent(value) else value


def integer(value: str) -> int | None:
    """Return a whole number of 0 or more."""
    if absent(value):
        return None
    if not (value.isascii() and value.isdigit()):
        raise ValueError("not a whole number")
    if len(value.lstrip("0")) > MAX_LONG_DIGITS:
        raise ValueError("too large for a 64-bit number")
    return int(value)


def port(value: str) -> int | None:
    """Return a port number, 0 to 65535."""
    number = integer(value)
    if number is not None and number > _MAX_PORT:
        raise ValueError("not a port number")
    return number


_DECIMAL = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?", re.ASCII)


def seconds(value: str) -> float | None:
    """Return seconds as a number with fraction."""
    return None if duration(value)[0] is None else float(value)


def duration(value: str) -> tuple[int | None, int | None]:
    """Return ``(nanoseconds, milliseconds)`` of seconds with up to nine decimals.

    Exact: nothing goes through a float.  Milliseconds are None where they are not whole.
    """
    if absent(value):
        return None, None
    match = _DECIMAL.fullmatch(value)
    if not match:
        raise ValueError("not a number of seconds")
    whole, fraction = match.groups(default="")
    nanoseconds = int(whole) * _BILLION + int(fraction.ljust(9, "0"))
    return nanoseconds, _whole_milliseconds(nanoseconds)


def _whole_milliseconds(nanoseconds: int) -> int | None:
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    return None if rest else milliseconds


def percent(value: str) -> str | None:
    """Return the text with its percent-encoding undone once.

    Escapes that are no UTF-8 together stay as they are, so that nothing is lost.
    """
    if absent(value):
        return None
    return unquote_once(value)


referrer = percent
"""The same, for a header whose values repeat so much that they are worth remembering."""


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


def date(value: str) -> str | None:
    """Return a calendar date as ``YYYY-MM-DD``."""
    if absent(value):
        return None
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        raise ValueError("not a date")
    try:
        datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:  # whose text would repeat the value
        raise ValueError("not a date") from None
    if value < "1970":
        raise ValueError("before 1970")
    return value


_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?", re.ASCII)


def time(value: str) -> str | None:
    """Return a time of day as ``HH:MM:SS``, with a fraction where the log has one."""
    if absent(value):
        return None
    if not _CLOCK.fullmatch(value):
        raise ValueError("not a time of day")
    return value


Moment = tuple[str, int, int | None]
"""RFC 3339 text with all digits of the log, nanoseconds since 1970, milliseconds if whole."""


def moment(value: str) -> Moment:
    """Return the moment of ``dateTtime``."""
    day_text, _, clock_text = value.partition("T")
    midnight = MIDNIGHT[day_text]
    clock = time(clock_text)
    if midnight is None or clock is None:
        raise UndatedError("no date and time")
    whole, _, fraction = clock.partition(".")
    stamp = midnight + int(whole[:2]) * 3600 + int(whole[3:5]) * 60 + int(whole[6:])
    nanoseconds = stamp * _BILLION + int(fraction.ljust(9, "0"))
    return f"{value}Z", nanoseconds, _whole_milliseconds(nanoseconds)


def _midnight(day_text: str) -> int | None:
    day = date(day_text)
    if day is None:
        return None
    return int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp())


def epoch_seconds(value: str) -> Moment | None:
    """Return the moment of seconds since 1970; all digits of the log are kept."""
    if len(value) == 14 and value[10] == ".":  # noqa: PLR2004 - 1671005351.148, as ever since 2001
        digits = value[:10] + value[11:]
        if digits.isdigit() and digits.isascii():
            milliseconds = int(digits)
            text = SECOND[milliseconds // 1000] + FRACTION[milliseconds % 1000]
            return text, milliseconds * 1_000_000, milliseconds
    if absent(value):
        return None
    match = re.fullmatch(r"(\d{1,12})(?:\.(\d{1,9}))?", value, re.ASCII)
    if not match or int(match[1]) >= _YEAR_10000:
        raise ValueError("not seconds since 1970")
    whole, fraction = int(match[1]), match[2]
    digits = f".{fraction}" if fraction else ""
    nanoseconds = whole * _BILLION + int((fraction or "").ljust(9, "0"))
    return f"{SECOND[whole]}{digits}Z", nanoseconds, _whole_milliseconds(nanoseconds)


def epoch_milliseconds(value: str) -> Moment | None:
    """Return the moment of whole milliseconds since 1970."""
    number = integer(value)
    if number is None:
        return None
    whole, fraction = divmod(number, 1000)
    if whole >= _YEAR_10000:
        raise ValueError("not milliseconds since 1970")
    return SECOND[whole] + FRACTION[fraction], number * 1_000_000, number


MIDNIGHT = Memo[str, int | None](_midnight, limit=512)
"""``YYYY-MM-DD`` to the epoch seconds at which the day begins."""


def _second(stamp: int) -> str:
    return datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%dT%H:%M:%S")


SECOND = Memo[int, str](_second)
"""Epoch seconds to ``YYYY-MM-DDTHH:MM:SS``."""


FRACTION = tuple(f".{milliseconds:03d}Z" for milliseconds in range(1000))
"""Milliseconds to what follows the second."""


def instant(nanoseconds: int) -> str:
    """Return nanoseconds since 1970 as RFC 3339 with 3, 6 or 9 decimals, as needed."""
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    whole, fraction = divmod(milliseconds, 1000)
    if not rest:
        return SECOND[whole] + FRACTION[fraction]
    if rest % 1000:
        return f"{SECOND[whole]}.{fraction:03d}{rest:06d}Z"
    return f"{SECOND[whole]}.{fraction:03d}{rest // 1000:03d}Z"


def address(value: str) -> tuple[str | None, str | None, str | None, list[str] | None]:
    """Return ``(as logged, canonical, ipv4 or ipv6, [canonical])``."""
    if absent(value):
        return None, None, None, None
    try:
        # Much faster than ipaddress and as strict: a dotted quad has one spelling only.
        inet_pton(AF_INET, value)
    except (OSError, ValueError):
        pass
    else:
        return value, value, "ipv4", [value]
    canonical = _canonical(value)
    return value, canonical, "ipv6" if ":" in canonical else "ipv4", [canonical]


def _canonical(value: str) -> str:
    """Return an address as RFC 5952 wants it; no zone, which no search engine takes."""
    try:
        parsed = ip_address(value)
    except ValueError:
        raise ValueError("not an IP address") from None
    if isinstance(parsed, IPv6Address):
        if parsed.scope_id is not None:
            raise ValueError("not an IP address")
        if parsed.ipv4_mapped is not None:  # Python's own text differs between its versions
            return f"::ffff:{parsed.ipv4_mapped}"
    return parsed.compressed


_SEPARATOR = re.compile(r"(?:,|%2C|\\x20|%20|\s|\+)+", re.IGNORECASE)


def forwarded(value: str) -> list[str] | None:
    """Return the addresses of X-Forwarded-For, in order, without repeats.

    The header is the viewer's own text: commas with blanks in several spellings, ports and
    brackets occur.

    Raises:
        PartlyReadError: Some parts are no addresses.
    """
    if absent(value):
        return None
    good: dict[str, str] = {}
    bad: list[str] = []
    for part in filter(None, _SEPARATOR.split(value)):
        try:
            good.setdefault(_canonical(_without_port(unquote_once(part))), part)
        except ValueError:
            bad.append(part)
    if bad:
        readable = ",".join(good.values()) or "-"
        raise PartlyReadError("holds parts that are no addresses", readable, ",".join(bad))
    return list(good) or None


_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?", re.ASCII)
_WITH_PORT = re.compile(r"([\d.]+):\d{1,5}", re.ASCII)


def _without_port(part: str) -> str:
    match = _BRACKETED.fullmatch(part) or _WITH_PORT.fullmatch(part)
    return match[1] if match else part


def ip_version(value: str) -> str | None:
    """Return ``ipv4`` or ``ipv6``."""
    if absent(value):
        return None
    if value not in ("IPv4", "IPv6"):
        raise ValueError("neither IPv4 nor IPv6")
    return value.lower()


def host(value: str) -> tuple[str | None, int | None, str | None]:
    """Return ``(name, port, name:port as it stands in a URL)`` of a Host header.

    An IPv6 address keeps its brackets, as ECS wants it for ``url.domain``.
    """
    if absent(value):
        return None, None, None
    plain = unquote_once(value).lower()
    name, port_text = plain, ""
    if plain.startswith("[") and "]" in plain:
        name, _, rest = plain.partition("]")
        name, port_text = f"{name}]", rest.removeprefix(":")
    elif plain.count(":") == 1:
        name, _, port_text = plain.partition(":")
    if not name:
        raise ValueError("not a host name")
    return name, port(port_text), plain


def domain(value: str) -> str | None:
    """Return a domain name in lower case."""
    return None if absent(value) else value.lower()


def status(value: str) -> tuple[int | None, str | None, bool]:
    """Return ``(status, success or failure, whether it is a server's error)``.

    ``000``: the viewer left before an answer; status 0 and a failure.
    """
    number = integer(value)
    if number is None:
        return None, None, False
    if number > _MAX_STATUS:
        raise ValueError("not an HTTP status")
    failed = number == 0 or number >= 400  # noqa: PLR2004 - RFC 9110, 15.5
    return number, "failure" if failed else "success", number >= 500  # noqa: PLR2004


def http_version(value: str) -> tuple[str | None, str | None, str | None, str | None]:
    """Return ``(version, transport, IANA protocol number, ALPN id under TLS)``."""
    if absent(value):
        return None, None, None, None
    name, _, version = value.partition("/")
    if name.upper() != "HTTP" or not re.fullmatch(r"\d(?:\.\d)?", version, re.ASCII):
        raise ValueError("not an HTTP version")
    if version.startswith("3"):
        return version, "udp", "17", "h3"
    return version, "tcp", "6", "h2" if version.startswith("2") else None


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


target = path


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


def quoted_integer(value: str) -> int | None:
    """Return a CMCD number that has no fraction."""
    return integer(quoted(value) or "")


def quoted_number(value: str) -> float | None:
    """Return a CMCD number that may have a fraction."""
    return seconds(quoted(value) or "")


def flag(value: str) -> bool | None:
    """Return a CMCD boolean key; CTA-5004: present means true."""
    plain = quoted(value)
    if plain is None:
        return None
    if plain.lower() in ("true", "1", "bs", "su", "?1"):
        return True
    if plain.lower() in ("false", "0", "?0"):
        return False
    raise ValueError("neither true nor false")


def tls_version(protocol: str) -> tuple[str | None, str | None]:
    """Return ``(version, protocol)``: ``TLSv1.3`` is 1.3 of tls, ``SSLv3`` 3 of ssl."""
    if absent(protocol):
        return None, None
    match = re.fullmatch(r"(TLS|SSL)v?(\d(?:\.\d)?)", protocol, re.IGNORECASE | re.ASCII)
    if not match:
        raise ValueError("not a TLS version")
    return match[2], match[1].lower()
