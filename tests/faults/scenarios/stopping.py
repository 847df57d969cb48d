"""F2 and P7: a process that is asked to stop, or that has nothing to do but wait."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from faults.catalogue import fault
from faults.gate import gate_to
from faults.program import Program
from faults.record_route import RecordRoute
from faults.routes import ListingRoute, QueueRoute
from sinks.scripted_bulk import Exchange, scripted_bulk, status, store_then_hang

if TYPE_CHECKING:
    from faults.gate import Gate
    from faults.lab import Lab
    from faults.program import Process
    from faults.routes import Route

DRAIN = 2.0
SLACK = 2.0
"""Seconds within which a process must have ended after its time for draining (D10)."""

LINES = 1200
READS = frozenset({"GetObject", "ReceiveMessage", "ListObjectsV2", "GetRecords"})
MADE = "SIGTERM while a sink refuses, while it is slow, and twice while it is silent"
SEEN = "no read after 1 s; exit 0 in time; the second at once; all messages visible; none lost"

HALF_A_SECOND = 0.5
MOST_CPU = 0.1
MOST_MEMORY = 256.0


@fault("F2", "asked to stop, S3+SQS", made=MADE, seen=SEEN)
def stop_queue(lab: Lab) -> str:
    route = QueueRoute(lab.moto, lab.unique("stop"), 21)
    return _stopped(lab, route, lab.moto.port)


@fault("F2", "asked to stop, S3 listing", made=MADE, seen=SEEN, brief=False)
def stop_listing(lab: Lab) -> str:
    route = ListingRoute(lab.moto, lab.unique("stop"), 22)
    return _stopped(lab, route, lab.moto.port)


@fault("F2", "asked to stop, Kinesis", made=MADE, seen=SEEN, brief=False)
def stop_kinesis(lab: Lab) -> str:
    route = RecordRoute(lab.kinesalite, lab.unique("stop"), 23)
    return _stopped(lab, route, lab.kinesalite.port)


def _stopped(lab: Lab, route: Route, target: int) -> str:
    with scripted_bulk() as bulk, gate_to(target) as gate:
        program = Program(
            lab.folder, route, bulk, through=lambda text: _patient(gate.led_through(text, target))
        )
        route.issue(LINES)
        bulk.always = status(503)
        with program.running("--drain", str(DRAIN)) as process:
            process.until(lambda: bool(bulk.seen))
            refused = _ends(process, gate)
        _nothing_hidden(route)

        bulk.always = _slowly
        with program.running("--drain", "25") as process:
            process.until(lambda: bool(bulk.stored))
            slow = _ends(process, gate)
        assert len(bulk.stored) < LINES * 0.9, "it was done before it was asked to stop"
        _nothing_hidden(route)

        before = len(bulk.seen)
        bulk.always = store_then_hang
        program = Program(lab.folder, route, bulk)  # what it holds when it ends is soon visible
        with program.running("--drain", "25") as process:
            process.until(lambda: len(bulk.seen) > before)
            process.terminate()
            time.sleep(HALF_A_SECOND)
            assert process.alive(), "the first signal did not wait for the sink"
            again = process.terminate()
            code, _ = process.ended()
            twice = time.monotonic() - again
        assert (code, twice < 1) == (143, True), f"twice: {code} after {twice:.1f} s"
        bulk.always = None
        whole = program.judged()
    return f"refused {refused:.1f} s, slow {slow:.1f} s, twice {twice:.1f} s; {whole}"


def _ends(process: Process, gate: Gate) -> float:
    """Stop it; it must not read a second later any more."""
    asked = time.monotonic()
    took = process.stopped(25 + SLACK)
    late = sorted({each.call for each in gate.asked if each.at > asked + 1} & READS)
    assert not late, f"{', '.join(late)} more than a second after the signal"
    return took


def _patient(config: str) -> str:
    """Hide messages for so long that only handing them back makes them visible in time."""
    return config.replace("visibility_timeout = 3", "visibility_timeout = 900")


def _nothing_hidden(route: Route) -> None:
    if isinstance(route, QueueRoute):
        hidden = route.hidden()
        assert hidden == 0, f"{hidden} messages are hidden after the end"


def _slowly(exchange: Exchange) -> None:
    time.sleep(HALF_A_SECOND)
    exchange.items(exchange.store())


@fault(
    "F2",
    "asked to stop while the source is silent",
    made="a body, a long poll, a listing and GetRecords that never end; SIGTERM",
    seen="exit 0 within the time for draining and 2 s; messages visible; nothing lost",
)
def silent_source(lab: Lab) -> str:
    moto, kinesalite = lab.moto, lab.kinesalite
    cases: list[tuple[str, Route, int]] = [
        ("GetObject", QueueRoute(moto, lab.unique("silent"), 24), moto.port),
        ("ReceiveMessage", QueueRoute(moto, lab.unique("silent"), 25), moto.port),
        ("ListObjectsV2", ListingRoute(moto, lab.unique("silent"), 26), moto.port),
        ("GetRecords", RecordRoute(kinesalite, lab.unique("silent"), 27), kinesalite.port),
    ]
    took: dict[str, float] = {}
    with ExitStack() as opened:
        bulk = opened.enter_context(scripted_bulk())
        begun = []
        for call, route, target in cases:
            gate = opened.enter_context(gate_to(target))
            gate.hold = call
            route.issue(200)

            def through(text: str, gate: Gate = gate, target: int = target) -> str:
                return _patient(gate.led_through(text, target))

            program = Program(lab.folder / call, route, bulk, through=through)
            process = opened.enter_context(program.running("--drain", str(DRAIN)))
            begun.append((call, route, gate, program, process))
        for call, _, gate, _, process in begun:
            process.until(gate.held.is_set)
            asked = process.terminate()
            code, said = process.ended()
            took[call] = time.monotonic() - asked
            assert code == 0, f"{call}: it ended with {code}: {said[-500:]}"
            most = DRAIN + SLACK
            assert took[call] < most, f"{call}: stopping took {took[call]:.1f} s of {most:g}"
        for call, route, gate, program, _ in begun:
            if call == "GetObject":
                _nothing_hidden(route)
            gate.hold = ""
            if lab.thorough or call == "GetObject":
                bulk.stored.clear()
                program.judged()
    return ", ".join(f"{call} {seconds:.1f} s" for call, seconds in took.items())


@fault(
    "P7",
    "a sink is away for long",
    made="503 to every request, for 4 s (thorough: 60 s)",
    seen="less than a tenth of a core, bounded memory; health names the sink, and only then",
)
def sink_away(lab: Lab) -> str:
    route = QueueRoute(lab.moto, lab.unique("away"), 28)
    with scripted_bulk() as bulk:
        program = Program(lab.folder, route, bulk)
        bulk.always = status(503)
        route.issue(3000)
        with program.running() as process:
            program.await_troubles(["sink search"])
            time.sleep(1)
            began, used = time.monotonic(), process.cpu()
            time.sleep(60 if lab.thorough else 4)
            share = (process.cpu() - used) / (time.monotonic() - began)
            memory = process.memory()
            assert program.troubles() == ["sink search"]
            bulk.always = None
            well = program.await_troubles([], 30)
            process.stopped(25 + SLACK)
        assert share < MOST_CPU, f"{share:.0%} of a core while nothing could be done"
        assert memory < MOST_MEMORY, f"{memory:.0f} MiB are held"
        whole = program.judged()
    return f"{share:.1%} of a core, {memory:.0f} MiB, well after {well:.1f} s; {whole}"
