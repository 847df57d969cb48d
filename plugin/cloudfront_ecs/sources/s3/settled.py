"""The record of settled objects: which keys of a bucket, with which ETag, are done with.

A set and not a position: names of several distributions mix in one prefix and objects come
up to a day late, so neither time nor order says what has been read.

Newer objects stand there as they are.  Of older ones (``pack``) each hour of a stem keeps
eight bytes an object, a hash of key and ETag: that is enough to tell, in a listing of
everything, an object that has been read from one that came later than anybody waits for.
Objects that a listing no longer finds are forgotten, so the record is as large as the bucket.
"""

from __future__ import annotations

import sqlite3
from array import array
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.delivery.state_files import Schema, StateFile, memory_file, open_state_file
from cloudfront_ecs.errors import CheckpointError, SourceError, StateError
from cloudfront_ecs.failpoints import reach
from cloudfront_ecs.sources.s3.keys import dated

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from cloudfront_ecs.sources.s3.keys import Dated, Stem

# SQLite compares text byte by byte in UTF-8, which is the order in which S3 lists keys.
_SCHEMA = Schema(
    noun="a listing record",
    application_id=0x43465333,  # "CFS3"
    version=2,
    tables=(
        """
        CREATE TABLE settled (
            bucket TEXT NOT NULL,
            key TEXT NOT NULL,
            etag TEXT NOT NULL,
            PRIMARY KEY (bucket, key)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE hours (
            bucket TEXT NOT NULL,
            stem TEXT NOT NULL,
            hour INTEGER NOT NULL,
            marks BLOB NOT NULL,
            PRIMARY KEY (bucket, stem, hour)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE floors (
            bucket TEXT NOT NULL,
            stem TEXT NOT NULL,
            hour INTEGER NOT NULL,
            PRIMARY KEY (bucket, stem)
        ) WITHOUT ROWID
        """,
        "CREATE TABLE notes (bucket TEXT, name TEXT, value TEXT, PRIMARY KEY (bucket, name))",
    ),
    remedy="to read every object again",
)
_BETWEEN = "SELECT key, etag FROM settled WHERE bucket = ? AND key > ? AND (? IS NULL OR key <= ?)"
_ADD = "INSERT OR REPLACE INTO settled VALUES (?, ?, ?)"
_FORGET = "DELETE FROM settled WHERE bucket = ? AND key = ?"
_MARKS = "SELECT marks FROM hours WHERE bucket = ? AND stem = ? AND hour = ?"
_HOURS = (
    "SELECT hour, marks FROM hours WHERE bucket = ? AND stem = ? AND hour > ? "
    "AND (? IS NULL OR hour < ?) ORDER BY hour"
)
_SET_MARKS = "INSERT OR REPLACE INTO hours VALUES (?, ?, ?, ?)"
_FORGET_HOUR = "DELETE FROM hours WHERE bucket = ? AND stem = ? AND hour = ?"
_COUNT = (
    "SELECT (SELECT count(*) FROM settled WHERE bucket = :b) + "
    "(SELECT coalesce(sum(length(marks)), 0) / 8 FROM hours WHERE bucket = :b)"
)

_Change = tuple[str, list[tuple[Any, ...]]]


