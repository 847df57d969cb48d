"""What the columns of unexplained real-time records look like, each over many records.

One record says little: a viewer may send anything.  Hundreds of them show what a column
mostly holds, and how often it is absent.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from cloudfront_ecs.decoders.realtime.shapes import SHAPES, TYPICAL, shape
from cloudfront_ecs.normalize.layouts import realtime_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MOST_VALUES = 400
"""Different texts of a column that are looked at."""

_ODD_SHARE = 0.02
_USUAL_SHARE = 0.05
_ABSENT_SHARE = 0.1
_ENOUGH = 20
_FEW = 5
_MANY = 50

_RESULT = (
    r"Hit|Miss|RefreshHit|Error|Redirect|OriginShieldHit|(?:Limit|Capacity)Exceeded|"
    r"(?:Lambda|Function|Miss|Client|Origin|Invalid|Slow|Aborted|Internal)[A-Za-z]+"
)
_OWN_DOMAIN = r"[a-z0-9]+\.cloudfront\.(?:net|cn)"
_CODE = r"\d{1,6}\.\d{3}"

USUAL = TYPICAL | {
    "time-to-first-byte": _CODE,
    "sc-bytes": r"[1-9]\d{1,17}",
    "cs-bytes": r"[1-9]\d{1,6}",
    "x-edge-location": r"[A-Z]{3}\d{1,3}(?:-[A-Z]{1,3}\d{1,3})?",
    "x-edge-request-id": r"[A-Za-z0-9_-]{40,80}={0,2}",
    "x-host-header": _OWN_DOMAIN,
    "time-taken": _CODE,
    "x-edge-response-result-type": _RESULT,
    "x-edge-result-type": _RESULT,
    "fle-encrypted-fields": r"\d{1,2}",
    "fle-status": r"Processed|(?:Forwarded|Malformed|Rejected|Server|Field|Request)[A-Za-z]+",
    "c-port": r"[1-9]\d{3,4}",
    "x-edge-detailed-result-type": _RESULT,
    "cs-headers-count": r"\d{1,2}",
    "primary-distribution-id": r"E[A-Z0-9]{11,14}",
    "primary-distribution-dns-name": _OWN_DOMAIN,
    "origin-fbl": _CODE,
    "origin-lbl": _CODE,
    "asn": r"[1-9]\d{1,9}",
    "cmcd-playback-rate": r"\d(?:\.\d{1,2})?",
    "cmcd-version": r"[1-9]",
    "r-host": r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+",
    "cs-cookie": r"[^\t=/:&]+=[^\t&]*",
    "cs-uri-query": r"(?!/)[^\t;]*=[^\t;]*",
    "sr-reason": r"Failover:\d{3}|MediaQuality",
}
"""What is usual in a column, narrower than what is possible in it."""

_ALWAYS = """
    timestamp c-ip s-ip time-to-first-byte sc-status sc-bytes cs-method cs-protocol cs-uri-stem
    cs-bytes x-edge-location x-edge-request-id x-host-header time-taken cs-protocol-version
    c-ip-version x-edge-response-result-type x-edge-result-type c-port
    x-edge-detailed-result-type cs-headers-count
"""
ALWAYS = frozenset(_ALWAYS.split())
"""Columns that CloudFront always fills."""

_MOSTLY = """
    cs-host cs-user-agent ssl-protocol ssl-cipher sc-content-type sc-content-len c-country
    cs-accept cache-behavior-path-pattern cs-headers cs-header-names asn
"""
MOSTLY = frozenset(_MOSTLY.split())
"""Columns that most requests fill."""

_OFTEN = "cs-referer cs-cookie cs-uri-query cs-accept-encoding origin-fbl origin-lbl r-host"
OFTEN = frozenset(_OFTEN.split())
"""Columns that many requests fill; what stands nowhere here few of them do."""

_NUMBER_OF_ORIGINALS = 41


@dataclass(slots=True)
class Profile:
    """What stands at one position of many records.

    Attributes:
        texts: Different texts, at most ``MOST_VALUES``.
        absent: How many records have nothing there.
        count: How many records there are.
    """

    texts: set[str] = field(default_factory=set[str])
    absent: int = 0
    count: int = 0

    def add(self, text: str) -> None:
        """Count the text of one record."""
        self.count += 1
        if text in ("-", ""):
            self.absent += 1
        elif len(self.texts) < MOST_VALUES:
            self.texts.add(text)


def profiles(rows: Iterable[Sequence[str]], width: int) -> list[Profile]:
    """Return the profile of each position of rows of *width* columns."""
    found = [Profile() for _ in range(width)]
    for row in rows:
        for profile, text in zip(found, row, strict=True):
            profile.add(text)
    return found


@cache
def _usual(column: str) -> Callable[[str], object]:
    pattern = USUAL.get(column) or SHAPES.get(column, r"[^\t]*")
    return re.compile(pattern, re.ASCII).fullmatch


def _share(matches: Callable[[str], object], texts: Iterable[str]) -> float:
    hits = [bool(matches(text)) for text in texts]
    return sum(hits) / len(hits)


@dataclass(slots=True)
class Evidence:
    """How well each column explains each position.

    Attributes:
        scores: For each position, by the column's place in AWS's order, the logarithm of how
            much likelier the column makes the texts there; minus infinity where they rule
            the column out.
    """

    scores: list[list[float]]


def evidence(found: Sequence[Profile]) -> Evidence:
    """Weigh every column at every position."""
    columns = realtime_columns()
    usual = [
        [_share(_usual(column), profile.texts) if profile.texts else 0.0 for column in columns]
        for profile in found
    ]
    with_texts = sum(1 for profile in found if profile.texts)
    base = [(sum(row[at] for row in usual) + 0.5) / (with_texts + 1) for at in range(len(columns))]
    return Evidence(
        [
            [
                _score(profile, column, at, usual[position][at], base[at])
                for at, column in enumerate(columns)
            ]
            for position, profile in enumerate(found)
        ]
    )


def _score(profile: Profile, column: str, at: int, usual: float, base: float) -> float:
    absent = profile.absent / profile.count
    if _ruled_out(profile, column, usual, absent):
        return -math.inf
    score = 1.0 if at < _NUMBER_OF_ORIGINALS and column != "s-ip" else 0.0
    if profile.texts:
        score += 3 * math.log(usual + 0.02) - math.log(base)
    return score + _expected(column, absent)


def _expected(column: str, absent: float) -> float:
    """Return how well the share of records without a value suits a column, -1 to 1."""
    if column in ALWAYS or column in MOSTLY:
        return 1 - 2 * absent
    return 0.0 if column in OFTEN else 2 * absent - 1


def _ruled_out(profile: Profile, column: str, usual: float, absent: float) -> bool:
    """Say whether the texts, taken together, cannot be those of a column."""
    if column in ALWAYS and absent > _ABSENT_SHARE and profile.count >= _ENOUGH:
        return True
    if not profile.texts:
        return column in ("timestamp", "c-ip", "sc-status")
    if column in SHAPES and _share(shape(column), profile.texts) < 1 - _ODD_SHARE:
        return True
    if column not in USUAL:
        return False
    if len(profile.texts) >= _ENOUGH:
        return usual < _USUAL_SHARE
    # Few texts, but in many records: not one of them is usual.
    return len(profile.texts) >= _FEW and profile.count - profile.absent >= _MANY and not usual
