"""A seeded day of CloudFront traffic: the same seed makes the same requests everywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import accumulate
from operator import attrgetter

from cloudfront_ecs.demo.edge import Edge
from cloudfront_ecs.demo.request import Dice, Request, Viewer
from cloudfront_ecs.demo.visits import VISITS, WEIGHTS

__all__ = ["DAY", "START", "Request", "Viewer", "outage", "requests"]

DAY = 86_400
START = int(datetime(2026, 1, 15, tzinfo=UTC).timestamp())

# How busy each hour is, in UTC: quiet at night, a small peak at noon, the large one at eight.
_HOURS = (
    22,
    14,
    9,
    7,
    7,
    10,
    19,
    33,
    46,
    53,
    57,
    60,
    64,
    60,
    56,
    57,
    62,
    71,
    84,
    96,
    100,
    91,
    67,
    40,
)
_SLOT = 60_000


def outage(start: int = START, seconds: int = DAY) -> tuple[int, int]:
    """Return when the origin fails, in milliseconds since 1970: nine minutes of a day."""
    begin = (start * 1000) + seconds * 610
    return begin, begin + min(540_000, seconds * 25)


def requests(
    seed: int = 1, count: int = 50_000, start: int = START, seconds: int = DAY
) -> list[Request]:
    """Return *count* requests that end within *seconds* from *start*, in order of time.

    Args:
        seed: Decides everything; the same arguments give the same requests.
        count: How many.
        start: Epoch seconds; the daily shape follows the clock in UTC.
        seconds: How long.
    """
    dice = Dice(seed)
    edge = Edge(dice, outage(start, seconds))
    end = (start + seconds) * 1000
    slots = range(start * 1000, end, _SLOT)
    weights = list(accumulate(map(_busy, slots)))
    made: list[Request] = []
    while len(made) < count:
        begins = dice.choices(slots, cum_weights=weights, k=256)
        for visit, begin in zip(
            dice.choices(VISITS, cum_weights=WEIGHTS, k=256), begins, strict=True
        ):
            at = begin + dice.below(_SLOT)
            made += [request for request in visit(edge, at) if request.ended < end]
    del made[count:]
    made.sort(key=attrgetter("ended", "id"))
    return made


def _busy(slot: int) -> float:
    """Return how busy the minute at *slot* is, between the hours before and after it."""
    minute = slot // _SLOT % 1440
    now, later = _HOURS[minute // 60], _HOURS[(minute // 60 + 1) % 24]
    return now + (later - now) * (minute % 60) / 60
