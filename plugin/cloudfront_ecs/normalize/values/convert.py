"""Conversions: the text of one column becomes a value, or a ValueError says why not.

The names are those of the column ``conversion`` in ``mappings/fields.csv``.  ``-`` and the
empty text are absent (None), never 0.  Percent-encoding is undone once, which gives what
the viewer sent, and ``+`` stays ``+``: CloudFront does not use form encoding.
Source: CloudFront developer guide, "Standard log file fields" and "Real-time log fields".
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from cloudfront_ecs.normalize.values.bots import bot_class
from cloudfront_ecs.normalize.values.connection_values import (
    connection_status,
    event_time,
    milliseconds,
    serial_number,
    validity,
)
from cloudfront_ecs.normalize.values.escapes import (
    ONCE_SINCE,
    agent,
    decoded,
    encoded_once,
    header_names,
    headers,
    headers_named,
    media_type,
    old_agent,
    path,
    percent,
    query,
    quoted,
    unquote_once,
)
from cloudfront_ecs.normalize.values.hosts import host, port
from cloudfront_ecs.normalize.values.locations import site
from cloudfront_ecs.normalize.values.moments import (
    FRACTION,
    SECOND,
    UndatedError,
    date,
    duration,
    epoch_milliseconds,
    epoch_seconds,
    instant,
    moment,
    seconds,
    time,
)
from cloudfront_ecs.normalize.values.outcomes import status, verdict
from cloudfront_ecs.normalize.values.plain import (
    LARGEST,
    PartlyReadError,
    absent,
    integer,
    text,
    unknown,
)
from cloudfront_ecs.normalize.values.probes import path_flags, request_flags
from cloudfront_ecs.normalize.values.public_suffix import domains
from cloudfront_ecs.normalize.values.referrers import referrer_domain

__all__ = [
    "FRACTION",
    "LARGEST",
    "NOT_ALL_ADDRESSES",
    "ONCE_SINCE",
    "SECOND",
    "PartlyReadError",
    "UndatedError",
    "absent",
    "address",
    "agent",
    "bot_class",
    "connection_status",
    "date",
    "decoded",
    "domain",
    "domains",
    "duration",
    "encoded_once",
    "epoch_milliseconds",
    "epoch_seconds",
    "event_time",
    "flag",
    "forwarded",
    "forwarded_address",
    "forwarded_parts",
    "header_names",
    "headers",
    "headers_named",
    "host",
    "http_version",
    "instant",
    "integer",
    "ip_version",
    "media_type",
    "milliseconds",
    "moment",
    "old_agent",
    "path",
    "path_flags",
    "percent",
    "port",
    "query",
    "quoted",
    "quoted_integer",
    "quoted_number",
    "referrer_domain",
    "request_flags",
    "seconds",
    "serial_number",
    "site",
    "status",
    "target",
    "text",
    "time",
    "tls_version",
    "unknown",
    "unquote_once",
    "validity",
    "verdict",
]


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
    try:
        canonical = inet_ntop(AF_INET6, inet_pton(AF_INET6, value))  # RFC 5952, as ipaddress
    except (OSError, ValueError):
        canonical = "."
    if "." in canonical:  # no address, or one that embeds IPv4, where spellings differ
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


_SEPARATOR = re.compile(r"((?:,|%2C|\\x20|%20|\s|\+)+)", re.IGNORECASE)


def forwarded_parts(value: str) -> list[str]:
    """Return X-Forwarded-For cut up: parts at even places, what stands between at odd ones."""
    return _SEPARATOR.split(value)


def forwarded_address(part: str) -> str | None:
    """Return the address in a part of X-Forwarded-For, or None where it is none."""
    try:
        return _canonical(_without_port(unquote_once(part)))
    except ValueError:
        return None


NOT_ALL_ADDRESSES = "holds parts that are no addresses"


def forwarded(value: str) -> tuple[list[str] | None, str | None]:
    """Return ``(addresses, the text as logged)`` of X-Forwarded-For.

    The addresses are in order, without repeats.  The text is None where they tell it all:
    apart by a comma and a blank, which is how proxies write them.

    The header is the viewer's own text: commas with blanks in several spellings, ports and
    brackets occur.

    Raises:
        PartlyReadError: Some parts are no addresses.
    """
    if absent(value):
        return None, None
    good: dict[str, str] = {}
    bad: list[str] = []
    for part in filter(None, forwarded_parts(value)[::2]):
        address = forwarded_address(part)
        if address is None:
            bad.append(part)
        else:
            good.setdefault(address, part)
    if bad:
        readable = ",".join(good.values()) or "-"
        raise PartlyReadError(NOT_ALL_ADDRESSES, value, readable, ",".join(bad))
    return list(good) or None, None if ",%20".join(good) == value else value


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


def domain(value: str) -> str | None:
    """Return a domain name in lower case."""
    return None if absent(value) else value.lower()


_OLDER_ALPN = {version: f"http/{version}" for version in ("0.9", "1.0", "1.1")}
"""ALPN protocol ids that IANA registers for what is older than HTTP/2."""


def http_version(value: str) -> tuple[str | None, str | None, str | None, str | None]:
    """Return ``(version, transport, IANA protocol number, ALPN id under TLS)``."""
    if absent(value):
        return None, None, None, None
    name, _, version = value.partition("/")
    if name.upper() != "HTTP" or not re.fullmatch(r"\d(?:\.\d)?", version, re.ASCII):
        raise ValueError("not an HTTP version")
    if version.startswith("3"):
        return version, "udp", "17", "h3"
    alpn = "h2" if version.startswith("2") else _OLDER_ALPN.get(version)
    return version, "tcp", "6", alpn


target = path


def quoted_integer(value: str) -> int | None:
    """Return a CMCD number that has no fraction."""
    return integer(_plainly(value) or "")


def quoted_number(value: str) -> float | None:
    """Return a CMCD number that may have a fraction."""
    plain = _plainly(value) or ""
    try:
        return seconds(plain)
    except ValueError:
        raise ValueError("not a number of 0 or more") from None


def _plainly(value: str) -> str | None:
    """Return a CMCD value that is no free text; what is no text is no value either."""
    try:
        return quoted(value)
    except PartlyReadError:
        raise ValueError("not a value of this key") from None


def flag(value: str) -> bool | None:
    """Return a CMCD boolean key; CTA-5004: present means true."""
    plain = _plainly(value)
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
