"""Times: moments with all the digits of the log, durations exact in nanoseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from datetime import date as calendar_date

from cloudfront_ecs.normalize.memo import Memo
from cloudfront_ecs.normalize.values.plain import absent, integer

_YEAR_10000 = 253_402_300_800
_BILLION = 1_000_000_000


class UndatedError(ValueError):
    """The record has no time, and a document cannot be without one."""


_DECIMAL = re.compile(r"(\d{1,9})(?:\.(\d{1,9})(\d*))?", re.ASCII)


def seconds(value: str) -> float | None:
    """Return seconds as a number with fraction; as exact as such a number is."""
    if absent(value):
        return None
    if not _DECIMAL.fullmatch(value):
        raise ValueError("not a number of seconds")
    return float(value)


def duration(value: str) -> tuple[int | None, int | None]:
    """Return ``(nanoseconds, milliseconds)`` of seconds.

    Exact: nothing goes through a float, and what is finer than a nanosecond is refused.
    Milliseconds are None where they are not whole.
    """
    if absent(value):
        return None, None
    match = _DECIMAL.fullmatch(value)
    if not match:
        raise ValueError("not a number of seconds")
    whole, fraction, finer = match.groups(default="")
    if finer.strip("0"):
        raise ValueError("finer than a nanosecond")
    nanoseconds = int(whole) * _BILLION + int(fraction.ljust(9, "0"))
    return nanoseconds, _whole_milliseconds(nanoseconds)


def _whole_milliseconds(nanoseconds: int) -> int | None:
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    return None if rest else milliseconds


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


def _day(number: int) -> str:
    return calendar_date.fromordinal(_EPOCH + number).isoformat()


_EPOCH = calendar_date(1970, 1, 1).toordinal()

DAY = Memo[int, str](_day, limit=512)
"""Days since 1970 to ``YYYY-MM-DD``."""


def _second(stamp: int) -> str:
    day, rest = divmod(stamp, 86_400)
    return f"{DAY[day]}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"


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
