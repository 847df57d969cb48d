"""Writes requests as CloudFront does: one request gives the lines of either format."""

from __future__ import annotations

import re
from functools import lru_cache
from time import gmtime
from typing import TYPE_CHECKING

from cloudfront_ecs.demo.columns import REALTIME_COLUMNS, STANDARD, STANDARD_COLUMNS
from cloudfront_ecs.demo.headers import request_headers
from cloudfront_ecs.demo.sites import BACKUP_ORIGIN, DISTRIBUTION_DOMAIN, DISTRIBUTION_ID, ORIGINS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cloudfront_ecs.demo.request import Request

    Render = Callable[[Request], str]

STANDARD_HEADER = f"#Version: 1.0\n#Fields: {STANDARD}\n"
"""The two lines that open every standard log file."""

_SPECIAL = re.compile(r"""[\0-\x20\x7f-\xff<>"#%{}|\\^~\[\]`']""")
_MISSING = "-"
_CUT = 800  # bytes that CloudFront keeps of cookies and headers


@lru_cache(maxsize=1 << 17)
def encode(text: str) -> str:
    """Return *text* percent-encoded as in CloudFront's logs, and ``-`` for none."""
    if not text:
        return _MISSING
    if not text.isascii():
        text = text.encode("utf-8", "surrogateescape").decode("latin-1")
    return _SPECIAL.sub(_escape, text)


def standard_line(request: Request, columns: tuple[str, ...] = STANDARD_COLUMNS) -> str:
    """Return *request* as a row of a standard log, without line end.

    *columns* may name those of standard logging v2 as well, in any order.
    """
    return "\t".join([render(request) for render in _plan("standard", columns)])


def realtime_line(request: Request, columns: tuple[str, ...] = REALTIME_COLUMNS) -> str:
    """Return *request* as a real-time record, without line end.

    *columns* are in AWS's order, as ``in_order`` returns them.
    """
    return "\t".join([render(request) for render in _plan("realtime", columns)])


def in_order(columns: Iterable[str]) -> tuple[str, ...]:
    """Return real-time *columns* in the order in which AWS writes them."""
    return tuple(sorted(columns, key=REALTIME_COLUMNS.index))


@lru_cache(maxsize=64)
def _plan(log: str, columns: tuple[str, ...]) -> tuple[Render, ...]:
    """Return what writes each of *columns* in *log*.

    Raises:
        ValueError: Real-time columns are not in AWS's order.
        KeyError: *log* has no such column.
    """
    if log == "realtime" and columns != in_order(columns):
        raise ValueError("columns: real-time columns have a fixed order (use in_order)")
    known = _BOTH | (_REALTIME if log == "realtime" else _STANDARD)
    return tuple(known[name] for name in columns)


def _escape(match: re.Match[str]) -> str:
    return f"%{ord(match[0]):02X}"


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"


@lru_cache(maxsize=1 << 12)
def _day(day: int) -> str:
    now = gmtime(day * 86_400)
    return f"{now.tm_year}-{now.tm_mon:02d}-{now.tm_mday:02d}"


