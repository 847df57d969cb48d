"""Safe looks into JSON whose shape nobody guarantees: what is not there is None or empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Json = dict[str, Any]


def part(value: object, *path: str) -> object:
    """Return what stands at *path* in nested objects, or None."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def text_at(value: object, *path: str) -> str | None:
    """Return the text at *path*; a number as its text; None where it is blank or no such."""
    for name in path:  # as ``part``; asked a hundred times for each event
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    if isinstance(value, str):
        return value if value and not value.isspace() else None
    if value is None or isinstance(value, bool):
        return None
    return str(value) if isinstance(value, (int, float)) else None


def flag_at(value: object, *path: str) -> bool | None:
    """Return the truth at *path*, which CloudTrail writes with or without quotation marks."""
    found = part(value, *path)
    if isinstance(found, bool):
        return found
    return {"true": True, "false": False}.get(found.lower()) if isinstance(found, str) else None


def number_at(value: object, *path: str) -> int | None:
    """Return the whole number at *path*, written with or without quotation marks."""
    found = part(value, *path)
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) <= _DIGITS:
        return int(found)
    whole = isinstance(found, int) and not isinstance(found, bool)
    return found if whole and isinstance(found, int) and abs(found) < 10**_DIGITS else None


_DIGITS = 18
"""More digits than these do not fit the type ``long``."""


def object_at(value: object, *path: str) -> Json:
    """Return the object at *path*, or an empty one."""
    found = part(value, *path)
    return found if isinstance(found, dict) else {}


def list_at(value: object, *path: str) -> list[Any]:
    """Return the list at *path*; CloudFront's ``{"quantity": …, "items": […]}`` is one too."""
    found = part(value, *path)
    if isinstance(found, dict):
        found = found.get("items")
    return found if isinstance(found, list) else []


def texts_at(value: object, *path: str) -> list[str]:
    """Return the texts of the list at *path*."""
    return [item for item in list_at(value, *path) if isinstance(item, str) and item]


def unique(values: Iterable[str | None]) -> list[str]:
    """Return what is there, in order, without repeats."""
    return list(dict.fromkeys(value for value in values if value))