def mark_of(key: str, etag: str) -> int:
    """Return eight bytes that stand for an object with its content."""
    digest = blake2b(f"{key}\0{etag}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


class SettledObjects:
    """Settled objects of one bucket, in an SQLite file that one process at a time may open.

    Attributes:
        count: How many objects it remembers.
    """

    def __init__(self, path: Path | None, bucket: str) -> None:
        """Open the file at *path*, made if there is none; without a path it lasts one run.

        Raises:
            StateError: The file is in use, damaged, or of another version.
        """
        self.path = path
        self._bucket = bucket
        self._unstored: dict[str, str] = {}
        self._file: StateFile | None = open_state_file(path, _SCHEMA) if path else None
        self._connection = self._file.connection if self._file else memory_file(_SCHEMA)
        # A key or ETag that is damaged is none of the bucket's: its object is read again.
        self._connection.text_factory = _text
        try:
            self.count: int = self._connection.execute(_COUNT, {"b": bucket}).fetchone()[0]
        except sqlite3.Error as error:
            self.close()
            raise StateError(f"{path}: cannot be read: {error}") from error

    def between(self, after: str, last: str | None) -> Mapping[str, str]:
        """Return the ETags of the newer settled keys above *after*, up to *last* or to the end.

        Raises:
            SourceError: The file cannot be read.
        """
        return dict(self._rows(_BETWEEN, self._bucket, after, last, last))

    def marks(self, stem: Stem, hour: int) -> AbstractSet[int]:
        """Return what is remembered of the older settled objects of an hour.

        Raises:
            SourceError: The file cannot be read.
        """
        for (marks,) in self._rows(_MARKS, self._bucket, stem.name, hour):
            return _unpacked(marks)
        return frozenset()

    def add(self, key: str, etag: str) -> None:
        """Remember an object as settled; ``store`` says whether that survives a crash."""
        self._unstored[key] = etag

    def store(self) -> None:
        """Write what was added; once this returns it survives a crash.

        Raises:
            SourceError: It could not be written, as on a full disk, and is kept for the
                next call.
        """
        if not self._unstored:
            return
        known = "SELECT count(*) FROM settled WHERE bucket = ? AND key = ?"
        new = sum(1 - self._rows(known, self._bucket, key)[0][0] for key in self._unstored)
        self._write((_ADD, [(self._bucket, *item) for item in self._unstored.items()]))
        self._unstored.clear()
        self.count += new

    def forget(self, keys: Iterable[str]) -> None:
        """Drop keys that the bucket does not hold any more, so the record stays as small.

        Raises:
            SourceError: The file cannot be written.
        """
        gone = [(self._bucket, key) for key in keys]
        self._write((_FORGET, gone))
        self.count -= len(gone)

    def pack(self, stem: Stem, below: int) -> None:
        """Keep eight bytes of each object of *stem* that is of an hour before *below*.

        Raises:
            SourceError: The file cannot be written; everything is as it was.
        """
        found: dict[int, set[int]] = {}
        keys = []
        for key, etag in self.between(stem.text, stem.at(below)).items():
            if (place := dated(key)) and place.stem == stem and place.hour < below:
                found.setdefault(place.hour, set()).add(mark_of(key, etag))
                keys.append((self._bucket, key))
        if not keys:
            return
        before = 0
        rows = []
        for hour, marks in found.items():
            old = self.marks(stem, hour)
            before += len(old)
            rows.append((self._bucket, stem.name, hour, _packed(old | marks)))
        self._write((_SET_MARKS, rows), (_FORGET, keys))
        self.count += sum(len(row[-1]) // 8 for row in rows) - before - len(keys)

    def keep_hours(
        self, stem: Stem, after: int, until: int | None, hour: int, there: AbstractSet[int]
    ) -> None:
        """Forget what older hours held and a listing did not find.

        Args:
            stem: The stem that was listed.
            after: The hour up to which this has been done before.
            until: The hour at which the listing is, or None at its end.
            hour: The only hour between these two that the listing found.
            there: What it found of it.

        Raises:
            SourceError: The file cannot be written.
        """
        rows = self._rows(_HOURS, self._bucket, stem.name, after, until, until)
        gone, kept, change = [], [], 0
        for remembered, blob in rows:
            marks = _unpacked(blob)
            left = marks & there if remembered == hour else frozenset()
            change += len(left) - len(marks)
            if not left:
                gone.append((self._bucket, stem.name, remembered))
            elif len(left) < len(marks):
                kept.append((self._bucket, stem.name, remembered, _packed(left)))
        if change:
            self._write((_SET_MARKS, kept), (_FORGET_HOUR, gone))
            self.count += change

    def floors(self) -> dict[str, int]:
        """Return the stored floors by the names of their stems."""
        query = "SELECT stem, hour FROM floors WHERE bucket = ?"
        return dict(self._rows(query, self._bucket))

    def note(self, name: str) -> str | None:
        """Return a note, or None where there is none."""
        query = "SELECT value FROM notes WHERE bucket = ? AND name = ?"
        for (value,) in self._rows(query, self._bucket, name):
            return str(value)
        return None

    def set_floors(self, floors: Mapping[str, int], notes: Mapping[str, str]) -> None:
        """Replace all floors and the given notes; once this returns it survives a crash.

        Raises:
            SourceError: They could not be written; the old ones still stand.
        """
        self._write(
            ("DELETE FROM floors WHERE bucket = ?", [(self._bucket,)]),
            (
                "INSERT INTO floors VALUES (?, ?, ?)",
                [(self._bucket, *item) for item in floors.items()],
            ),
            (
                "INSERT OR REPLACE INTO notes VALUES (?, ?, ?)",
                [(self._bucket, *item) for item in notes.items()],
            ),
        )

    def close(self) -> None:
        """Close the file and let the next process have it.  Safe to call twice."""
        (self._file or self._connection).close()

    def _rows(self, query: str, *values: object) -> list[Any]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise SourceError(f"{self.path}: cannot be read: {error}") from error

    def _write(self, *changes: _Change) -> None:
        """Make all of *changes*, or none."""
        try:
            with self._connection:
                for statement, rows in changes:
                    self._connection.executemany(statement, rows)
                reach("checkpoint_open")
        except sqlite3.Error as error:
            raise CheckpointError(f"{self.path}: cannot be written: {error}") from error


class Marks:
    """Marks of older objects, read from the record once for each hour of a page."""

    def __init__(self, settled: SettledObjects) -> None:
        """Read from *settled* what is asked for."""
        self._settled = settled
        self._read: dict[Dated, AbstractSet[int]] = {}

    def of(self, place: Dated | None) -> AbstractSet[int]:
        """Return the marks of a key's hour, none where the key tells no hour."""
        if place is None:
            return frozenset()
        if place not in self._read:
            self._read[place] = self._settled.marks(place.stem, place.hour)
        return self._read[place]


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "replace")


def _packed(marks: AbstractSet[int]) -> bytes:
    return array("Q", sorted(marks)).tobytes()


def _unpacked(blob: bytes) -> frozenset[int]:
    marks = array("Q")
    marks.frombytes(blob)
    return frozenset(marks)
