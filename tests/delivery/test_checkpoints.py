from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.delivery.checkpoints.store import (
    Checkpoint,
    MemoryCheckpoints,
    SqliteCheckpoints,
    open_checkpoints,
)
from cloudfront_ecs.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path

    from cloudfront_ecs.delivery.checkpoints.store import CheckpointStore


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "checkpoints.sqlite3"


@pytest.mark.parametrize("state", [True, False], ids=["file", "memory"])
def test_what_was_saved_is_loaded(tmp_path: Path, state: bool) -> None:  # noqa: FBT001
    context = AdapterContext("edge", tmp_path if state else None)
    saved = {"a": Checkpoint("12", 1.5), "b": Checkpoint("7", finished=True)}

    store: CheckpointStore
    with closing(open_checkpoints(context)) as store:
        store.save(saved)
        loaded = {name: store.load(name) for name in store.partitions()}
        unknown = store.load("c")

    assert loaded == saved
    assert unknown is None


@pytest.mark.parametrize("state", [True, False], ids=["file", "memory"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(Checkpoint("10"), Checkpoint("9"), id="as-numbers"),
        pytest.param(Checkpoint("1" * 56), Checkpoint("9" * 55), id="long-numbers"),
        pytest.param(Checkpoint("1"), Checkpoint("@1700000000.000"), id="to-a-time"),
        pytest.param(Checkpoint("1", finished=True), Checkpoint("2"), id="behind-the-end"),
    ],
)
def test_a_checkpoint_never_moves_back(
    tmp_path: Path,
    state: bool,  # noqa: FBT001
    old: Checkpoint,
    new: Checkpoint,
) -> None:
    context = AdapterContext("edge", tmp_path if state else None)
    with closing(open_checkpoints(context)) as store:
        store.save({"a": old})
        with pytest.raises(StateError, match=f"checkpoint {old.position} must not go back"):
            store.save({"b": Checkpoint("1"), "a": new})

        assert store.load("a") == old
        assert store.load("b") is None


def test_adding_leaves_what_is_there(tmp_path: Path) -> None:
    with closing(open_checkpoints(AdapterContext("edge", tmp_path))) as store:
        store.save({"a": Checkpoint("5")})
        store.add({"a": Checkpoint("trim_horizon"), "b": Checkpoint("trim_horizon")})

        assert store.load("a") == Checkpoint("5")
        assert store.load("b") == Checkpoint("trim_horizon")


def test_a_reopened_file_has_the_newest_checkpoint(path: Path) -> None:
    with closing(SqliteCheckpoints(path)) as store:
        store.save({"a": Checkpoint("1")})
        store.save({"a": Checkpoint("2")})

    with closing(SqliteCheckpoints(path)) as store:
        assert store.load("a") == Checkpoint("2")


def test_names_of_adapters_never_leave_the_state_directory(tmp_path: Path) -> None:
    with closing(open_checkpoints(AdapterContext("../../edge", tmp_path / "state"))):
        pass

    assert {path.name for path in tmp_path.iterdir()} == {"state"}


def test_memory_is_used_without_a_state_directory() -> None:
    assert isinstance(open_checkpoints(AdapterContext("edge")), MemoryCheckpoints)


def test_closing_twice_is_safe(path: Path) -> None:
    store = SqliteCheckpoints(path)

    store.close()
    store.close()

    SqliteCheckpoints(path).close()


_SAVE_AND_WAIT = """
import sys, time
from pathlib import Path
from cloudfront_ecs.delivery.checkpoints.store import Checkpoint, SqliteCheckpoints
store = SqliteCheckpoints(Path(sys.argv[1]))
for number in range(200):
    store.save({"a": Checkpoint(str(number))})
print("saved", flush=True)
time.sleep(60)
"""


def test_a_second_process_is_kept_out_until_the_first_is_killed(path: Path) -> None:
    argv = [sys.executable, "-c", _SAVE_AND_WAIT, str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(StateError) as raised:
            SqliteCheckpoints(path)
        child.kill()

    with closing(SqliteCheckpoints(path)) as store:
        assert store.load("a") == Checkpoint("199")
    assert str(raised.value) == (
        f"{path}: in use by process {child.pid} "
        "(end that one first, or set another [state] directory)"
    )


def test_the_same_process_is_kept_out_as_well(path: Path) -> None:
    with closing(SqliteCheckpoints(path)), pytest.raises(StateError, match="in use"):
        SqliteCheckpoints(path)


def _scramble(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:4200] = b"\xff" * 104
    path.write_bytes(content)


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 3")


def _another_digit(path: Path) -> None:
    content = path.read_bytes()
    assert content.count(b"4711") == 1
    path.write_bytes(content.replace(b"4711", b"4712"))


def _another_end(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE checkpoints SET finished = 1")
        connection.commit()


def _foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE checkpoints (partition TEXT, position TEXT)")


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        pytest.param(lambda path: path.write_bytes(b""), "is not a checkpoint file", id="empty"),
        pytest.param(lambda path: path.write_bytes(b"{}" * 999), "is damaged", id="other-bytes"),
        pytest.param(_scramble, "is damaged", id="flipped-bytes"),
        pytest.param(_another_digit, "checkpoint of 'a' is not as it was", id="another-digit"),
        pytest.param(_another_end, "checkpoint of 'a' is not as it was", id="another-end"),
        pytest.param(_foreign, "is not a checkpoint file", id="foreign-database"),
        pytest.param(_newer, "has format 3, this version knows 2", id="newer"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused(path: Path, spoil: object, problem: str) -> None:
    with closing(SqliteCheckpoints(path)) as store:
        store.save({"a": Checkpoint("4711")})
    assert callable(spoil)
    spoil(path)
    before = path.read_bytes()

    with pytest.raises(StateError, match=problem) as raised:
        SqliteCheckpoints(path)

    assert str(path) in str(raised.value)
    assert path.read_bytes() == before
    with pytest.raises(StateError, match=problem):  # and not: in use
        SqliteCheckpoints(path)


def test_a_creation_that_was_cut_off_starts_again(path: Path) -> None:
    path.parent.mkdir()
    path.with_name(f"{path.name}.partial").write_bytes(b"half")

    with closing(SqliteCheckpoints(path)) as store:
        assert store.partitions() == ()


def test_a_place_that_is_no_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").touch()

    with pytest.raises(StateError, match="cannot be opened"):
        SqliteCheckpoints(tmp_path / "state" / "file")


def test_a_full_disk_keeps_the_old_checkpoints(path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(SqliteCheckpoints(path)) as store:
        store.save({"a": Checkpoint("1"), "b": Checkpoint("1")})
        size = path.with_name(f"{path.name}-wal").stat().st_size
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
            with pytest.raises(StateError, match="cannot be written"):
                store.save({"a": Checkpoint("2"), "b": Checkpoint("2")})
            kept = store.load("a"), store.load("b")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        store.save({"b": Checkpoint("3")})

    with closing(SqliteCheckpoints(path)) as store:
        assert (store.load("a"), store.load("b")) == (Checkpoint("1"), Checkpoint("3"))
    assert kept == (Checkpoint("1"), Checkpoint("1"))
