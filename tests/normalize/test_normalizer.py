"""Records become documents: exactly, and each bad value costs only its own fields."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudfront_ecs import Origin
from cloudfront_ecs.batches import Layout
from cloudfront_ecs.normalize.compiling.compile import compiled
from cloudfront_ecs.normalize.compiling.plan import Plan
from cloudfront_ecs.normalize.documents.aws_fields import AwsS3, S3Bucket, S3Object
from cloudfront_ecs.normalize.layouts import legacy_columns, realtime_columns, rows_by_column
from cloudfront_ecs.resources import field_table
from normalize.converting import VALUES, Outcome, convert, flat, header, line, realtime, standard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudfront_ecs.batches import Document

LEGACY = legacy_columns()
REALTIME = realtime_columns()
NOT_ASCII = "gr\u00fc\u00df"
NUMBERS = [
    row.column
    for row in field_table()
    if row.conversion in ("integer", "port", "seconds", "duration", "status")
]
JUNK = {
    "integer": "12x",
    "port": "65536",
    "seconds": "1e-3",
    "duration": "-1",
    "status": "1000",
    "address": "192.0.2.256",
    "host": "example.com:x",
    "http_version": "SPDY/3",
    "ip_version": "IPv5",
    "tls_version": "QUIC",
    "forwarded": "nobody",
    "quoted_integer": "%22x%22",
    "quoted_number": "fast",
    "flag": "perhaps",
}
"""For each conversion that can fail, a value that it cannot read."""

BAD_COLUMNS = [
    pytest.param(log, column, JUNK[row.conversion], id=f"{log}-{column}")
    for log, columns in (("standard", LEGACY), ("realtime", REALTIME))
    for column in columns
    if (row := rows_by_column(log)[column]).conversion in JUNK
]


def one(log: str, values: Mapping[str, str]) -> Outcome:
    return standard(values) if log == "standard" else realtime(values, columns=REALTIME)


def body(log: str, values: Mapping[str, str]) -> dict[str, Any]:
    outcome = one(log, values)
    assert outcome.rejects == []
    return outcome.bodies[0]


@pytest.mark.parametrize(("log", "column", "junk"), BAD_COLUMNS)
def test_a_bad_value_costs_only_the_fields_of_its_column(log: str, column: str, junk: str) -> None:
    bad, without = body(log, {column: junk}), body(log, {column: "-"})

    message = bad.pop("error.message")
    assert bad.pop("event.kind") == "pipeline_error"
    assert without.pop("event.kind") == "event"
    assert message.startswith(f"{column}: ")
    assert junk in message
    if column == "x-forwarded-for":
        without["aws.cloudfront.forwarded_for"] = junk
    else:
        without["aws.cloudfront.other"] = {column: junk}
    assert bad == without


@pytest.mark.parametrize("log", ["standard", "realtime"])
def test_bytes_that_are_not_utf_8_cost_only_their_column(log: str) -> None:
    for column in LEGACY if log == "standard" else REALTIME:
        if column in ("date", "time", "timestamp"):
            continue
        bad, without = body(log, {column: "a\udcffb"}), body(log, {column: "-"})

        assert bad.pop("error.message") == f"{column}: bytes that are not UTF-8"
        if column == "x-forwarded-for":
            assert bad.pop("aws.cloudfront.forwarded_for") == "a\\xffb"
        else:
            assert bad.pop("aws.cloudfront.other") == {column: "a\\xffb"}
        assert bad | {"event.kind": "event"} == without


@pytest.mark.parametrize("log", ["standard", "realtime"])
def test_several_bad_values_are_all_named(log: str) -> None:
    message = body(log, {"sc-bytes": "x", "c-port": "y"})["error.message"]

    assert sorted(message.split("; ")) == [
        "c-port: not a whole number ('y')",
        "sc-bytes: not a whole number ('x')",
    ]


def test_what_a_player_or_viewer_wrote_never_speaks_against_the_layout() -> None:
    junk = {column: "%FF" for column in REALTIME if column.startswith("cmcd-")}
    junk |= {"cs-host": "example.com:x", "x-forwarded-for": "nobody"}

    found = body("realtime", junk)

    assert found["error.message"].count("; ") >= 10
    assert found["aws.cloudfront.edge_result_type"] == "Error"


def test_three_bad_values_of_cloudfront_itself_speak_against_the_layout() -> None:
    outcome = one("realtime", {"sc-bytes": "x", "c-port": "y", "asn": "z"})

    [reject] = outcome.rejects
    assert reject.reason == "layout"
    assert reject.detail.startswith("3 columns cannot be read, so the layout is another: ")


def test_a_long_bad_value_is_shortened_in_the_message() -> None:
    message = body("standard", {"c-ip": "x" * 5000})["error.message"]

    assert len(message) < 150
    assert message.endswith("…')")


def test_a_reject_says_nothing_of_what_the_line_holds() -> None:
    secret = "password"
    outcomes = [
        standard({"date": secret, "c-ip": secret}),
        standard({"date": "2026-13-45"}),
        standard({"time": secret}),
        realtime({"timestamp": secret}, columns=("timestamp", "c-ip")),
        realtime(dict.fromkeys(("c-ip", "s-ip", "asn"), secret), columns=REALTIME),
        convert(header(("date", "time")) + b"password\n"),
    ]

    for outcome in outcomes:
        [reject] = outcome.rejects
        assert secret not in reject.detail
        assert "2026-13-45" not in reject.detail
        assert reject.raw


PRINTABLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
NUMBER = st.integers(0, 10**17).map(str) | st.just("-")
TEXTS = st.fixed_dictionaries(
    {
        "cs-uri-query": PRINTABLE,
        "sc-bytes": NUMBER,
        "cs-bytes": NUMBER,
        "c-ip": st.ip_addresses().map(str),
        "c-port": st.integers(0, 65535).map(str) | st.just("-"),
        "sc-status": st.sampled_from(["000", "200", "206", "304", "404", "503", "-"]),
        "time-taken": st.decimals(0, 10**6, places=3).map(str) | st.just("-"),
        "x-forwarded-for": st.lists(st.ip_addresses().map(str), max_size=3).map(",%20".join),
        "sc-content-type": PRINTABLE,
        "x-edge-result-type": st.sampled_from(["Hit", "Miss", "Error", "-", ""]),
    }
)


@pytest.mark.parametrize("log", ["standard", "realtime"])
@given(texts=TEXTS, path=PRINTABLE)
def test_the_careful_way_and_the_fast_way_agree(log: str, texts: dict[str, str], path: str) -> None:
    values = texts | {"cs-uri-stem": f"/{path}"}
    column = "cs(Cookie)" if log == "standard" else "cs-cookie"

    fast = body(log, values | {column: "session"})
    careful = body(log, values | {column: NOT_ASCII})

    assert fast.pop("aws.cloudfront.cookies") == "session"
    assert careful.pop("aws.cloudfront.cookies") == NOT_ASCII
    assert fast == careful


@given(st.decimals(0, 999_999_999, places=9, allow_nan=False), st.integers(0, 9))
def test_durations_are_exact_to_the_nanosecond(seconds: Decimal, places: int) -> None:
    text = str(round(seconds, places)) if places else str(int(seconds))

    found = body("standard", {"time-taken": f"{Decimal(text):f}"})["event.duration"]

    assert found == int(Decimal(text) * 10**9)


@pytest.mark.parametrize("log", ["standard", "realtime"])
def test_more_decimals_than_a_nanosecond_has_are_read_if_they_say_nothing(log: str) -> None:
    exact = body(log, {"time-taken": "0.04700000000000", "time-to-first-byte": "0.0460000000001"})
    finer = body(log, {"time-taken": "0.0470000001"})

    assert exact["event.duration"] == 47_000_000
    assert exact["aws.cloudfront.time_to_first_byte"] == 0.0460000000001
    assert finer["error.message"] == "time-taken: finer than a nanosecond ('0.0470000001')"


SECONDS = st.integers(10**9, 10**10 - 1)
"""Seconds since 1970 as logs have them, with ten digits: until the year 2286."""


@given(st.integers(10**12, 10**13 - 1), st.decimals(0, 100_000, places=6))
def test_the_start_is_the_end_less_the_duration(milliseconds: int, taken: Decimal) -> None:
    stamp = f"{Decimal(milliseconds) / 1000:.3f}"

    found = realtime(
        {"timestamp": stamp, "time-taken": f"{taken:f}"}, columns=("timestamp", "time-taken")
    ).bodies[0]

    assert nanoseconds(found["event.end"]) == milliseconds * 10**6
    assert nanoseconds(found["@timestamp"]) == milliseconds * 10**6
    assert nanoseconds(found["event.start"]) == milliseconds * 10**6 - found["event.duration"]


def nanoseconds(text: str) -> int:
    """Return RFC 3339 as nanoseconds since 1970, by other means than the product's."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * 10**9 + int(fraction.ljust(9, "0"))


