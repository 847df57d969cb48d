"""The runner: kills the program again and again, at failpoints and at random, and judges."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudfront_ecs.pipeline import MOST_IN_FLIGHT
from faults.arrivals import Arrivals
from faults.judge import (
    FRESH,
    MEMORY,
    judge_emptiness,
    judge_equation,
    judge_letters,
    judge_receiver,
    judge_search,
)
from faults.report import Kill, Report
from faults.worker import BATCH, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faults.routes import Route
    from servers.forward import ForwardServer
    from servers.search_node import SearchNode

SINKS = 2
PORTION = 1200
TRIES = 4
"""How often a process is started that is to end at a failpoint, until it does."""

_MOST_FAILURES = 5
_PATIENCE = 30.0
_SPAN = 8
"""Batches written, at most, between the first document and a kill."""
_CHANGES = 4
_FIRST = "checkpoint_unsynced"
"""The failpoint that is reached only while there is no store yet."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How processes are tormented.

    Attributes:
        kills: How often one is killed at random.
        each: How often one is killed at each failpoint.
        seed: Decides when.
        minutes: Go on killing at random until so much time has passed.
        portion: Lines that wait for each start, more than a process can finish before its end.
        early: Of this many random kills one hits a process that starts or reads for the first
            time.
    """

    kills: int = 200
    each: int = 3
    seed: int = 1
    minutes: float = 0.0
    portion: int = PORTION
    early: int = 7


class Torment:
    """One route, on which processes are killed and started until the plan is done."""

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
        self._target = f"logs-{route.dataset}-{self._name}"
        self._worker = Worker(route, folder, node.url, receiver.port, self._name)
        self._arrivals = Arrivals(receiver.path)
        self._report = Report(route.name, route.absent)
        self._began = time.monotonic()
        self._failures = 0
        self._first = 1.0
        self._a_batch = 0.1

    def run(self) -> Report:
        """Do all of it, and judge."""
        try:
            self._prepare()
            self._unsynced()
            self._undisturbed()
            rounds = list(self._rounds())
            for number, place in enumerate(rounds):
                if number and number % max(1, len(rounds) // _CHANGES) == 0:
                    self._route.change(self._worker.state)
                self._round(place)
            while time.monotonic() - self._began < self._plan.minutes * 60:
                self._round("work" if self._dice.randrange(self._plan.early) else "early")
            code, said = self._last_run()
        finally:
            self._worker.kill()
        self._judge(code, said)
        self._node.call("DELETE", f"/_data_stream/{self._target}")
        self._report.seconds = time.monotonic() - self._began
        return self._report

    def _rounds(self) -> Iterator[str]:
        """Yield where processes are killed, in an order that chance makes."""
        places = [name for name in self._route.failpoints if name != _FIRST] * self._plan.each
        early = self._plan.kills // self._plan.early
        places += ["early"] * early + ["work"] * (self._plan.kills - early)
        self._dice.shuffle(places)
        return iter(places)

    def _prepare(self) -> None:
        code, said = self._worker.finish("setup")
        if code:
            raise RuntimeError(f"setup ended with {code}: {said}")

    def _unsynced(self) -> None:
        """Kill processes that make their store; nothing has been read by then."""
        if _FIRST not in self._route.failpoints:
            return
        for _ in range(self._plan.each):
            began = time.monotonic()
            self._worker.start(failpoint=_FIRST)
            self._await_end(_PATIENCE)
            self._note(_FIRST, began, taken=0, resumed=None)
            for path in self._worker.state.glob("*.sqlite3*"):
                path.unlink()

    def _undisturbed(self) -> None:
        """Measure a run that nobody kills."""
        self._route.issue(self._plan.portion)
        began = time.monotonic()
        self._worker.start("run", "--once")
        if self._first_document(began) is None:
            raise RuntimeError(f"the first run wrote nothing: {self._worker.said()}")
        self._first = time.monotonic() - began
        moments = [(self._first, self._arrivals.count)]
        while self._worker.running():
            if self._arrivals.look():
                moments.append((time.monotonic() - began, self._arrivals.count))
            time.sleep(0.005)
        # The first half is slower: everything is done for the first time.
        (middle, some), (end, everything) = moments[len(moments) // 2], moments[-1]
        self._a_batch = (end - middle) / max(1.0, (everything - some) / BATCH)
        judge_equation(self._report.verdict, self._worker.said(), SINKS)
        self._worker.kill()

    def _round(self, place: str) -> None:
        """Start a process, kill it, and note what it was doing.

        While it starts, the lines it is to read are put and those of the last one counted.
        """
        if place in ("early", "work"):
            self._random_round(place)
            return
        for _ in range(TRIES):
            if self._failpoint_round(place):
                return
        self._report.verdict.miss("run", [f"{place} was not reached in {TRIES} starts"])

    def _random_round(self, place: str) -> None:
        began = time.monotonic()
        self._worker.start()
        taken = self._issue()
        resumed = None
        if place == "early":
            due = began + self._dice.uniform(0.1, 1.1) * self._first
            time.sleep(max(0.0, due - time.monotonic()))
        else:
            resumed = self._first_document(began)
            self._write_some()
        if not self._worker.running():
            self._ended_by_itself()
        self._worker.kill()
        self._note(place, began, taken, resumed)

    def _write_some(self) -> None:
        """Let the process write some batches, and a bit of time pass in the next one."""
        began, before = time.monotonic(), self._arrivals.count
        batches = self._dice.uniform(0.0, _SPAN)
        moment = self._dice.random()
        while self._arrivals.count - before < batches * BATCH and self._worker.running():
            if time.monotonic() - began > _PATIENCE:
                return
            self._arrivals.look()
            time.sleep(0.005)
        if batches > 1.0:
            a_batch = (time.monotonic() - began) / batches
            self._a_batch = (self._a_batch + min(a_batch, 2 * self._a_batch)) / 2
        time.sleep(moment * self._a_batch)

    def _failpoint_round(self, place: str) -> bool:
        """Have a process end at a failpoint; say whether it did."""
        times = self._dice.randint(1, self._route.failpoints[place])
        began = time.monotonic()
        self._worker.start(failpoint=f"{place}:{times}")
        taken = self._issue()
        resumed = self._first_document(began)
        if place == "draining":
            time.sleep(self._dice.uniform(0.0, 3.0) * self._a_batch)
            self._worker.ask_to_stop()
        reached = self._await_end(_PATIENCE)
        if reached:
            self._note(place, began, taken, resumed)
        elif self._worker.code not in (None, 0, -signal.SIGTERM):  # asked before it listened
            self._ended_by_itself()
        self._worker.kill()
        return reached

    def _await_end(self, patience: float) -> bool:
        """Wait until the process has ended; say whether a failpoint killed it."""
        deadline = time.monotonic() + patience
        while self._worker.running() and time.monotonic() < deadline:
            self._worker.look()
            time.sleep(0.01)
        return self._worker.code == -signal.SIGKILL

    def _ended_by_itself(self) -> None:
        problem = f"ended with {self._worker.code} by itself: {self._worker.said()[-500:]}"
        self._report.verdict.miss("run", [problem])
        self._failures += 1
        if self._failures >= _MOST_FAILURES:
            raise RuntimeError(f"it {problem}")

    def _note(self, place: str, began: float, taken: int, resumed: float | None) -> None:
        seconds = time.monotonic() - began
        self._arrivals.look()
        kill = Kill(place, seconds, self._arrivals.count > taken, self._waiting() > 0, resumed)
        self._report.kills.append(kill)
        self._tell(f"{self._route.name}: kill {len(self._report.kills)}: {kill}")

    def _issue(self) -> int:
        """See that a portion waits; return how many entries came from earlier processes."""
        self._arrivals.settle()
        taken = self._arrivals.count
        missing = self._plan.portion - self._waiting()
        if missing > 0:
            self._route.issue(missing)
        return taken

    def _waiting(self) -> int:
        """Return how many documents the receiver has not got."""
        oracle = self._route.oracle
        return len(oracle.issued) - oracle.refusals - len(self._arrivals.serials)

    def _first_document(self, began: float) -> float | None:
        """Wait for a document that is new; return when it came, if it did."""
        known = len(self._arrivals.serials)
        deadline = time.monotonic() + _PATIENCE
        while self._worker.running() and time.monotonic() < deadline:
            if self._arrivals.look() and len(self._arrivals.serials) > known:
                return time.monotonic() - began
            time.sleep(0.005)
        return None

    def _last_run(self) -> tuple[int, str]:
        """Run to the end, and see how soon a line gets through that is put meanwhile."""
        began = time.monotonic()
        self._worker.start("run", "--once")
        oracle, serial, missing = self._route.oracle, 0, True
        while serial not in oracle.issued or oracle.issued[serial].refused:
            self._route.issue(1)
            serial = max(oracle.issued)
        while missing and self._worker.running():
            self._worker.look()
            self._arrivals.look()
            missing = serial not in self._arrivals.serials or not self._found(serial)
            time.sleep(0.02)
        self._report.fresh = time.monotonic() - began
        late = missing or self._report.fresh > FRESH
        self._report.verdict.miss("P6", [f"line {serial} took {self._report.fresh:.1f} s"] * late)
        ended = self._worker.wait(300.0)
        self._arrivals.settle()
        return ended

    def _found(self, serial: int) -> bool:
        """Say whether the search node has a line."""
        self._node.call("POST", f"/{self._target}/_refresh")
        query = {"query": {"prefix": {"http.request.id": f"SERIAL-{serial:09d}-"}}}
        answer = self._node.call("POST", f"/{self._target}/_count", query)
        return answer.status == 200 and answer.body["count"] > 0

    def _judge(self, code: int, said: str) -> None:
        report, oracle = self._report, self._route.oracle
        verdict = report.verdict
        verdict.issued = len(oracle.issued)
        judge_search(verdict, oracle, self._node, self._target)
        in_flight = MOST_IN_FLIGHT * BATCH + self._route.payload
        kills = len(report.kills)
        judge_receiver(verdict, oracle, self._receiver.path, kills, in_flight)
        judge_letters(verdict, oracle, self._worker.state)
        judge_equation(verdict, said, SINKS)
        verdict.miss("P4", self._route.left(self._worker.state))
        judge_emptiness(verdict, self._worker.finish("run", "--once")[1])
        report.memory = self._worker.largest
        verdict.miss("P7", [f"{report.memory} MiB were held"] * (report.memory > MEMORY))
        if code != (3 if "dead-lettered" in said else 0):
            verdict.miss("run", [f"the last run ended with {code}: {said[-500:]}"])
        verdict.miss("run", self._worker.complaints())
