"""Keys that tell an hour: what stands before it, and where in a listing each hour begins.

Log files are named by the hour of their requests: ``<prefix>/<DISTRIBUTION>.2026-01-15-07.<…>.gz``,
or stand in folders for it, ``2026/01/15/07/`` or ``year=2026/month=01/day=15/hour=07/``.  S3 lists
keys in the order of their bytes, so keys that are equal up to the hour (one *stem*) come in
the order of their hours, and a listing can begin at any of them.

Source: CloudFront developer guide, "Configure standard logging (legacy)" (file name format) and
"Configure standard logging (v2)" (partitioning); Amazon S3 API reference, ListObjectsV2.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

_DATE = re.compile(
    r"(?<!\d)(?P<y>(?:year=)?)(?P<year>20\d\d)"
    r"(?P<m>[-/](?:month=)?)(?P<month>0[1-9]|1[0-2])"
    r"(?P<d>[-/](?:day=)?)(?P<day>0[1-9]|[12]\d|3[01])"
    r"(?:(?P<h>[-/T](?:hour=)?)(?P<hour>[01]\d|2[0-3])(?!\d))?"
    r"(?=[./_T-])"
)
_LAST = 4_000_000
"""An hour of the year 2426, later than that of any key."""


class Stem(NamedTuple):
    """What keys have in common up to their hour.

    Attributes:
        text: The key up to the hour.
        shape: How the hour is written, in the directives of ``strftime``.
    """

    text: str
    shape: str

    @property
    def name(self) -> str:
        """The stem as one text, no other stem has the same."""
        return f"{self.text}{self.shape}"

    @property
    def hours(self) -> int:
        """How many hours share a name: 1, or 24 where the day alone is told."""
        return 1 if "%H" in self.shape else 24

    def at(self, hour: int) -> str:
        """Return the text after which the keys of *hour* and of later hours are listed."""
        return self.text + datetime.fromtimestamp(hour * 3600, UTC).strftime(self.shape)

    @property
    def end(self) -> str:
        """The text after which nothing of the stem is listed any more."""
        return self.at(_LAST)


class Dated(NamedTuple):
    """A key's stem and hour.

    Attributes:
        stem: What stands before the hour.
        hour: Whole hours since 1970; where the key tells a day only, that day's first.
    """

    stem: Stem
    hour: int


@lru_cache(4096)
def _hour(year: str, month: str, day: str, hour: str) -> int | None:
    try:
        begin = datetime(int(year), int(month), int(day), int(hour), tzinfo=UTC)
    except ValueError:
        return None
    return int(begin.timestamp()) // 3600


def dated(key: str) -> Dated | None:
    """Return the stem and the hour of a key, or None where it tells no date."""
    found = _DATE.search(key)
    if found is None:
        return None
    hour = _hour(found["year"], found["month"], found["day"], found["hour"] or "00")
    if hour is None:
        return None
    shape = f"{found['y']}%Y{found['m']}%m{found['d']}%d"
    if found["hour"] is not None:
        shape += f"{found['h']}%H"
    return Dated(Stem(key[: found.start()], shape), hour)


def distribution_in(key: str) -> str | None:
    """Return the distribution that a key names, by its file name or by a folder."""
    found = _DISTRIBUTION.search(key)
    return found and (found["file"] or found["hive"] or found["folder"])


_DISTRIBUTION = re.compile(
    r"(?:^|/)(?P<file>E[A-Z0-9]{6,20})\.\d{4}-\d{2}-\d{2}-\d{2}\.[^/]*$"
    r"|(?:^|/)(?i:distributionid)=(?P<hive>[A-Za-z0-9]+)/"
    r"|(?:^|/)(?P<folder>E[A-Z0-9]{9,20})/"
)
