"""JSON lines of standard logs: an object is a record, whatever stands around it."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.batches import Message
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.json_lines import JsonDecoder, JsonOptions
from cloudfront_ecs.normalize.layouts import legacy_columns
from normalize.converting import VALUES, Outcome, collect, convert, header, line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

COLUMNS = (*legacy_columns(), "timestamp(ms)", "asn")
FEW = ("date", "time", "c-ip", "sc-status", "cs(User-Agent)")


def written(columns: Iterable[str] = FEW, **values: object) -> bytes:
    """Return a record as CloudFront writes it; *values* replace others, by name."""
    texts: dict[str, object] = {column: VALUES[column] for column in columns}
    return json.dumps(texts | values, separators=(",", ":")).encode()


def read(
    data: bytes | Sequence[bytes], *, original: bool = False, longest: int = 1 << 20
) -> Outcome:
    decoder = JsonDecoder(JsonOptions(max_line_bytes=longest))
    return convert(data, decoder=decoder, original=original)


def stream(*messages: bytes) -> Outcome:
    decoder = JsonDecoder(JsonOptions())
    numbered = [Message(data, str(70 + i)) for i, data in enumerate(messages)]
    payload = Payload(Receipt("shard", 0), Origin("stream", ("stream",)), messages=numbered)
    return collect(Conversion(decoder, ()), payload)


def test_an_object_gives_the_same_document_as_the_row_with_its_values() -> None:
    [body] = read(written(COLUMNS)).bodies
    [row] = convert(header(COLUMNS) + line(COLUMNS)).bodies

    assert body.pop("event.id") != row.pop("event.id")
    assert body == row


def test_keys_may_come_in_any_order_and_differ_from_line_to_line() -> None:
    lines = [
        written(COLUMNS),
        written(reversed(COLUMNS)),
        written(FEW),
        written((*FEW, "c-port")),
        written(COLUMNS),
    ]

    outcome = read(b"\n".join(lines))

    first, turned, few, port, last = outcome.bodies
    assert outcome.rejects == []
    for body in (first, turned, last):
        del body["event.id"]
        body["related.hosts"].sort()  # in the order of the columns
    assert first == turned == last
    assert ("source.port" in few, port["source.port"]) == (False, 51234)


def test_a_line_is_kept_as_it_was_written() -> None:
    data = written(FEW, **{"sc-status": 200})

    [body] = read(data, original=True).bodies

    assert body["event.original"] == data.decode()


@pytest.mark.parametrize(
    ("value", "field", "expected"),
    [
        pytest.param("-", "source.as.number", None, id="minus"),
        pytest.param("", "source.as.number", None, id="empty"),
        pytest.param(None, "source.as.number", None, id="null"),
        pytest.param(64500, "source.as.number", 64500, id="number"),
        pytest.param("64500", "source.as.number", 64500, id="text"),
    ],
)
def test_values_that_are_no_texts_are_read_as_what_they_say(
    value: object, field: str, expected: object
) -> None:
    [body] = read(written((*FEW, "asn"), asn=value)).bodies

    assert body.get(field) == expected
    assert "error.message" not in body


def test_a_number_keeps_its_digits() -> None:
    data = written((*FEW, "time-taken")).replace(b'"0.047"', b"0.0470")

    [body] = read(data, original=True).bodies

    assert body["event.duration"] == 47_000_000
    assert "0.0470" in body["event.original"]


@pytest.mark.parametrize("value", [True, {"a": [1, None]}, [1, "x"], 1.5, "x", -1])
def test_a_value_that_cannot_be_read_costs_only_its_own_field(value: object) -> None:
    [body] = read(written((*FEW, "asn"), asn=value)).bodies

    assert "source.as.number" not in body
    assert body["source.ip"] == "192.0.2.10"
    assert body["error.message"].startswith("asn: not a whole number")


def test_unknown_keys_are_kept_under_their_own_names() -> None:
    data = written(FEW, **{"x-new": "a%20b", "x-none": "-", "x-deep": {"n": 10, "t": "é"}})

    [body] = read(data).bodies

    assert body["aws.cloudfront.other"] == {"x-new": "a%20b", "x-deep": '{"n":10,"t":"é"}'}


def test_escapes_and_text_that_is_not_ascii_are_read() -> None:
    agent = b'"cs(User-Agent)":"caf\\u00e9 \\"x\\" caf\xc3\xa9"'
    data = written(FEW).replace(b'"cs(User-Agent)":"curl/8.5.0%20(x)"', agent)

    [body] = read(data).bodies

    assert body["user_agent.original"] == 'café "x" café'


def test_half_a_character_stands_as_its_escape() -> None:
    [body] = read(b'{"timestamp": "1768507267", "cs(User-Agent)": "a\\ud800b"}').bodies

    assert body["user_agent.original"] == "a\\ud800b"


@pytest.mark.parametrize("bad", [b"\xff", b"\\udcff"])
def test_bytes_that_are_no_text_cost_only_their_own_field(bad: bytes) -> None:
    outcome = read(written(FEW).replace(b"curl", bad))

    [body] = outcome.bodies
    assert body["source.ip"] == "192.0.2.10"
    assert "user_agent.original" not in body
    assert body["error.message"] == "cs(User-Agent): bytes that are not UTF-8"


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b'{"date":"2026-01-15","time', id="cut"),
        pytest.param(b"{}", id="no-keys"),
        pytest.param(b"nonsense", id="text"),
        pytest.param(b'"text"', id="a-text"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b"12", id="a-number"),
        pytest.param(b"{" * 5000, id="deep"),
        pytest.param(b'{"a":' * 100_000, id="deeper"),
        pytest.param(b'{"date":"a","date":"b"}', id="a-key-twice"),
        pytest.param(b'{"a":NaN}', id="no-number"),
        pytest.param(b'{"a":"\x01"}', id="a-control-character"),
    ],
)
def test_a_bad_line_is_refused_alone(bad: bytes) -> None:
    outcome = read(b"\n".join([written(), bad, b"", written()]) + b"\n")

    [reject] = outcome.rejects
    assert (reject.reason, reject.line, reject.raw) == ("json", 2, bad)
    assert len(outcome.documents) == 2
    assert outcome.skipped == 1


def test_an_object_of_thousands_of_keys_is_refused() -> None:
    many = json.dumps({f"k{i}": "v" for i in range(2000)}).encode()

    assert read(many + b"\n" + written()).reasons == ["json"]


@pytest.mark.parametrize("size", [1, 3, 50, 1 << 20])
def test_objects_without_a_line_end_between_them_count_as_lines(size: int) -> None:
    texts = [written(FEW, **{"x-n": f'{n} }}{{ \\ " \\" }}{{'}) for n in range(40)]
    data = b"".join(texts)

    outcome = read([data[i : i + size] for i in range(0, len(data), size)], original=True)

    apart = read(b"\n".join(texts), original=True)
    assert outcome.rejects == []
    assert outcome.bodies == apart.bodies
    assert [d.id for d in outcome.documents] == [d.id for d in apart.documents]
    assert [body["event.original"].encode() for body in outcome.bodies] == texts


def test_one_line_of_any_length_is_read_if_its_objects_are_short_enough() -> None:
    count = 3000
    chunk = written(COLUMNS) * 10

    outcome = read([chunk] * (count // 10), longest=4096)

    assert (len(outcome.documents), outcome.rejects) == (count, [])


def test_an_object_that_is_too_long_is_refused_alone() -> None:
    long = written(FEW, **{"x-n": "x" * 5000})

    outcome = read(written() + long + written(), longest=2000)

    [reject] = outcome.rejects
    assert (reject.reason, reject.line, reject.length) == ("too_long", 2, len(long))
    assert len(outcome.documents) == 2


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(header(FEW), id="w3c-header"),
        pytest.param(line(legacy_columns()), id="w3c-row"),
        pytest.param(line(("timestamp", "c-ip", "sc-status")), id="real-time"),
        pytest.param(b'{"connectionId":"x","connectionStatus":"Success"}\n', id="connection"),
        pytest.param(b'{"Records":[]}\n', id="cloudtrail"),
    ],
)
def test_a_file_that_turns_into_another_format_is_refused_from_there_on(other: bytes) -> None:
    data = written() + b"\n" + written() + b"\n" + other + written() + b"\n\n" + line(FEW)

    outcome = read([data[i : i + 100] for i in range(0, len(data), 100)])

    assert len(outcome.documents) == 2
    assert [(r.reason, r.line) for r in outcome.rejects] == [
        ("foreign", 3),
        ("foreign", 4),
        ("foreign", 6),
    ]
    assert outcome.skipped == 1


def test_messages_hold_any_number_of_objects_and_stand_for_themselves() -> None:
    outcome = stream(
        written() + b"\n" + written(), written() * 3, header(FEW), gzip.compress(written()), b"{"
    )

    assert len({document.id for document in outcome.documents}) == 6
    assert [(r.reason, r.position, r.line) for r in outcome.rejects] == [
        ("json", "72", None),
        ("json", "74", None),
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(gzip.compress(written())[:-3], "truncated", id="cut"),
        pytest.param(b"\x1f\x8bnonsense", "not_gzip", id="damaged"),
        pytest.param(gzip.compress(b" " * 20_000_000), "too_long", id="too-much"),
    ],
)
def test_a_compressed_message_that_cannot_be_read_is_refused_alone(
    data: bytes, reason: str
) -> None:
    outcome = stream(written(), data, written())

    [reject] = outcome.rejects
    assert (reject.reason, reject.position, reject.raw) == (reason, "71", data[: 1 << 16])
    assert len(outcome.documents) == 2


PARTS = st.sampled_from(
    [b"{", b"}", b"}{", b'"', b"\\", b"\\\\", b"\n", b"\r\n", b",", b":", b"1", b"null", b'{"a":"b"}',
     b'"date":"2026-01-15"', b"#", b"\t", b"\xff", b"[", b"]", written(), b" "]
)  # fmt: skip


@given(st.lists(PARTS, max_size=30).map(b"".join), st.integers(1, 40))
def test_any_bytes_are_accounted_for_wherever_they_are_cut(data: bytes, size: int) -> None:
    whole = read(data)
    parts = read([data[i : i + size] for i in range(0, len(data), size)])

    assert [d.id for d in parts.documents] == [d.id for d in whole.documents]
    assert sorted((r.line or 0, r.raw) for r in parts.rejects) == sorted(
        (r.line or 0, r.raw) for r in whole.rejects
    )
    ended = len(whole.documents) + len(whole.rejects) + whole.skipped
    assert ended >= data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
    assert parts.skipped == whole.skipped


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=6), st.integers(1, 3))
def test_whatever_the_texts_hold_objects_are_told_apart(texts: dict[str, str], times: int) -> None:
    texts = {name: text for name, text in texts.items() if name.isprintable()}
    one = json.dumps({"date": "2026-01-15", "time": "20:01:07"} | texts, ensure_ascii=False)

    outcome = read(one.encode() * times)

    assert len(outcome.documents) == times
    assert outcome.rejects == []
