"""The runner: starts the program as users do, kills it at random moments and starts it again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudfront_ecs.pipeline import MOST_IN_FLIGHT
from faults.judge import (
    Verdict,
    judge_equation,
    judge_letters,
    judge_receiver,
    judge_search,
)
from faults.routes import SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from faults.routes import Route
    from servers.forward import ForwardServer
    from servers.search_node import SearchNode

BATCH = 200
SINKS = 2
PATIENCE = 60.0
PORTION = 2800
_SPAN = 10
"""Batches written, at most about, between the first sign of work and a kill."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a process is tormented.

    Attributes:
        kills: How often it is killed.
        seed: Decides when.
        portion: Lines issued for each start, more than a process can finish before its end.
        early: Of this many kills one hits a process that starts or reads for the first time.
    """

    kills: int
    seed: int
    portion: int = PORTION
    early: int = 7


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill.

    Attributes:
        early: It was timed from the start of the process, not from its first sign of work.
        delay: After how many seconds.
        wrote: The receiver got something from the killed process.
        unfinished: Something was left to do.
    """

    early: bool
    delay: float
    wrote: bool
    unfinished: bool

    @property
    def hit(self) -> bool:
        """Whether it hit a process at work."""
        return self.wrote and self.unfinished


@dataclass(slots=True)
class Report:
    """What happened and what was found."""

    verdict: Verdict
    kills: list[Kill] = field(default_factory=list[Kill])
    first: float = 0.0
    a_batch: float = 0.0
    seconds: float = 0.0

    @property
    def hits(self) -> int:
        """How many kills hit a process at work."""
        return sum(kill.hit for kill in self.kills)

    def table(self) -> str:
        """Return all figures, one a line."""
        verdict = self.verdict
        delays = [kill.delay for kill in self.kills if not kill.early]
        span = f"{min(delays):.2f} to {max(delays):.2f} s" if delays else "-"
        rows = {
            "kills": f"{len(self.kills)}, {sum(kill.early for kill in self.kills)} of them early",
            "hit a process at work": self.hits,
            "first sign of work": f"{self.first:.2f} s after a start, then a batch each "
            f"{self.a_batch:.3f} s",
            "killed after that": span,
            "lines issued": verdict.issued,
            "documents stored": verdict.stored,
            "entries received": verdict.received,
            "  of them again": f"{verdict.repeated} "
            f"({verdict.repeated / max(1, len(self.kills)):.0f} a kill)",
            "dead letters": f"{verdict.letters}, {verdict.letters_repeated} of them again",
            "misses": len(verdict.misses),
            "seconds": f"{self.seconds:.0f}",
        }
        lines = [f"{name:<24}{value}" for name, value in rows.items()]
        return "\n".join([*lines, *verdict.misses])


class Worker:
    """The program, again and again, each time in a process group of its own."""

    def __init__(self, route: Route, folder: Path, node: SearchNode, port: int, name: str) -> None:
        self.state = folder / "state"
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True)
        self._config = folder / "cloudfront-ecs.toml"
        self._config.write_text(_config(route, self.state, node.url, port, name), "utf-8")
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

    def start(self, verb: str = "run", *options: str) -> None:
        """Start a process."""
        self._starts += 1
        command = [sys.executable, "-I", "-m", "cloudfront_ecs", verb, "--config"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, str(self._config), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self._environment),
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill the process with all it started, where there is one."""
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def running(self) -> bool:
        """Say whether the process has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    def finish(self, verb: str = "run", *options: str, patience: float = 600.0) -> tuple[int, str]:
        """Run a process to its end; return its exit code and what it said."""
        self.start(verb, *options)
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
        return self.logs / f"{self._starts:04d}.log"


