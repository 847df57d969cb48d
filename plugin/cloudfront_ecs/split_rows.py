"""Rows that are split when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import overload

TAB = "\t"


class SplitRows(Sequence[list[str]]):
    """The columns of lines, split when they are asked for.

    Rows that come into being one by one while they are converted stay in the processor's
    nearest cache; a list of them all does not.
    """

    def __init__(self, lines: list[str], delimiter: str) -> None:
        """Stand for the rows of *lines*."""
        self._lines, self._delimiter = lines, delimiter

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._lines)

    def __iter__(self) -> Iterator[list[str]]:
        """Split line after line."""
        return map(str.split, self._lines, repeat(self._delimiter))

    @overload
    def __getitem__(self, index: int) -> list[str]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[str]]: ...
    def __getitem__(self, index: int | slice) -> list[str] | list[list[str]]:
        """Split one line, or some."""
        if isinstance(index, slice):
            return [line.split(self._delimiter) for line in self._lines[index]]
        return self._lines[index].split(self._delimiter)


class TabRows(SplitRows):
    """The columns of lines split at tabs, so that no value holds one."""

    def __init__(self, lines: list[str]) -> None:
        """Stand for the rows of *lines*."""
        super().__init__(lines, TAB)
