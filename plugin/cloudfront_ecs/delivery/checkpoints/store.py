"""Checkpoints of sources that keep their own position, in a file of the state directory."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote
from zlib import crc32

from cloudfront_ecs.delivery.state_files import Schema, open_state_file, refusal
from cloudfront_ecs.errors import StateError
from cloudfront_ecs.failpoints import reach

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
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


def rank(position: str) -> str:
    """Return text that sorts as positions follow each other.

    Whole numbers, however long, follow each other as numbers; all other positions (the
    beginning, a time) come before them.
    """
    return f"{len(position):03d}{position}" if position.isdecimal() else "000"


def moves_back(old: Checkpoint, new: Checkpoint) -> bool:
    """Say whether storing *new* over *old* would forget that something is settled."""
    return rank(new.position) < rank(old.position) or (old.finished and not new.finished)


class CheckpointStore(Protocol):
    """Keeps checkpoints by partition, for one worker or for several that share the work.

    Attributes:
        shared: Several workers use it, each holding some of the partitions; only those may
            be read and saved.  Writing happens behind the back of whoever calls: what is held
            and stored changes from call to call.
        revision: Counts up when what ``term``, ``wanted`` or ``load`` answer may have changed.
        awaiting: More of what was offered may come to this worker soon.
    """

    shared: bool

    @property
    def revision(self) -> int:
        """See above."""

    @property
    def awaiting(self) -> bool:
        """See above."""

    def load(self, partition: str) -> Checkpoint | None:
        """Return the checkpoint of *partition*, or None when it never had one."""

    def save(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        """Store all of *checkpoints*, or none; once this returns they survive a crash.

        Raises:
            StateError: They could not be written; the old ones still stand.
        """

    def partitions(self) -> tuple[str, ...]:
        """Return the names of all partitions that have a checkpoint."""

    def add(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        """Store *checkpoints* of partitions that have none; of others theirs stand."""

    def unstored(self) -> Collection[str]:
        """Return the partitions whose last ``save`` is not stored yet."""

    def offer(self, partitions: Collection[str]) -> None:
        """Say which partitions may be read now, by this worker or another."""

    def term(self, partition: str) -> int | None:
        """Return since when this worker may read *partition* and move its checkpoint.

        A number that changes when it lost the partition and got it again; None while it may
        not.

        Raises:
            StateError: Nobody knows at the moment, or ever again; the text tells.
        """

    def wanted(self, partition: str) -> bool:
        """Say whether another worker waits for *partition* to be given back."""

    def give_back(self, partition: str) -> None:
        """Let another worker have *partition*, with the checkpoint that was saved last."""

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


class OneWorker:
    """What ``CheckpointStore`` asks for and one worker alone needs not do."""

    shared = False
    revision = 0
    awaiting = False

    def unstored(self) -> Collection[str]:
        """Return nothing: what is saved is stored."""
        return ()

    def offer(self, partitions: Collection[str]) -> None:
        """Need no offer: there is nobody else."""

    def term(self, partition: str) -> int | None:  # noqa: ARG002 - all the same
        """Hold every partition, for ever."""
        return 0

    def wanted(self, partition: str) -> bool:  # noqa: ARG002 - all the same
        """Know nobody who wants one."""
        return False

    def give_back(self, partition: str) -> None:
        """Keep it: there is nobody else."""


@dataclass
class MemoryCheckpoints(OneWorker):
    """Checkpoints that end with the process."""

    held: dict[str, Checkpoint] = field(default_factory=dict[str, Checkpoint])

    def add(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        """Keep those of *checkpoints* that are new."""
        self.save({key: value for key, value in checkpoints.items() if key not in self.held})

    def load(self, partition: str) -> Checkpoint | None:
        """Return the checkpoint of *partition*."""
        return self.held.get(partition)

    def save(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        """Keep all of *checkpoints*."""
        for partition, checkpoint in checkpoints.items():
            _forbid_moving_back(partition, self.held.get(partition), checkpoint)
        self.held.update(checkpoints)

    def partitions(self) -> tuple[str, ...]:
        """Return the partitions in the order in which they came."""
        return tuple(self.held)

    def close(self) -> None:
        """Do nothing."""


_SCHEMA = Schema(
    noun="a checkpoint file",
    application_id=0x43464543,  # "CFEC"
    version=2,
    tables=(
        """
        CREATE TABLE checkpoints (
            partition TEXT PRIMARY KEY,
            position TEXT NOT NULL,
            time REAL,
            finished INTEGER NOT NULL,
            sum INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
    ),
    remedy="to begin where the option 'start' says",
)
_SAVE = "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?)"
_ALL = "SELECT partition, position, time, finished, sum FROM checkpoints"
_LOAD = "SELECT position, time, finished FROM checkpoints WHERE partition = ?"
_PARTITIONS = "SELECT partition FROM checkpoints ORDER BY partition"


class SqliteCheckpoints(OneWorker):
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
        try:
            self._examine()
        except BaseException:
            self._file.close()
            raise

    def load(self, partition: str) -> Checkpoint | None:
        """Return the checkpoint of *partition*."""
        for position, time, finished in self._rows(_LOAD, partition):
            return Checkpoint(position, time, bool(finished))
        return None

    def add(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        """Store those of *checkpoints* that are new, in one transaction."""
        self.save({key: value for key, value in checkpoints.items() if self.load(key) is None})

    def save(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        """Store all of *checkpoints* in one transaction."""
        for partition, checkpoint in checkpoints.items():
            _forbid_moving_back(partition, self.load(partition), checkpoint)
        rows = [
            (
                partition,
                checkpoint.position,
                checkpoint.time,
                int(checkpoint.finished),
                _sum(partition, checkpoint),
            )
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

    def _examine(self) -> None:
        """Compare every checkpoint with its sum: SQLite does not notice another digit.

        Raises:
            StateError: One is not as it was written.
        """
        for partition, position, time, finished, stored in self._rows(_ALL):
            if stored != _sum(partition, Checkpoint(position, time, bool(finished))):
                problem = f"is damaged: the checkpoint of {partition!r} is not as it was written"
                raise refusal(self.path, _SCHEMA, problem)

    def _rows(self, query: str, *values: str) -> list[Any]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StateError(f"{self.path}: cannot be read: {error}") from error


def _sum(partition: str, checkpoint: Checkpoint) -> int:
    time = None if checkpoint.time is None else float(checkpoint.time)
    written = f"{partition}\0{checkpoint.position}\0{time!r}\0{checkpoint.finished:d}"
    return crc32(written.encode("utf-8", "surrogatepass"))


def _forbid_moving_back(partition: str, old: Checkpoint | None, new: Checkpoint) -> None:
    if old is not None and moves_back(old, new):
        raise StateError(
            f"{partition}: checkpoint {old.position} must not go back to {new.position} "
            "(a defect: please report it)"
        )
