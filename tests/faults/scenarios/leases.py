"""F6, F7, R8: workers that share a stream, one of them too many, asleep, or without its table."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from faults.catalogue import fault
from faults.program import Program
from faults.record_route import RecordRoute
from faults.shared_route import SharedRoute
from integration.commands import eventually, run
from servers.process import free_port
from sinks.scripted_bulk import scripted_bulk

if TYPE_CHECKING:
    from faults.lab import Lab

LEASE = 3.0


@fault(
    "F6",
    "two workers, one file of checkpoints",
    made="a second process with the same state directory while the first one reads",
    seen="the second is refused with the id of the first, which goes on",
)
def second_worker_refused(lab: Lab) -> str:
    route = RecordRoute(lab.kinesalite, lab.unique("second"), 61)
    with scripted_bulk() as bulk:
        program = Program(lab.folder, route, bulk)
        other = lab.folder / "other.toml"
        text = program.config.read_text("utf-8")
        other.write_text(text.replace(f":{program.port}", f":{free_port()}"), "utf-8")
        route.issue(200)
        with program.running() as process:
            process.until(lambda: len(bulk.stored) > 0)
            refused = run("run", "--config", other, env=program.environment)
            assert refused.code != 0, "the second worker was not refused"
            assert f"in use by process {process.pid}" in refused.err, refused.err[-500:]
            route.issue(200)
            process.until(lambda: len(bulk.stored) > 300)
            process.stopped(27)
        whole = program.judged()
    return f"refused with code {refused.code} and the first one's id; {whole}"


@fault(
    "F6",
    "two workers, one table of leases; one is killed",
    made="two processes share 4 shards; kill -9 for one of them while records come",
    seen="2 shards each; the other has all once the leases expire; nothing lost or twice visible",
)
def shared_and_killed(lab: Lab) -> str:
    route = SharedRoute(lab.kinesalite, lab.moto, lab.unique("shared"), 62, LEASE)
    route.change(lab.folder)
    route.change(lab.folder)
    with scripted_bulk() as bulk:
        first = Program(lab.folder / "first", route, bulk)
        second = Program(lab.folder / "second", route, bulk)
        route.issue(200)
        with first.running() as one, second.running() as two:
            one.until(lambda: sorted(route.owners().values()) == [1, 1], 60)
            route.issue(200)
            killed = time.monotonic()
            one.kill()
            route.issue(200)
            two.until(lambda: list(route.owners().values()) == [2], 60)
            took = time.monotonic() - killed
            route.issue(100)
            two.until(lambda: not route.left(second.state), 60)
            stopping = time.monotonic()
            two.stopped(27)
            assert not route.owners(), "leases were not given back at the end"
            stopped = time.monotonic() - stopping
        whole = second.judged()
    assert took < 2 * LEASE + 5, f"handing over took {took:.1f} s with leases of {LEASE:g} s"
    figures = f"handed over {took:.1f} s after the kill, leases of {LEASE:g} s"
    return f"{figures}; stopped and given back in {stopped:.1f} s; {whole}"


@fault(
    "F7",
    "a worker sleeps for twice its lease",
    made="SIGSTOP for one of two workers, SIGCONT after 2 leases; records come all the time",
    seen="the other takes over; the woken one cannot move a checkpoint and says so; nothing lost",
)
def asleep(lab: Lab) -> str:
    route = SharedRoute(lab.kinesalite, lab.moto, lab.unique("asleep"), 71, LEASE)
    with scripted_bulk() as bulk:
        first = Program(lab.folder / "first", route, bulk)
        second = Program(lab.folder / "second", route, bulk)
        route.issue(200)
        with first.running() as one, second.running() as two:
            one.until(lambda: sorted(route.owners().values()) == [1, 1], 60)
            route.issue(100)
            os.kill(one.pid, signal.SIGSTOP)
            try:
                route.issue(200)
                time.sleep(2 * LEASE)
                two.until(lambda: list(route.owners().values()) == [2], 60)
                two.until(lambda: not route.left(second.state), 60)
                before = _positions(route)
            finally:
                os.kill(one.pid, signal.SIGCONT)
            one.until(lambda: "the lease is lost" in one.said(), 30)
            after = _positions(route)
            assert before == after, f"a woken worker moved a checkpoint: {before}, {after}"
            route.issue(200)
            two.until(lambda: not route.left(second.state), 60)
            one.stopped(27)
            two.stopped(27)
        whole = second.judged()
    return f"woke after {2 * LEASE:g} s and let go; {whole}"


@fault(
    "R8",
    "the table of leases is deleted",
    made="DeleteTable while a worker reads, and records go on coming",
    seen="health names the checkpoints; nothing is read; a new start begins where 'start' says",
)
def table_deleted(lab: Lab) -> str:
    route = SharedRoute(lab.kinesalite, lab.moto, lab.unique("deleted"), 81, LEASE)
    with scripted_bulk() as bulk:
        program = Program(lab.folder, route, bulk)
        route.issue(200)
        with program.running() as process:
            process.until(lambda: len(bulk.stored) > 150 and not route.left(program.state))
            route.dynamodb.delete_table(TableName=route.table)
            named = program.await_troubles(["checkpoints"])
            eventually(lambda: "there is no such table" in process.said(), 10)
            time.sleep(1.0)
            stored = len(bulk.stored)
            route.issue(200)
            time.sleep(1.5)
            assert len(bulk.stored) == stored, "records were read without a table"
            process.stopped(27)
        whole = program.judged()
    return f"named after {named:.1f} s, nothing read after that; {whole}"


@fault(
    "R8",
    "the table of leases does not answer",
    made="moto hangs for two leases (SIGSTOP) while records come",
    seen="the worker lets go of its shards and takes them again; nothing lost",
)
def table_hangs(lab: Lab) -> str:
    route = SharedRoute(lab.kinesalite, lab.moto, lab.unique("hangs"), 82, LEASE)
    with scripted_bulk() as bulk:
        program = Program(lab.folder, route, bulk)
        route.issue(200)
        with program.running() as process:
            process.until(lambda: len(bulk.stored) > 150 and not route.left(program.state))
            lab.moto.process.signal(signal.SIGSTOP)
            try:
                route.issue(200)
                time.sleep(2 * LEASE)
            finally:
                lab.moto.process.signal(signal.SIGCONT)
            process.until(lambda: "the lease is lost" in process.said(), 20)
            process.until(lambda: not route.left(program.state), 60)
            well = program.await_troubles([])
            process.stopped(27)
        whole = program.judged()
    return f"let go, and well {well:.1f} s after it answered again; {whole}"


def _positions(route: SharedRoute) -> dict[str, str]:
    return {name: item["position"]["S"] for name, item in route.items().items()}
