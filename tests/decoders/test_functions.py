"""Logs of functions: what was written, by which request, in every form they come in."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.batches import Message
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.functions import (
    MOST_OPEN,
    FunctionsDecoder,
    FunctionsOptions,
    recognised,
)
from cloudfront_ecs.decoders.objects import json_apart
from normalize.converting import Outcome, collect, convert

REQUEST = "U7b4hR_RaxMADupvKAvr8_m9gsGXvioUggLV5Oyq-vmAtH8HADpjhw=="
TIME = "2026-01-15T20:01:07.148Z"
START = f"{REQUEST} START DistributionID: EDFDVBD6EXAMPLE"
GROUP = "/aws/cloudfront/function/redirect"


def wrapped(*texts: str) -> bytes:
    events = [{"id": str(i), "timestamp": 1768507267148, "message": t} for i, t in enumerate(texts)]
    about = {"messageType": "DATA_MESSAGE", "logGroup": GROUP, "logStream": "2026/1/15/4d2a"}
    return json.dumps({**about, "logEvents": events}).encode()


def read(data: bytes | list[bytes]) -> Outcome:
    return convert(data, decoder=FunctionsDecoder(FunctionsOptions()), original=True)


def streamed(*datas: bytes) -> Outcome:
    messages = [Message(data, str(position)) for position, data in enumerate(datas)]
    payload = Payload(Receipt("shard", 0), Origin("shard", ("shard",)), messages=messages)
    return collect(Conversion(FunctionsDecoder(FunctionsOptions()), ()), payload)


@pytest.mark.parametrize(
    ("first", "is_one"),
    [
        pytest.param(START, True, id="start"),
        pytest.param(f"{TIME} {START}", True, id="start-with-time"),
        pytest.param(f"{REQUEST} hello", True, id="text"),
        pytest.param(f"{REQUEST} END", True, id="end"),
        pytest.param(wrapped(START).decode(), True, id="subscription"),
        pytest.param(wrapped(START).decode()[:120], True, id="subscription-cut"),
        pytest.param(f'{{"timestamp": 1, "message": "{REQUEST} hello"}}', True, id="event"),
        pytest.param(f'[{{"timestamp": 1, "message": "{REQUEST} hello"}}]', True, id="events"),
        pytest.param('{"timestamp": 1, "message": "hello"}', False, id="event-of-others"),
        pytest.param('{"logGroup": "/aws/lambda/x", "logEvents": []}', False, id="other-group"),
        pytest.param("START RequestId: 8a5b Version: 1", False, id="lambda"),
        pytest.param(f"{REQUEST}x hello", False, id="longer-id"),
        pytest.param(f"{REQUEST}\t-\t200", False, id="row"),
        pytest.param("2026-01-15\t20:01:07\tFRA56-P4", False, id="access-log"),
        pytest.param("", False, id="empty"),
    ],
)
def test_function_logs_are_recognised_by_their_first_line(first: str, *, is_one: bool) -> None:
    assert recognised(first) is is_one


def test_a_start_is_remembered_across_lines_objects_and_messages() -> None:
    outcome = streamed(
        wrapped(START), gzip.compress(wrapped(f"{REQUEST} a")), f"{REQUEST} b".encode()
    )

    assert [body["message"] for body in outcome.bodies] == ["a", "b"]
    assert {body["aws.cloudfront.distribution_id"] for body in outcome.bodies} == {
        "EDFDVBD6EXAMPLE"
    }
    assert outcome.bodies[1]["aws.kinesis.sequence_number"] == "2"


def test_only_so_many_open_requests_are_remembered() -> None:
    others = [f"{number:054d}== START DistributionID: EOTHER" for number in range(MOST_OPEN)]

    outcome = read("\n".join([START, *others, f"{REQUEST} late"]).encode())

    assert "aws.cloudfront.distribution_id" not in outcome.bodies[0]
    assert outcome.filtered == MOST_OPEN + 1


def test_events_of_one_line_have_ids_of_their_own() -> None:
    same = {"timestamp": 1768507267148, "message": f"{REQUEST} same"}

    outcome = read(json.dumps({"events": [same, same, same]}).encode())

    assert len({document.id for document in outcome.documents}) == 3


def test_objects_without_line_ends_may_be_longer_together_than_a_line() -> None:
    one = wrapped(*[f"{REQUEST} {'x' * 500}"] * 1000)

    outcome = read([one] * 20)

    assert len(outcome.documents) == 20_000
    assert not outcome.rejects


def test_an_event_that_is_delivered_again_keeps_its_id() -> None:
    one, other = read(wrapped("x", f"{REQUEST} a")), read(b"\n\n" + wrapped("x", f"{REQUEST} a"))

    assert [document.id for document in one.documents] == [d.id for d in other.documents]


def test_what_is_kept_of_an_event_is_read_again_as_the_same_document() -> None:
    outcome = read(wrapped(f"{REQUEST} a", f"{REQUEST} b", "c"))

    for document, body in zip(outcome.documents, outcome.bodies, strict=True):
        [again] = read(body["event.original"].encode()).documents
        assert again.id == document.id


@pytest.mark.parametrize("size", [1, 5, 100])
def test_where_the_bytes_are_cut_changes_nothing(size: int) -> None:
    lines = [
        START,
        f"{TIME} {REQUEST} a",
        "more",
        "",
        f"{TIME} {START}",
        "x",
        wrapped("y").decode(),
    ]
    data = "\n".join([*lines, f"{REQUEST} END", f"{REQUEST} z"]).encode()

    whole = read(data)
    cut = read([data[at : at + size] for at in range(0, len(data), size)])

    assert without_times(cut) == without_times(whole)
    assert (cut.skipped, cut.filtered) == (whole.skipped, whole.filtered) == (1, 3)


def without_times(outcome: Outcome) -> list[dict[str, object]]:
    return [{k: v for k, v in body.items() if k != "@timestamp"} for body in outcome.bodies]


def seams(data: bytes) -> int:
    """Return between how many objects a line end is missing."""
    return b"".join(json_apart([data])).count(b"\n") - data.count(b"\n")


words = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=12)
lines = st.one_of(
    words,
    words.map(lambda text: f"{REQUEST} {text}"),
    words.map(lambda text: f"{TIME} {REQUEST} {text}"),
    words.map(lambda text: f"{TIME} {text}"),
    words.map(lambda text: "{" + text),
    words.map(lambda text: "[" + text),
    st.sampled_from([START, f"{REQUEST} END", wrapped("a").decode(), '{"events": []}', "[]", "{}"]),
)


@given(texts=st.lists(lines, max_size=10))
def test_every_line_is_a_document_a_mark_or_blank(texts: list[str]) -> None:
    data = "\n".join(texts).encode().removeprefix(b"\xef\xbb\xbf")
    count = data.count(b"\n") + (data != b"" and not data.endswith(b"\n"))

    outcome = read(data)

    assert outcome.read + outcome.skipped == count + seams(data)
    assert not outcome.rejects
    assert outcome.filtered == sum(text in (START, f"{REQUEST} END") for text in texts)


@given(data=st.binary(max_size=200))
def test_any_bytes_become_documents(data: bytes) -> None:
    data = data.removeprefix(b"\x1f\x8b").removeprefix(b"\xef\xbb\xbf")
    count = data.count(b"\n") + (data != b"" and not data.endswith(b"\n"))

    outcome = read(data)

    assert outcome.read + outcome.skipped == count + seams(data)
