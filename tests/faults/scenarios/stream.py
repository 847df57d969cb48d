"""Faults of Kinesis that are no fault of shards: iterators, throttling, odd records."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from faults.catalogue import fault
from faults.producer import Lines, RecordProducer
from faults.stream_runs import Answers, StreamRun, made_stream
from sources.kpl import aggregate

if TYPE_CHECKING:
    from faults.lab import Lab

SEED = 4
ITERATOR_LIFE = 305.0  # seconds; five minutes, and a little
RATE = 2 * 1024 * 1024
_LONGEST_LINE = 8192


@fault(
    "R4",
    "iterator expired",
    made="ExpiredIteratorException, several in a row, in the midst of two shards",
    seen="resumes behind the last record; every line once",
)
def iterator_expired(lab: Lab) -> str:
    name = lab.unique("expired")
    producer = RecordProducer(made_stream(lab.kinesalite, name, 2), name, SEED)
    producer.issue(1200)
    run = StreamRun(lab.kinesalite, lab.folder, name, limit=200, gather_records=200)
    Answers(run.client, "GetRecords", *[None] * 3, *["ExpiredIteratorException"] * 3)
    iterators = Answers(run.client, "GetShardIterator")
    run.drain()
    stored = run.judged(producer.lines.oracle)
    assert len(iterators.times) > 2, "no iterator was renewed"
    return f"{len(iterators.times) - 2} iterators renewed, {stored} lines, none twice"


@fault(
    "R4",
    "iterator expired, for real",
    made="nothing is read for more than five minutes, on kinesis-local",
    seen="resumes behind the last record; every line once",
    brief=False,
)
def iterator_expired_for_real(lab: Lab) -> str:
    name = lab.unique("expired")
    producer = RecordProducer(made_stream(lab.kinesis_local, name, 1), name, SEED)
    producer.issue(600)
    run = StreamRun(lab.kinesis_local, lab.folder, name, limit=100, gather_records=100)
    payload = run.source.poll(20)
    assert payload is not None
    time.sleep(ITERATOR_LIFE)
    iterators = Answers(run.client, "GetShardIterator")
    after = run.source.poll(20)
    assert after is not None
    first, then = payload.messages or (), after.messages or ()
    assert int(then[0].position) > int(first[-1].position), "records came again"
    assert iterators.times, "the iterator did not expire"
    run.source.release(payload.receipt)
    run.drain()
    return f"{run.judged(producer.lines.oracle)} lines after {ITERATOR_LIFE:.0f} s, none twice"


@fault(
    "R5",
    "throttled",
    made="ProvisionedThroughputExceededException several times in a row",
    seen="waits longer each time, never above 5 calls a second; nothing lost",
)
def throttled(lab: Lab) -> str:
    name = lab.unique("throttled")
    producer = RecordProducer(made_stream(lab.kinesalite, name, 1), name, SEED)
    producer.issue(800)
    run = StreamRun(lab.kinesalite, lab.folder, name, limit=200, gather_records=200)
    code = "ProvisionedThroughputExceededException"
    refusals = 8 if lab.thorough else 4
    calls = Answers(run.client, "GetRecords", *[code] * refusals)
    run.drain()
    stored = run.judged(producer.lines.oracle)
    most = calls.most_in_a_second()
    assert most <= 5, f"{most} calls were made in one second"
    waited = calls.times[refusals] - calls.times[0]
    return f"{refusals} refusals in {waited:.1f} s, at most {most} calls/s, {stored} lines"


@fault(
    "R5",
    "more than 2 MiB in a page",
    made="a page of 3 MiB; Kinesis refuses calls until it is paid off",
    seen="the next call waits for as long as the page is worth",
)
def large_page(lab: Lab) -> str:
    name = lab.unique("large")
    client = made_stream(lab.kinesalite, name, 1)
    lines = Lines("realtime", SEED)
    records = [_record(lines, 1024 * 1024) for _ in range(3)]
    size = sum(map(len, records))
    for data in records:
        client.put_record(StreamName=name, Data=data, PartitionKey="k")
    run = StreamRun(lab.kinesalite, lab.folder, name)
    calls = Answers(run.client, "GetRecords")
    run.drain()
    waited = calls.times[1] - calls.times[0]
    assert waited >= size / RATE, f"only {waited:.2f} s between calls after {size} bytes"
    stored = run.judged(lines.oracle)
    return f"{size / 1024 / 1024:.1f} MiB, then {waited:.1f} s without a call; {stored} lines"


@fault(
    "R5",
    "empty pages with lag",
    made="12 empty pages, each an hour behind the tip, then the records",
    seen="no busy loop; the lag is told while it lasts; nothing lost",
)
def empty_pages(lab: Lab) -> str:
    name = lab.unique("empty")
    client = made_stream(lab.kinesalite, name, 1)
    producer = RecordProducer(client, name, SEED)
    producer.issue(300)
    shard = client.list_shards(StreamName=name)["Shards"][0]["ShardId"]
    asked = {"StreamName": name, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    iterator = client.get_shard_iterator(**asked)["ShardIterator"]
    empty = {"Records": [], "NextShardIterator": iterator, "MillisBehindLatest": 3_600_000}
    run = StreamRun(lab.kinesalite, lab.folder, name)
    calls = Answers(run.client, "GetRecords", *[empty] * 12)
    told: list[float] = []
    with run.watched(0.1, lambda: told.extend(run.source.lag().values())):
        busy = time.process_time()
        run.drain()
        busy = time.process_time() - busy
    stored = run.judged(producer.lines.oracle)
    most = calls.most_in_a_second()
    assert most <= 5, f"{most} calls were made in one second"
    assert max(told) >= 3600, f"the lag was never told as an hour: {max(told)}"
    last = next(iter(run.source.lag().values()))
    assert last < 1, f"the lag is still {last}"
    return f"at most {most} calls/s, lag told {max(told):.0f} s, then 0; {stored} lines"


@fault(
    "R7",
    "odd records",
    made="aggregates of the producer library, a false one, no partition key, bytes that are not "
    "UTF-8, an empty record",
    seen="each packed line has its own id, the same after a restart; the others end as they must",
)
def odd_records(lab: Lab) -> str:
    name = lab.unique("odd")
    client = made_stream(lab.kinesalite, name, 1)
    lines = Lines("realtime", SEED)
    packed = [line + b"\n" for line in lines.next(120)]
    false = aggregate([packed[0]])[:-1] + b"\0"
    aggregates = [aggregate(packed[first : first + 40]) for first in (0, 40, 80)]
    refused = lines.oracle.refusals + 1 + len(false.split(b"\n"))
    for data in (*aggregates, false, b"\xff\xfe\n", b"\n"):
        client.put_record(StreamName=name, Data=data, PartitionKey="k")
    found = []
    for folder in ("first", "again"):
        run = StreamRun(lab.kinesalite, lab.folder / folder, name)
        run.client.meta.events.register("after-call.kinesis.GetRecords", _without_keys)
        summary = run.drain()
        stored = run.judged(lines.oracle)
        found.append(sorted(body["event"]["id"] for body in run.bodies()))
        assert (summary.dead_lettered, summary.skipped) == (refused, 1), summary
    assert found[0] == found[1], "the ids were others after a restart"
    return f"{stored} lines out of 3 aggregates, {refused} dead letters, ids the same again"


@fault(
    "R7",
    "a record of 10 MiB",
    made="Kinesis hands out a record of 10 MiB, as large-record streams do",
    seen="read whole; every line of it becomes a document, or a dead letter where it is none",
)
def large_record(lab: Lab) -> str:
    name = lab.unique("huge")
    client = made_stream(lab.kinesalite, name, 1)
    client.put_record(StreamName=name, Data=b"in its place", PartitionKey="k")
    lines = Lines("realtime", SEED)
    foreign = [b"x" * 1_000_000 + b"\n"] * 10
    data = b"".join([_record(lines, 400_000), *foreign])
    run = StreamRun(lab.kinesalite, lab.folder, name)

    def enlarge(parsed: dict[str, Any], **_: Any) -> None:
        for record in parsed["Records"]:
            record["Data"] = data

    run.client.meta.events.register("after-call.kinesis.GetRecords", enlarge)
    summary = run.drain()
    stored = run.judged(lines.oracle)
    assert summary.dead_lettered == lines.oracle.refusals + len(foreign), summary
    return f"{len(data) / 1024 / 1024:.1f} MiB, {stored} documents, {len(foreign)} foreign lines"


def _record(lines: Lines, size: int) -> bytes:
    """Return whole lines of almost *size* bytes."""
    made: list[bytes] = []
    left = size
    while left > _LONGEST_LINE:
        made += [line + b"\n" for line in lines.next(1)]
        left -= len(made[-1])
    return b"".join(made)


def _without_keys(parsed: dict[str, Any], **_: Any) -> None:
    for record in parsed["Records"]:
        record.pop("PartitionKey", None)
