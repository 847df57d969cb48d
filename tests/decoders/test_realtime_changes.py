"""A real-time configuration that changes in mid-stream: no value is ever shifted."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.batches import Message
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.realtime.decoder import RealtimeDecoder, RealtimeOptions
from cloudfront_ecs.decoders.realtime.options import LayoutOptions
from cloudfront_ecs.delivery.dead_letters import DeadLetter
from cloudfront_ecs.demo.columns import ORIGINAL_COLUMNS, REALTIME_COLUMNS
from cloudfront_ecs.demo.render import in_order, realtime_line
from cloudfront_ecs.demo.traffic import requests
from cloudfront_ecs.normalize.documents.aws_fields import Kinesis
from normalize.converting import Outcome, collect
from servers.cloudfront import ARN, CloudFront, cloudfront

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


SHARD = Origin(
    "stream/shard",
    ("kinesis", "edge", "shard"),
    kinesis=Kinesis(stream="edge", shard_id="shardId-000000000000"),
)
HOUR = 3600
COUNT = 2400
TOGETHER = 100
SOME = in_order(
    ("timestamp", "c-ip", "time-to-first-byte", "sc-status", "sc-bytes", "cs-method",
     "cs-protocol", "cs-host", "cs-uri-stem", "x-edge-location", "x-edge-request-id",
     "time-taken", "cs-user-agent", "cs-referer", "x-edge-result-type", "c-port")
)  # fmt: skip


def with_columns(columns: Sequence[str], *added: str, less: Sequence[str] = ()) -> tuple[str, ...]:
    return in_order({*columns, *added} - set(less))


@dataclass
class Edge:
    """CloudFront's edges: each writes by the configuration that has reached it."""

    layouts: list[tuple[str, ...]]
    late_hours: float = 6.0
    dice: Random = field(default_factory=lambda: Random(7))

    def columns(self, ended: float, changes: Sequence[float]) -> tuple[str, ...]:
        """Return the columns of a record of this time.

        A change reaches the first edge after two minutes and the last one after hours.
        """
        current = 0
        for number, change in enumerate(changes, 1):
            waited = ended - change
            share = (waited - 120) / (self.late_hours * HOUR)
            if waited > 120 and self.dice.random() < max(share, 0.02):
                current = number
        return self.layouts[current]


VARYING = (
    "event.id", "aws.cloudfront.ingest_delay",
    "aws.cloudfront.sampling_rate", "aws.cloudfront.sampling_weight",
)  # fmt: skip


