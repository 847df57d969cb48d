"""A byte stream cut into JSON records by its brackets, whatever is wrong with it."""

from __future__ import annotations

import re
from typing import NamedTuple

from cloudfront_ecs.decoders.lines import KEPT_BYTES

_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
_TOKEN = re.compile(rb'(?:[^"{}\[\]\n]++|"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+")*+["{}\[\]\n]')
"""Everything up to a bracket, a line end, or the beginning of a text that does not end here."""

_TEXT_REST = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+')
_HELD = re.compile(rb'"(?:Records|logEvents|Events)"\s*:\s*\Z')
_AGAIN = re.compile(rb'\{\s*"eventVersion"')
"""Where a list goes on after a record that is broken: every event of CloudTrail begins so."""

_LOOK_BACK = 64
_QUOTE, _NEWLINE, _BRACE, _BRACKET = b'"\n{['
_OPENING = b"{["
_OPENS = {ord("}"): ord("{"), ord("]"): ord("[")}


class Piece(NamedTuple):
    """A record, or bytes that are none.

    Attributes:
        data: The bytes; for one that is too long its first 64 KiB.
        reason: None for a record; else why it was refused: ``json``, ``truncated``, ``too_long``.
        detail: What was wrong.
        length: The true length, where *data* is not all of it.
    """

    data: bytes
    reason: str | None = None
    detail: str = ""
    length: int | None = None


