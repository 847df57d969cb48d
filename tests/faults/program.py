"""One process that delivers from a route to a scripted search node, and what is to be seen of it."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from faults.judge import Verdict, judge_documents, judge_letters
from integration.commands import Ended, Running, eventually, run, start
from monitoring.served import HOST, ask, components
from servers.process import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from faults.routes import Route
    from sinks.scripted_bulk import ScriptedBulk

BATCH = 100
_TICKS = os.sysconf("SC_CLK_TCK")


class Program:
    """A configuration, and processes that run it one after the other.

    Attributes:
        state: Its state directory.
        config: Its configuration file.
        port: Where it tells of its health.
    """

    def __init__(
        self,
        folder: Path,
        route: Route,
        bulk: ScriptedBulk,
        *,
        through: Callable[[str], str] = lambda text: text,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Write the configuration; *through* may change how the source is reached."""
        folder.mkdir(parents=True, exist_ok=True)
        self.state, self.port = folder / "state", free_port()
        self.config = folder / "cloudfront-ecs.toml"
        self._route, self._bulk = route, bulk
        self.environment = {name: through(text) for name, text in route.environment.items()}
        self.environment |= environment or {}
        self.config.write_text(
            f"""\
[state]
directory = {json.dumps(str(self.state))}

[metrics]
listen = "{HOST}:{self.port}"

{through(route.config)}
[sinks.search]
kind = "elastic"
hosts = [{json.dumps(bulk.url)}]

[pipelines.faults]
source = "logs"
decoder = {route.decoder}
sinks = ["search"]
original = true
batch = {{ documents = {BATCH}, seconds = 0.2 }}
""",
            "utf-8",
        )

    @contextmanager
    def running(self, *options: str) -> Iterator[Process]:
        """Run as a service; the process is killed if it has not ended."""
        process = Process(start("run", "--config", self.config, *options, env=self.environment))
        try:
            yield process
        finally:
            process.kill()
            process.forget()

    def finish(self) -> Ended:
        """Run until the source is drained."""
        return run("run", "--config", self.config, "--once", env=self.environment)

    def troubles(self) -> list[str]:
        """Return what its health names; nothing while nobody answers."""
        return components(self.port) if ask(self.port, "/healthz")[0] else []

    def await_troubles(self, expected: list[str], patience: float = 30.0) -> float:
        """Wait until health names exactly *expected*; return after how many seconds."""
        began = time.monotonic()
        eventually(lambda: bool(ask(self.port, "/healthz")[0]), patience)
        eventually(lambda: self.troubles() == expected, patience)
        return time.monotonic() - began

    def judge(self) -> Verdict:
        """Judge what the search node and the dead letters hold after the last run."""
        verdict, oracle = Verdict(), self._route.oracle
        found = judge_documents(verdict, oracle, "search", iter(self._bulk.stored.values()))
        twice = (f"line {serial} is there {n} times" for serial, n in found.items() if n > 1)
        verdict.miss("P3", twice)
        judge_letters(verdict, oracle, self.state)
        verdict.miss("P4", self._route.left(self.state))
        return verdict

    def judged(self) -> str:
        """Finish the work, and say what was delivered; nothing may be missing or wrong."""
        ended = self.finish()
        assert ended.code in (0, 3), f"the last run ended with {ended.code}: {ended.err[-500:]}"
        assert "Traceback" not in ended.err, ended.err[-1000:]
        verdict = self.judge()
        assert not verdict.misses, "\n".join(verdict.misses)
        repeated = len(self._bulk.arrivals) - len(self._bulk.stored)
        return f"{len(self._route.oracle.issued)} lines, none missing, {repeated} offered twice"


class Process:
    """A process under way."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self.pid = running.process.pid

    def alive(self) -> bool:
        """Say whether it has not ended."""
        return self._running.process.poll() is None

    def until(self, what: Callable[[], bool], patience: float = 60.0) -> None:
        """Wait until *what* holds, while the process lives."""

        def so() -> bool:
            assert self.alive(), f"it has ended: {self._running.said()[-500:]}"
            return what()

        eventually(so, patience)

    def terminate(self) -> float:
        """Send SIGTERM; return when, on the monotonic clock."""
        self._running.process.send_signal(signal.SIGTERM)
        return time.monotonic()

    def ended(self, patience: float = 60.0) -> tuple[int, str]:
        """Wait for its end; return its exit code and what it said."""
        ended = self._running.wait(patience)
        assert "Traceback" not in ended.err, ended.err[-1000:]
        return ended.code, ended.err

    def stopped(self, most: float) -> float:
        """Have it stop, with code 0 within *most* seconds; return how many it took."""
        asked = self.terminate()
        code, said = self.ended()
        took = time.monotonic() - asked
        assert code == 0, f"it ended with {code}: {said[-500:]}"
        assert took < most, f"stopping took {took:.1f} s, {most:g} s are allowed"
        return took

    def kill(self) -> None:
        """Kill it, if it has not ended."""
        if self.alive():
            self._running.process.kill()
            self._running.process.wait()

    def forget(self) -> None:
        """Close the files with what it said."""
        self._running.close()

    def said(self) -> str:
        """Return what it has said so far."""
        return self._running.said()

    def cpu(self) -> float:
        """Return the seconds of CPU it has used."""
        stat = Path(f"/proc/{self.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / _TICKS

    def memory(self) -> float:
        """Return the MiB it holds."""
        status = Path(f"/proc/{self.pid}/status").read_text("ascii")
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
        return int(line.split()[1]) / 1024

    def fill_disk(self, room: int) -> None:
        """Let no file of it grow beyond *room* bytes: a write there fails as on a full disk."""
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))

    def empty_disk(self) -> None:
        """Let its files grow again."""
        endless = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, endless)