def by_position(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """Return documents by the position of their record, without what varies."""
    found = {body["aws.kinesis.sequence_number"]: body for body in outcome.bodies}
    return {at: {k: v for k, v in each.items() if k not in VARYING} for at, each in found.items()}


class Oracle:
    """Reads records by the layout that they really have."""

    def __init__(self, layouts: Sequence[tuple[str, ...]]) -> None:
        self._readers = {
            columns: Conversion(RealtimeDecoder(RealtimeOptions(fields=columns)), ())
            for columns in layouts
        }

    def read(
        self, written: Sequence[tuple[tuple[str, ...], str]], begin: int
    ) -> dict[str, dict[str, Any]]:
        expected: dict[str, dict[str, Any]] = {}
        for layout, reader in self._readers.items():
            messages = [
                Message(line.encode() + b"\n", str(begin + i))
                for i, (columns, line) in enumerate(written)
                if columns == layout
            ]
            outcome = collect(reader, Payload(Receipt("shard", 0), SHARD, messages=messages))
            assert outcome.rejects == []
            expected |= by_position(outcome)
        return expected


@dataclass
class Run:
    """What became of a stream."""

    outcomes: Counter[str] = field(default_factory=Counter[str])
    quarantined_after: float = 0.0
    changed_at: float = 0.0


def run_stream(
    edge: Edge,
    decoder: Callable[[float, int], RealtimeDecoder],
    changes: Sequence[float],
    on_change: Callable[[int], None],
) -> Run:
    """Send a day of traffic through *decoder* and compare every document with what it should be.

    *decoder* is asked for before each payload, with the time and how many changes were made.
    """
    run, done, start = Run(), 0, requests(3, 1)[0].ended // 86_400_000 * 86_400
    oracle = Oracle(list(dict.fromkeys(edge.layouts)))
    traffic = requests(3, COUNT)
    for begin in range(0, COUNT, TOGETHER):
        part = traffic[begin : begin + TOGETHER]
        now = part[-1].ended / 1000 + 1
        while done < len(changes) and now >= start + changes[done] * HOUR:
            done += 1
            on_change(done)
            run.changed_at = now
        at = [start + change * HOUR for change in changes[:done]]
        written = [
            (columns := edge.columns(r.ended / 1000, at), realtime_line(r, columns)) for r in part
        ]
        messages = [
            Message(line.encode() + b"\n", str(begin + i)) for i, (_, line) in enumerate(written)
        ]
        payload = Payload(Receipt("shard", begin), SHARD, messages=messages)
        outcome = collect(Conversion(decoder(now, done), ()), payload)
        check(run, outcome, written, begin, oracle)
        if outcome.rejects:
            run.quarantined_after = now
    return run


def check(
    run: Run,
    outcome: Outcome,
    written: Sequence[tuple[tuple[str, ...], str]],
    begin: int,
    oracle: Oracle,
) -> None:
    """Each record is either the document it should be, or refused with its bytes."""
    expected, made = oracle.read(written, begin), by_position(outcome)
    for position, body in made.items():
        assert body == expected.pop(position), f"record {position} was read wrongly"
    for reject in outcome.rejects:
        assert reject.position is not None
        assert reject.raw.decode() == written[int(reject.position) - begin][1]
        assert reject.reason in ("layout", "columns")
        expected.pop(reject.position)
        run.outcomes[reject.reason] += 1
    run.outcomes["read"] += len(made)
    assert expected == {}


@pytest.fixture(name="aws_side")
def _aws_side() -> Iterator[CloudFront]:
    with cloudfront() as played:
        yield played


CHANGES = {
    "add": with_columns(SOME, "cs-bytes"),
    "add-in-front": with_columns(SOME, "s-ip"),
    "remove": with_columns(SOME, less=["sc-bytes"]),
    "swap-words-for-numbers": with_columns(
        SOME, "fle-encrypted-fields", less=["x-edge-result-type"]
    ),
    "swap-far-apart": with_columns(SOME, "c-country", less=["sc-status"]),
    "swap-texts-of-viewers": with_columns(SOME, "cs-cookie", less=["cs-user-agent"]),
    "swap-numbers": with_columns(SOME, "cs-bytes", less=["sc-bytes"]),
    "swap-port-for-length": with_columns(SOME, "sc-content-len", less=["c-port"]),
    "swap-addresses": with_columns(SOME, "s-ip", less=["c-ip"]),
    "all-for-original": ORIGINAL_COLUMNS,
    "everything": REALTIME_COLUMNS,
}
TELLABLE = {
    "add", "add-in-front", "remove", "swap-far-apart", "swap-numbers", "all-for-original", "everything"
}  # fmt: skip


def quarantined(run: Run) -> float:
    return run.outcomes["layout"] / sum(run.outcomes.values())


@pytest.mark.parametrize("change", CHANGES)
def test_no_value_is_shifted_when_cloudfront_tells_of_the_change(
    change: str, aws_side: CloudFront, tmp_path: Path
) -> None:
    edge = Edge([SOME, CHANGES[change]])
    clock = [0.0]
    aws_side.fields = SOME
    options = RealtimeOptions(config_arn=ARN, endpoint_url=aws_side.endpoint, overlap_hours=8)
    decoder = RealtimeDecoder(options, AdapterContext("edge", tmp_path), lambda: clock[0])

    def at(now: float, _: int) -> RealtimeDecoder:
        clock[0] = now
        return decoder

    def changed(number: int) -> None:
        aws_side.fields = edge.layouts[number]

    run = run_stream(edge, at, [8.0], changed)

    print(change, dict(run.outcomes))
    assert run.outcomes["columns"] == 0
    if change in TELLABLE:
        assert run.outcomes["layout"] == 0
    assert quarantined(run) < 0.6
    assert run.quarantined_after <= run.changed_at + 9 * HOUR  # all is read after the overlap


def test_several_changes_in_a_day_shift_nothing(aws_side: CloudFront, tmp_path: Path) -> None:
    layouts = [SOME, *(CHANGES[name] for name in ("add", "swap-words-for-numbers", "remove")), SOME]
    edge = Edge(layouts, late_hours=1.5)
    aws_side.fields = SOME
    clock = [0.0]
    options = RealtimeOptions(config_arn=ARN, endpoint_url=aws_side.endpoint, overlap_hours=2)

    held: list[RealtimeDecoder] = []
    asked = count()

    def restarted(now: float, _: int) -> RealtimeDecoder:
        """A new process every now and then: all it knows is what the last one kept."""
        clock[0] = now
        if next(asked) % 6 == 0:
            held[:] = [RealtimeDecoder(options, AdapterContext("edge", tmp_path), lambda: clock[0])]
        return held[0]

    def changed(number: int) -> None:
        aws_side.fields = edge.layouts[number]

    run = run_stream(edge, restarted, [9.0, 12.0, 15.0, 18.0], changed)

    print(dict(run.outcomes))
    assert run.outcomes["columns"] == 0
    assert quarantined(run) < 0.2


@pytest.mark.parametrize("change", CHANGES)
def test_no_value_is_shifted_after_a_restart_with_other_fields(change: str, tmp_path: Path) -> None:
    edge = Edge([SOME, CHANGES[change]])
    clock = [0.0]

    def restarted(now: float, done: int) -> RealtimeDecoder:
        clock[0] = now
        options = RealtimeOptions(fields=edge.layouts[done], overlap_hours=8)
        return RealtimeDecoder(options, AdapterContext("edge", tmp_path), lambda: clock[0])

    run = run_stream(edge, restarted, [8.0], lambda _: None)

    print(change, dict(run.outcomes))
    assert run.outcomes["columns"] == 0
    if change in TELLABLE:
        assert run.outcomes["layout"] == 0


def test_two_configurations_may_share_a_stream() -> None:
    others = (LayoutOptions(fields=ORIGINAL_COLUMNS, sampling_rate=10),)
    options = RealtimeOptions(fields=SOME, sampling_rate=50, layouts=others)
    decoder = RealtimeDecoder(options)
    lines = [
        realtime_line(request, ORIGINAL_COLUMNS if number % 3 else SOME)
        for number, request in enumerate(requests(3, 300))
    ]
    messages = [Message(line.encode() + b"\n", str(i)) for i, line in enumerate(lines)]

    outcome = collect(
        Conversion(decoder, ()), Payload(Receipt("shard", 0), SHARD, messages=messages)
    )

    rates = Counter(body["aws.cloudfront.sampling_rate"] for body in outcome.bodies)
    assert rates == {50: 100, 10: 200}
    assert outcome.rejects == []


def test_the_rate_of_a_record_is_that_of_its_time(aws_side: CloudFront, tmp_path: Path) -> None:
    aws_side.fields, aws_side.rate = SOME, 100
    clock = [0.0]
    options = RealtimeOptions(config_arn=ARN, endpoint_url=aws_side.endpoint)
    decoder = RealtimeDecoder(options, AdapterContext("edge", tmp_path), lambda: clock[0])
    traffic = requests(3, 300)
    rates: list[int] = []
    for part in (traffic[:100], traffic[100:200], traffic[50:150], traffic[200:]):
        clock[0] = max(clock[0], part[-1].ended / 1000)
        messages = [Message(realtime_line(request, SOME).encode() + b"\n", "1") for request in part]
        payload = Payload(Receipt("shard", 0), SHARD, messages=messages)
        bodies = collect(Conversion(decoder, ()), payload).bodies
        rates += [body["aws.cloudfront.sampling_rate"] for body in bodies]
        aws_side.rate = 5

    assert rates[:100] == [100] * 100
    # Read at the end of the second part, so only its last record is surely of the new rate.
    assert rates[199] == 5
    assert rates[200:300] == rates[50:150]
    assert rates[300:] == [5] * 100


def test_a_quarantined_record_gets_its_own_id_once_a_layout_fits() -> None:
    """What a dead letter holds is enough: identity, position, line in the message, bytes."""
    two = (*SOME[:5], *SOME[6:])
    lines = [realtime_line(request, SOME).encode() for request in requests(3, 3)]
    message = Message(b"\n".join(lines) + b"\n", "4900")
    payload = Payload(Receipt("shard", 0), SHARD, messages=[message])
    right = collect(Conversion(RealtimeDecoder(RealtimeOptions(fields=SOME)), ()), payload)
    refused = collect(Conversion(RealtimeDecoder(RealtimeOptions(fields=two)), ()), payload)
    letters = [json.loads(DeadLetter(each, SHARD).line()) for each in refused.rejects]

    replayed = []
    for letter in letters:
        place = letter["source"]
        origin = Origin("replay", tuple(letter["identity"]), kinesis=SHARD.kinesis)
        number = place.get("line", 1) - 1
        raw = b"\n" * number + base64.b64decode(letter["raw"])
        again = Message(raw + b"\n", place["sequence_number"])
        decoder = RealtimeDecoder(RealtimeOptions(fields=SOME))
        replayed += collect(
            Conversion(decoder, ()), Payload(Receipt("shard", 0), origin, messages=[again])
        ).documents

    assert len(letters) == 3
    assert [document.id for document in replayed] == [document.id for document in right.documents]
