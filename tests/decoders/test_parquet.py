"""Parquet: rows of texts whose column names are spelt another way."""

from __future__ import annotations

import io
import json
import re
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.batches import Message
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders import parquet as decoder_module
from cloudfront_ecs.decoders.parquet import ParquetDecoder, ParquetOptions, columns_of
from cloudfront_ecs.errors import ConfigError
from cloudfront_ecs.normalize.layouts import legacy_columns, rows_by_column
from normalize.converting import VALUES, Outcome, collect, convert, header, line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SPELT = {
    "cs(Host)": "cs_host",
    "cs(Referer)": "cs_referer",
    "cs(User-Agent)": "cs_user_agent",
    "cs(Cookie)": "cs_cookie",
    "timestamp(ms)": "timestamp_ms",
    "DistributionId": "distributionid",
}
COLUMNS = (*legacy_columns(), "timestamp(ms)", "asn", "c-country", "distribution-tenant-id")


def spelt(column: str) -> str:
    return SPELT.get(column, column.replace("-", "_"))


def written(columns: dict[str, Any], **options: Any) -> bytes:
    """Return a Parquet file with columns as given."""
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file, **options)
    return file.getvalue()


def usual(rows: int = 1, **values: Any) -> bytes:
    return written({spelt(c): [VALUES[c]] * rows for c in COLUMNS} | values)


def read(data: bytes, *, original: bool = False, rows: int = 1000) -> Outcome:
    decoder = ParquetDecoder(ParquetOptions(batch_rows=rows))
    chunks = [data[i : i + 5000] for i in range(0, len(data), 5000)]
    return convert(chunks, decoder=decoder, original=original)


def test_a_row_gives_the_same_document_as_the_line_with_its_values() -> None:
    [body] = read(usual()).bodies
    [row] = convert(header(COLUMNS) + line(COLUMNS)).bodies

    assert body.pop("event.id") != row.pop("event.id")
    assert body == row


@pytest.mark.parametrize("column", sorted(rows_by_column("standard")))
def test_every_column_is_known_in_lower_case_with_underscores(column: str) -> None:
    [found] = columns_of([spelt(column)])

    assert found.lower() == column.lower()
    assert columns_of([column]) == (column,)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        pytest.param(["X_Edge_Location"], ("x-edge-location",), id="any-case"),
        pytest.param(["x_new", "date"], ("x_new", "date"), id="unknown"),
        pytest.param(["cs_host", "cs(Host)"], ("cs_host", "cs(Host)"), id="the-exact-name-first"),
        pytest.param(["c_ip", "C_IP"], ("c-ip", "C_IP"), id="two-spellings"),
    ],
)
def test_a_name_that_is_not_surely_known_stays(names: list[str], found: tuple[str, ...]) -> None:
    assert columns_of(names) == found


def test_unknown_columns_are_kept_under_their_own_names() -> None:
    [body] = read(usual(x_new=["a%20b"])).bodies

    assert body["aws.cloudfront.other"] == {"x_new": "a%20b"}


@pytest.mark.parametrize(
    ("values", "field", "expected"),
    [
        pytest.param({"sc_status": [200]}, "http.response.status_code", 200, id="int"),
        pytest.param({"time_taken": [0.047]}, "event.duration", 47_000_000, id="double"),
        pytest.param({"sc_bytes": pa.array([None], pa.int64())}, "http.response.bytes", None,
                     id="null"),
        pytest.param({"sc_bytes": pa.nulls(1)}, "http.response.bytes", None, id="nothing"),
        pytest.param({"asn": pa.array([64500], pa.uint32())}, "source.as.number", 64500, id="uint"),
        pytest.param({"c_ip": pa.array(["192.0.2.9"], pa.large_string())}, "source.ip",
                     "192.0.2.9", id="large"),
        pytest.param({"c_ip": pa.array(["192.0.2.9"]).dictionary_encode()}, "source.ip",
                     "192.0.2.9", id="dictionary"),
        pytest.param({"c_ip": pa.array([b"192.0.2.9"])}, "source.ip", "192.0.2.9", id="bytes"),
        pytest.param({"cs_referer": ["a\tb\nc\rd"]}, "http.request.referrer", "a\tb\nc\rd",
                     id="tab-and-line-end"),
        pytest.param({"cs_referer": ["é%20"]}, "http.request.referrer", "é ", id="not-ascii"),
        pytest.param({"x": [{"a": [1]}]}, "aws.cloudfront.other", {"x": '{"a":[1]}'}, id="nested"),
        pytest.param({"x": [["a"]]}, "aws.cloudfront.other", {"x": '["a"]'}, id="list"),
        pytest.param({"x": [True]}, "aws.cloudfront.other", {"x": "true"}, id="bool"),
    ],
)  # fmt: skip
def test_columns_of_other_types_are_read_as_text(
    values: dict[str, Any], field: str, expected: object
) -> None:
    [body] = read(usual(**values)).bodies

    assert body.get(field) == expected
    assert "error.message" not in body