def _date(request: Request) -> str:
    return _day(request.ended // 86_400_000)


def _time(request: Request) -> str:
    second = request.ended // 1000 % 86_400
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def _stem_with_query(request: Request) -> str:
    stem = encode(request.resource.path)
    return f"{stem}?{encode(request.query)}" if request.query else stem


def _secure(request: Request, text: str) -> str:
    return text if request.scheme == "https" else _MISSING


def _origin_time(request: Request, share: float) -> str:
    return _seconds(int(request.first_byte * share)) if request.outcome.origin else _MISSING


def _origin(request: Request) -> str:
    if not request.outcome.origin:
        return _MISSING
    return BACKUP_ORIGIN if request.outcome.reason else ORIGINS[request.resource.host]


def _quality(request: Request) -> str:
    """Return the media quality score, which segments from the origin have."""
    return str(100 - request.port % 9) if request.cmcd and request.outcome.origin else _MISSING


def _encrypted(request: Request) -> bool:
    """Tell whether field-level encryption had something to do."""
    return request.method == "POST" and request.resource.path == "/v1/session"


def _headers(request: Request) -> str:
    """Return names and values, cut at a header's end, as ``cs-headers`` has them."""
    written = ""
    for name, value in request_headers(request):
        line = f"{name}:{encode(value)}%0A"
        if len(written) + len(line) > _CUT:
            break
        written += line
    return written


def _header_names(request: Request) -> str:
    return "".join(f"{name}%0A" for name, _ in request_headers(request))


def _header(name: str) -> Render:
    return lambda r: encode(dict(request_headers(r, lower=True)).get(name, ""))


def _told(name: str) -> Render:
    return lambda r: encode(r.cmcd[name]) if name in r.cmcd else _MISSING


def _number(value: int | None) -> str:
    return _MISSING if value is None else str(value)


_BOTH: dict[str, Render] = {
    "c-ip": lambda r: r.viewer.address,
    "c-port": lambda r: str(r.port),
    "c-country": lambda r: r.viewer.country,
    "cache-behavior-path-pattern": lambda r: r.resource.behavior,
    "cs-bytes": lambda r: str(r.received),
    "cs-method": lambda r: r.method,
    "cs-protocol": lambda r: r.scheme,
    "cs-protocol-version": lambda r: r.viewer.version,
    "cs-uri-query": lambda r: encode(r.query),
    "fle-status": lambda r: "Processed" if _encrypted(r) else _MISSING,
    "fle-encrypted-fields": lambda r: "2" if _encrypted(r) else _MISSING,
    "origin-fbl": lambda r: _origin_time(r, 0.8),
    "origin-lbl": lambda r: _origin_time(r, 0.97),
    "asn": lambda r: str(r.viewer.asn),
    "sc-bytes": lambda r: str(r.sent),
    "sc-content-len": lambda r: _number(r.content_length),
    "sc-content-type": lambda r: encode(r.content_type),
    "sc-range-start": lambda r: str(r.span[0]) if r.span else _MISSING,
    "sc-range-end": lambda r: str(r.span[1]) if r.span else _MISSING,
    "sc-status": lambda r: f"{r.outcome.status:03d}",
    "ssl-protocol": lambda r: _secure(r, r.viewer.tls),
    "ssl-cipher": lambda r: _secure(r, r.viewer.cipher),
    "time-taken": lambda r: _seconds(r.taken),
    "time-to-first-byte": lambda r: _seconds(r.first_byte),
    "x-edge-detailed-result-type": lambda r: r.outcome.detailed,
    "x-edge-location": lambda r: r.viewer.location,
    "x-edge-request-id": lambda r: r.id,
    "x-edge-response-result-type": lambda r: r.outcome.result,
    "x-edge-result-type": lambda r: r.outcome.result,
    "x-forwarded-for": lambda r: encode(r.viewer.forwarded),
    "distribution-tenant-id": lambda _: _MISSING,
    "connection-id": lambda _: _MISSING,
    "viewer-request-log-data": lambda r: encode(r.log_data[:_CUT]),
    "viewer-response-log-data": lambda _: _MISSING,
}

_STANDARD: dict[str, Render] = {
    "date": _date,
    "time": _time,
    "timestamp": lambda r: str(r.ended // 1000),
    "timestamp(ms)": lambda r: str(r.ended),
    "DistributionId": lambda _: DISTRIBUTION_ID,
    "cs(Host)": lambda _: DISTRIBUTION_DOMAIN,
    "x-host-header": lambda r: r.resource.host,
    "cs-uri-stem": lambda r: encode(r.resource.path),
    "cs(Referer)": lambda r: encode(r.referrer),
    "cs(User-Agent)": lambda r: encode(r.viewer.agent.text),
    "cs(Cookie)": lambda r: encode(r.cookie)[:_CUT],
}

_REALTIME: dict[str, Render] = {
    "timestamp": lambda r: _seconds(r.ended),
    "s-ip": lambda r: r.viewer.server,
    "cs-host": lambda r: r.resource.host,
    "x-host-header": lambda _: DISTRIBUTION_DOMAIN,
    "cs-uri-stem": _stem_with_query,
    "c-ip-version": lambda r: "IPv6" if ":" in r.viewer.address else "IPv4",
    "cs-user-agent": lambda r: encode(r.viewer.agent.text),
    "cs-referer": lambda r: encode(r.referrer),
    "cs-cookie": lambda r: encode(r.cookie)[:_CUT],
    "cs-accept": _header("accept"),
    "cs-accept-encoding": _header("accept-encoding"),
    "cs-headers": _headers,
    "cs-header-names": _header_names,
    "cs-headers-count": lambda r: str(len(request_headers(r))),
    "primary-distribution-id": lambda _: _MISSING,
    "primary-distribution-dns-name": lambda _: _MISSING,
    "r-host": _origin,
    "sr-reason": lambda r: encode(r.outcome.reason),
    "x-edge-mqcs": _quality,
    **{name: _told(name) for name in REALTIME_COLUMNS if name.startswith("cmcd-")},
}
