"""C1: clocks that jump, and clocks that are wrong."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import cycle
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.config import load
from cloudfront_ecs.pipeline_parts import RunSettings
from cloudfront_ecs.plugins import load_plugins
from cloudfront_ecs.running import open_pipelines
from faults.catalogue import fault
from faults.gate import Refusal, gate_to
from faults.program import Program
from faults.record_route import RecordRoute
from faults.routes import QueueRoute
from sinks.scripted_bulk import scripted_bulk, status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.gate import Asked
    from faults.lab import Lab
    from faults.routes import Route

HOUR = 3600.0
YEAR = 365.25 * 24 * HOUR
JUMPS = (HOUR, -HOUR, 0.4, 14 * YEAR, -60 * YEAR, 0.0)
"""Seconds by which the clock is wrong in turn: past 2038 and before 1970, too."""

ALLOWED = timedelta(minutes=5)
_STAMP = "%Y%m%dT%H%M%SZ"


class Clock:
    """The time of day as the code under test sees it.

    Attributes:
        offset: Seconds by which it is ahead.
        asked: How often it was looked at.
    """

    def __init__(self) -> None:
        self.offset = 0.0
        self.asked = 0
        self._time = time.time

    def time(self) -> float:
        self.asked += 1
        return self._time() + self.offset

    def datetime(self) -> type[datetime]:
        """Return a class like ``datetime`` that goes by this clock."""
        clock = self

        class Moment(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return datetime.fromtimestamp(clock.time(), tz)

        return Moment

    @contextmanager
    def jumping(self) -> Iterator[None]:
        """Put it in place of the true one everywhere in the package, and let it jump."""
        over = threading.Event()
        moment = self.datetime()
        replaced = [
            (module, "datetime", datetime)
            for name, module in tuple(sys.modules.items())
            if name.startswith("cloudfront_ecs.") and vars(module).get("datetime") is datetime
        ]
        replaced.append((time, "time", self._time))
        for module, name, _ in replaced:
            setattr(module, name, self.time if module is time else moment)
        thread = threading.Thread(target=self._jump, args=[over])
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            for module, name, true in replaced:
                setattr(module, name, true)

    def _jump(self, over: threading.Event) -> None:
        for offset in cycle(JUMPS):
            self.offset = offset
            if over.wait(0.05):
                return


@fault(
    "C1",
    "the clock jumps",
    made="by an hour, back, beyond 2038 and before 1970, twenty times a second; a sink away",
    seen="waits, batches and retries go on; ids are those of a true clock",
)
def jumping_clock(lab: Lab) -> str:
    route = QueueRoute(lab.moto, lab.unique("clock"), 61)
    route.issue(1000)
    clock = Clock()
    with scripted_bulk() as bulk, scripted_bulk() as true:
        program = Program(lab.folder / "jumping", route, bulk)
        bulk.script.extend([status(503)] * 4)
        with clock.jumping():
            took = _run(program)
        jumped = {name for _, name in bulk.stored}
        verdict = program.judge()
        assert not verdict.misses, "\n".join(verdict.misses)

        route.tell_again()
        Program(lab.folder / "true", route, true).judged()
        steady = {name for _, name in true.stored}
    assert jumped == steady, f"{len(jumped ^ steady)} ids differ"
    assert clock.asked > 50, f"the clock was looked at {clock.asked} times only"
    return f"{len(jumped)} ids equal, {took:.1f} s, the clock looked at {clock.asked} times"


def _run(program: Program) -> float:
    """Run until the source is drained, in this process; return how long it took."""
    plugins = load_plugins()
    stop = threading.Event()
    settings = RunSettings(once=True, patience=20)
    running = open_pipelines(load(program.config, plugins), plugins, settings, stop)
    began = time.monotonic()
    running.start()
    while not running.wait(0.1):
        if time.monotonic() - began > 40:
            stop.set()
    assert not running.failures, str(running.failures)
    assert not stop.is_set(), "not done after 40 s: something waits for the time of day"
    return time.monotonic() - began


WRONG = "AWS's clock is an hour ahead of ours; it refuses requests that are minutes old"
RIGHT = "one correction, then every request is taken; nothing lost; ids unchanged"


@fault("C1", "the clock is wrong, S3+SQS", made=WRONG, seen=RIGHT)
def wrong_clock_queue(lab: Lab) -> str:
    return _wrong_clock(lab, QueueRoute(lab.moto, lab.unique("skew"), 62), lab.moto.port)


@fault("C1", "the clock is wrong, Kinesis", made=WRONG, seen=RIGHT, brief=False)
def wrong_clock_stream(lab: Lab) -> str:
    route = RecordRoute(lab.kinesalite, lab.unique("skew"), 63)
    return _wrong_clock(lab, route, lab.kinesalite.port)


def _wrong_clock(lab: Lab, route: Route, target: int) -> str:
    refused: list[Asked] = []

    def refuse(asked: Asked) -> Refusal | None:
        now = datetime.now(UTC) + timedelta(hours=1)
        signed = datetime.strptime(asked.headers["x-amz-date"], _STAMP).replace(tzinfo=UTC)
        if abs(now - signed) < ALLOWED:
            return None
        refused.append(asked)
        date = {"Date": format_datetime(now, usegmt=True)}
        if "x-amz-target" in asked.headers:
            said = b'{"__type": "InvalidSignatureException", "message": "Signature expired"}'
            return Refusal(400, said, {**date, "Content-Type": "application/x-amz-json-1.0"})
        body = b"<Error><Code>RequestTimeTooSkewed</Code><Message>too large</Message></Error>"
        return Refusal(403, body, {**date, "Content-Type": "application/xml"})

    route.issue(400)
    with scripted_bulk() as bulk, gate_to(target) as gate:
        gate.refuse = refuse
        program = Program(
            lab.folder, route, bulk, through=lambda text: gate.led_through(text, target)
        )
        whole = program.judged()
    assert refused, "no request was refused"
    calls = {each.call for each in gate.asked}
    most = len(calls) + 20
    assert len(refused) <= most, f"{len(refused)} refusals: the clock was not corrected for good"
    return f"{len(refused)} of {len(gate.asked)} requests refused; {whole}"
