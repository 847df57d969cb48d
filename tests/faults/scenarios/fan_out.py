"""Faults of enhanced fan-out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.batches import Message
from cloudfront_ecs.delivery.checkpoints.store import MemoryCheckpoints
from cloudfront_ecs.sources.kinesis.adapter import KinesisOptions
from cloudfront_ecs.sources.kinesis.shards import Pace
from cloudfront_ecs.sources.kinesis.source import KinesisSource
from faults.catalogue import fault
from faults.producer import RecordProducer
from faults.stream_runs import Answers, StreamRun, fan_out, made_stream
from sources.scripted_kinesis import NOW, ScriptedConsumer, ScriptedStream

if TYPE_CHECKING:
    from faults.lab import Lab

SEED = 4


@fault(
    "R10",
    "fan-out gives what polling gives",
    made="one stream, read in both ways",
    seen="the same documents with the same ids",
)
def fan_out_gives_the_same(lab: Lab) -> str:
    stored, subscriptions = _polled_and_pushed(lab, 0)
    return f"{len(subscriptions.times)} subscription, {stored} documents as by polling"


@fault(
    "R10",
    "fan-out breaks off",
    made="somebody else subscribes first (ResourceInUse); then the connection breaks in the "
    "midst of the events",
    seen="waited out, renewed behind the last event; the documents and ids that polling gives",
    brief=False,
)
def fan_out_breaks(lab: Lab) -> str:
    began = time.monotonic()
    stored, subscriptions = _polled_and_pushed(lab, 1, "ResourceInUseException")
    took = time.monotonic() - began
    gaps = [b - a for a, b in zip(subscriptions.times, subscriptions.times[1:], strict=False)]
    assert len(gaps) >= 2, f"only {len(gaps) + 1} subscriptions"
    assert min(gaps) >= 5, f"a subscription followed after {min(gaps):.1f} s"
    return f"{len(gaps) + 1} subscriptions in {took:.0f} s, {stored} documents as by polling"


@fault(
    "R10",
    "fan-out is not taken",
    made="events come and nobody takes them, beyond the buffer; then a payload goes back",
    seen="the buffer stays within its bound; nothing lost, nothing twice; closed within a second",
)
def fan_out_is_not_taken(lab: Lab) -> str:
    stream = ScriptedStream()
    stream.add("a")
    data = b"x" * 100_000
    stream.held["a"] = [Message(data, str(8 + number), NOW) for number in range(400)]
    consumer = ScriptedConsumer(stream)
    options = KinesisOptions(stream="edge", consumer="us", buffer_bytes=2 * 1024 * 1024)
    source = KinesisSource(options, stream, MemoryCheckpoints(), Pace(renewal=0.2), consumer)  # type: ignore[arg-type]
    first = source.poll(10)
    assert first is not None
    time.sleep(3.0 if lab.thorough else 0.5)
    waiting = (consumer.sent * consumer.limit - len(first.messages or ())) * len(data)
    assert waiting < 2 * 1024 * 1024 + 3 * consumer.limit * len(data), f"{waiting} bytes wait"
    source.release(first.receipt)
    positions: list[int] = []
    while not source.drained():
        payload = source.poll(1)
        if payload is not None:
            positions += [int(message.position) for message in payload.messages or ()]
            source.settle(payload.receipt)
    assert positions == list(range(8, 408)), "records are missing, or came twice or out of order"
    began = time.monotonic()
    source.close()
    took = time.monotonic() - began
    assert took < 1, f"closing took {took:.1f} s"
    return f"{waiting / 1024 / 1024:.1f} MiB waited, 400 records once, closed in {took:.2f} s"


def _polled_and_pushed(lab: Lab, breaks_after: int, *refusals: str) -> tuple[int, Answers]:
    """Read a stream by polling and by fan-out; return how many documents each made."""
    name = lab.unique("fan")
    producer = RecordProducer(made_stream(lab.kinesis_local, name, 1), name, SEED)
    producer.issue(300)
    polling = StreamRun(lab.kinesis_local, lab.folder / "polling", name)
    polling.drain()
    with fan_out(breaks_after):
        pushed = StreamRun(lab.kinesis_local, lab.folder / "fan-out", name, consumer="us")
        subscriptions = Answers(pushed.client, "SubscribeToShard", *refusals)
        pushed.drain()
    stored = polling.judged(producer.lines.oracle)
    assert pushed.judged(producer.lines.oracle) == stored
    without = [_without_time(run.bodies()) for run in (polling, pushed)]
    assert without[0] == without[1], "polling and fan-out made other documents"
    return stored, subscriptions


def _without_time(bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return documents in the order of their ids, without when they were made."""
    for body in bodies:
        body["event"].pop("created", None)
        body.get("aws", {}).get("cloudfront", {}).pop("ingest_delay", None)
    return sorted(bodies, key=lambda body: str(body["event"]["id"]))
