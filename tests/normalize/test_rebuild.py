"""The way back: every column of a line can be made again from its document."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudfront_ecs import Layout, Origin
from cloudfront_ecs.batches import RecordBatch
from cloudfront_ecs.decoders.rows import refitted
from cloudfront_ecs.demo.columns import REALTIME_COLUMNS, STANDARD_COLUMNS
from cloudfront_ecs.demo.render import realtime_line, standard_line
from cloudfront_ecs.demo.traffic import requests
from cloudfront_ecs.normalize.layouts import legacy_columns, realtime_columns, rows_by_column
from cloudfront_ecs.normalize.normalizer import Normalizer
from cloudfront_ecs.normalize.rebuilding.rebuild import rebuilt
from cloudfront_ecs.normalize.values import convert
from normalize.converting import VALUES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DATA = Path(__file__).parent.parent / "data"
V2_COLUMNS = (
    "timestamp(ms)", "DistributionId", *legacy_columns(), "c-country",
    "cache-behavior-path-pattern", "origin-fbl", "origin-lbl", "asn", "viewer-request-log-data",
    "viewer-response-log-data", "distribution-tenant-id", "connection-id",
)  # fmt: skip
STANDARD = Layout("standard", legacy_columns())
V2 = Layout("standard", V2_COLUMNS)
REALTIME = Layout("realtime", realtime_columns())


def documents(layout: Layout, rows: Iterable[Sequence[str]]) -> list[dict[str, Any] | None]:
    """Return the document of each row as JSON has it; None for a row that is refused."""
    texts = [list(row) for row in rows]
    lines = ["\t".join(row) for row in texts]
    plain = all(line.isascii() for line in lines)
    batch = RecordBatch(layout, texts, lines, range(1, len(lines) + 1), plain=plain)
    normalizer = Normalizer(Origin("example", ("example",)))
    made = normalizer.normalize(batch)
    parts = [(batch, made)]
    if made.misfits:
        parts = [(judged, normalizer.normalize(judged)) for judged in refitted(batch)]
    found: dict[int, dict[str, Any]] = {}
    for judged, normalized in parts:
        for index, document in zip(normalized.indexes, normalized.documents, strict=True):
            body = msgspec.json.decode(msgspec.json.encode(document.body))
            del body["event"]["created"]
            body.get("aws", {}).get("cloudfront", {}).pop("ingest_delay", None)
            found[judged.numbers[index]] = body
    return [found.get(number) for number in range(1, len(lines) + 1)]


def document(layout: Layout, row: Sequence[str]) -> dict[str, Any]:
    [body] = documents(layout, [row])
    assert body is not None
    return body


def back(layout: Layout, **values: str) -> dict[str, str]:
    """Return the columns rebuilt from a record of valid values, but for those given."""
    texts = VALUES | values
    row = [texts[column] for column in layout.columns]
    return dict(zip(layout.columns, rebuilt(document(layout, row), layout), strict=True))


# Generated lines.


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    ("log", "columns"),
    [
        pytest.param("standard", STANDARD_COLUMNS, id="standard"),
        pytest.param("standard", V2_COLUMNS, id="v2"),
        pytest.param("realtime", REALTIME_COLUMNS, id="realtime"),
        pytest.param("realtime", tuple(c for c in REALTIME_COLUMNS if c != "cs-header-names"),
                     id="realtime-without-names"),
    ],
)  # fmt: skip
def test_generated_traffic_comes_back_byte_for_byte(
    log: str, columns: tuple[str, ...], seed: int
) -> None:
    layout = Layout(log, columns)
    write = standard_line if log == "standard" else realtime_line
    rows = [write(request, columns).split("\t") for request in requests(seed, 1_000)]

    for row, body in zip(rows, documents(layout, rows), strict=True):
        assert body is not None
        assert named(layout, rebuilt(body, layout)) == named(layout, map(with_quotes, row))


def named(layout: Layout, row: Iterable[str]) -> dict[str, str]:
    return dict(zip(layout.columns, row, strict=True))


def with_quotes(text: str) -> str:
    """Return the name of a segment in the quotes that CTA-5004 puts around strings."""
    return f"%22{text}%22" if re.fullmatch(r"seg-\d+\.m4s", text) else text


@pytest.mark.parametrize("layout", [STANDARD, V2, REALTIME], ids=["standard", "v2", "realtime"])
def test_the_example_of_every_column_comes_back(layout: Layout) -> None:
    values = {}
    if layout is REALTIME:
        values = {"cs-uri-stem": "/index.html?q=a%20b", "x-host-header": "d111.cloudfront.net"}

    found = back(layout, **values)

    assert found == {column: (VALUES | values)[column] for column in layout.columns}


# What viewers send: any bytes, encoded as CloudFront does.

_SPECIAL = b"""<>"#%{}|\\^~[]`'"""


