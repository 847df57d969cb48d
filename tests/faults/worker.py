"""The program under test, started as users start it, again and again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cloudfront_ecs.failpoints import VARIABLE
from faults.routes import SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faults.routes import Route

BATCH = 100
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


class Worker:
    """One configuration, run by one process after the other, each in a group of its own."""

    def __init__(self, route: Route, folder: Path, url: str, port: int, name: str) -> None:
        """Keep everything in *folder*; write to a search node at *url* and a receiver at *port*."""
        self.state = folder / "state"
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True)
        self._config = folder / "cloudfront-ecs.toml"
        self._config.write_text(_config(route, self.state, url, port, name), "utf-8")
        bare = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ}
        self._environment: Mapping[str, str] = {
            **bare,
            **route.environment,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "LANG": "C.UTF-8",
        }
        self._starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.largest = 0
        """The most memory any process has held, MiB, as far as it was looked at."""

    def start(self, verb: str = "run", *options: str, failpoint: str = "") -> None:
        """Start a process, which a failpoint may end."""
        self._starts += 1
        command = [sys.executable, "-I", "-m", "cloudfront_ecs", verb, "--config"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, str(self._config), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**self._environment, VARIABLE: failpoint},
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill the process with all it started, where there is one."""
        self.look()
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def running(self) -> bool:
        """Say whether the process has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    @property
    def code(self) -> int | None:
        """How the process ended; None while it runs."""
        return self._process.poll() if self._process is not None else None

    def look(self) -> None:
        """Note how much memory the process has held at most."""
        if self._process is None:
            return
        with suppress(OSError):
            told = _PEAK.search(Path(f"/proc/{self._process.pid}/status").read_text("ascii"))
            if told is not None:
                self.largest = max(self.largest, int(told[1]) // 1024)

    def finish(self, verb: str, *options: str, patience: float = 300.0) -> tuple[int, str]:
        """Run a process to its end; return its exit code and what it said."""
        self.start(verb, *options)
        return self.wait(patience)

    def wait(self, patience: float) -> tuple[int, str]:
        """Wait for the process to end; return its exit code and what it said."""
        assert self._process is not None
        try:
            code = self._process.wait(patience)
        except subprocess.TimeoutExpired:
            code = -1
        self.kill()
        return code, self.said()

    def said(self) -> str:
        """Return what the process of the last start has said."""
        return self._log.read_text("utf-8", errors="replace")

    def complaints(self) -> Iterator[str]:
        """Yield what any process said that tells of a defect."""
        for path in sorted(self.logs.glob("*.log")):
            for line in path.read_text("utf-8", errors="replace").splitlines():
                if " ERROR " in line or line.startswith("Traceback"):
                    yield f"{path.name}: {line}"

    @property
    def _log(self) -> Path:
        return self.logs / f"{self._starts:05d}.log"


def _config(route: Route, state: Path, url: str, port: int, name: str) -> str:
    """Return a configuration that keeps each line beside its document.

    The sinks cut every batch into several requests, so that a process can end between them.
    """
    return f"""\
[state]
directory = {json.dumps(str(state))}

{route.config}
[sinks.search]
kind = "elastic"
hosts = [{json.dumps(url)}]
namespace = {json.dumps(name)}
bulk_bytes = 65536

[sinks.receiver]
kind = "fluentd"
servers = ["127.0.0.1:{port}"]
chunk_bytes = 32768

[pipelines.faults]
source = {json.dumps(SOURCE)}
decoder = {route.decoder}
sinks = ["search", "receiver"]
original = true
batch = {{ documents = {BATCH}, seconds = 0.2 }}
"""
