"""R1, R2, R3, R6: shards that split, merge and expire, and positions that are too old."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from faults.catalogue import fault
from faults.judge import Verdict, judge_documents
from faults.oracle import value_of
from faults.producer import RecordProducer
from faults.stream_runs import Answers, StreamRun, made_stream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faults.lab import Lab

SEED = 6
DAY_MILLIS = 86_400_000
_PAGE = 60
STUCK = 10
"""Empty pages as far behind as the retention, until the position counts as trimmed."""


@fault(
    "R1",
    "split while the worker is down",
    made="stopped in the midst of a shard, the shard is split, records come to both halves",
    seen="the parent is read to its end first, then both children from their beginnings; in order",
)
def split_while_down(lab: Lab) -> str:
    name = lab.unique("split")
    client = made_stream(lab.kinesis_local, name, 1)
    producer = RecordProducer(client, name, SEED)
    producer.issue(200)
    read = _read_some(lab, name)
    _split(client, name)
    producer.issue(200)
    run = StreamRun(lab.kinesis_local, lab.folder, name, limit=100)
    run.drain()
    stored = run.judged(producer.lines.oracle)
    shards = _in_order(client, name, run.bodies())
    assert read < 190, "the worker had read everything before it was stopped"
    return f"{read} lines before, {stored} in all, none twice; {shards} shards in order"


@fault(
    "R2",
    "merge, chained splits, short-lived shards",
    made="a split, a merge, a split of the merged one, and UpdateShardCount up and down again",
    seen="every shard waits for all its parents; every line once; in order",
)
def chained_changes(lab: Lab) -> str:
    name = lab.unique("chain")
    client = made_stream(lab.kinesis_local, name, 2)
    producer = RecordProducer(client, name, SEED)
    producer.issue(100)
    _split(client, name)
    producer.issue(100)
    _merge(client, name)
    producer.issue(100)
    _split(client, name)
    producer.issue(100)
    for count in (4, 2):
        client.update_shard_count(
            StreamName=name, TargetShardCount=count, ScalingType="UNIFORM_SCALING"
        )
        _await_active(client, name)
        producer.issue(100)
    run = StreamRun(lab.kinesis_local, lab.folder, name, limit=50)
    run.drain()
    stored = run.judged(producer.lines.oracle)
    shards = _in_order(client, name, run.bodies())
    merged = sum("AdjacentParentShardId" in shard for shard in _shards(client, name).values())
    assert merged > 0, "nothing was merged"
    return f"{shards} shards, {merged} of them with two parents, {stored} lines in order, once"


@fault(
    "R3",
    "a parent leaves the stream unread",
    made="stopped in the midst of a shard; it is split, and ListShards does not tell of it again",
    seen="the children are read whole; what is missing is told with its beginning, and counted",
)
def parent_aged_out(lab: Lab) -> str:
    name = lab.unique("aged")
    client = made_stream(lab.kinesis_local, name, 1)
    (parent,) = _shards(client, name)
    producer = RecordProducer(client, name, SEED)
    producer.issue(200)
    read = _read_some(lab, name)
    _split(client, name)
    producer.issue(200)
    run = StreamRun(lab.kinesis_local, lab.folder, name)
    children = [shard for key, shard in _shards(client, name).items() if key != parent]
    Answers(run.client, "ListShards", *[{"Shards": children}] * 99)
    run.drain()
    documents = set(producer.lines.oracle.documents())
    missing = documents - _found(run, producer)
    assert max(missing) <= 200, "lines of the children are missing"
    unread = sum(serial <= 200 for serial in documents) - read
    assert len(missing) == unread, f"{len(missing)} lines are missing, {unread} were not read"
    (gap,) = run.source.gaps
    assert gap.place.endswith(parent), f"the gap is of {gap.place}"
    assert gap.after is not None, "the gap has no beginning"
    return f"both children whole, {len(missing)} lines of the parent told as 1 gap"


@fault(
    "R6",
    "trimmed checkpoint, refused",
    made="the position is refused with InvalidArgumentException after a restart",
    seen="the gap is told with its times, and counted; reading goes on with the oldest record",
)
def trimmed_refused(lab: Lab) -> str:
    return _trimmed(lab, "GetShardIterator", ["InvalidArgumentException"] * 2)


@fault(
    "R6",
    "trimmed checkpoint, silent",
    made="after a restart only empty pages come, as far behind as the retention",
    seen="the gap is told with its times, and counted; reading goes on with the oldest record",
)
def trimmed_silent(lab: Lab) -> str:
    empty = {"Records": [], "NextShardIterator": "AAAA", "MillisBehindLatest": DAY_MILLIS}
    return _trimmed(lab, "GetRecords", [empty] * STUCK)


def _trimmed(lab: Lab, operation: str, answers: list[Any]) -> str:
    name = lab.unique("trimmed")
    producer = RecordProducer(made_stream(lab.kinesalite, name, 1), name, SEED)
    producer.issue(300)
    StreamRun(lab.kinesalite, lab.folder / "before", name).drain()
    run = StreamRun(lab.kinesalite, lab.folder / "before", name)
    producer.issue(100)
    Answers(run.client, operation, *answers)
    run.drain()
    missing = set(producer.lines.oracle.documents()) - _found(run, producer)
    assert not missing, f"{len(missing)} lines are missing, which the server still had"
    (gap,) = run.source.gaps
    assert gap.after is not None, "the gap has no beginning"
    assert gap.before is not None, "the gap has no end"
    return f"1 gap told, {len(answers)} answers until then; {len(_found(run, producer))} lines read"


def _found(run: StreamRun, producer: RecordProducer) -> set[int]:
    """Return the serials that were written, and the refused ones; nothing may be wrong."""
    oracle, verdict = producer.lines.oracle, Verdict()
    found = judge_documents(verdict, oracle, "file", run.bodies())
    wrong = [miss for miss in verdict.misses if miss.startswith("P2")]
    assert not wrong, "\n".join(wrong)
    return set(found)


def _read_some(lab: Lab, name: str) -> int:
    """Read two pages, and stop; return how many lines were written."""
    run = StreamRun(lab.kinesis_local, lab.folder, name, limit=_PAGE, gather_records=_PAGE)
    Answers(run.client, "GetRecords", None, None, *["ProvisionedThroughputExceededException"] * 999)

    def look() -> None:
        if len(run.bodies()) > 2 * _PAGE - 10:  # some lines are refused
            run.stop.set()

    with run.watched(0.1, look):
        run.drain()
    return len(run.bodies())


def _shards(client: Any, name: str) -> dict[str, Mapping[str, Any]]:
    return {shard["ShardId"]: shard for shard in client.list_shards(StreamName=name)["Shards"]}


def _open(client: Any, name: str) -> list[Mapping[str, Any]]:
    """Return the shards that take records, by their keys."""
    found = [
        shard
        for shard in _shards(client, name).values()
        if "EndingSequenceNumber" not in shard["SequenceNumberRange"]
    ]
    return sorted(found, key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))


def _split(client: Any, name: str) -> None:
    shard = _open(client, name)[0]
    keys = shard["HashKeyRange"]
    middle = (int(keys["StartingHashKey"]) + int(keys["EndingHashKey"])) // 2
    client.split_shard(
        StreamName=name, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(middle)
    )
    _await_active(client, name)


def _merge(client: Any, name: str) -> None:
    left, right, *_ = _open(client, name)
    client.merge_shards(
        StreamName=name, ShardToMerge=left["ShardId"], AdjacentShardToMerge=right["ShardId"]
    )
    _await_active(client, name)


def _await_active(client: Any, name: str) -> None:
    client.get_waiter("stream_exists").wait(
        StreamName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 200}
    )


def _in_order(client: Any, name: str, bodies: list[dict[str, Any]]) -> int:
    """See that each shard's lines are in order and behind its parents'; return how many shards."""
    places: dict[str, list[int]] = defaultdict(list)
    sequences: dict[str, list[int]] = defaultdict(list)
    for place, body in enumerate(bodies):
        shard = value_of(body, "aws.kinesis.shard_id")
        places[shard].append(place)
        sequences[shard].append(int(value_of(body, "aws.kinesis.sequence_number")))
    for shard, found in sequences.items():
        assert found == sorted(found), f"{shard} is not in order"
    for shard_id, shard in _shards(client, name).items():
        for kind in ("ParentShardId", "AdjacentParentShardId"):
            parent = shard.get(kind)
            if places[shard_id] and places[parent]:
                assert places[parent][-1] < places[shard_id][0], f"{shard_id} before {parent}"
    return len(sequences)
