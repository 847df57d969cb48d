from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs.errors import SourceError, StateError
from cloudfront_ecs.sources.s3.settled import SettledObjects

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "settled.sqlite3"


def test_what_is_stored_is_there_again(path: Path) -> None:
    with closing(SettledObjects(path, "logs")) as settled:
        settled.add("b", "e1")
        settled.add("ü", "e2")
        settled.store()

    with closing(SettledObjects(path, "logs")) as settled:
        assert settled.between("", None) == {"b": "e1", "ü": "e2"}
        assert settled.between("a", "b") == {"b": "e1"}
        assert settled.between("b", None) == {"ü": "e2"}
    with closing(SettledObjects(path, "other")) as settled:
        assert settled.between("", None) == {}


def test_forgotten_keys_are_gone(path: Path) -> None:
    with closing(SettledObjects(path, "logs")) as settled:
        settled.add("a", "e1")
        settled.add("b", "e1")
        settled.store()
        settled.forget(["a"])

        assert settled.between("", None) == {"b": "e1"}


def test_without_a_path_it_lasts_one_run() -> None:
    with closing(SettledObjects(None, "logs")) as settled:
        settled.add("a", "e1")
        settled.store()

        assert settled.between("", None) == {"a": "e1"}


def test_a_second_opening_is_refused_until_the_first_ends(path: Path) -> None:
    with closing(SettledObjects(path, "logs")), pytest.raises(StateError, match="in use"):
        SettledObjects(path, "logs")

    SettledObjects(path, "logs").close()


def test_a_killed_process_leaves_what_it_stored_and_no_lock(path: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from cloudfront_ecs.sources.s3.settled import SettledObjects
settled = SettledObjects(Path(sys.argv[1]), "logs")
settled.add("a", "e1")
settled.store()
settled.add("b", "not stored")
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script, path], check=False)

    with closing(SettledObjects(path, "logs")) as settled:
        assert settled.between("", None) == {"a": "e1"}


def test_a_file_of_length_zero_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.touch()

    with pytest.raises(StateError, match="is not a listing record"):
        SettledObjects(path, "logs")


def test_a_damaged_file_is_refused(path: Path) -> None:
    with closing(SettledObjects(path, "logs")) as settled:
        for number in range(3000):
            settled.add(f"key-{number}", "e1")
        settled.store()
    content = bytearray(path.read_bytes())
    content[8192:40960] = b"\xff" * 32768
    path.write_bytes(content)

    with pytest.raises(StateError, match=r"settled\.sqlite3: is damaged"):
        SettledObjects(path, "logs")


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"something else " * 1000)

    with pytest.raises(StateError, match="is damaged"):
        SettledObjects(path, "logs")


@pytest.mark.parametrize(
    ("pragma", "problem"),
    [
        pytest.param("user_version = 3", "has format 3.*run the newer version", id="newer"),
        pytest.param("user_version = 1", "has format 1.*run the older version", id="older"),
        pytest.param("application_id = 7", "is not a listing record", id="foreign"),
    ],
)
def test_another_kind_of_file_is_refused(path: Path, pragma: str, problem: str) -> None:
    SettledObjects(path, "logs").close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA {pragma}")

    with pytest.raises(StateError, match=problem):
        SettledObjects(path, "logs")


def test_what_cannot_be_written_now_is_kept_for_later(path: Path) -> None:
    with closing(SettledObjects(path, "logs")) as settled:
        settled._connection.execute("PRAGMA max_page_count = 2")  # as on a full disk
        for number in range(500):
            settled.add(f"key-{number}", "e1")

        with pytest.raises(SourceError, match="full"):
            settled.store()
        settled._connection.execute("PRAGMA max_page_count = 1000")
        settled.store()

        assert len(settled.between("", None)) == 500
