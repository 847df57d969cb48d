"""The content decides: standard, real-time, or foreign."""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.batches import Message
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.auto import AutoDecoder, AutoOptions
from cloudfront_ecs.errors import PayloadError
from cloudfront_ecs.normalize.layouts import legacy_columns
from normalize.converting import VALUES, collect, convert, header, line

if TYPE_CHECKING:
    from collections.abc import Iterator

STANDARD = ("date", "time", "c-ip", "sc-status")
REALTIME = ("timestamp", "c-ip", "s-ip", "sc-status")
NO_LAYOUT_ENDS = ("foreign", "truncated", "not_gzip", "parquet")

ID = "k6WGMNkEzR5BEM_SaF47gjtX9zBDO2m349OY2an0QPEaUum1ZOLrow=="
JSON = json.dumps({name: VALUES[name] for name in STANDARD}).encode()
CONNECTION = {
    "eventTimestamp": "1768507267148",
    "connectionId": ID,
    "connectionStatus": "Success",
    "clientIp": "192.0.2.10",
}
EVENT = {
    "eventVersion": "1.11",
    "userIdentity": {"type": "Root", "accountId": "123456789012"},
    "eventTime": "2026-01-15T20:01:07Z",
    "eventSource": "cloudfront.amazonaws.com",
    "eventName": "CreateInvalidation",
    "awsRegion": "us-east-1",
    "sourceIPAddress": "192.0.2.10",
    "eventID": "6f1e2d3c-0000-4000-8000-000000000001",
    "eventType": "AwsApiCall",
    "recipientAccountId": "123456789012",
}
FUNCTION = f"{ID} START DistributionID: EDFDVBD6EXAMPLE\n{ID} hello\n{ID} END\n".encode()


def parquet_file() -> bytes:
    file = io.BytesIO()
    columns = {name.replace("-", "_"): [VALUES[name]] for name in STANDARD}
    parquet.write_table(pa.table(columns), file)
    return file.getvalue()


def connection_lines() -> bytes:
    return header(CONNECTION) + ("\t".join(CONNECTION.values()) + "\n").encode()


CONTENTS = {
    "w3c": (header(STANDARD) + line(STANDARD), "standard"),
    "w3c-with-version": (b"#Version: 1.0\n" + header(STANDARD) + line(STANDARD), "standard"),
    "w3c-without-header": (line(legacy_columns()), "standard"),
    "json": (JSON, "standard"),
    "json-key-order": (json.dumps({"x-new": 1} | json.loads(JSON)).encode(), "standard"),
    "json-joined": (JSON * 3, "standard"),
    "parquet": (parquet_file(), "standard"),
    "connection-json": (json.dumps(CONNECTION).encode(), "connection"),
    "connection-w3c": (connection_lines(), "connection"),
    "connection-w3c-with-version": (b"#Version: 1.0\n" + connection_lines(), "connection"),
    "cloudtrail-file": (json.dumps({"Records": [EVENT]}).encode(), "api"),
    "cloudtrail-event": (json.dumps(EVENT).encode(), "api"),
    "cloudtrail-long-line": (
        json.dumps({"Records": [EVENT | {"pad": "x" * 200}] * 400}).encode(), "api"
    ),
    "functions": (FUNCTION, "function"),
}  # fmt: skip


@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf", b"\n\r\n"], ids=["", "bom", "blank"])
@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
@pytest.mark.parametrize("name", sorted(CONTENTS))
def test_the_content_tells_the_format(name: str, size: int, begin: bytes) -> None:
    content, log = CONTENTS[name]
    if name == "parquet":
        begin = b""
    data = begin + content

    outcome = convert([data[i : i + size] for i in range(0, len(data), size)])

    assert outcome.rejects == []
    assert {document.dataset for document in outcome.documents} == {f"cloudfront.{log}"}


@pytest.mark.parametrize("name", sorted(CONTENTS))
def test_it_does_not_matter_whether_the_content_is_compressed(name: str) -> None:
    content, _ = CONTENTS[name]

    assert convert(gzip.compress(content)).bodies == convert(content).bodies


def test_no_more_is_read_than_the_first_line_before_records_come_out() -> None:
    read: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number in range(5):
            read.append(number)
            yield JSON + b"\n"

    payload = Payload(Receipt("pipe", 0), Origin("-", ("stdin",)), chunks())
    batches = AutoDecoder(AutoOptions()).decode(payload)

    assert len(next(batches).rows) == 1
    assert read == [0]


