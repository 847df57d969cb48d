"""Access and connection logs that CloudWatch Logs hands on: each event is a line."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.batches import Message
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.auto import AutoDecoder, AutoOptions
from cloudfront_ecs.decoders.connection import ConnectionDecoder, ConnectionOptions
from cloudfront_ecs.decoders.json_lines import JsonDecoder, JsonOptions
from cloudfront_ecs.decoders.standard import StandardDecoder, StandardOptions
from normalize.converting import VALUES, Outcome, collect, convert, header, line

if TYPE_CHECKING:
    from cloudfront_ecs.adapters import Decoder

FEW = ("date", "time", "c-ip", "sc-status", "cs(User-Agent)")
CONNECTION = json.dumps({
    "eventTimestamp": "1768507267123",
    "connectionId": "c-1",
    "clientIp": "203.0.113.7",
    "connectionStatus": "Success",
})  # fmt: skip
CONTROL: dict[str, Any] = {
    "messageType": "CONTROL_MESSAGE",
    "owner": "CloudwatchLogs",
    "logGroup": "",
    "logStream": "",
    "subscriptionFilters": [],
    "logEvents": [
        {
            "id": "",
            "timestamp": 1768507267000,
            "message": "CWL CONTROL MESSAGE: Checking health of destination Kinesis stream.",
        }
    ],
}


def record(**values: str) -> str:
    """Return a record as JSON."""
    return json.dumps({column: VALUES[column] for column in FEW} | values)


def wrapped(*texts: Any, group: str = "/aws/vendedlogs/cdn", **more: Any) -> bytes:
    """Return an object of a subscription whose events say *texts*."""
    events = [
        {"id": f"{number:056d}", "timestamp": 1768507267000 + number, "message": text}
        for number, text in enumerate(texts)
    ]
    return json.dumps({
        "messageType": "DATA_MESSAGE",
        "owner": "123456789012",
        "logGroup": group,
        "logStream": "CloudFront_E1EXAMPLE",
        "subscriptionFilters": ["all"],
        "logEvents": events,
    } | more).encode()  # fmt: skip


AUTO: Decoder = AutoDecoder(AutoOptions())
JSON: Decoder = JsonDecoder(JsonOptions())
STANDARD: Decoder = StandardDecoder(StandardOptions())


def stream(*messages: bytes, decoder: Decoder = AUTO) -> Outcome:
    numbered = [Message(data, str(70 + i)) for i, data in enumerate(messages)]
    payload = Payload(Receipt("shard", 0), Origin("stream", ("stream",)), messages=numbered)
    return collect(Conversion(decoder, ()), payload)


def without_id(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "event.id"}


@pytest.mark.parametrize("decoder", [AUTO, JSON], ids=["auto", "json"])
def test_an_event_gives_the_document_of_its_line(decoder: Decoder) -> None:
    [plain] = convert(record().encode(), decoder=JSON).bodies

    [body] = convert(wrapped(record()), decoder=decoder).bodies

    assert without_id(body) == without_id(plain)


def test_events_are_numbered_like_the_lines_that_they_are() -> None:
    records = [record(**{"c-ip": f"203.0.113.{number}"}) for number in range(6)]
    lines = convert("\n".join(records).encode(), decoder=JSON)

    inside = convert(wrapped(*records[:4]) + wrapped(*records[4:]), decoder=AUTO)

    assert inside.bodies == lines.bodies  # ids, too


def test_the_pieces_in_which_bytes_come_change_nothing() -> None:
    data = wrapped(record(), record()) + wrapped(record())
    whole = convert(data, decoder=AUTO)

    for size in (1, 7, 1000):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert convert(pieces, decoder=AUTO).bodies == whole.bodies


def test_events_of_a_message_take_its_position_and_their_place_in_it() -> None:
    records = [record(**{"c-ip": f"203.0.113.{number}"}) for number in range(3)]
    packed = [gzip.compress(wrapped(*records[:2])), gzip.compress(wrapped(records[2]))]

    inside = stream(*packed)

    plain = stream("\n".join(records[:2]).encode(), records[2].encode())
    assert inside.bodies == plain.bodies
    assert len({body["event.id"] for body in inside.bodies}) == 3


def test_rows_of_text_are_read_with_their_header() -> None:
    head, *_ = header(FEW).decode().splitlines()[-1:]
    row = line(FEW).decode().rstrip("\n")

    [body] = convert(wrapped(head, row), decoder=AUTO).bodies
    [plain] = convert(f"{head}\n{row}\n".encode(), decoder=STANDARD).bodies

    assert body == plain
    assert convert(wrapped(head, row), decoder=STANDARD).bodies == [plain]


def test_the_line_end_of_an_event_is_no_part_of_its_line() -> None:
    row = line(FEW).decode().rstrip("\n")
    plain = convert(wrapped(row), decoder=AutoDecoder(AutoOptions(fields=FEW)))

    for end in ("\n", "\r\n"):
        found = convert(wrapped(row + end), decoder=AutoDecoder(AutoOptions(fields=FEW)))
        assert found.bodies == plain.bodies


def test_rows_without_a_header_are_read_by_the_columns_given() -> None:
    decoder = AutoDecoder(AutoOptions(fields=FEW, delimiter="|"))
    row = line(FEW).decode().rstrip("\n").replace("\t", "|")

    assert len(convert(wrapped(row, row), decoder=decoder).bodies) == 2


def test_connection_logs_are_read() -> None:
    direct = ConnectionDecoder(ConnectionOptions())

    found = [convert(wrapped(CONNECTION), decoder=decoder).bodies for decoder in (AUTO, direct)]

    assert found[0] == found[1] == convert(CONNECTION.encode(), decoder=direct).bodies
    assert found[0][0]["event.dataset"] == "cloudfront.connection"


def test_a_message_about_the_subscription_is_no_record() -> None:
    control = json.dumps(CONTROL).encode()

    alone = convert(control, decoder=AUTO)
    before = convert(control + wrapped(record()), decoder=AUTO)
    messages = stream(gzip.compress(control), gzip.compress(wrapped(record())))

    assert (alone.bodies, alone.rejects) == ([], [])
    assert len(before.bodies) == len(messages.bodies) == 1
    assert before.rejects == messages.rejects == []


def test_logs_of_functions_stay_what_they_are() -> None:
    said = "A" * 54 + "== hello"

    [body] = convert(wrapped(said, group="/aws/cloudfront/function/f"), decoder=AUTO).bodies

    assert body["event.dataset"] == "cloudfront.function"


def test_a_log_group_named_like_that_of_a_function_deceives_nobody() -> None:
    [body] = convert(wrapped(record(), group="/aws/cloudfront/access"), decoder=AUTO).bodies

    assert body["event.dataset"] == "cloudfront.standard"


def test_the_api_gives_events_without_an_envelope() -> None:
    answer = {"events": [{"timestamp": 1768507267000, "message": record()}]}
    one = {"timestamp": 1768507267000, "message": record()}

    for data in (answer, one, [one]):
        assert len(convert(json.dumps(data).encode(), decoder=AUTO).bodies) == 1


def test_what_is_broken_costs_itself_only() -> None:
    broken = wrapped(record())[:-3] + b"!!"
    events = [{"id": "1", "timestamp": 1, "message": record()}, {"id": "2", "timestamp": 2}]
    lost = wrapped(logEvents=events)

    found = convert(b"\n".join([wrapped(record()), broken, lost, wrapped(record())]), decoder=AUTO)

    assert len(found.bodies) == 3
    assert [(reject.reason, reject.detail, reject.line) for reject in found.rejects] == [
        ("json", "not an object of CloudWatch Logs", 2),
        ("json", "an event without a message", 4),
    ]
    assert found.rejects[0].raw == broken


def test_an_event_that_is_no_record_is_refused_as_the_line_that_it_is() -> None:
    found = convert(wrapped(record(), "not json", record()), decoder=JSON)

    assert len(found.bodies) == 2
    [reject] = found.rejects
    assert (reject.reason, reject.raw, reject.line) == ("json", b"not json", 2)


def test_what_an_event_says_is_bounded_like_a_line() -> None:
    decoder = JsonDecoder(JsonOptions(max_line_bytes=2048))
    long = record(**{"cs(User-Agent)": "é" * 1500})

    found = convert(wrapped(record(), long, record()), decoder=decoder)

    assert len(found.bodies) == 2
    [reject] = found.rejects
    length = len(long.encode())
    assert (reject.reason, reject.line, reject.length) == ("too_long", 2, length)
    assert reject.detail == f"the line has {length} bytes, at most 2048 are read"


@pytest.mark.parametrize("half", ["\\ud83d", "\\ude00", "\\udc80"])
def test_half_a_character_costs_no_event(half: str) -> None:
    text = json.dumps(record(**{"cs(User-Agent)": "HALF"})).replace("HALF", half)
    data = wrapped("TEXT").replace(b'"TEXT"', text.encode())

    assert len(convert(data, decoder=AUTO, original=True).bodies) == 1


def test_bytes_that_are_no_text_cost_their_column_only() -> None:
    data = wrapped(record(**{"cs(User-Agent)": "BYTES"})).replace(b"BYTES", b"a\xff")

    [body] = convert(data, decoder=AUTO).bodies

    assert "cs(User-Agent)" in body["error.message"]
    assert body["source.ip"] == VALUES["c-ip"]


def test_a_truncated_stream_keeps_the_rest_of_its_last_object() -> None:
    packed = gzip.compress(wrapped(record()) + b"\n" + wrapped(record()))

    found = convert(packed[:-40], decoder=AUTO)

    assert [reject.reason for reject in found.rejects] == ["truncated"]


def test_a_record_of_which_a_value_speaks_like_an_event_is_a_record() -> None:
    odd = record(**{"cs(User-Agent)": '"message": "2026-01-15\\tx", "logEvents":'})

    [body] = convert(odd.encode(), decoder=AUTO).bodies

    assert "logEvents" in body["user_agent.original"]
