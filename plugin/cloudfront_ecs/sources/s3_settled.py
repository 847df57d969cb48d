"""The record of settled objects: which keys of a bucket, with which ETag, are done with.

A set and not a position: names of several distributions mix in one prefix and objects come
up to a day late, so neither time nor order says what has been read.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from cloudfront_ecs.errors import SourceError, StateError
from cloudfront_ecs.failpoints import reach

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

APPLICATION_ID = 0x43465333  # "CFS3"; tells our files from other people's databases
VERSION = 1

# SQLite compares text byte by byte in UTF-8, which is the order in which S3 lists keys.
_CREATE = """
CREATE TABLE settled (
    bucket TEXT NOT NULL,
    key TEXT NOT NULL,
    etag TEXT NOT NULL,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID
"""
_BETWEEN = "SELECT key, etag FROM settled WHERE bucket = ? AND key > ? AND (? IS NULL OR key <= ?)"
_ADD = "INSERT OR REPLACE INTO settled VALUES (?, ?, ?)"
_FORGET = "DELETE FROM settled WHERE bucket = ? AND key = ?"


class SettledObjects:
    """Settled objects of one bucket, in an SQLite file that one process at a time may open.

    Crash safe: a write-ahead log with an fsync for each commit (``synchronous=FULL``).
    """

    def __init__(self, path: Path | None, bucket: str) -> None:
        """Open the file at *path*, made if there is none; without a path it lasts one run.

        Raises:
            StateError: The file is in use, damaged, or of another version.
        """
        self.path = path
        self._bucket = bucket
        self._unstored: dict[str, str] = {}
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            # Opened in one thread and used in another one, never in two at once.
            self._connection = sqlite3.connect(
                path or ":memory:", timeout=0.0, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise StateError(f"{path}: cannot be opened: {error}") from error
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def between(self, after: str, last: str | None) -> Mapping[str, str]:
        """Return the ETags of the settled keys above *after*, up to *last* or to the end.

        Raises:
            SourceError: The file cannot be read.
        """
        try:
            rows = self._connection.execute(_BETWEEN, (self._bucket, after, last, last)).fetchall()
        except sqlite3.Error as error:
            raise SourceError(f"{self.path}: cannot be read: {error}") from error
        return dict(rows)

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
        self._write(_ADD, [(self._bucket, key, etag) for key, etag in self._unstored.items()])
        self._unstored.clear()

    def forget(self, keys: Iterable[str]) -> None:
        """Drop keys that the bucket does not hold any more, so the record stays as small.

        Raises:
            SourceError: The file cannot be written.
        """
        self._write(_FORGET, [(self._bucket, key) for key in keys])

    def close(self) -> None:
        """Close the file and let the next process have it.  Safe to call twice."""
        self._connection.close()

    def _write(self, statement: str, rows: list[tuple[str, ...]]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(statement, rows)
                reach("checkpoint_open")
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise SourceError(f"{self.path}: cannot be written: {error}") from error

    def _prepare(self) -> None:
        """Lock the file, look whether it can be trusted and make its table if it is new."""
        run = self._connection.execute
        try:
            run("PRAGMA locking_mode = EXCLUSIVE")
            run("BEGIN EXCLUSIVE")  # the lock stays until the connection or the process ends
            if run("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                self._examine()
            else:
                run(f"PRAGMA application_id = {APPLICATION_ID}")
                run(f"PRAGMA user_version = {VERSION}")
                run(_CREATE)
            run("COMMIT")
            run("PRAGMA journal_mode = WAL")
            run("PRAGMA synchronous = FULL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise StateError(
                    f"{self.path}: in use by another process "
                    "(end that one first, or set another [state] directory)"
                ) from error
            raise StateError(f"{self.path}: cannot be opened: {error}") from error
        except sqlite3.DatabaseError as error:
            raise self._refusal(f"is damaged: {error}") from error

    def _examine(self) -> None:
        run = self._connection.execute
        if run("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise self._refusal("is not a listing record of cloudfront-ecs")
        version = run("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            raise StateError(
                f"{self.path}: has format {version}, this version knows {VERSION} "
                "(run the newer version that wrote it)"
            )
        finding = run("PRAGMA quick_check(1)").fetchone()[0]
        if finding != "ok":
            raise self._refusal(f"is damaged: {finding}")

    def _refusal(self, problem: str) -> StateError:
        return StateError(
            f"{self.path}: {problem} (restore it, or move it away to read every object again)"
        )
