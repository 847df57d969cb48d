"""Real-time records: no header, the layout is given, the order is always AWS's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.batches import Message
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.realtime.decoder import RealtimeDecoder, RealtimeOptions
from cloudfront_ecs.normalize.documents.aws_fields import Kinesis
from cloudfront_ecs.normalize.layouts import realtime_columns
from normalize.converting import Outcome, collect, convert, line, realtime

SOME = ("timestamp", "c-ip", "sc-status", "cs-uri-stem")
ORIGIN = Origin(
    "stream/shard",
    ("stream", "shard"),
    kinesis=Kinesis(stream="edge", shard_id="shardId-000000000000"),
)


def stream(*messages: bytes, columns: tuple[str, ...] = SOME, longest: int = 1 << 20) -> Outcome:
    decoder = RealtimeDecoder(RealtimeOptions(fields=columns, max_line_bytes=longest))
    numbered = [Message(data, str(4900 + i)) for i, data in enumerate(messages)]
    payload = Payload(Receipt("shard", 0), ORIGIN, messages=numbered)
    return collect(Conversion(decoder, ()), payload)


def test_columns_may_be_given_in_any_order() -> None:
    given_order = convert(line(SOME), SOME).bodies
    other_order = convert(line(SOME), tuple(reversed(SOME))).bodies

    assert given_order == other_order
    assert given_order[0]["url.path"] == "/index.html"


def test_a_message_is_a_record_and_carries_its_position() -> None:
    outcome = stream(line(SOME), line(SOME))

    assert [body["aws.kinesis.sequence_number"] for body in outcome.bodies] == ["4900", "4901"]
    assert outcome.bodies[0]["aws.kinesis.shard_id"] == "shardId-000000000000"
    assert len({document.id for document in outcome.documents}) == 2


@pytest.mark.parametrize(
    ("messages", "made"),
    [
        pytest.param([line(SOME).rstrip(b"\n")], 1, id="no-line-end"),
        pytest.param([line(SOME) * 3], 3, id="several-lines"),
        pytest.param([line(SOME) + b"\n" + line(SOME)], 2, id="a-blank-line-between"),
        pytest.param([line(SOME) * 2, b""], 2, id="an-empty-message"),
        pytest.param([line(SOME).replace(b"\n", b"\r\n")], 1, id="crlf"),
        pytest.param([line(SOME) * 2, line(SOME).rstrip(b"\n"), line(SOME)], 4, id="as-many-ends"),
    ],
)
def test_messages_hold_any_number_of_lines(messages: list[bytes], made: int) -> None:
    outcome = stream(*messages)

    assert len(outcome.documents) == made
    assert len({document.id for document in outcome.documents}) == made
    assert outcome.rejects == []


def test_a_refused_record_is_named_by_its_position() -> None:
    outcome = stream(line(SOME), b"a\tb\n", line(SOME))

    [reject] = outcome.rejects
    assert (reject.reason, reject.position, reject.line) == ("columns", "4901", None)
    assert (reject.detail, reject.raw) == ("4 columns expected, 2 found", b"a\tb")


def test_a_message_that_is_too_long_is_refused_alone() -> None:
    outcome = stream(line(SOME), b"x" * 5000, line(SOME), longest=2000)

    [reject] = outcome.rejects
    assert len(outcome.documents) == 2
    assert (reject.reason, reject.position, reject.length) == ("too_long", "4901", 5000)


def test_ids_do_not_depend_on_which_messages_came_together() -> None:
    together = stream(line(SOME), line(SOME) * 2)
    decoder = RealtimeDecoder(RealtimeOptions(fields=SOME))
    payload = Payload(Receipt("shard", 1), ORIGIN, messages=[Message(line(SOME) * 2, "4901")])
    alone = collect(Conversion(decoder, ()), payload)

    assert [d.id for d in together.documents[1:]] == [d.id for d in alone.documents]


@given(st.sets(st.sampled_from(realtime_columns())))
def test_any_subset_of_the_columns_can_be_read(subset: set[str]) -> None:
    columns = [column for column in realtime_columns() if column in subset | {"timestamp"}]

    outcome = realtime({}, columns=columns)

    assert len(outcome.documents) == 1
    assert "error.message" not in outcome.bodies[0]


def test_a_record_of_another_layout_is_refused_rather_than_shifted() -> None:
    columns = realtime_columns()
    texts = line(columns).rstrip(b"\n").split(b"\t")
    shifted = b"\t".join([*texts[:2], *texts[3:], b"-"])

    outcome = convert(shifted + b"\n" + line(columns), columns)

    [reject] = outcome.rejects
    assert (reject.reason, reject.line) == ("layout", 1)
    assert reject.raw == shifted
    assert "cannot be read, so the layout is another: s-ip, " in reject.detail
    assert len(outcome.documents) == 1


def test_up_to_two_unreadable_columns_still_give_a_document() -> None:
    bad = {"sc-status": "x", "sc-bytes": "x", "c-port": "x"}
    two = dict(list(bad.items())[:2])

    outcome = realtime(two, bad, columns=realtime_columns())

    assert len(outcome.documents) == 1
    assert outcome.reasons == ["layout"]


def test_text_of_the_viewer_does_not_count_as_another_layout() -> None:
    bad = {"sc-bytes": "x", "c-port": "x", "x-forwarded-for": "nobody", "cs-referer": "\udcff"}

    outcome = realtime(bad, columns=realtime_columns())

    assert outcome.rejects == []
    assert outcome.bodies[0]["error.message"].count(";") == 3


def test_columns_without_a_time_make_no_documents() -> None:
    outcome = stream(b"192.0.2.10\t200\n", columns=("c-ip", "sc-status"))

    [reject] = outcome.rejects
    assert (reject.reason, reject.position) == ("timestamp", "4900")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        pytest.param(("timestamp", "c-ipp"), "unknown column 'c-ipp'", id="unknown"),
        pytest.param(("timestamp", "timestamp"), "column 'timestamp' is named twice", id="twice"),
        pytest.param(("timestamp", "cs(Host)"), r"unknown column 'cs\(Host\)'", id="standard"),
    ],
)
def test_columns_that_cannot_be_are_named(fields: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        RealtimeOptions(fields=fields)


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_any_messages_are_accounted_for(messages: list[bytes]) -> None:
    outcome = stream(*messages, line(SOME))

    lines = sum(message.removesuffix(b"\n").count(b"\n") + 1 for message in messages) + 1
    assert len(outcome.documents) + len(outcome.rejects) + outcome.skipped == lines
    assert outcome.documents