def logged(data: bytes) -> str:
    """Return *data* as CloudFront's documentation says that it is logged."""
    text = "".join(
        f"%{byte:02X}" if byte <= 32 or byte >= 127 or byte in _SPECIAL else chr(byte)
        for byte in data
    )
    return text or "-"


SENT = st.one_of(
    st.binary(max_size=12),
    st.text(max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text("%2fFE9c0a:, -+\\\"'", max_size=12).map(str.encode),
).filter(lambda data: data != b"-")
SENT_COLUMNS = {
    "standard": ("cs(Referer)", "cs(User-Agent)", "cs(Cookie)", "cs-uri-query", "x-host-header",
                 "x-forwarded-for", "sc-content-type", "cache-behavior-path-pattern",
                 "viewer-request-log-data"),
    "realtime": ("cs-referer", "cs-user-agent", "cs-cookie", "cs-host", "x-forwarded-for",
                 "sc-content-type", "cs-accept", "cs-accept-encoding", "sr-reason",
                 "viewer-response-log-data"),
}  # fmt: skip


@pytest.mark.parametrize("layout", [V2, REALTIME], ids=["standard", "realtime"])
@given(sent=st.lists(SENT, min_size=10, max_size=10), path=SENT)
def test_what_a_viewer_sent_comes_back_byte_for_byte(
    layout: Layout, sent: list[bytes], path: bytes
) -> None:
    columns = SENT_COLUMNS[layout.log]
    values = {column: logged(data) for column, data in zip(columns, sent, strict=False)}
    values["cs-uri-stem"] = "/" + logged(path.replace(b"?", b"")).removeprefix("-")
    if layout is REALTIME:
        values["cs-uri-stem"] += "?" + VALUES["cs-uri-query"]

    found = back(layout, **values)

    assert {column: found[column] for column in values} == values


HEADER = st.tuples(
    st.sampled_from(["Host", "host", "Accept", "X-Probe", "x-probe", "cookie"]), SENT
)


@pytest.mark.parametrize("has_names", [True, False])
@given(sent=st.lists(HEADER, max_size=8), cut=st.integers(0, 3))
@example(sent=[("Host", b"\x00\n")], cut=0)
def test_headers_come_back_in_their_order_with_their_names(
    sent: list[tuple[str, bytes]], cut: int, *, has_names: bool
) -> None:
    lines = [f"{name}:{logged(data) if data else ''}%0A" for name, data in sent]
    values = {"cs-headers": "".join(lines) or "-"}
    columns = [column for column in REALTIME.columns if has_names or column != "cs-header-names"]
    if has_names:
        values["cs-header-names"] = "".join(f"{name}%0A" for name, _ in sent) or "-"
    if len(values["cs-headers"]) > 10 and cut:
        room = 800 - len(values["cs-headers"]) - len("long:%0A")
        values["cs-headers"] += f"long:{'x' * room}%0A"
        values["cs-headers"] = ("y" + values["cs-headers"] + "%0A")[:800]
        if has_names:
            values["cs-header-names"] = "y" + values["cs-header-names"] + "long%0A"

    found = back(Layout("realtime", tuple(columns)), **values)

    assert found["cs-headers"] == values["cs-headers"]
    if has_names:
        assert found["cs-header-names"] == values["cs-header-names"]


@pytest.mark.parametrize("column", ["cs-cookie", "viewer-request-log-data"])
@given(head=st.text("ab%\u00e9\u20ac\U0001f600 =", min_size=1, max_size=20))
def test_a_text_that_was_cut_in_an_escape_comes_back(column: str, head: str) -> None:
    cut = logged((head * 800).encode())[:800]

    assert back(REALTIME, **{column: cut})[column] == cut


# Values that cannot be read, and texts that nobody expects.

ANY = st.text(
    st.characters(min_codepoint=1, exclude_characters="\t\n\r", exclude_categories=()), max_size=12
) | st.sampled_from(
    ["", "-", "%", "%2", "%zz", "%ff", "%2f", "007", "1e3", "::1", "a?b", '"', "%2D"]
)


def clean(text: str) -> str:
    """Return *text* with nothing but what a decoder can make of bytes."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("layout", [STANDARD, V2, REALTIME], ids=["standard", "v2", "realtime"])
@given(data=st.data())
def test_any_text_comes_back_as_one_that_gives_the_same_document(
    layout: Layout, data: st.DataObject
) -> None:
    changed = data.draw(st.sets(st.sampled_from(layout.columns), max_size=6))
    row = [
        clean(data.draw(ANY, label=column)) if column in changed else VALUES[column]
        for column in layout.columns
    ]
    [body] = documents(layout, [row])
    if body is None:  # refused with its bytes, so nothing is lost
        return

    again = rebuilt(body, layout)

    assert len(again) == len(row)
    assert document(layout, again) == body


@pytest.mark.parametrize("layout", [STANDARD, REALTIME], ids=["standard", "realtime"])
@given(text=st.text("0123456789abcdefx.:-%", min_size=1, max_size=8).filter(lambda t: t != "-"))
def test_a_text_that_cannot_be_read_comes_back_as_it_was(layout: Layout, text: str) -> None:
    for column in layout.columns:
        [body] = documents(layout, [[VALUES[c] if c != column else text for c in layout.columns]])
        if body is not None and f"{column}: " in body.get("error", {}).get("message", ""):
            assert named(layout, rebuilt(body, layout))[column] == text


@pytest.mark.parametrize("column", ["date", "time", "timestamp"])
def test_a_time_that_cannot_be_read_comes_back_though_a_finer_one_can(column: str) -> None:
    for others in ((), ("date", "time"), ("timestamp",)):
        columns = dict.fromkeys(("timestamp(ms)", *others, column))
        layout = Layout("standard", tuple(columns))

        row = ["x" if name == column else VALUES[name] for name in columns]

        assert document(layout, row)["error"]["message"].startswith(f"{column}: not ")
        assert named(layout, rebuilt(document(layout, row), layout))[column] == "x"


def test_bytes_that_are_not_utf_8_come_back() -> None:
    for column in STANDARD.columns:
        if column not in ("date", "time"):
            text = "a\\xe9\\\udcff\udc80b"

            assert back(STANDARD, **{column: text})[column] == text


def test_the_same_junk_in_two_columns_costs_neither_the_other() -> None:
    values = {"x-forwarded-for": "nobody", "cs(Referer)": "nobody", "cs(User-Agent)": "nobody"}

    found = back(STANDARD, **values)

    assert {column: found[column] for column in values} == values


def test_an_unreadable_text_too_long_for_a_search_engine_is_only_named() -> None:
    body = document(
        STANDARD, [VALUES[c] if c != "c-port" else "x" * 40_000 for c in STANDARD.columns]
    )

    assert "other" not in body["aws"]["cloudfront"]
    assert body["error"]["message"].startswith("c-port: not a whole number")


# Columns, one by one.


@pytest.mark.parametrize(
    ("layout", "column", "text"),
    [
        pytest.param(STANDARD, "sc-status", "000", id="status"),
        pytest.param(STANDARD, "x-host-header", "WWW.Example.COM", id="host-in-capitals"),
        pytest.param(STANDARD, "x-host-header", "example.com:", id="host-without-port"),
        pytest.param(STANDARD, "x-host-header", "example.com:0443", id="host-with-zeros"),
        pytest.param(STANDARD, "x-host-header", "[2001:db8::1]:8443", id="host-ipv6"),
        pytest.param(STANDARD, "c-ip", "2001:DB8:0::1", id="address-in-capitals"),
        pytest.param(STANDARD, "x-forwarded-for", "192.0.2.1,192.0.2.1", id="forwarded-twice"),
        pytest.param(STANDARD, "x-forwarded-for", "192.0.2.1:80", id="forwarded-port"),
        pytest.param(STANDARD, "x-forwarded-for", "unknown,%20192.0.2.1", id="forwarded-junk"),
        pytest.param(STANDARD, "x-forwarded-for", "192.0.2.1,\\x20::1", id="forwarded-escape"),
        pytest.param(STANDARD, "cs(Referer)", "https://e.example/?q=caf%25E9", id="latin-1-sent"),
        pytest.param(STANDARD, "cs(Referer)", "https://e.example/?q=caf%E9", id="latin-1-byte"),
        pytest.param(STANDARD, "cs-uri-query", "a?b", id="mark-in-query"),
        pytest.param(STANDARD, "cs-uri-query", "q=%e4%2fa", id="query-as-logged"),
        pytest.param(STANDARD, "ssl-protocol", "SSLv3", id="ssl"),
        pytest.param(STANDARD, "time-taken", "3600.000", id="hour"),
        pytest.param(STANDARD, "sc-content-type", "Text/HTML", id="type-in-capitals"),
        pytest.param(REALTIME, "cmcd-playback-rate", "2", id="rate"),
        pytest.param(REALTIME, "cmcd-content-id", "%22a%5C%22b%5C%5C%22", id="quotes-in-quotes"),
        pytest.param(REALTIME, "cmcd-startup", "false", id="flag"),
        pytest.param(REALTIME, "timestamp", "1671005351.148", id="milliseconds"),
        pytest.param(REALTIME, "timestamp", "1671005351", id="seconds"),
        pytest.param(REALTIME, "cs-uri-stem", "/a?b=c", id="stem-with-query"),
        pytest.param(REALTIME, "cs-headers", "Host:a%0Aempty:%0Ano-colon%0A", id="odd-headers"),
        pytest.param(REALTIME, "cs-header-names", "host%0A%0Aaccept%0A", id="name-is-empty"),
        pytest.param(REALTIME, "cs-header-names", "host%0A%0A", id="last-name-is-empty"),
        pytest.param(REALTIME, "sr-reason", "-", id="absent"),
    ],
)
def test_a_column_comes_back_as_it_was_logged(layout: Layout, column: str, text: str) -> None:
    assert back(layout, **{column: text})[column] == text


def test_a_user_agent_of_before_2020_comes_back_encoded_twice() -> None:
    agent = "Mozilla/5.0%2520(X11;%2520%2522x%2522)%25%7Ba"

    assert back(STANDARD, date="2018-11-07", **{"cs(User-Agent)": agent})["cs(User-Agent)"] == agent


def test_columns_this_version_does_not_know_come_back() -> None:
    layout = Layout("standard", ("date", "time", "x-new", "c-ip", "x-newer"))
    row = ["2026-01-15", "20:01:07", "a%20b", "192.0.2.1", "-"]

    assert rebuilt(document(layout, row), layout) == row


def test_a_row_cut_short_comes_back_as_short_as_it_was() -> None:
    row = [VALUES[column] for column in legacy_columns()][:26]

    assert rebuilt(document(STANDARD, row), STANDARD) == row


def test_a_value_that_speaks_of_the_end_of_a_row_ends_none() -> None:
    text = "; the row ends before sc-range-end"
    row = [VALUES[c] if c != "c-port" else text for c in legacy_columns()]

    assert rebuilt(document(STANDARD, row), STANDARD) == row


def test_every_known_column_can_be_asked_for() -> None:
    for log in ("standard", "realtime"):
        layout = Layout(log, tuple(rows_by_column(log)))
        empty = {"@timestamp": "2026-01-15T20:01:07Z"}

        assert set(rebuilt(empty, layout)) <= {"-", "2026-01-15", "20:01:07", "1768507267"}


def test_records_of_other_logs_are_refused() -> None:
    with pytest.raises(ValueError, match="connection"):
        rebuilt({"@timestamp": "2026-01-15T20:01:07Z"}, Layout("connection", ("clientIp",)))


# Shipped lines: every record of the golden files that became a document.


def shipped() -> list[Any]:
    return [
        pytest.param(log, id=f"{log.parent.name}-{log.stem}")
        for log in sorted([*DATA.glob("standard/*.log"), *DATA.glob("realtime/*.log")])
    ]


@pytest.mark.parametrize("log", shipped())
def test_shipped_lines_come_back(log: Path) -> None:
    for layout, row in shipped_rows(log):
        [body] = documents(layout, [row])
        if body is None:
            continue

        again = rebuilt(body, layout)

        assert document(layout, again) == body
        for column, text, made in zip(layout.columns, row, again, strict=False):
            conversion = (
                rows_by_column(layout.log)[column].conversion
                if column in rows_by_column(layout.log)
                else "text"
            )
            if column in TOLD_TWICE[layout.log]:
                continue
            times = dict(zip(layout.columns, row, strict=False))
            if conversion == "agent" and not convert.encoded_once(times):
                conversion = "old_agent"
            if conversion in AS_WRITTEN and is_canonical(text):
                assert made == text, column
            else:
                assert value(conversion, made) == value(conversion, text), column


TOLD_TWICE = {
    "standard": ("date", "time", "timestamp"),
    "realtime": ("c-ip-version", "cs-uri-query", "cs-uri-stem"),
}
"""Columns that say what others do, and are made from these."""
AS_WRITTEN = ("text", "percent", "agent", "path", "query", "address", "host", "forwarded",
              "headers", "header_names", "media_type")  # fmt: skip
"""Conversions of texts; numbers, versions and domains come back as CloudFront spells them."""


def value(conversion: str, text: str) -> Any:
    try:
        return getattr(convert, conversion)(text)
    except ValueError:
        return text


def is_canonical(text: str) -> bool:
    """Say whether *text* is what CloudFront's encoding makes of some bytes."""
    return text == "-" or (
        text not in ("", "%0A") and text.isascii() and logged(unquote_to_bytes(text)) == text
    )


def shipped_rows(log: Path) -> list[tuple[Layout, list[str]]]:
    fields = log.with_suffix(".fields")
    columns: tuple[str, ...] = ()
    if fields.exists():
        columns = tuple(fields.read_text().split())
    if log.parent.name == "realtime":
        columns = tuple(c for c in realtime_columns() if c in columns)
    rows = []
    for line in log.read_bytes().decode("utf-8", "surrogateescape").split("\n"):
        found = re.match(r"#\s*Fields:?\s+(.*)", line)
        if found:
            columns = tuple(found[1].replace("\u200b", " ").split())
        elif line and not line.startswith("#") and columns:
            row = line.rstrip("\r").split("\t")
            if len(row) == len(columns) and len(set(columns)) == len(columns):
                rows.append((Layout(log.parent.name, columns), row))
    return rows
