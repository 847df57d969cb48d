"""Connection logs: every format of them, told apart by content."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.batches import Message
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.connection import ConnectionDecoder, ConnectionOptions, recognised
from cloudfront_ecs.normalize.layouts import rows_by_column
from normalize.converting import VALUES, Outcome, collect, convert, header, line

COLUMNS = tuple(rows_by_column("connection"))
RECORD = {column: VALUES[column] for column in COLUMNS}
ROW = line(COLUMNS)
OBJECT = json.dumps(RECORD).encode() + b"\n"


def read(data: bytes | list[bytes], **options: object) -> Outcome:
    decoder = ConnectionDecoder(ConnectionOptions(**options))  # type: ignore[arg-type]
    return convert(data, decoder=decoder, original=True)


@pytest.mark.parametrize(
    ("first", "is_one"),
    [
        pytest.param(json.dumps(RECORD), True, id="json"),
        pytest.param(json.dumps(RECORD)[:120], True, id="json-cut"),
        pytest.param('{ "connectionId" : "a", "eventTimestamp" : 1}', True, id="json-two-keys"),
        pytest.param('{"connectionId": "a"}', False, id="json-one-key"),
        pytest.param('{"date": "2026-01-15", "connection-id": "a"}', False, id="json-access-log"),
        pytest.param('{"text": "\\"connectionId\\": \\"eventTimestamp\\":"}', False, id="quoted"),
        pytest.param('{"eventVersion": "1.08", "eventTime": "x"}', False, id="cloudtrail"),
        pytest.param("#Fields: eventTimestamp connectionId", True, id="w3c"),
        pytest.param("#Fields: date time connection-id", False, id="w3c-access-log"),
        pytest.param("#Version: 1.0", False, id="w3c-version"),
        pytest.param("eventTimestamp connectionId", False, id="text"),
        pytest.param("", False, id="empty"),
    ],
)
def test_connection_logs_are_recognised_by_their_first_line(first: str, *, is_one: bool) -> None:
    assert recognised(first) is is_one


texts = st.text(st.characters(codec="utf-8", exclude_characters="\t\r\n"), max_size=20)


@given(
    values=st.fixed_dictionaries(dict.fromkeys(COLUMNS[1:], texts)),
    order=st.permutations(COLUMNS),
)
def test_json_and_w3c_become_the_same_document(values: dict[str, str], order: list[str]) -> None:
    record = {"eventTimestamp": VALUES["eventTimestamp"], **values}
    # W3C knows neither braces at the beginning of a line nor a line with a number sign.
    record |= {order[0]: VALUES[order[0]]}
    row = "\t".join(record[name] for name in order).encode() + b"\n"
    as_object = json.dumps({name: record[name] for name in COLUMNS}).encode()

    [from_json] = read(as_object).bodies
    [from_text] = read(header(order) + row).bodies

    for body in (from_json, from_text):
        del body["event.id"], body["event.original"]
        parts = body.pop("error.message", "").split("; ")
        body["problems"] = sorted(parts)
    assert from_json == from_text


def test_each_object_of_a_line_is_a_record() -> None:
    outcome = read((OBJECT + OBJECT).replace(b"\n", b""))

    assert len({document.id for document in outcome.documents}) == 2


def test_braces_in_a_row_of_text_do_not_cut_it() -> None:
    outcome = read(header(COLUMNS) + line(COLUMNS, {"connectionLogCustomData": "a}{b"}))

    assert outcome.bodies[0]["aws.cloudfront.connection_log_custom_data"] == "a}{b"


@pytest.mark.parametrize("size", [1, 3, 50, 1000])
def test_where_the_bytes_are_cut_changes_nothing(size: int) -> None:
    for data in (
        b"\xef\xbb\xbf\n" + OBJECT + OBJECT.rstrip() + OBJECT + b"x\n#Fields: a\n" + OBJECT,
        b"\n\n" + header(COLUMNS) + ROW + b"a\tb\n" + OBJECT + ROW + header(COLUMNS) + ROW,
    ):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]

        assert shape(read(pieces)) == shape(read(data))


def shape(outcome: Outcome) -> tuple[list[str], list[tuple[str, int | None, bytes]], int]:
    rejects = sorted((r.reason, r.line or 0, r.raw) for r in outcome.rejects)
    return [document.id for document in outcome.documents], list(rejects), outcome.skipped


pieces = st.lists(
    st.one_of(
        st.sampled_from(
            [OBJECT, ROW, header(COLUMNS), header(COLUMNS[:3]), b"\n", b"{}\n", b"#\n"]
        ),
        st.binary(max_size=20).map(lambda data: data.replace(b"\r", b"")),
    ),
    max_size=8,
)


@given(parts=pieces)
def test_whatever_the_bytes_are_every_line_has_an_end(parts: list[bytes]) -> None:
    data = b"".join(parts).removeprefix(b"\xef\xbb\xbf")
    lines = data.count(b"\n") + (not data.endswith(b"\n") and data != b"")

    outcome = read(data)

    assert outcome.read + outcome.skipped >= lines
    kept = {reject.raw for reject in outcome.rejects}
    kept |= {str(body["event.original"]).encode() for body in outcome.bodies}
    for text in data.split(b"\n") if b"}{" not in data else ():
        header_or_blank = text.startswith(b"#") or not text.strip()
        # What is not UTF-8 stands in event.original with its bytes escaped.
        assert header_or_blank or text in kept or not is_utf8(text)


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_each_message_of_a_stream_is_a_log_of_its_own() -> None:
    datas = [OBJECT, header(COLUMNS) + ROW, b"junk", OBJECT + OBJECT]
    messages = [Message(data, str(position)) for position, data in enumerate(datas)]
    payload = Payload(Receipt("shard", 0), Origin("shard", ("shard",)), messages=messages)

    outcome = collect(Conversion(ConnectionDecoder(ConnectionOptions()), ()), payload)

    assert len({document.id for document in outcome.documents}) == 4
    assert [(r.reason, r.position, r.line) for r in outcome.rejects] == [("layout", "2", None)]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        pytest.param({"fields": ("conectionId",)}, "did you mean 'connectionId'", id="misspelt"),
        pytest.param({"fields": ("clientIp", "clientIp")}, "named twice", id="twice"),
        pytest.param({"delimiter": ""}, "delimiter: 1 to 5 characters", id="no-delimiter"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        ConnectionOptions(**options)  # type: ignore[arg-type]