@given(SECONDS, st.integers(0, 999_999_999), st.integers(0, 9))
def test_a_timestamp_keeps_its_digits(seconds: int, fraction: int, places: int) -> None:
    digits = f".{fraction:09d}"[: places + 1] if places else ""

    [document] = realtime({"timestamp": f"{seconds}{digits}"}, columns=("timestamp",)).documents

    text = flat(document)["@timestamp"]
    assert text.removesuffix("Z")[19:] == digits
    assert nanoseconds(text) == document.time_ns


@pytest.mark.parametrize("log", ["standard", "realtime"])
def test_numbers_of_64_bits_are_kept_and_larger_ones_named(log: str) -> None:
    largest = body(log, {"sc-bytes": str(2**63 - 1)})
    too_large = body(log, {"sc-bytes": str(2**63)})

    assert largest["http.response.bytes"] == 2**63 - 1
    assert "network.bytes" not in largest, "the sum would be too large"
    assert "error.message" not in largest
    assert too_large["error.message"].startswith("sc-bytes: too large for a 64-bit number")
    assert body("standard", {"sc-bytes": "9" * 18})["network.bytes"] == 10**18 - 1 + 311
    assert body("standard", {"sc-bytes": "0" * 30 + "7"})["http.response.bytes"] == 7
    assert "64-bit" in body("standard", {"sc-bytes": "9" * 19})["error.message"]


