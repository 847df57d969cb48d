from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from servers.packages import MavenZip, PackageCache, UnavailableError
from servers.process import HOST, Command, Process, ServerError, accepts, free_port

if TYPE_CHECKING:
    from pathlib import Path

SERVE = f"{sys.executable} -I -m http.server --bind {HOST} PORT"


def _serve(tmp_path: Path) -> tuple[int, Process]:
    port = free_port()
    argv = ("sh", "-c", f"{SERVE.replace('PORT', str(port))} & wait")
    log = tmp_path / "server.log"
    command = Command(name="server", argv=argv, log=log, ready=lambda: accepts(port))
    return port, Process(command)


def test_a_server_that_ends_at_start_shows_what_it_wrote(tmp_path: Path) -> None:
    argv = ("sh", "-c", "echo no room; exit 3")
    command = Command(name="full", argv=argv, log=tmp_path / "log", ready=lambda: False)

    with pytest.raises(ServerError, match=r"full: ended with 3 at start\nno room"):
        Process(command).start()


def test_a_server_that_never_answers_is_stopped(tmp_path: Path) -> None:
    command = Command(
        name="deaf",
        argv=("sleep", "60"),
        log=tmp_path / "log",
        ready=lambda: False,
        patience=0.3,
    )
    process = Process(command)

    with pytest.raises(ServerError, match=r"deaf: not ready after 0.3 s"):
        process.start()

    assert not process.running


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_children_of_a_server_end_with_it(tmp_path: Path, end: str) -> None:
    port, process = _serve(tmp_path)
    process.start()

    getattr(process, end)()

    assert not accepts(port)


def test_a_server_ends_when_the_tests_are_killed(tmp_path: Path) -> None:
    port = free_port()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    script = f"""
import os, sys, time
from pathlib import Path
sys.path[:0] = {sys.path!r}
from servers.process import Command, Process, accepts
Process(Command(
    name="server", argv={tuple(SERVE.replace("PORT", str(port)).split())!r},
    log=Path({str(tmp_path / "log")!r}), scratch=Path({str(scratch)!r}),
    ready=lambda: accepts({port}),
)).start()
os.kill(os.getpid(), {int(signal.SIGKILL)})
"""

    done = subprocess.run([sys.executable, "-c", script], check=False)
    deadline = time.monotonic() + 20
    while (accepts(port) or scratch.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert done.returncode == -signal.SIGKILL
    assert not accepts(port)
    assert not scratch.exists()


def test_an_interrupted_fetch_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://{HOST}:{free_port()}")
    said: list[str] = []
    cache = PackageCache(tmp_path / "cache", said.append)
    wanted = MavenZip("no.such.group", "thing", "1.0", "0" * 64)

    with pytest.raises(UnavailableError, match=r"jgo: ended with 1"):
        cache.maven_zip(wanted)

    assert [path.name for path in cache.folder.iterdir()] == ["thing-1.0.lock"]
    assert said == ["fetching thing-1.0.zip from Maven Central into cache/thing-1.0"]