def test_dates_and_times_may_have_types_of_their_own() -> None:
    day = pa.array([20468], pa.date32())
    clock = pa.array([72_067], pa.time32("s"))

    [body] = read(written({"date": day, "time": clock})).bodies

    assert body["@timestamp"] == "2026-01-15T20:01:07.000Z"  # Parquet has no seconds


def test_a_value_that_is_no_text_costs_only_its_own_field() -> None:
    offsets = pa.array([0, 2], pa.int32()).buffers()[1]
    broken = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"x\xff")])

    [body] = read(usual(cs_user_agent=broken, sc_bytes=["many"])).bodies

    assert "user_agent.original" not in body
    assert body["error.message"] == (
        "sc-bytes: not a whole number ('many'); cs(User-Agent): bytes that are not UTF-8"
    )


def test_a_row_is_kept_as_a_line_from_which_it_can_be_read_again() -> None:
    data = written({"date": ["2026-01-15"], "time": ["20:01:07"], "x": ["a\tb"], "y": [None]})

    [body] = read(data, original=True).bodies

    assert body["event.original"] == "2026-01-15\t20:01:07\ta%09b\t-"


def test_rows_are_numbered_from_one_through_all_row_groups() -> None:
    times = [f"20:0{n}:00" for n in range(7)]
    times[5] = "-"
    days = ["2026-01-15"] * 7
    data = written({"date": days, "time": times}, row_group_size=3)

    by_two, at_once = read(data, rows=2), read(data)

    assert len({document.id for document in by_two.documents}) == 6
    assert [d.id for d in by_two.documents] == [d.id for d in at_once.documents]
    for outcome in (by_two, at_once):
        [reject] = outcome.rejects
        assert (reject.reason, reject.line, reject.raw) == ("timestamp", 6, b"2026-01-15\t-")


def test_a_file_without_rows_is_nothing() -> None:
    outcome = read(usual(rows=0))

    assert (outcome.documents, outcome.rejects, outcome.read) == ([], [], 0)


