"""The real command, run as users run it: in a process of its own, with a configuration file."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COMMAND = (sys.executable, "-m", "cloudfront_ecs")
PATIENCE = 120.0

_PIPELINE = re.compile(r"pipeline (?P<name>\S+): (?P<read>\d+) records in ")
_EQUATION = re.compile(r"  (?P<sink>\S+): (?P<read>\d+) read = (?P<ends>.*)")
_END = re.compile(r"(?P<count>\d+) (?P<end>[a-z -]+)")


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def run(*arguments: object, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Ended:
    """Run ``cloudfront-ecs`` to its end."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env={**os.environ, **(env or {})},
        timeout=PATIENCE,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


@dataclass(slots=True)
class Running:
    """A command that runs beside the test."""

    process: subprocess.Popen[bytes]
    _out: IO[bytes]
    _err: IO[bytes]

    def peak_mb(self) -> float:
        """Return the most memory it has held so far, or 0 when it has ended.

        Not ``ru_maxrss``: that begins with what the test process held when it started it.
        """
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text("utf-8")
        except OSError:
            return 0.0
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else 0.0

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self, patience: float = PATIENCE) -> Ended:
        """Wait for its end."""
        try:
            self.process.wait(patience)
        finally:
            self.process.kill()
            self.process.wait()
        texts = []
        for file in (self._out, self._err):
            file.seek(0)
            texts.append(file.read().decode())
            file.close()
        return Ended(self.process.returncode, *texts)

    def close(self) -> None:
        """Close the files.  Safe to call twice, and after ``wait``."""
        self._out.close()
        self._err.close()

    def said(self) -> str:
        """Return what it has written to standard error so far."""
        return os.pread(self._err.fileno(), 1_000_000, 0).decode()


def start(*arguments: object, env: Mapping[str, str] | None = None, out: Any = None) -> Running:
    """Start ``cloudfront-ecs``; what it writes goes to files, so it never waits for us."""
    # Closed by ``wait``.
    files = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=out or files[0],
        stderr=files[1],
        env={**os.environ, **(env or {})},
    )
    return Running(process, *files)


def equations(err: str) -> dict[str, dict[str, dict[str, int]]]:
    """Return what the end of a run tells: ``{pipeline: {sink: {"read": 3, "stored": 3}}}``.

    Every equation must balance and none may admit to a difference.
    """
    assert "UNACCOUNTED" not in err, err
    found: dict[str, dict[str, dict[str, int]]] = {}
    pipeline = ""
    for line in err.splitlines():
        if match := _PIPELINE.match(line):
            pipeline = match["name"]
            found[pipeline] = {}
        elif match := _EQUATION.match(line):
            ends = {end["end"].strip(): int(end["count"]) for end in _END.finditer(match["ends"])}
            assert int(match["read"]) == sum(ends.values()), line
            found[pipeline][match["sink"]] = {
                "read": int(match["read"]),
                **{end: count for end, count in ends.items() if count},
            }
    return found


def json_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of an NDJSON file, all of which are whole."""
    text = path.read_text("utf-8") if path.exists() else ""
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def dead_letters(state: Path) -> list[dict[str, Any]]:
    """Return all dead letters below a state directory."""
    paths = sorted((state / "dead_letters").glob("*.ndjson"))
    return [letter for path in paths for letter in json_lines(path)]


def eventually(what: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Return once *what* holds."""
    deadline = time.monotonic() + patience
    while not what():
        if time.monotonic() > deadline:
            raise AssertionError(f"not so after {patience:g} s")
        time.sleep(0.1)