def test_a_beginning_that_tells_nothing_is_not_read_for_ever() -> None:
    outcome = convert([b"\n" * 10_000] * 20 + [line(legacy_columns())])

    assert (len(outcome.documents), outcome.skipped) == (1, 200_000)


@pytest.mark.parametrize("content", [b"", b"\n", b"#Version: 1.0\n", b"#Fie", JSON[:10]])
def test_reading_that_breaks_off_before_the_format_is_known_is_one_reject(content: bytes) -> None:
    def chunks() -> Iterator[bytes]:
        yield content
        raise PayloadError("truncated", "gzip ends in mid-stream")

    outcome = convert(chunks())  # type: ignore[arg-type]

    assert [r.reason for r in outcome.rejects][-1] in ("truncated", "foreign")
    assert outcome.documents == []


def test_records_with_another_delimiter_are_known_by_the_columns_given() -> None:
    decoder = AutoDecoder(AutoOptions(fields=("sc-status", "date", "time"), delimiter="||"))
    rows = b"200||2026-01-15||20:01:07\n404||2026-01-15||20:01:08\n"

    outcome = convert(rows, decoder=decoder)

    assert [b["http.response.status_code"] for b in outcome.bodies] == [200, 404]


def test_columns_that_only_v2_has_explain_rows_that_begin_with_seconds() -> None:
    columns = ("timestamp", "DistributionId", "sc-status")

    [body] = convert(line(columns), columns).bodies

    assert body["event.dataset"] == "cloudfront.standard"


@pytest.mark.parametrize(
    "then", ["w3c", "json", "connection-json", "cloudtrail-event", "functions"]
)
@pytest.mark.parametrize("first", ["w3c", "json", "connection-json", "connection-w3c"])
def test_what_follows_another_format_in_one_file_is_refused_by_line(first: str, then: str) -> None:
    content, log = CONTENTS[first]
    added, _ = CONTENTS[then]
    if first == then or (first == "connection-w3c" and then == "w3c"):
        return  # a second header is legal
    before = convert(content + b"\n")

    outcome = convert(content + b"\n" + added)

    assert outcome.bodies == before.bodies
    assert {document.dataset for document in outcome.documents} == {f"cloudfront.{log}"}
    assert outcome.rejects
    assert all(reject.line for reject in outcome.rejects)


def test_messages_of_several_formats_may_come_in_one_stream() -> None:
    json_event = json.dumps(EVENT).encode()
    contents = [JSON, json_event, line(REALTIME), JSON * 2, gzip.compress(JSON), FUNCTION]
    messages = [Message(data, str(index)) for index, data in enumerate(contents)]

    conversion, payload = conversion_of(messages, fields=REALTIME)
    outcome = collect(conversion, payload)

    made = [document.dataset.removeprefix("cloudfront.") for document in outcome.documents]
    assert made == ["standard", "api", "realtime", *["standard"] * 3]
    assert {reject.position for reject in outcome.rejects} == {"5"}  # text is real-time here


def test_a_header_means_a_standard_log_even_where_real_time_columns_are_given() -> None:
    [body] = convert(header(STANDARD) + line(STANDARD), REALTIME).bodies

    assert body["event.dataset"] == "cloudfront.standard"


def test_seconds_at_the_beginning_mean_real_time_records() -> None:
    [body] = convert(b"\n" + line(REALTIME), REALTIME).bodies

    assert body["event.dataset"] == "cloudfront.realtime"


def test_real_time_records_without_columns_are_refused_line_by_line() -> None:
    outcome = convert(line(REALTIME) * 2 + b"\n" + line(REALTIME))

    assert [(r.reason, r.line) for r in outcome.rejects] == [
        ("layout", 1),
        ("layout", 2),
        ("layout", 4),
    ]
    assert "fields" in outcome.rejects[0].detail
    assert outcome.skipped == 1


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        pytest.param(b'{"day":"2026-01-15"}\n', "JSON", id="other-json"),
        pytest.param(b'\n[{"date":"2026-01-15"}]', "JSON", id="a-json-list"),
        pytest.param(bytes(range(11, 256)) * 4, "this content", id="noise"),
        pytest.param("Fuß\tnote\n".encode(), "this content", id="text"),
        pytest.param(b"<html>\n", "this content", id="html"),
        pytest.param(b"PARK\n", "this content", id="nearly-parquet"),
        pytest.param("#Fields: date time\n".encode("utf-16"), "this content", id="utf-16"),
    ],
)
def test_content_that_is_no_log_is_foreign(data: bytes, kind: str) -> None:
    outcome = convert(data)

    [reject] = outcome.rejects
    assert (reject.reason, reject.detail) == (
        "foreign",
        f"{kind} is no log that this version reads",
    )
    assert reject.raw
    assert (outcome.documents, outcome.read) == ([], 1)


