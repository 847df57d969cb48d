"""Remembering the conversions of values that repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Value = TypeVar("_Value")
_Key = TypeVar("_Key", bound="str | int | type")
_LONGEST_REMEMBERED = 512


class Memo(dict[_Key, _Value], Generic[_Key, _Value]):
    """Remembers the conversions of values that repeat, up to a bound.

    Only for columns with few values: for numbers, converting is faster than looking up.
    When it is full it forgets everything, which is cheaper than keeping an order.
    """

    def __init__(self, convert: Callable[[_Key], _Value], limit: int = 16_384) -> None:
        """Remember at most *limit* results of *convert*."""
        super().__init__()
        self._convert = convert
        self._limit = limit

    def __missing__(self, key: _Key) -> _Value:
        """Convert, and remember what is not too long to be worth it."""
        value = self._convert(key)
        if isinstance(key, str) and len(key) > _LONGEST_REMEMBERED:
            return value
        if len(self) >= self._limit:
            self.clear()
        self[key] = value
        return value
