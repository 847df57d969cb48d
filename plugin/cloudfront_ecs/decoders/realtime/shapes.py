"""What the values of real-time columns look like: evidence against a layout.

Only what CloudFront itself writes is evidence against a layout.  Text of viewers and origins
(headers, paths, CMCD) can look like anything: a request must not be able to choose how its
record is read.
Source: CloudFront developer guide, "Real-time logs", "Fields".
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from cloudfront_ecs.normalize.layouts import realtime_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_NUMBER = r"\d{1,19}|-|"
_SECONDS = r"\d{1,9}(?:\.\d+)?|-|"
_WORD = r"[A-Za-z]+|-|"
_NAME = r"(?=[^\t]*\.)[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?(?::\d{1,5})?|-|"
_ADDRESS = r"\d{1,3}(?:\.\d{1,3}){3}|(?=[^\t]*:)[0-9A-Fa-f:.]{2,45}"

SHAPES = {
    "timestamp": r"\d{9,11}(?:\.\d{1,9})?",
    "c-ip": _ADDRESS,
    "s-ip": rf"{_ADDRESS}|-|",
    "time-to-first-byte": _SECONDS,
    "sc-status": r"\d{3}",
    "sc-bytes": _NUMBER,
    "cs-protocol": r"https?|wss?|grpcs?|-|",
    "cs-bytes": _NUMBER,
    "x-edge-location": r"[A-Z]{3}[A-Z0-9]{0,5}(?:-[A-Z0-9]{1,6})?|-|",
    "x-edge-request-id": r"[A-Za-z0-9_-]{16,128}={0,2}",
    "x-host-header": _NAME,
    "time-taken": _SECONDS,
    "cs-protocol-version": r"HTTP/\d(?:\.\d)?|-|",
    "c-ip-version": r"IPv[46]|-|",
    "x-edge-response-result-type": _WORD,
    "ssl-protocol": r"(?:TLS|SSL)v?\d(?:\.\d)?|-|",
    "ssl-cipher": r"(?=[^\t]*[-_])[A-Z0-9][A-Za-z0-9_-]{5,63}|-|",
    "x-edge-result-type": _WORD,
    "fle-encrypted-fields": _NUMBER,
    "fle-status": _WORD,
    "sc-content-len": _NUMBER,
    "sc-range-start": _NUMBER,
    "sc-range-end": _NUMBER,
    "c-port": r"\d{1,5}|-|",
    "x-edge-detailed-result-type": _WORD,
    "c-country": r"[A-Z]{2}|-|",
    "cs-headers-count": r"\d{1,4}|-|",
    "primary-distribution-id": r"[A-Z0-9]{8,32}|-|",
    "primary-distribution-dns-name": _NAME,
    "origin-fbl": _SECONDS,
    "origin-lbl": _SECONDS,
    "asn": r"\d{1,10}|-|",
    "r-host": r"[A-Za-z0-9._:\[\]-]+|",
    "sr-reason": r"[A-Za-z]+(?::\d{3})?|-|",
    "x-edge-mqcs": r"\d{1,3}|-|",
}
"""Columns that CloudFront fills with values of its own, and what these look like.