# Ids.


def ids(data: bytes, **origin: Any) -> list[str]:
    place = Origin("example", origin.pop("identity", ("bucket", "key")), **origin)
    return [document.id for document in convert(data, origin=place).documents]


@given(st.integers(1, 40))
def test_ids_have_30_characters_and_are_equal_for_equal_bytes(count: int) -> None:
    data = header(LEGACY) + line(LEGACY) * count

    first, again = ids(data), ids(data)

    assert first == again
    assert len(set(first)) == count
    assert {len(text) for text in first} == {30}
    assert all(
        text.isascii() and text.replace("-", "").replace("_", "").isalnum() for text in first
    )


def test_ids_differ_between_objects() -> None:
    data = header(LEGACY) + line(LEGACY)
    identities = [("bucket", "key"), ("bucket", "key", "1"), ("bucketk", "ey"), ("bucket", "key2")]

    assert len({ids(data, identity=identity)[0] for identity in identities}) == 4


def test_ids_do_not_depend_on_the_transforms_or_options() -> None:
    data = header(LEGACY) + line(LEGACY)
    plain = convert(data).documents[0].id

    assert convert(data, original=True).documents[0].id == plain


def test_where_bytes_have_no_name_their_content_makes_the_id() -> None:
    columns = ("date", "time", "c-ip")
    first = header(columns) + line(columns)
    other = header(columns) + line(columns, {"c-ip": "192.0.2.99"})

    assert ids(first, content_identity=True) != ids(other, content_identity=True)
    assert ids(first) == ids(other)


@given(SECONDS, SECONDS)
def test_ids_begin_with_the_seconds_of_their_time(one_second: int, other: int) -> None:
    stamps = [{"timestamp": str(second)} for second in (one_second, other)]

    documents = realtime(*stamps, columns=("timestamp",)).documents

    assert [order(document) for document in documents] == [one_second, other]


def order(document: Document) -> int:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    number = 0
    for character in document.id[:8]:
        number = number * 64 + alphabet.index(character)
    return number


# What a document looks like.


@pytest.mark.parametrize("log", ["standard", "realtime"])
def test_json_and_messagepack_hold_the_same(log: str) -> None:
    [document] = one(log, {}).documents

    as_json = msgspec.json.decode(msgspec.json.encode(document.body))
    as_messagepack = msgpack.unpackb(msgspec.msgpack.encode(document.body))

    assert as_json == as_messagepack


@pytest.mark.parametrize("log", ["standard", "realtime"])
@pytest.mark.parametrize("nothing", ["-", ""])
def test_what_is_absent_is_absent(log: str, nothing: str) -> None:
    columns = LEGACY if log == "standard" else REALTIME
    values = {column: nothing for column in columns if column not in ("date", "time", "timestamp")}

    found = body(log, values)

    assert "error.message" not in found
    for name, value in found.items():
        assert value not in (None, "", "-", [], {}), name
    assert {name.partition(".")[0] for name in found} == {
        "@timestamp",
        "ecs",
        "event",
        "data_stream",
        "observer",
        "cloud",
        "aws",
    }
    assert found["aws.cloudfront.bot_class"] == "empty"


def test_the_top_level_begins_with_the_time() -> None:
    [document] = one("standard", {}).documents

    names = list(msgspec.json.decode(msgspec.json.encode(document.body)))
    assert names[0] == "@timestamp"
    assert "message" not in names


