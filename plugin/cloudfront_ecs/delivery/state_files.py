"""SQLite files of the state directory: locked, made whole or not at all, looked at before use.

Whatever keeps a position in a file keeps it here, so each is refused for the same reasons: a
file that cannot be trusted must not be begun anew in silence, for that would skip or repeat
days of logs.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from cloudfront_ecs.delivery.appending import sync_folder
from cloudfront_ecs.errors import StateError
from cloudfront_ecs.failpoints import reach

if TYPE_CHECKING:
    from pathlib import Path

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@dataclass(frozen=True, slots=True)
class Schema:
    """What kind of file it is.

    Attributes:
        noun: Its name in messages, with its article: ``a checkpoint file``.
        application_id: Tells it from other people's databases, and from our other files.
        version: The format.
        tables: The statements that make its tables.
        remedy: What moving a damaged file away leads to: ``to begin where … says``.
    """

    noun: str
    application_id: int
    version: int
    tables: tuple[str, ...]
    remedy: str


@dataclass(slots=True)
class StateFile:
    """An open file that no other process has open; crash safe.

    A write-ahead log with an fsync for each commit (``synchronous=FULL``), and a new file
    appears under its name only when it is complete.
    """

    path: Path
    connection: sqlite3.Connection
    _lock: IO[str] | None = field(repr=False)

    def close(self) -> None:
        """Close the file and let the next process have it.  Safe to call twice."""
        self.connection.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def open_state_file(path: Path, schema: Schema) -> StateFile:
    """Open the file at *path*; it is made if there is none.

    Its connection commits where it is told to (``with connection``, or ``BEGIN``).

    Raises:
        StateError: The file is in use, damaged, or of another version.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = lock(path)
    except OSError as error:
        raise StateError(f"{path}: cannot be opened: {error.strerror}") from error
    try:
        if not path.exists():
            _create(path, schema)
        return StateFile(path, _connect(path, schema), held)
    except BaseException as error:
        held.close()
        if isinstance(error, sqlite3.DatabaseError):
            # Without a code it is Python that cannot read a text.
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
            if code & 0xFF in _DAMAGE:
                raise refusal(path, schema, f"is damaged: {error}") from error
            raise StateError(f"{path}: cannot be opened: {error}") from error
        if isinstance(error, UnicodeDecodeError):  # what SQLite would say cannot be read either
            raise refusal(path, schema, "is damaged: its tables are not readable") from error
        if isinstance(error, OSError):
            raise StateError(f"{path}: cannot be opened: {error.strerror}") from error
        raise


def memory_file(schema: Schema) -> sqlite3.Connection:
    """Return the connection of a database that ends with the process."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    for statement in schema.tables:
        connection.execute(statement)
    return connection


def lock(path: Path) -> IO[str]:
    """Lock the file beside *path*; it stays, since removing it would let two in.

    flock, not lockf: it also keeps out a second opening in the same process.  The system
    gives it up when the process ends, however it ends.

    Raises:
        StateError: Another process has it.
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


def _create(path: Path, schema: Schema) -> None:
    """Make an empty file beside its place and move it there whole."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(partial)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA application_id = {schema.application_id}")
        connection.execute(f"PRAGMA user_version = {schema.version}")
        for statement in schema.tables:
            connection.execute(statement)
        connection.commit()
    reach("checkpoint_open")
    partial.rename(path)
    reach("checkpoint_unsynced")
    sync_folder(path.parent)


def _connect(path: Path, schema: Schema) -> sqlite3.Connection:
    """Open an existing file and look whether it can be trusted."""
    # It is opened in one thread and used in another one, never in two at once.
    connection = sqlite3.connect(path, check_same_thread=False)
    try:
        _examine(path, schema, connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _examine(path: Path, schema: Schema, connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != schema.application_id:
        raise refusal(path, schema, f"is not {schema.noun} of cloudfront-ecs")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != schema.version:
        writer = "newer" if version > schema.version else "older"
        raise StateError(
            f"{path}: has format {version}, this version knows {schema.version} "
            f"(run the {writer} version that wrote it)"
        )
    findings = connection.execute("PRAGMA integrity_check(1)").fetchall()
    if findings != [("ok",)]:
        found = " ".join(findings[0][0].replace("*** in database main ***", "").split())
        raise refusal(path, schema, f"is damaged: {found}")
    there = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table'").fetchall()
    if {_words(str(sql)) for (sql,) in there} != {_words(sql) for sql in schema.tables}:
        raise refusal(path, schema, "is damaged: its tables are not those it was made with")


def _words(sql: str) -> str:
    return " ".join(sql.split())


def refusal(path: Path, schema: Schema, problem: str) -> StateError:
    """Return the error that refuses a file, and what can be done about it."""
    return StateError(f"{path}: {problem} (restore it, or move it away {schema.remedy})")
