"""Values of connection logs: moments in two spellings, outcomes, certificates.

Source: CloudFront developer guide, "Observability using connection logs".  Its text calls
``eventTimestamp`` ISO 8601 and its example is milliseconds since 1970, so both are read.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

from cloudfront_ecs.normalize.values.moments import (
    Moment,
    UndatedError,
    epoch_milliseconds,
    instant,
    moment,
)
from cloudfront_ecs.normalize.values.plain import absent

_MILLION = 1_000_000
_LAST_NS = 253_402_300_799_999_999_999
"""The end of the year 9999, the last that RFC 3339 can name."""

_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?:Z|([+-])(\d\d):?([0-5]\d))?", re.ASCII
)


def event_time(value: str) -> Moment | None:
    """Return the moment of milliseconds since 1970 or of ISO 8601 (UTC where it says nothing)."""
    if value.isdigit() or absent(value):
        return epoch_milliseconds(value)
    match = _ISO.fullmatch(value)
    if not match:
        raise ValueError("neither milliseconds since 1970 nor ISO 8601")
    day, clock, sign, hours, minutes = match.groups()
    try:
        text, nanoseconds, milliseconds = moment(f"{day}T{clock}")
    except UndatedError:
        raise ValueError("not a date") from None
    ahead = (int(hours) * 60 + int(minutes)) * 60_000 if sign else 0
    if not ahead:
        return text, nanoseconds, milliseconds
    ahead = ahead if sign == "+" else -ahead
    nanoseconds -= ahead * _MILLION
    if not 0 <= nanoseconds <= _LAST_NS:
        raise ValueError("before 1970 or after 9999")
    return instant(nanoseconds), nanoseconds, None if milliseconds is None else milliseconds - ahead


_MILLISECONDS = re.compile(r"(\d{1,12})(?:\.(\d{1,6}))?", re.ASCII)


def milliseconds(value: str) -> int | None:
    """Return the nanoseconds of milliseconds."""
    if absent(value):
        return None
    match = _MILLISECONDS.fullmatch(value)
    if not match:
        raise ValueError("not a number of milliseconds")
    return int(match[1]) * _MILLION + int((match[2] or "").ljust(6, "0"))


class Connection(NamedTuple):
    """What ``connectionStatus`` says.

    Attributes:
        status: As logged.
        outcome: ``success`` or ``failure``, None for a word this version does not know.
        code: What follows ``Failed:``.
        types: ``event.type``.
        established: Whether there is a connection.
        judged: Whether the client's certificate decided.
    """

    status: str | None = None
    outcome: str | None = None
    code: str | None = None
    types: list[str] | None = None
    established: bool | None = None
    judged: bool | None = None


_DENIED = re.compile(r"ClientCert(?!OcspProcessingError$).*|ConnectionFunctionDenied", re.DOTALL)
"""Somebody decided against the viewer; all other failures are errors on the way."""


def connection_status(value: str) -> Connection:
    """Return what ``Success`` or ``Failed:<code>`` means."""
    if absent(value):
        return Connection()
    word, _, code = value.partition(":")
    if word.lower() == "success":
        return Connection(value, "success", None, ["connection", "allowed"], True, None)  # noqa: FBT003
    if word.lower() != "failed":
        return Connection(value)
    denied = "denied" if _DENIED.fullmatch(code) else "error"
    types = ["connection", denied] if code else ["connection"]
    return Connection(value, "failure", code or None, types, False, code.startswith("ClientCert"))  # noqa: FBT003


_SERIAL = re.compile(r"[0-9A-Fa-f]{2}(?::?[0-9A-Fa-f]{2})*", re.ASCII)


def serial_number(value: str) -> tuple[str | None, str | None]:
    """Return ``(upper-case hex without colons, as ECS wants it; the text where it is unusual)``.

    Usual is what CloudFront writes, pairs of lower-case digits apart by colons: that can be
    made again from the first value.
    """
    if absent(value):
        return None, None
    if not _SERIAL.fullmatch(value):
        raise ValueError("not a serial number in hexadecimal")
    plain = value.replace(":", "")
    usual = ":".join(plain[at : at + 2] for at in range(0, len(plain), 2)).lower()
    return plain.upper(), None if value == usual else value


_VALIDITY = re.compile(
    r"NotBefore=(?P<before>[^;]*);\s*NotAfter=(?P<after>[^;]*);?", re.ASCII | re.IGNORECASE
)
_CERTIFICATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)


def validity(value: str) -> tuple[str | None, str | None]:
    """Return ``(not before, not after)`` of a certificate."""
    if absent(value):
        return None, None
    match = _VALIDITY.fullmatch(value)
    if not match:
        raise ValueError("not NotBefore=…;NotAfter=…")
    return _certificate_time(match["before"]), _certificate_time(match["after"])


def _certificate_time(text: str) -> str | None:
    if absent(text):
        return None
    if not _CERTIFICATE_TIME.fullmatch(text):
        raise ValueError("holds what is no moment in UTC")
    try:
        datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:  # whose text would repeat the value
        raise ValueError("holds what is no moment in UTC") from None
    return text