def test_the_place_of_the_line_stands_in_the_document() -> None:
    s3 = AwsS3(S3Bucket("logs", "arn:aws:s3:::logs"), S3Object("EDFDVBD6EXAMPLE.gz"))
    origin = Origin(
        "s3://logs/EDFDVBD6EXAMPLE.gz",
        ("logs", "EDFDVBD6EXAMPLE.gz"),
        distribution_id="EDFDVBD6EXAMPLE",
        account_id="123456789012",
        region="eu-west-1",
        file_path="/logs/x",
        s3=s3,
    )

    [found] = convert(header(LEGACY) + line(LEGACY), origin=origin).bodies

    expected = {
        "aws.s3.bucket.name": "logs",
        "aws.s3.bucket.arn": "arn:aws:s3:::logs",
        "aws.s3.object.key": "EDFDVBD6EXAMPLE.gz",
        "aws.cloudfront.distribution_id": "EDFDVBD6EXAMPLE",
        "cloud.account.id": "123456789012",
        "cloud.region": "eu-west-1",
        "log.file.path": "/logs/x",
    }
    assert found.items() >= expected.items()


def test_a_distribution_named_by_the_line_wins_over_the_place() -> None:
    columns = ("date", "time", "DistributionId")
    origin = Origin("x", ("x",), distribution_id="EDFDVBD6EXAMPLE")
    data = (
        header(columns)
        + line(columns, {"DistributionId": "E2OTHER"})
        + line(columns, {"DistributionId": "-"})
    )

    found = [b["aws.cloudfront.distribution_id"] for b in convert(data, origin=origin).bodies]

    assert found == ["E2OTHER", "EDFDVBD6EXAMPLE"]


@pytest.mark.parametrize(
    ("cookie", "shown"),
    [
        pytest.param("a", "a", id="ascii"),
        pytest.param(NOT_ASCII, NOT_ASCII, id="utf-8"),
        pytest.param("a\udcff", "a\\xff", id="not-utf-8"),
    ],
)
def test_the_original_line_is_kept_when_asked_for(cookie: str, shown: str) -> None:
    columns = ("date", "time", "cs(Cookie)")
    data = header(columns) + line(columns, {"cs(Cookie)": cookie})

    [found] = convert(data, original=True).bodies

    assert found["event.original"] == f"2026-01-15\t20:01:07\t{shown}"


@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize(
    "known",
    [
        {"eventTimestamp": "1768507267148", "connectionId": "a", "connectionStatus": "Success"},
        {"date": "2026-01-15", "time": "20:01:07", "c-ip": "192.0.2.10"},
    ],
    ids=["connection", "standard"],
)
def test_the_original_of_an_object_with_an_unknown_key_is_kept_as_text(
    known: dict[str, str], count: int
) -> None:
    data = msgspec.json.encode({**known, "x-new": {"a": "?"}}).replace(b"?", b"x\xc3") + b"\n"

    found = convert(data * count, original=True)

    assert found.rejects == []
    for each in found.bodies:
        assert each["event.original"] == data.decode("utf-8", "backslashreplace").rstrip()
        assert "x\\xc3" in each["aws.cloudfront.other"]["x-new"]


def test_columns_of_another_log_are_unknown_and_harm_nobody() -> None:
    for row in field_table():
        if row.realtime and row.column not in rows_by_column("standard"):
            columns = (*LEGACY, row.column)
            found = standard({}, columns=columns)

            assert found.rejects == []
            assert found.bodies[0]["aws.cloudfront.other"] == {row.column: VALUES[row.column]}


@given(st.lists(PRINTABLE, min_size=1, max_size=4, unique=True))
def test_names_of_unknown_columns_may_be_any_text(names: list[str]) -> None:
    columns = [f"x-{name}" for name in names]
    data = header(("date", "time", *columns)) + b"\t".join(
        [b"2026-01-15", b"20:01:07", *(b"v" for _ in columns)]
    )

    [found] = convert(data).bodies

    assert found["aws.cloudfront.other"] == dict.fromkeys(columns, "v")


def test_that_a_layout_tells_no_time_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[Layout] = []

    class Counted(Plan):
        def __init__(self, layout: Layout, **options: Any) -> None:
            planned.append(layout)
            super().__init__(layout, **options)

    monkeypatch.setattr("cloudfront_ecs.normalize.compiling.compile.Plan", Counted)
    data = header(("c-ip", "x-undated")) + b"192.0.2.10\tx\n" * 40

    outcomes = [convert(data) for _ in range(3)]

    assert [outcome.reasons for outcome in outcomes] == [["timestamp"] * 40] * 3
    assert len(planned) == 1


def test_the_function_of_a_layout_is_made_once() -> None:
    layout = Layout("standard", LEGACY)

    first = compiled(layout, messages=False, original=False)

    assert compiled(layout, messages=False, original=False) is first
