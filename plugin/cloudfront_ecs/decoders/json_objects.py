"""JSON lines whose values are columns: objects become rows, by the keys they have.

Standard logging v2 and connection logs as JSON: one object a line, all values texts, ``-``
for what is absent, keys in any order.  Lines in a row with the same keys make one batch.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.batches import Layout, RecordBatch, RejectedLine
from cloudfront_ecs.decoders.lines import NO_LAYOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs.decoders.lines import LineBlock

MOST_KEYS = 512
"""More than any log has; an object of thousands is noise, and compiling it would take long."""

NOT_JSON = "not JSON"
NO_OBJECT = "JSON, but no object"

_TEXTS = msgspec.json.Decoder(dict[str, str])


class JsonError(ValueError):
    """The line is no object whose keys are columns; the text says why, without content."""


def object_batches(block: LineBlock, log: str) -> Iterator[RecordBatch]:
    """Yield the objects of *block* as records of *log*, a batch for each run of equal keys.

    Blank lines are skipped; a line that is no object is refused as ``json``.
    """
    run = _Run(block, log)
    for index, line in enumerate(block.lines):
        if not line.strip():
            run.skipped += 1
            continue
        try:
            pairs = pairs_of(line)
        except JsonError as error:
            run.refuse(index, str(error))
            continue
        keys = tuple(pairs)
        if keys != run.keys and run.rows:
            yield run.batch()
        run.keys = keys
        run.take(index, list(pairs.values()))
    if run.rows or run.rejects or run.skipped:
        yield run.batch()


def pairs_of(line: str) -> dict[str, str]:
    """Return the keys of a JSON object with their values as texts.

    Numbers keep their digits; null is ``-``; true, false, lists and objects stand as JSON.

    Raises:
        JsonError: The line is no JSON object, or one that names a key twice.
    """
    pairs = _quickly(line)
    if pairs is None:
        pairs = _carefully(line)
    if not pairs:
        raise JsonError("an object without keys")
    if "" in pairs:
        raise JsonError("an object with an empty key")
    if len(pairs) > MOST_KEYS:
        raise JsonError(f"an object with {len(pairs)} keys, at most {MOST_KEYS} are read")
    return pairs


def _quickly(line: str) -> dict[str, str] | None:
    """Read an object of texts; None where it is anything else, or may name a key twice."""
    try:
        pairs = _TEXTS.decode(line)
    except (msgspec.DecodeError, UnicodeError):
        return None
    # Four quotes for each pair; more are escaped ones, or belong to a key that came twice.
    return pairs if line.count('"') == 4 * len(pairs) else None


def _carefully(line: str) -> dict[str, str]:
    # parse_*: numbers keep the digits that the log has.
    try:
        found = json.loads(
            line, object_pairs_hook=_Pairs, parse_int=_Digits, parse_float=_Digits,
            parse_constant=_refuse,
        )  # fmt: skip
    except (ValueError, RecursionError):
        raise JsonError(NOT_JSON) from None
    if not isinstance(found, _Pairs):
        raise JsonError(NO_OBJECT)
    pairs = {key: _text(value) for key, value in found}
    if len(pairs) != len(found):
        raise JsonError("an object that names a key twice")
    if not all(key.isprintable() for key in pairs):  # surrogate escapes are not either
        raise JsonError("an object with a key that is no text")
    return pairs


class _Pairs(list[tuple[str, Any]]):
    """An object as it was read."""


class _Digits(str):
    """A number as it was read."""

    __slots__ = ()


def _refuse(name: str) -> None:
    raise ValueError(name)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    # Digits become plain text: encoders take no other kind.
    text = str(value) if isinstance(value, str) else _json(value)
    return without_halves(text)


def without_halves(text: str) -> str:
    """Return *text* with each half of a character as its JSON escape."""
    return text if text.isascii() else _HALF.sub(_escape, text)


_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Half a character that JSON may escape and no text can hold; the others stand for bytes."""


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _json(value: Any) -> str:
    """Return a list, an object or a truth value as JSON again, numbers digit by digit."""
    if isinstance(value, _Pairs):
        return "{" + ",".join(f"{json.dumps(key)}:{_json(inner)}" for key, inner in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    return value if isinstance(value, _Digits) else json.dumps(value, ensure_ascii=False)


class _Run:
    """Lines with the same keys, as long as they follow each other."""

    def __init__(self, block: LineBlock, log: str) -> None:
        self._block, self._log = block, log
        self.keys: tuple[str, ...] = ()
        self.rejects: list[RejectedLine] = []
        self.skipped = 0
        self._begin()

    def _begin(self) -> None:
        self.rows: list[list[str]] = []
        self._lines: list[str] = []
        self._numbers: list[int] = []

    def take(self, index: int, row: list[str]) -> None:
        """Add a record."""
        self.rows.append(row)
        self._lines.append(self._block.lines[index])
        self._numbers.append(self._block.first + index)

    def refuse(self, index: int, detail: str) -> None:
        """Add a line that is no record."""
        block = self._block
        raw = block.lines[index].encode("utf-8", "surrogateescape")
        self.rejects.append(RejectedLine("json", detail, raw, *block.place(index)))

    def batch(self) -> RecordBatch:
        """Return what was added since the last batch."""
        numbers, position = self._numbers, self._block.position
        batch = RecordBatch(
            Layout(self._log, self.keys) if self.rows else NO_LAYOUT,
            self.rows,
            self._lines,
            _consecutive(numbers),
            None if position is None else [position] * len(numbers),
            rejects=self.rejects,
            skipped=self.skipped,
            plain=all(map(_plain, self._lines)),
        )
        self.rejects, self.skipped = [], 0
        self._begin()
        return batch


def _plain(line: str) -> bool:
    """Say whether the values are surely ASCII; an escape may stand for any character."""
    return line.isascii() and "\\u" not in line


def _consecutive(numbers: list[int]) -> range | list[int]:
    """Return a range where it says the same: ids of consecutive lines are made together."""
    if numbers and numbers[-1] - numbers[0] == len(numbers) - 1:
        return range(numbers[0], numbers[-1] + 1)
    return numbers