class Torment:
    """One route, killed and started again until the plan is done."""

    def __init__(
        self,
        route: Route,
        folder: Path,
        node: SearchNode,
        receiver: ForwardServer,
        plan: Plan,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._route = route
        self._node = node
        self._receiver = receiver
        self._plan = plan
        self._tell = tell
        self._dice = random.Random(plan.seed)
        self._name = f"faults{self._dice.getrandbits(48):012x}{time.time_ns():x}"
        self._worker = Worker(route, folder, node, receiver.port, self._name)
        self._report = Report(Verdict())
        self._a_batch = 0.1

    def run(self) -> Report:
        """Do all of it, and judge."""
        began = time.monotonic()
        try:
            self._undisturbed()
            for number in range(self._plan.kills):
                if number and number % max(1, self._plan.kills // 4) == 0:
                    self._route.change()
                self._round(early=number % self._plan.early == self._plan.early - 1)
            code, said = self._worker.finish("run", "--once")
        finally:
            self._worker.kill()
        self._quiet()
        self._judge(code, said)
        self._report.seconds = time.monotonic() - began
        return self._report

    def _undisturbed(self) -> None:
        """Prepare the search node, then measure a run that nobody kills."""
        code, said = self._worker.finish("setup")
        if code:
            raise RuntimeError(f"setup ended with {code}: {said}")
        self._route.issue(self._plan.portion)
        began = time.monotonic()
        self._worker.start("run", "--once")
        if not self._sign_of_work(0):
            raise RuntimeError(f"the first run wrote nothing: {self._worker.said()}")
        self._report.first = time.monotonic() - began
        arrivals = [(self._report.first, self._receiver.count())]
        while self._worker.running():
            if (count := self._receiver.count()) > arrivals[-1][1]:
                arrivals.append((time.monotonic() - began, count))
            time.sleep(0.005)
        # The first half is slower: everything is done for the first time.
        (middle, some), (end, everything) = arrivals[len(arrivals) // 2], arrivals[-1]
        self._a_batch = (end - middle) / max(1.0, (everything - some) / BATCH)
        self._report.a_batch = self._a_batch
        self._balanced(self._worker.said())
        self._worker.kill()

    def _round(self, *, early: bool) -> None:
        """Start a process, kill it, and note what it was doing."""
        half, taken = self._plan.portion // 2, 0
        self._route.issue(half)
        before = self._size()
        began = time.monotonic()
        self._worker.start()
        if early:
            delay = self._dice.uniform(0.1, 1.1) * self._report.first
        else:
            delay = self._dice.uniform(0.0, _SPAN) * self._a_batch
        self._route.issue(self._plan.portion - half)
        if early or self._sign_of_work(before):
            taken = self._receiver.count()
            due = (began if early else time.monotonic()) + delay
            time.sleep(max(0.0, due - time.monotonic()))
        if not self._worker.running():
            self._report.verdict.miss("run", [f"ended by itself: {self._worker.said()[-500:]}"])
        self._worker.kill()
        self._quiet()
        wrote = self._size() > before
        if not early and delay:
            self._learn(delay, self._receiver.count() - taken)
        kill = Kill(early, delay, wrote, bool(self._route.left(self._worker.state)))
        self._report.kills.append(kill)
        self._tell(f"kill {len(self._report.kills)}: {kill}, {time.monotonic() - began:.1f} s")

    def _learn(self, delay: float, entries: int) -> None:
        """Follow the speed, which changes with what else the machine does."""
        latest = delay / max(1.0, entries / BATCH)
        self._a_batch = (self._a_batch + min(latest, 2 * self._a_batch)) / 2

    def _judge(self, code: int, said: str) -> None:
        report, oracle = self._report, self._route.oracle
        verdict = report.verdict
        verdict.issued = len(oracle.issued)
        kills = len(report.kills)
        target = f"logs-{self._route.dataset}-{self._name}"
        judge_search(verdict, oracle, self._node, target)
        in_flight = MOST_IN_FLIGHT * BATCH + self._route.payload
        judge_receiver(verdict, oracle, self._receiver.path, kills, in_flight)
        judge_letters(verdict, oracle, self._worker.state)
        verdict.miss("P4", self._route.left(self._worker.state))
        self._balanced(said)
        if code != (3 if "dead-lettered" in said else 0):
            verdict.miss("run", [f"the last run ended with {code}: {said[-500:]}"])
        verdict.miss("run", self._worker.complaints())

    def _balanced(self, said: str) -> None:
        judge_equation(self._report.verdict, said, SINKS)

    def _sign_of_work(self, before: int) -> bool:
        """Wait until the receiver has got something; say whether it has."""
        deadline = time.monotonic() + PATIENCE
        while self._size() == before:
            if time.monotonic() > deadline or not self._worker.running():
                return False
            time.sleep(0.002)
        return True

    def _quiet(self) -> None:
        """Wait until the receiver has reported all that killed processes sent."""
        size = -1
        while size != self._size():
            size = self._size()
            time.sleep(0.1)

    def _size(self) -> int:
        return self._receiver.path.stat().st_size


def _config(route: Route, state: Path, url: str, port: int, name: str) -> str:
    """Return a configuration that keeps each line beside its document."""
    return f"""\
[state]
directory = {json.dumps(str(state))}

{route.config}
[sinks.search]
kind = "elastic"
hosts = [{json.dumps(url)}]
namespace = {json.dumps(name)}

[sinks.receiver]
kind = "fluentd"
servers = ["127.0.0.1:{port}"]

[pipelines.faults]
source = {json.dumps(SOURCE)}
decoder = {route.decoder}
sinks = ["search", "receiver"]
original = true
batch = {{ documents = {BATCH}, seconds = 0.2 }}
"""
