"""Plain values: absent, text as it is, whole numbers."""

from __future__ import annotations

LARGEST = 2**63 - 1
"""The largest number that a search engine's ``long`` takes."""

_LARGEST_TEXT = str(LARGEST)


class PartlyReadError(ValueError):
    """A value cannot tell all that its column says, so the document must keep the text.

    Without a message all was read, and only the spelling of it would be lost.

    Attributes:
        whole: The column's text.
        readable: A text without the parts that could not be read, which says the rest.
        unreadable: Those parts.
    """

    def __init__(self, message: str, whole: str, readable: str, unreadable: str = "") -> None:
        """Keep what can still be used."""
        super().__init__(message)
        self.whole = whole
        self.readable = readable
        self.unreadable = unreadable


LONGEST_KEPT = 32_000
"""Most bytes of a text in ``aws.cloudfront.other``: beyond 32,766, name included, a search
engine refuses the whole document.  CloudFront's own columns are shorter."""


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
    digits = value.lstrip("0")
    if len(digits) >= len(_LARGEST_TEXT) and (
        len(digits) > len(_LARGEST_TEXT) or digits > _LARGEST_TEXT
    ):
        raise ValueError("too large for a 64-bit number")
    return int(value)


def unknown(value: str) -> str | None:
    """Return the text of a column that this version does not know."""
    if (
        len(value) > LONGEST_KEPT // 4
        and len(value.encode("utf-8", "surrogatepass")) > LONGEST_KEPT
    ):
        raise ValueError(f"longer than {LONGEST_KEPT} bytes")
    return text(value)
