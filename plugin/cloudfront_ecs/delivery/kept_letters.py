"""Dead letters read back from their files, and taken out of them once they are delivered.

A file is replaced as a whole, so a crash leaves the old one or the new one: what was
delivered in between is delivered again under the same ids, and nothing is lost.
"""

from __future__ import annotations

import base64
import json
import os
from array import array
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from cloudfront_ecs.batches import Layout
from cloudfront_ecs.delivery.appending import held, sync_folder
from cloudfront_ecs.delivery.dead_letters import MODE, json_of, told_layout
from cloudfront_ecs.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_UNTOUCHED, _DELIVERED, _REFUSED = range(3)

_MOST_VERDICTS = 10_000
"""Texts of refusals that are told apart; of more only the attempts are counted."""


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """One dead letter.

    Attributes:
        number: Which line of its file it is, from 0.
        content: The letter as it lies there.
        raw: The bytes.
        reason: Why it was refused.
        time: When.
        line: The line in its object or message, or None.
        position: The sequence number of its message, or None.
        sink: The sink that refused it, if a sink did.
        layout: The columns that were to explain it, where they are known.
        as_sent: The bytes are the document as it was sent.
        values: The columns of the record, where its bytes alone do not tell them.
        note: What a decoder noticed about the row.
    """

    number: int
    content: dict[str, Any]
    raw: bytes
    reason: str
    time: datetime
    line: int | None = None
    position: str | None = None
    sink: str | None = None
    layout: Layout | None = None
    as_sent: bool = False
    values: tuple[str, ...] | None = None
    note: str = ""

    @property
    def unfit(self) -> str:
        """Why it is no whole record with a place of its own, or nothing where it is one."""
        length = self.content.get("length")
        if length is not None and length > len(self.raw):
            return "only the beginning was kept"
        if self.as_sent:
            return "" if self.raw else "no bytes were kept"
        if self.line is None and self.position is None:
            return "it stands for the rest of an object"
        return ""


class Verdict(NamedTuple):
    """Why a letter was refused again."""

    reason: str
    detail: str
    sink: str | None = None
    layout: Layout | None = None


@dataclass(slots=True)
class LetterFile:
    """One file of dead letters, and what has become of each since it was read.

    Attributes:
        path: The file.
        unreadable: Lines met that are no letters; they stay.
        removed: Letters that were delivered.
        refused: Letters that were refused again.
    """

    path: Path
    unreadable: int = 0
    removed: int = 0
    refused: int = 0
    _ends: array[int] = field(default_factory=lambda: array("I"))
    _verdicts: dict[Verdict, int] = field(default_factory=dict)
    _inode: int = 0

    def letters(self) -> Iterator[KeptLetter]:
        """Yield the letters that lie here now; what comes in later is for the next time.

        Raises:
            StateError: The file cannot be read.
        """
        self.unreadable = 0
        try:
            with self.path.open("rb") as file:
                self._inode, size = os.fstat(file.fileno()).st_ino, os.fstat(file.fileno()).st_size
                for number, line in enumerate(file):
                    size -= len(line)
                    if size < 0 or not line.endswith(b"\n"):
                        return
                    letter = parsed(number, line)
                    if letter is None:
                        self.unreadable += 1
                    else:
                        yield letter
        except FileNotFoundError:
            return
        except OSError as error:
            raise StateError(f"{self.path}: cannot be read: {error.strerror}") from error

    def delivered(self, letter: KeptLetter) -> None:
        """Note that a letter can go."""
        self._note(letter, _DELIVERED)
        self.removed += 1

    def refused_again(self, letter: KeptLetter, verdict: Verdict) -> None:
        """Note that a letter stays, and why."""
        if verdict not in self._verdicts and len(self._verdicts) >= _MOST_VERDICTS:
            verdict = Verdict("", "")
        number = self._verdicts.setdefault(verdict, len(self._verdicts))
        self._note(letter, _REFUSED + number)
        self.refused += 1

    def _note(self, letter: KeptLetter, end: int) -> None:
        missing = letter.number + 1 - len(self._ends)
        if missing > 0:
            self._ends.extend([_UNTOUCHED] * missing)
        self._ends[letter.number] = end

    def write_back(self) -> None:
        """Take out what was delivered, count the attempts of what was refused.

        Raises:
            StateError: It cannot be done; the file is as it was.
        """
        if not self.removed and not self.refused:
            return
        partial = self.path.with_name(f"{self.path.name}.partial")
        try:
            with held(self.path) as descriptor:
                if os.fstat(descriptor).st_ino != self._inode:
                    raise StateError(f"{self.path}: was replaced meanwhile, so it is left alone")
                with open(descriptor, "rb", closefd=False) as old, _made(partial) as new:
                    self._copy(old, new)
                    new.flush()
                    os.fsync(new.fileno())
                    left = new.tell()
                if left:
                    partial.replace(self.path)
                else:
                    self.path.unlink()
                    partial.unlink()
                sync_folder(self.path.parent)
        except OSError as error:
            with suppress(OSError):  # the error to tell is the first one
                partial.unlink()
            raise StateError(f"{self.path}: cannot be written: {error.strerror}") from error
        self._ends = array("I")

    def _copy(self, old: IO[bytes], new: IO[bytes]) -> None:
        verdicts = list(self._verdicts)
        for number, line in enumerate(old):
            end = self._ends[number] if number < len(self._ends) else _UNTOUCHED
            if end == _UNTOUCHED:
                new.write(line)
            elif end != _DELIVERED:
                new.write(_changed(line, verdicts[end - _REFUSED]))


def parsed(number: int, line: bytes) -> KeptLetter | None:
    """Return the letter that a line is, or None where it is none."""
    try:
        content = json.loads(line)
        source, layout = content["source"], content.get("layout")
        return KeptLetter(
            number,
            content,
            raw=base64.b64decode(content["raw"], validate=True),
            reason=str(content["reason"]),
            time=datetime.fromisoformat(content["time"]).astimezone(UTC),
            line=source.get("line"),
            position=source.get("sequence_number"),
            sink=content.get("sink"),
            layout=layout and _layout(layout),
            as_sent=content.get("raw_is") == "document",
            values=tuple(content["values"]) if "values" in content else None,
            note=content.get("note", ""),
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _layout(told: dict[str, Any]) -> Layout:
    return Layout(told["log"], tuple(told["columns"]), named_by=told.get("named_by"))


def _made(path: Path) -> IO[bytes]:
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE), "wb")


def _changed(line: bytes, verdict: Verdict) -> bytes:
    """Return the line of a letter that was refused once more."""
    letter = json.loads(line)
    letter["attempts"] = letter.get("attempts", 1) + 1
    if verdict.reason:
        letter["reason"], letter["detail"] = verdict.reason, verdict.detail
        letter.pop("sink", None)
        if verdict.sink is not None:
            letter["sink"] = verdict.sink
    if verdict.layout is not None and verdict.layout.columns and "layout" not in letter:
        letter["layout"] = told_layout(verdict.layout)
    return json_of(letter)
