"""What the values of real-time columns look like: evidence against a layout.

Only what CloudFront itself writes is evidence.  Text of viewers and origins (headers, paths,
CMCD) can look like anything, so no such column ever speaks against a layout: a request
must not be able to choose how its record is read.
Source: CloudFront developer guide, "Real-time logs", "Fields".
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from cloudfront_ecs.normalize.layouts import realtime_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_NUMBER = r"\d{1,18}|-|"
_SECONDS = r"\d{1,9}(?:\.\d{1,9})?|-|"
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


def misshapen(columns: Sequence[str], row: Sequence[str], at: Iterable[int]) -> bool:
    """Say whether a text at one of the positions *at* cannot stand in its column."""
    return any(not shape(columns[index])(row[index]) for index in at)


def other_layout_fits(columns: tuple[str, ...], row: Sequence[str]) -> bool:
    """Say whether a record could be one of other columns than *columns*.

    AWS's order is fixed, so it is enough to give each text the first column it can stand
    in: if that fails, no choice of columns would do.  A record that no layout at all
    explains has an odd value; one that another layout explains may be of that layout.
    """
    order = iter(realtime_columns())
    found = tuple(next((name for name in order if shape(name)(text)), None) for text in row)
    return None not in found and found != columns
