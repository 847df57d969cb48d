"""Child processes that answer on a port of 127.0.0.1: start, wait until ready, stop always."""

from __future__ import annotations

import atexit
import contextlib
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HOST = "127.0.0.1"
KEEPER = Path(__file__).with_name("keeper.py")

# Below the range from which systems number outgoing connections: a port that is free between a
# stop and the next start must not be taken by a client, least of all by one that retries and so
# connects to itself.
PORTS = range(12_000, 30_000)

_given: set[int] = set()


class ServerError(Exception):
    """A server did not start, with the end of its log in the message."""


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on and that was not given before."""
    for port in random.sample(PORTS, 500):
        if port in _given:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            _given.add(port)
            return port
    raise ServerError(f"{HOST}: no free port between {PORTS.start} and {PORTS.stop}")


def http_status(port: int, path: str = "/") -> int | None:
    """Return the status with which *port* answers a GET, or ``None`` without an answer."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", path)
        with connection.getresponse() as response:
            return response.status
    return None


def accepts(port: int) -> bool:
    """Tell whether *port* takes a TCP connection."""
    try:
        socket.create_connection((HOST, port), timeout=5).close()
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run, and how to see that it is ready.

    Attributes:
        log: Where standard output and error are appended.
        ready: Asked again and again until it says yes.
        env: Added to a bare environment; nothing of the developer's own slips in.
        user: The account to run as, when started by root.
        scratch: A folder to delete if the tests are killed and cannot do so.
        patience: Seconds until a start counts as failed.
        grace: Seconds between SIGTERM and SIGKILL.
    """

    name: str
    argv: tuple[str | Path, ...]
    log: Path
    ready: Callable[[], bool]
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    cwd: Path | None = None
    user: str = ""
    scratch: Path | None = None
    patience: float = 120.0
    grace: float = 20.0


class Process:
    """One server in a process group of its own.  May be started and stopped many times."""

    def __init__(self, command: Command) -> None:
        """Prepare *command* without starting it."""
        self.command = command
        self._keeper: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the command has been started and has not ended."""
        return self._keeper is not None and self._keeper.poll() is None

    def start(self) -> None:
        """Start the command and return once it is ready.

        Raises:
            ServerError: The command ended or was not ready in time.
        """
        if self.running:
            raise ServerError(f"{self.command.name}: already running")
        command = self.command
        bare = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ}
        keeper = (sys.executable, "-I", "-S", KEEPER, command.user, command.scratch or "")
        with command.log.open("ab") as log:
            self._keeper = subprocess.Popen(
                [*keeper, *command.argv],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**bare, "LANG": "C.UTF-8", **command.env},
                cwd=command.cwd,
                start_new_session=True,
            )
        atexit.register(self.kill)
        try:
            self._wait_until_ready(self._keeper)
        except BaseException:
            self.kill()
            raise

    def _wait_until_ready(self, keeper: subprocess.Popen[bytes]) -> None:
        command = self.command
        deadline = time.monotonic() + command.patience
        while time.monotonic() < deadline:
            if (code := keeper.poll()) is not None:
                raise ServerError(f"{command.name}: ended with {code} at start\n{self.log_tail()}")
            if command.ready():
                return
            time.sleep(0.05)
        raise ServerError(
            f"{command.name}: not ready after {command.patience:g} s\n{self.log_tail()}"
        )

    def signal(self, number: int) -> None:
        """Send a signal to the whole group; SIGSTOP and SIGCONT make a server hang."""
        if self._keeper is not None and self._keeper.poll() is None:
            os.killpg(self._keeper.pid, number)

    def stop(self) -> None:
        """Ask the server to end and kill it if it does not.  Safe to call twice."""
        if self._keeper is None:
            return
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(self.command.grace)
        self.kill()

    def kill(self) -> None:
        """End the server at once, as kill -9 does.  Safe to call twice."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        _end_group(keeper)
        if keeper.stdin is not None:
            keeper.stdin.close()
        atexit.unregister(self.kill)

    def restart(self) -> None:
        """Stop the server and start it again, on the same port."""
        self.stop()
        self.start()

    def log_tail(self, lines: int = 30) -> str:
        """Return the end of what the server wrote."""
        if not self.command.log.exists():
            return "(no log)"
        text = self.command.log.read_text("utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:]) or "(empty log)"


def _end_group(keeper: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a process group and return once its ports are free.

    The end of the keeper alone does not say so: what it ran dies a moment later.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(keeper.pid, signal.SIGKILL)
    keeper.wait()
    deadline = time.monotonic() + 10.0
    while _lives(keeper.pid) and time.monotonic() < deadline:
        time.sleep(0.005)


def _lives(group: int) -> bool:
    """Tell whether anything in a process group still holds on to its ports.

    A process that is dead but not buried stays in its group, so asking for the group is not enough.
    """
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, owner, *rest = path.read_text("utf-8").rpartition(")")[2].split()
            dead = state in "ZX" and int(rest[14]) <= 1
            if int(owner) == group and not dead:
                return True
    return False