@pytest.mark.parametrize(
    "data", [b"", b"\xef\xbb\xbf", gzip.compress(b""), b"\n\n\n"], ids=["no", "bom", "gz", "blank"]
)
def test_nothing_in_is_nothing_out(data: bytes) -> None:
    outcome = convert(data)

    assert (outcome.documents, outcome.rejects) == ([], [])
    assert outcome.skipped == data.count(b"\n")


def test_gzip_is_known_by_its_bytes() -> None:
    data = header(STANDARD) + line(STANDARD)

    assert convert(gzip.compress(data)).bodies == convert(data).bodies


def test_gzip_in_mid_file_is_only_noise_in_a_line() -> None:
    data = header(STANDARD) + line(STANDARD) + gzip.compress(line(STANDARD), mtime=0) + b"\n"

    outcome = convert(data + line(STANDARD))

    assert len(outcome.documents) == 2
    assert set(outcome.reasons) == {"columns"}


def test_messages_with_a_header_explain_themselves() -> None:
    messages = [Message(header(STANDARD) + line(STANDARD), "1"), Message(line(REALTIME), "2")]

    outcome = collect(*conversion_of(messages))

    assert len(outcome.documents) == 1
    assert [(r.reason, r.position) for r in outcome.rejects] == [("timestamp", "2")]


def test_messages_that_nothing_explains_are_refused_by_position() -> None:
    outcome = collect(*conversion_of([Message(line(REALTIME), "1"), Message(b"a\nb", "2")]))

    assert [(r.reason, r.position, r.line) for r in outcome.rejects] == [
        ("layout", "1", None),
        ("layout", "2", None),
        ("layout", "2", 2),
    ]


def conversion_of(
    messages: list[Message], fields: tuple[str, ...] = ()
) -> tuple[Conversion, Payload]:
    origin = Origin("stream", ("stream",))
    return (
        Conversion(AutoDecoder(AutoOptions(fields=fields)), ()),
        Payload(Receipt("shard", 0), origin, messages=messages),
    )


def test_the_longest_line_holds_for_every_format() -> None:
    decoder = AutoDecoder(AutoOptions(fields=REALTIME, max_line_bytes=1024))
    messages = [Message(b"x" * 2000, "1")]
    payload = Payload(Receipt("shard", 0), Origin("stream", ("stream",)), messages=messages)

    assert convert(header(STANDARD) + b"x" * 2000, decoder=decoder).reasons == ["too_long"]
    assert convert(line(REALTIME) + b"x" * 2000, decoder=decoder).reasons == ["too_long"]
    assert collect(Conversion(decoder, ()), payload).reasons == ["too_long"]


def test_columns_that_no_log_has_are_refused() -> None:
    with pytest.raises(ValueError, match=r"fields: unknown column 'c-ipp' \(did you mean 'c-ip'"):
        AutoOptions(fields=("c-ipp",))


PARTS = st.sampled_from(
    [
        header(STANDARD),
        line(STANDARD),
        line(REALTIME),
        line(legacy_columns()),
        b"#Fields: a b\n",
        b"\x1f\x8b",
        b"{",
        b"\t",
        b"\n",
        b"\r",
        b"\xff",
        b"2026-01-15\t",
        b"1768507267.148",
    ]
)


@settings(max_examples=300)
@given(
    st.one_of(st.binary(max_size=200), st.lists(PARTS, max_size=15).map(b"".join)),
    st.integers(1, 400),
    st.sampled_from([(), REALTIME, STANDARD]),
)
def test_any_bytes_are_accounted_for_without_an_exception(
    data: bytes, size: int, fields: tuple[str, ...]
) -> None:
    outcome = convert([data[i : i + size] for i in range(0, len(data), size)], fields)

    text = data.removeprefix(b"\xef\xbb\xbf")
    lines = text.count(b"\n") + (1 if text and not text.endswith(b"\n") else 0)
    ended = len(outcome.documents) + len(outcome.rejects)
    assert ended == outcome.read
    if outcome.reasons and outcome.reasons[-1] in NO_LAYOUT_ENDS and data[:1] != b"#":
        assert ended + outcome.skipped <= max(lines, 1)
    else:
        assert ended + outcome.skipped == lines