class Splitter:
    """Follows one byte stream; time grows with its length, memory does not."""

    def __init__(self, max_bytes: int) -> None:
        """Begin a stream in which a record may have *max_bytes*."""
        self._max = max_bytes
        self._data = b""
        self._at = 0
        """How far *data* has been looked at."""
        self._start = 0
        """Where the current record, or what stands between two, begins in *data*."""
        self._gone = 0
        """Bytes of the current record that were too many to keep."""
        self._head = b""
        """Its beginning, when it is too long."""
        self._open = bytearray()
        """The brackets that are open."""
        self._level = 0
        """How many brackets are open between two records: 0, 1 in a list, 2 in ``Records``."""
        self._held = False
        """Whether the current outermost object held a list of records."""
        self._in_text = False
        self._broken = False
        """Whether the current record is broken and its end is looked for."""
        self._lines = False
        """Whether an object that ended with its line has been seen: then each line is one."""
        self._line_breaks = 1
        """Line breaks since the current outermost object began; no object, no line."""
        self._first = True
        self._pieces: list[Piece] = []

    def unfinished(self) -> bytes:
        """Return what has been read of the current record (its beginning, if it is long)."""
        return (self._head + self._data[self._start :])[:KEPT_BYTES].strip(_SPACE)

    def feed(self, chunk: bytes) -> list[Piece]:
        """Return what *chunk* completes."""
        self._data = data = self._data + chunk if self._data else chunk
        if self._first:
            if len(data) < len(_BOM) and _BOM.startswith(data):
                return []
            self._data = data.removeprefix(_BOM)
            self._first = False
        self._scan()
        self._forget()
        pieces, self._pieces = self._pieces, []
        return pieces

    def finish(self) -> list[Piece]:
        """Return what is left at the end of the stream."""
        self._first = False
        end = len(self._data)
        if self._broken:
            self._refuse(end)
        elif self._open:
            self._refuse(end, "truncated", "the content ends before its last bracket")
        else:
            self._between(end)
        pieces, self._pieces = self._pieces, []
        return pieces

    def _scan(self) -> None:
        """Look at all that has come, token by token."""
        while self._at < len(self._data):
            if self._broken:
                if not self._look_for_next():
                    return
            elif self._in_text:
                if not self._end_text():
                    return
            elif not self._look_at_tokens():
                return

    def _look_at_tokens(self) -> bool:
        """Follow brackets; return whether there is more to do in another state."""
        data, opened, after_token = self._data, self._open, _TOKEN.match
        while token := after_token(data, self._at):
            self._at = token.end()
            at = self._at - 1
            kind = data[at]
            if len(opened) > self._level + 1:  # deep within a record
                if kind in _OPENS:
                    if opened[-1] == _OPENS[kind]:
                        del opened[-1]
                        continue
                elif kind in _OPENING and data[at - 1] != _NEWLINE:
                    opened.append(kind)
                    continue
            if kind == _QUOTE:
                self._in_text = True
                return True
            if kind == _NEWLINE:
                self._line_ends(at)
            elif kind in _OPENING:
                self._opens(at, kind)
            else:
                self._closes(at, kind)
            if self._broken:
                return True
        self._at = len(data)
        return False

    def _end_text(self) -> bool:
        """Look for the end of a text that was begun; return whether it is there."""
        rest = _TEXT_REST.match(self._data, self._at)
        self._at = rest.end() if rest else self._at
        following = self._data[self._at : self._at + 1]
        if following == b'"':
            self._in_text, self._at = False, self._at + 1
            return True
        if following == b"\n" or self._data[self._at : self._at + 2] == b"\\\n":
            self._break()
            return True
        return False  # the end of what has come, perhaps after a backslash

    def _opens(self, at: int, kind: int) -> None:
        if not self._open:
            self._between(at)
            self._held, self._level, self._line_breaks = False, int(kind == _BRACKET), 0
            if self._level:
                self._begin(at + 1)
        elif len(self._open) == self._level:
            self._between(at)
        elif kind == _BRACE and self._begins_a_line(at):
            self._leave_tail(at)
            self._refuse(at)
            del self._open[self._level :]
            self._opens(at, kind)
            return
        elif kind == _BRACKET and self._open == b"{" and self._names_list(at):
            self._held, self._level = True, 2
            self._begin(at + 1)
        self._open.append(kind)

    def _closes(self, at: int, kind: int) -> None:
        if not self._open:
            return  # stands between records; refused with its line
        if self._open[-1] != _OPENS[kind]:
            self._break()
            return
        depth = len(self._open)
        self._open.pop()
        if self._level and depth == self._level:  # the list of records ends
            self._between(at)
            self._level = 0
            self._begin(at + 1)
        elif depth == self._level + 1 and (self._level or not self._held):
            self._end(at + 1)
        elif depth == 1:
            self._begin(at + 1)

    def _line_ends(self, at: int) -> None:
        self._line_breaks += 1
        if not self._open:
            if self._start < at:
                self._between(at)
            self._lines = self._lines or self._line_breaks == 1
            self._begin(at + 1)
        elif self._lines:
            self._at = at
            self._break()
            self._level = 0

    def _begins_a_line(self, at: int) -> bool:
        """Return whether an object begins where none can, so that the one before was cut off."""
        before = self._data[max(self._start, at - _LOOK_BACK) : at]
        last = before.rstrip(_SPACE)[-1:]
        return before.endswith(b"\n") and last != b"" and last not in b"[,:"

    def _names_list(self, at: int) -> bool:
        return _HELD.search(self._data, max(self._start, at - _LOOK_BACK), at) is not None

    def _break(self) -> None:
        """Take the current record for broken from here on."""
        self._broken, self._in_text = True, False
        self._leave_tail(self._at)

    def _leave_tail(self, at: int) -> None:
        """Forget what stands between a list of records and *at*: it is of no interest."""
        if self._held and not self._level:
            self._begin(at)

    def _look_for_next(self) -> bool:
        """Refuse a broken record once it is known where the next one begins."""
        if self._level:
            found = _AGAIN.search(self._data, max(self._start + 1, self._at))
            end = found.start() if found else -1
        else:
            end = self._data.find(b"\n", self._at)
        if end < 0:  # its beginning may have come
            self._at = max(self._at, len(self._data) - _LOOK_BACK)
            return False
        self._refuse(end)
        self._broken, self._at = False, end
        del self._open[self._level :]
        return True

    def _begin(self, at: int) -> None:
        self._start, self._head, self._gone = at, b"", 0

    def _end(self, at: int) -> None:
        """Hand over the record that ends at *at*."""
        if not self._too_long(at):
            self._pieces.append(Piece(self._data[self._start : at]))
        self._begin(at)

    def _between(self, at: int) -> None:
        """Judge what stands between two records: blanks and a comma, or it is refused."""
        if not self._too_long(at):
            text = self._data[self._start : at].strip(_SPACE)
            if self._level:
                text = text.removeprefix(b",").removesuffix(b",").strip(_SPACE)
            if text:
                self._pieces.append(Piece(text, "json", "no JSON object"))
        self._begin(at)

    def _refuse(self, at: int, reason: str = "json", detail: str = "JSON is malformed") -> None:
        if not self._too_long(at):
            text = self._data[self._start : at].strip(_SPACE + b",")
            self._pieces.append(Piece(text, reason, detail))
        self._begin(at)

    def _too_long(self, at: int) -> bool:
        """Refuse the current record if it is too long; return whether it was."""
        length = self._gone + at - self._start
        if not self._head and length <= self._max:
            return False
        head = (self._head + self._data[self._start : at])[:KEPT_BYTES]
        detail = f"the event has {length} bytes, at most {self._max} are read"
        self._pieces.append(Piece(head, "too_long", detail, length))
        return True

    def _forget(self) -> None:
        """Let go of what is no longer needed."""
        if self._start:
            self._data = self._data[self._start :]
            self._at -= self._start
            self._start = 0
        if self._held and not self._level and self._open and not self._broken:
            self._drop()  # what follows the list is of no interest
        elif self._head or len(self._data) > self._max + _LOOK_BACK:
            dropped = self._drop()
            self._head = (self._head + dropped)[:KEPT_BYTES]
            self._gone += len(dropped)

    def _drop(self) -> bytes:
        """Drop all but the last bytes and those not yet looked at; return what was dropped."""
        end = max(min(self._at, len(self._data) - _LOOK_BACK), 0)
        dropped, self._data = self._data[:end], self._data[end:]
        self._at -= end
        return dropped
