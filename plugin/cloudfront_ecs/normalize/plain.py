"""Plain values: absent, text as it is, whole numbers."""

from __future__ import annotations

MAX_LONG_DIGITS = 18
"""Any number of so many digits fits into a signed 64-bit integer."""


def absent(text: str) -> bool:
    """Say whether the log says that there is no value."""
    return text in ("-", "")


def text(value: str) -> str | None:
    """Return the text as it is."""
    return None if absent(value) else value


def integer(value: str) -> int | None:
    """Return a whole number of 0 or more."""
    if absent(value):
        return None
    if not (value.isascii() and value.isdigit()):
        raise ValueError("not a whole number")
    if len(value.lstrip("0")) > MAX_LONG_DIGITS:
        raise ValueError("too large for a 64-bit number")
    return int(value)