DAMAGES = {
    "cut": lambda data: data[:-1],
    "half": lambda data: data[: len(data) // 2],
    "magic-alone": lambda _: b"PAR1",
    "no-footer": lambda data: data[:-200] + b"PAR1",
    "text": lambda _: b"#Fields: date time\n",
    "zeros": lambda data: b"PAR1" + b"\0" * len(data) + b"PAR1",
}


@pytest.mark.parametrize("kind", sorted(DAMAGES))
def test_a_damaged_file_is_one_reject(kind: str) -> None:
    data = DAMAGES[kind](usual(rows=50))

    outcome = read(data)

    [reject] = outcome.rejects
    assert (reject.reason, reject.raw) == ("parquet", data[: 1 << 16])
    assert reject.detail.startswith("not readable as Parquet: ")
    assert outcome.documents == []


def test_rows_before_the_damage_become_documents() -> None:
    columns = {"date": ["2026-01-15"] * 4000, "time": ["20:01:07"] * 4000}
    texts = [str(n * 7919 % 10007) for n in range(4000)]
    data = bytearray(written(columns | {"x": texts}, row_group_size=1000))
    data[len(data) // 2 : len(data) // 2 + 2000] = b"\xff" * 2000

    outcome = read(bytes(data))

    assert 1000 <= len(outcome.documents) < 4000
    assert outcome.reasons == ["parquet"]


@settings(max_examples=60)
@given(st.integers(0), st.integers(0, 255))
@example(121, 1)  # the file then seems to have no rows
def test_any_damage_ends_with_a_reject_or_a_document(place: int, value: int) -> None:
    data = bytearray(usual(rows=2))
    data[place % len(data)] = value

    outcome = read(bytes(data))

    assert len(outcome.documents) + len(outcome.rejects) == outcome.read
    assert len(outcome.documents) == 2 or outcome.rejects


def test_two_columns_of_one_name_are_refused() -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["date", "date"])
    file = io.BytesIO()
    parquet.write_table(table, file)

    [reject] = read(file.getvalue()).rejects

    assert reject.reason == "parquet"
    assert "two columns have the same name" in reject.detail


def test_messages_are_no_parquet_files() -> None:
    messages = [Message(usual(), "1")]
    payload = Payload(Receipt("shard", 0), Origin("stream", ("stream",)), messages=messages)

    outcome = collect(Conversion(ParquetDecoder(ParquetOptions()), ()), payload)

    assert set(outcome.reasons) == {"parquet"}


def test_memory_stays_small_while_a_large_file_is_read() -> None:
    agents = [f"agent-{n}" + "x" * 300 for n in range(60_000)]
    columns = {"date": ["2026-01-15"] * 60_000, "time": ["20:01:07"] * 60_000}
    data = written(columns | {"cs_user_agent": agents}, compression="none", row_group_size=10_000)

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(data), 32_768):
            yield data[start : start + 32_768]

    payload = Payload(Receipt("x", 0), Origin("x", ("x",)), chunks())
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    peak = 0
    for _ in ParquetDecoder(ParquetOptions()).decode(payload):
        peak = max(peak, pa.total_allocated_bytes() - before)
    _, python = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(data) > 15_000_000
    assert peak < 12_000_000
    assert python < 6_000_000


@pytest.fixture(name="without_pyarrow")
def _without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let imports of pyarrow fail, as where the extra is not installed."""
    decoder_module.pyarrow.cache_clear()
    for name in ("pyarrow", "pyarrow.compute", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    yield
    decoder_module.pyarrow.cache_clear()


@pytest.mark.usefixtures("without_pyarrow")
def test_without_pyarrow_the_error_says_what_to_install() -> None:
    [spec] = decoder_module.decoder_specs()

    with pytest.raises(ConfigError, match=r"pip install 'cloudfront-ecs\[parquet\]'"):
        spec.open(ParquetOptions(), AdapterContext("parquet"))


@pytest.mark.usefixtures("without_pyarrow")
def test_without_pyarrow_nothing_is_lost_where_the_content_asks_for_it() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'cloudfront-ecs\[parquet\]'"):
        convert(b"PAR1" + b"x" * 100)


CONNECTION = {
    "eventTimestamp": "1768507267148",
    "connectionId": "oLHiEKbQSn8lkvJfA3D4gFowK3_iZ0g4i5nMUjE1Akod8TuAzn5nzg==",
    "connectionStatus": "Success",
    "clientIp": "192.0.2.10",
    "tlsProtocol": "TLSv1.3",
    "clientLeafCertValidity": "NotBefore=2025-06-05T23:28:21Z;NotAfter=2027-06-05T23:28:21Z",
}


@pytest.mark.parametrize(
    "spelt_as",
    [
        pytest.param(str, id="as-logged"),
        pytest.param(str.lower, id="lower-case"),
        pytest.param(lambda name: re.sub("([A-Z])", r"_\1", name).lower(), id="underscores"),
    ],
)
def test_connection_logs_are_known_by_their_columns(spelt_as: Callable[[str], str]) -> None:
    data = written({spelt_as(name): [value] for name, value in CONNECTION.items()})
    [line] = convert(json.dumps(CONNECTION).encode()).bodies

    for found in (read(data), convert(data)):  # by its own decoder and by auto
        [body] = found.bodies
        assert body == line
        assert body["event.dataset"] == "cloudfront.connection"


def test_a_connection_id_alone_makes_no_connection_log() -> None:
    [body] = read(usual(connection_id=["c-1"])).bodies

    assert body["event.dataset"] == "cloudfront.standard"
