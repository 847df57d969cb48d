"""Checkpoints of sources that keep their own position, in a file of the state directory."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from cloudfront_ecs.errors import StateError
from cloudfront_ecs.failpoints import reach

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cloudfront_ecs.adapters import AdapterContext


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far one partition is settled.

    Attributes:
        position: The source's own text for the position; nobody else reads it.
        time: When the record at the position arrived at the source, epoch seconds.
        finished: The partition has ended and everything in it is settled.
    """

    position: str
    time: float | None = None
    finished: bool = False


class CheckpointStore(Protocol):
    """Keeps checkpoints by partition."""

    def load(self, partition: str) -> Checkpoint | None:
        """Return the checkpoint of *partition*, or None when it never had one."""

    def save(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        """Store all of *checkpoints*, or none; once this returns they survive a crash.

        Raises:
            StateError: They could not be written; the old ones still stand.
        """

    def partitions(self) -> tuple[str, ...]:
        """Return the names of all partitions that have a checkpoint."""

    def close(self) -> None:
        """Give up the store.  Safe to call twice."""


def open_checkpoints(context: AdapterContext) -> CheckpointStore:
    """Open the checkpoints of one adapter; without a state directory they last one run.

    Raises:
        StateError: The file is in use, damaged, or of a newer version.
    """
    if context.state is None:
        return MemoryCheckpoints()
    name = quote(context.name, safe="")
    return SqliteCheckpoints(context.state / f"checkpoints-{name}.sqlite3")


@dataclass(slots=True)
class MemoryCheckpoints:
    """Checkpoints that end with the process."""

    held: dict[str, Checkpoint] = field(default_factory=dict[str, Checkpoint])

    def load(self, partition: str) -> Checkpoint | None:
        """Return the checkpoint of *partition*."""
        return self.held.get(partition)

    def save(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        """Keep all of *checkpoints*."""
        self.held.update(checkpoints)

    def partitions(self) -> tuple[str, ...]:
        """Return the partitions in the order in which they came."""
        return tuple(self.held)

    def close(self) -> None:
        """Do nothing."""


APPLICATION_ID = 0x43464543  # "CFEC"; tells our files from other people's databases
VERSION = 1
_CREATE = """
CREATE TABLE checkpoints (
    partition TEXT PRIMARY KEY,
    position TEXT NOT NULL,
    time REAL,
    finished INTEGER NOT NULL
) WITHOUT ROWID
"""
_SAVE = "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?)"
_LOAD = "SELECT position, time, finished FROM checkpoints WHERE partition = ?"
_PARTITIONS = "SELECT partition FROM checkpoints ORDER BY partition"
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class SqliteCheckpoints:
    """Checkpoints in an SQLite file that only one process at a time may open.

    Crash safe: a write-ahead log with an fsync for each commit (``synchronous=FULL``), and
    a new file appears under its name only when it is complete.  A file that cannot be
    trusted is refused: starting anew in silence would skip or repeat days of logs.
    """

    def __init__(self, path: Path) -> None:
        """Open the file at *path*; it is made if there is none.

        Raises:
            StateError: The file is in use, damaged, or of a newer version.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock: IO[str] | None = _lock(path)
        except OSError as error:
            raise StateError(f"{path}: cannot be opened: {error.strerror}") from error
        try:
            if not path.exists():
                _create(path)
            self._connection = _connect(path)
        except sqlite3.DatabaseError as error:
            self._unlock()
            if error.sqlite_errorcode in _DAMAGE:
                raise _refusal(path, f"is damaged: {error}") from error
            raise StateError(f"{path}: cannot be opened: {error}") from error
        except OSError as error:
            self._unlock()
            raise StateError(f"{path}: cannot be opened: {error.strerror}") from error
        except StateError:
            self._unlock()
            raise

    def load(self, partition: str) -> Checkpoint | None:
        """Return the checkpoint of *partition*."""
        for position, time, finished in self._rows(_LOAD, partition):
            return Checkpoint(position, time, bool(finished))
        return None

    def save(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        """Store all of *checkpoints* in one transaction."""
        rows = [
            (partition, checkpoint.position, checkpoint.time, int(checkpoint.finished))
            for partition, checkpoint in checkpoints.items()
        ]
        try:
            with self._connection:
                self._connection.executemany(_SAVE, rows)
                reach("checkpoint_open")
        except sqlite3.Error as error:
            raise StateError(f"{self.path}: cannot be written: {error}") from error

    def partitions(self) -> tuple[str, ...]:
        """Return the partitions in alphabetic order."""
        return tuple(row[0] for row in self._rows(_PARTITIONS))

    def close(self) -> None:
        """Close the file and let the next process have it."""
        self._connection.close()
        self._unlock()

    def _rows(self, query: str, *values: str) -> list[Any]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StateError(f"{self.path}: cannot be read: {error}") from error

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _lock(path: Path) -> IO[str]:
    """Lock the file beside *path*; it stays, since removing it would let two in.

    flock, not lockf: it also keeps out a second opening in the same process.  The system
    gives it up when the process ends, however it ends.
    """
    file = path.with_name(f"{path.name}.lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read(20).strip() or "unknown"
        file.close()
        raise StateError(
            f"{path}: in use by process {holder} "
            "(end that one first, or set another [state] directory)"
        ) from error
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def _create(path: Path) -> None:
    """Make an empty store beside its place and move it there whole."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(partial)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute(_CREATE)
        connection.commit()
    reach("checkpoint_open")
    partial.rename(path)
    reach("checkpoint_unsynced")
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _connect(path: Path) -> sqlite3.Connection:
    """Open an existing store and look whether it can be trusted."""
    # It is opened in one thread and used in another one, never in two at once.
    connection = sqlite3.connect(path, check_same_thread=False)
    try:
        _examine(path, connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _examine(path: Path, connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise _refusal(path, "is not a checkpoint file of cloudfront-ecs")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != VERSION:
        raise StateError(
            f"{path}: has format {version}, this version knows {VERSION} "
            "(run the newer version that wrote it)"
        )
    findings = connection.execute("PRAGMA integrity_check").fetchall()
    if findings != [("ok",)]:
        raise _refusal(path, f"is damaged: {findings[0][0]}")


def _refusal(path: Path, problem: str) -> StateError:
    return StateError(
        f"{path}: {problem} (restore it, or move it away to begin where the option 'start' says)"
    )