No pattern takes a tab.  Three columns are never absent; ``-`` or nothing may stand in all
others.
"""

TYPICAL = {
    "cs-method": r"[A-Z]{3,10}",
    "cs-host": r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+(?::\d{1,5})?|\[?[0-9A-Fa-f:]+\]?(?::\d{1,5})?",
    "cs-uri-stem": r"[/*][^\t]*",
    "cs-user-agent": r"(?!https?:)[A-Za-z(][^\t]*[/(%][^\t]*",
    "cs-referer": r"(?:https?|android-app):[^\t]*",
    "cs-cookie": r"[^\t=/:]+=[^\t]*",
    "cs-uri-query": r"(?!/)[^\t]*=[^\t]*",
    "x-forwarded-for": r"(?=[^\t]*\d)(?=[^\t]*[.:])[0-9A-Za-z.:,%\[\]\\ -]+",
    "sc-content-type": r"[A-Za-z]+/[A-Za-z0-9.+-]+(?:;[^\t]*)?",
    "cs-accept-encoding": r"[a-z*][a-z0-9*,;=.%-]*",
    "cs-accept": r"[A-Za-z*]+/[A-Za-z*][^\t]*",
    "cache-behavior-path-pattern": r"\*|[^\t]*[/*][^\t]*",
    "cs-headers": r"[A-Za-z0-9_-]+:[^\t]*",
    "cs-header-names": r"[A-Za-z0-9_-]+%0A[^\t:/]*",
    "cmcd-content-id": r"%22[^\t]*|[\w.-]{6,}",
    "cmcd-next-object-request": r"(?:%22)?[^\t]*[./][^\t]*",
    "cmcd-next-range-request": r"(?:%22)?\d*-\d*(?:%22)?",
    "cmcd-object-type": r"m|a|v|av|i|c|tt|k|o",
    "cmcd-streaming-format": r"[dhso]",
    "cmcd-session-id": r"(?:%22)?[\w.-]{8,64}(?:%22)?",
    "cmcd-stream-type": r"[vl]",
    "distribution-tenant-id": r"dt_[A-Za-z0-9]+",
    "connection-id": r"[A-Za-z0-9_-]{8,128}={0,2}",
    "viewer-request-log-data": r"[^\t]*[=:{%][^\t]*",
    "viewer-response-log-data": r"[^\t]*[=:{%][^\t]*",
    **dict.fromkeys(("cmcd-buffer-starvation", "cmcd-startup"), r"true|false|[01]|bs|su|\?[01]"),
    **dict.fromkeys(
        (
            "cmcd-encoded-bitrate", "cmcd-buffer-length", "cmcd-object-duration", "cmcd-deadline",
            "cmcd-measured-throughput", "cmcd-playback-rate",
            "cmcd-requested-maximum-throughput", "cmcd-top-bitrate", "cmcd-version",
        ),
        r"\d{1,9}(?:\.\d{1,9})?",
    ),
}  # fmt: skip
"""What the text of viewers and origins mostly looks like.  No single record is judged by it."""

_ANY = r"[^\t]*"


@cache
def shape(column: str) -> Callable[[str], object]:
    """Return what says whether a text can stand in *column*; a column without shape takes all."""
    return re.compile(SHAPES.get(column, _ANY), re.ASCII).fullmatch


@cache
def line_shape(columns: tuple[str, ...]) -> Callable[[str], object]:
    """Return what says whether a whole line can be a record of *columns*; one pass in C."""
    parts = [f"(?:{SHAPES[column]})" if column in SHAPES else _ANY for column in columns]
    return re.compile("\t".join(parts), re.ASCII).fullmatch


@cache
def typical_shape(column: str) -> Callable[[str], object]:
    """Return what says whether a text is usual in *column*."""
    pattern = f"{TYPICAL[column]}|-|" if column in TYPICAL else SHAPES.get(column, _ANY)
    return re.compile(pattern, re.ASCII).fullmatch


def misshapen(columns: Sequence[str], row: Sequence[str], at: Iterable[int]) -> list[str]:
    """Return the columns at the positions *at* whose text cannot stand in them."""
    return [columns[index] for index in at if not shape(columns[index])(row[index])]


def out_of_place(columns: tuple[str, ...], row: Sequence[str]) -> list[str]:
    """Return the columns with texts of another layout; none where there may be no other.

    AWS's order is fixed, so it is enough to give each text the first column in which it is
    usual: if that fails, no choice of columns would do, and what cannot stand in its column
    is only an odd value.
    """
    present = [index for index, text in enumerate(row) if text not in ("-", "")]
    found = misshapen(columns, row, present)
    if not found:
        return []
    order = iter(realtime_columns())
    places = [next((name for name in order if typical_shape(name)(text)), None) for text in row]
    return [] if None in places else found


def another_layout(columns: Sequence[str]) -> str:
    """Return what the reject of a record says whose *columns* hold texts of another layout."""
    several = f"{len(columns)} columns" if len(columns) > 1 else "1 column"
    return f"{several} cannot be read, so the layout is another: {', '.join(columns)}"
