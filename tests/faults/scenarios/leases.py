"""F6, F7, R8: workers that share a stream, one of them too many, asleep, or without its table."""

from __future__ import annotations

import os
import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse

from cloudfront_ecs.delivery.checkpoints.shared import PATIENCE
from faults.catalogue import fault
from faults.judge import Verdict, judge_documents
from faults.producer import RecordProducer
from faults.program import Program
from faults.record_route import RecordRoute
from faults.shared_route import WRITE, SharedRoute
from faults.stream_runs import Raw, StreamRun, made_stream
from integration.commands import eventually, run
from servers.process import free_port
from sinks.scripted_bulk import scripted_bulk

if TYPE_CHECKING:
    from cloudfront_ecs.delivery.checkpoints.dynamodb_table import DynamoDbTable
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
        whole = _judged(first, second, route)
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
        whole = _judged(first, second, route)
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


@fault(
    "R8",
    "the table of leases is throttled",
    made="every write is answered with throttling for two leases, in the midst of a run",
    seen="no checkpoint moves meanwhile; the shards are taken again; nothing lost",
)
def table_throttled(lab: Lab) -> str:
    name = lab.unique("throttled")
    producer = RecordProducer(made_stream(lab.kinesalite, name, 2), name, 83)
    producer.issue(1500)
    options = {"kind": "dynamodb", "table": name, "endpoint_url": lab.moto.endpoint}
    options |= {"create": True, "lease_seconds": LEASE, "write_seconds": WRITE}
    lab.moto.client("dynamodb").list_tables()
    run = StreamRun(
        lab.kinesalite,
        lab.folder,
        name,
        limit=50,
        gather_records=50,
        **{f"checkpoints.{key}": value for key, value in options.items()},
    )
    table: DynamoDbTable = run.source._store._table  # type: ignore[attr-defined]
    throttle = Throttle(table)
    seen: list[dict[str, str]] = []

    def look() -> None:
        if not throttle.since and len(run.bodies()) > 50:
            throttle.begin(2 * LEASE)
        elif throttle.on:
            seen.append({lease.partition: lease.checkpoint.position for lease in table.all()})

    with run.watched(0.1, look):
        run.drain()
    verdict = Verdict(issued=1500)
    found = judge_documents(verdict, producer.lines.oracle, "file", run.bodies())
    assert not verdict.misses, "\n".join(verdict.misses)
    assert throttle.answered > PATIENCE, "hardly anything was throttled"
    # A write that was under way when it began may still have come through.
    assert all(positions == seen[-1] for positions in seen[1:]), "a checkpoint moved meanwhile"
    again = sum(found.values()) - len(found)
    return f"{throttle.answered} writes throttled, {len(found)} lines, {again} read again"


class Throttle:
    """Answers writes to a table with throttling, for a while."""

    def __init__(self, table: DynamoDbTable) -> None:
        self.since = self._until = 0.0
        self.answered = 0
        table.client.meta.events.register_first("before-send.dynamodb.UpdateItem", self._answer)

    @property
    def on(self) -> bool:
        """Whether writes are throttled now."""
        return time.monotonic() < self._until

    def begin(self, seconds: float) -> None:
        """Throttle from now on."""
        self.since = time.monotonic()
        self._until = self.since + seconds

    def _answer(self, request: Any, **_: Any) -> AWSResponse | None:
        if not self.on:
            return None
        self.answered += 1
        body = b'{"__type":"ProvisionedThroughputExceededException","message":"scripted"}'
        headers = {"content-type": "application/x-amz-json-1.0"}
        return AWSResponse(request.url, 400, headers, Raw(body))


def _judged(first: Program, second: Program, route: SharedRoute) -> str:
    """Finish the work, and judge what both workers delivered, their dead letters together."""
    ended = second.finish()
    assert ended.code in (0, 3), f"the last run ended with {ended.code}: {ended.err[-500:]}"
    letters = second.state / "dead_letters"
    letters.mkdir(exist_ok=True)
    for path in (first.state / "dead_letters").glob("*.ndjson"):
        shutil.copy(path, letters / f"first-{path.name}")
    verdict = second.judge()
    assert not verdict.misses, "\n".join(verdict.misses)
    return f"{len(route.oracle.issued)} lines, none missing or twice visible"


def _positions(route: SharedRoute) -> dict[str, str]:
    return {name: item["position"]["S"] for name, item in route.items().items()}
