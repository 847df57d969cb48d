"""Which objects of a bucket hold the logs of some distributions and hours.

Known by their keys alone, in every naming that CloudFront has.  Where a key tells a day and no
hour, the whole day counts as soon as one of its hours does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zlib import crc32

from cloudfront_ecs.sources.s3.keys import dated, distribution_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloudfront_ecs.sources.s3.objects import StoredObject

_HOUR = re.compile(r"\d{4}-\d\d(?:-\d\d(?:[T ]\d\d(?::00(?::00)?)?)?)?Z?", re.ASCII)
_MONTH = len("2026-01")


@dataclass(frozen=True, slots=True)
class HourRange:
    """Hours of requests, UTC, and the distributions that served them.

    Attributes:
        begin: The first hour, in hours since 1970.
        end: The first hour after it.
        distributions: Their ids; none means all.
    """

    begin: int
    end: int
    distributions: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the range for people."""
        who = ", ".join(self.distributions) or "all distributions"
        return f"{who} from {told_hour(self.begin)} to {told_hour(self.end)}"


def hour_of(text: str) -> int:
    """Return the hours since 1970 of ``2026-01-15T07``, ``2026-01-15`` or ``2026-01``, UTC.

    Raises:
        ValueError: It is none of these.
    """
    if not _HOUR.fullmatch(text):
        raise ValueError(f"{text!r} is no hour (such as 2026-01-15T07, UTC)")
    try:
        text = text.removesuffix("Z")
        first = f"{text}-01" if len(text) == _MONTH else text
        moment = datetime.fromisoformat(first).replace(tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from error
    return int(moment.timestamp()) // 3600


def told_hour(hour: int) -> str:
    """Return an hour for people and for names of files."""
    return datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y-%m-%dT%H")


class RangeCourse:
    """The course of a backfill; with *shares*, of one of its processes.

    A share is told by a hash of the key, so the processes need not know of each other.
    """

    def __init__(self, hours: HourRange, share: int = 0, shares: int = 1) -> None:
        """Go through *hours*, or through share number *share* of *shares*."""
        self._hours = hours
        self._distributions = frozenset(hours.distributions)
        self._share = share
        self._shares = shares

    def begin(self) -> None:
        """Do nothing: each pass is like the others."""

    def wants(self, key: str) -> bool:
        """Say whether the key is of the range and of this share."""
        place = dated(key)
        if place is None or place.hour >= self._hours.end:
            return False
        if place.hour + place.stem.hours <= self._hours.begin:
            return False
        if self._distributions and distribution_in(key) not in self._distributions:
            return False
        return crc32(key.encode("utf-8", "surrogatepass")) % self._shares == self._share

    def beyond(self, key: str) -> str | None:
        """Return where the range begins in the key's stem, or where the stem ends."""
        place = dated(key)
        if place is None:
            return None
        stem, hour = place
        whose = distribution_in(key)
        foreign = whose is not None and whose in stem.text and whose not in self._distributions
        if (self._distributions and foreign) or hour >= self._hours.end:
            further = stem.end
        else:
            further = stem.at(self._hours.begin)
        return further if further > key else None

    def listed(self, objects: Sequence[tuple[StoredObject, int]]) -> None:
        """Do nothing: there is no next pass for which to remember it."""

    def end(self, unsettled: Iterable[str]) -> None:
        """Do nothing."""
