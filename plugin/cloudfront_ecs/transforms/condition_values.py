"""Values of conditions, made comparable with the values of fields of each type."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from ipaddress import ip_address
from typing import Any

from cloudfront_ecs.options import toml_type

NUMBERS = ("long", "integer", "byte", "short", "double", "float")

Read = Callable[[Any], Any]
"""Makes the value of a document's field comparable."""


def comparable(kind: str, value: Any) -> tuple[Any, Read]:
    """Return *value* as it is compared, and what reads a field of the type *kind* likewise.

    Raises:
        ValueError: A field of this type can never have such a value.
    """
    if kind in NUMBERS:
        return number(value), _as_it_is
    if kind == "boolean":
        if not isinstance(value, bool):
            raise unlike("bool", value)
        return value, _as_it_is
    if kind == "date":
        return moment(value), _moment_text
    if kind == "ip":
        return ip_address(text(value)).compressed, _as_it_is
    return text(value), _as_it_is


def unlike(expected: str, value: Any) -> ValueError:
    """Return the error for a value of the wrong type."""
    return ValueError(f"expected {expected}, got {toml_type(value)}")


def number(value: Any) -> int | float:
    """Return a number, which a truth value is not."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise unlike("a number", value)
    return value


def text(value: Any) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise unlike("text", value)
    return str(value)


def moment(value: Any) -> str:
    """Return a time as documents order it: RFC 3339 in UTC, no zone, no zeros at the end."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(str(value))
        except ValueError:
            raise ValueError(f"not a time in RFC 3339: {value!r}") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        raise unlike("a time", value)
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return _moment_text(aware.astimezone(UTC).replace(tzinfo=None).isoformat())


def _moment_text(found: str) -> str:
    whole, dot, fraction = found.removesuffix("Z").partition(".")
    return f"{whole}{dot}{fraction}".rstrip("0").rstrip(".") if dot else whole


def _as_it_is(found: Any) -> Any:
    return found
