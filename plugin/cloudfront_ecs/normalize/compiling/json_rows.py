"""Rows whose texts can stand in JSON as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudfront_ecs.split_rows import TabRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudfront_ecs.batches import RecordBatch

_CONTROLS = [chr(code) for code in range(32)]
_ESCAPED = [*_CONTROLS, '"', "\\"]
"""What JSON must escape, but for what is not ASCII."""

_ESCAPED_IN_LINES = [character for character in _ESCAPED if character != "\t"]

_NOT_QUOTABLE: list[str] = []
"""Stands for a row that must not be written; no layout is so narrow."""


def quotable_rows(batch: RecordBatch) -> Sequence[list[str]]:
    """Return the rows of *batch*; one that holds what JSON escapes is empty.

    CloudFront encodes these characters, so one look at all lines together, in C, mostly
    settles it.
    """
    if batch.plain and isinstance(batch.rows, TabRows):
        text = "".join(batch.lines)
        if not any([character in text for character in _ESCAPED_IN_LINES]):  # noqa: C419 - faster
            return batch.rows
    rows = list(batch.rows)
    if _quotable("".join(map("".join, rows))):
        return rows
    return [row if _quotable("".join(row)) else _NOT_QUOTABLE for row in rows]


def _quotable(text: str) -> bool:
    return text.isascii() and not any([character in text for character in _ESCAPED])  # noqa: C419
