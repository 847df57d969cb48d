"""Checkpoints of sources that keep their own position, in a file of the state directory."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from cloudfront_ecs.delivery.state_files import Schema, open_state_file
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


_SCHEMA = Schema(
    noun="a checkpoint file",
    application_id=0x43464543,  # "CFEC"
    version=1,
    tables=(
        """
        CREATE TABLE checkpoints (
            partition TEXT PRIMARY KEY,
            position TEXT NOT NULL,
            time REAL,
            finished INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
    ),
    remedy="to begin where the option 'start' says",
)
_SAVE = "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?)"
_LOAD = "SELECT position, time, finished FROM checkpoints WHERE partition = ?"
_PARTITIONS = "SELECT partition FROM checkpoints ORDER BY partition"


class SqliteCheckpoints:
    """Checkpoints in an SQLite file that only one process at a time may open.

    Crash safe, and refused where it cannot be trusted: see ``state_files``.
    """

    def __init__(self, path: Path) -> None:
        """Open the file at *path*; it is made if there is none.

        Raises:
            StateError: The file is in use, damaged, or of a newer version.
        """
        self.path = path
        self._file = open_state_file(path, _SCHEMA)
        self._connection = self._file.connection

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
        self._file.close()

    def _rows(self, query: str, *values: str) -> list[Any]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StateError(f"{self.path}: cannot be read: {error}") from error
