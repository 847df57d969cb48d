"""The same request gives the same document by whatever path its log came.

Legacy files, v2 as W3C, JSON and Parquet, and real-time records with the same columns: the
documents differ in where they come from (dataset, id) and in how exactly the path tells the
time, in nothing else.
"""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from cloudfront_ecs.normalize.layouts import legacy_columns, realtime_columns
from normalize.converting import convert

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hypothesis.strategies import SearchStrategy

    from normalize.converting import Outcome

COLUMNS = legacy_columns()
RENAMED = {
    "cs(Host)": "x-host-header",
    "x-host-header": "cs-host",
    "cs(Referer)": "cs-referer",
    "cs(User-Agent)": "cs-user-agent",
    "cs(Cookie)": "cs-cookie",
}
"""Columns that real-time records call otherwise."""

REALTIME = tuple(
    column
    for column in realtime_columns()
    if column in {"timestamp", *(RENAMED.get(c, c) for c in COLUMNS if c not in ("date", "time"))}
)
OWN = ("event.id", "event.dataset", "data_stream.dataset")
TIMES = ("@timestamp", "event.end", "event.start")
ENCODED = set(b"<>\"#%{}|\\^~[]`' ") | set(range(33)) | set(range(127, 256))


def encoded(text: str) -> str:
    """Return text as CloudFront writes it, and ``-`` for none."""
    found = "".join(f"%{b:02X}" if b in ENCODED else chr(b) for b in text.encode("utf-8"))
    return found or "-"


def texts(**limits: Any) -> SearchStrategy[str]:
    """Return text of the viewer, encoded; also such that looks encoded already."""
    odd = st.sampled_from(
        ["%41", "a b", "+", "é", '"', "\\", "\t", "&a=b", "=", "?", "%", "-", "日本"]
    )
    exclude = limits.pop("without", "")
    free = st.text(st.characters(codec="utf-8"), max_size=12)
    return (
        st.lists(st.one_of(odd, free), max_size=3)
        .map("".join)
        .map(lambda text: "".join(c for c in text if c not in exclude))
        .map(encoded)
    )


def choice(*values: str) -> SearchStrategy[str]:
    return st.sampled_from(values)


def maybe(values: SearchStrategy[str]) -> SearchStrategy[str]:
    return st.one_of(st.just("-"), values)


def number(most: int) -> SearchStrategy[str]:
    return st.integers(0, most).map(str)


SECONDS = st.integers(0, 600_000).map(lambda ms: f"{ms // 1000}.{ms % 1000:03d}")
ADDRESS = st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str))
HOST = choice("www.example.com", "WWW.Example.com:8443", "203.0.113.9", "[2001:db8::1]:443",
              "xn--bcher-kva.example", "example.co.uk.")  # fmt: skip
RESULT = choice("Hit", "Miss", "RefreshHit", "Error", "LimitExceeded", "Redirect", "NewType")
DETAIL = choice("Hit", "Miss", "Error", "OriginDnsError", "ClientHungUpRequest", "OriginShieldHit")
VALUES: Mapping[str, SearchStrategy[str]] = {
    "x-edge-location": choice("FRA56-P4", "IAD89-C1", "SFO5"),
    "sc-bytes": number(10**12),
    "c-ip": ADDRESS,
    "cs-method": choice("GET", "POST", "OPTIONS"),
    "cs(Host)": choice("d111111abcdef8.cloudfront.net", "D222222ABCDEF8.cloudfront.net"),
    "cs-uri-stem": texts(without="?").map(lambda text: f"/{text}" if text != "-" else "/"),
    "sc-status": choice("200", "206", "304", "403", "404", "502", "000"),
    "cs(Referer)": texts(),
    "cs(User-Agent)": texts(),
    "cs-uri-query": texts(),
    "cs(Cookie)": texts(),
    "x-edge-result-type": RESULT,
    "x-edge-request-id": st.integers(0, 10**9).map(lambda n: f"{n:054d}=="),
    "x-host-header": HOST,
    "cs-protocol": choice("http", "https", "ws", "wss", "grpcs"),
    "cs-bytes": number(10**9),
    "time-taken": SECONDS,
    "x-forwarded-for": maybe(st.lists(ADDRESS, min_size=1, max_size=3).map(",%20".join)),
    "ssl-protocol": maybe(choice("TLSv1.2", "TLSv1.3")),
    "ssl-cipher": maybe(choice("TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256")),
    "x-edge-response-result-type": RESULT,
    "cs-protocol-version": choice("HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/3.0"),
    "fle-status": maybe(choice("Processed", "ServerError")),
    "fle-encrypted-fields": maybe(number(10)),
    "c-port": number(65_535),
    "time-to-first-byte": SECONDS,
    "x-edge-detailed-result-type": DETAIL,
    "sc-content-type": maybe(choice("text/html", "Text/HTML;%20charset=utf-8", "image/png")),
    "sc-content-len": maybe(number(10**12)),
    "sc-range-start": maybe(number(10**12)),
    "sc-range-end": maybe(number(10**12)),
}
MOMENT = st.integers(1_582_000_000_000, 1_900_000_000_000)
"""Milliseconds; since February 2020, before which user agents were encoded twice."""


def requests() -> SearchStrategy[dict[str, str]]:
    """Return requests as values by the columns of legacy files, and ``timestamp``."""
    return st.builds(
        lambda ms, values: {**moment(ms), **values}, MOMENT, st.fixed_dictionaries({**VALUES})
    )


def moment(ms: int) -> dict[str, str]:
    at = datetime.fromtimestamp(ms // 1000, UTC)
    return {
        "date": f"{at:%Y-%m-%d}",
        "time": f"{at:%H:%M:%S}",
        "timestamp": f"{ms // 1000}.{ms % 1000:03d}",
    }


Request = dict[str, str]


def legacy(all_requests: Sequence[Request]) -> Outcome:
    return convert(b"#Version: 1.0\n" + w3c_text(all_requests, COLUMNS))


def w3c(all_requests: Sequence[Request]) -> Outcome:
    return convert(w3c_text(all_requests, COLUMNS[::-1]))


def w3c_text(all_requests: Sequence[Request], columns: Sequence[str]) -> bytes:
    rows = ["\t".join(one[column] for column in columns) for one in all_requests]
    return "\n".join(["#Fields: " + " ".join(columns), *rows, ""]).encode()


def json_lines(all_requests: Sequence[Request]) -> Outcome:
    objects = [{column: one[column] for column in COLUMNS} for one in all_requests]
    return convert("\n".join(map(json.dumps, objects)).encode())


def parquet_file(all_requests: Sequence[Request]) -> Outcome:
    names = {c: c.lower().replace("-", "_").replace("(", "_").rstrip(")") for c in COLUMNS}
    table = pa.table({names[c]: [one[c] for one in all_requests] for c in COLUMNS})
    file = io.BytesIO()
    parquet.write_table(table, file)
    return convert(file.getvalue())


def realtime(all_requests: Sequence[Request]) -> Outcome:
    rows = []
    for one in all_requests:
        values = {RENAMED.get(column, column): one[column] for column in (*COLUMNS, "timestamp")}
        if one["cs-uri-query"] != "-":
            values["cs-uri-stem"] += "?" + one["cs-uri-query"]
        rows.append("\t".join(values[column] for column in REALTIME))
    return convert("\n".join(rows).encode(), REALTIME)


PATHS: Mapping[str, Callable[[Sequence[Request]], Outcome]] = {
    "v2 as W3C": w3c,
    "v2 as JSON": json_lines,
    "v2 as Parquet": parquet_file,
    "real-time": realtime,
}


@settings(max_examples=150)
@given(st.lists(requests(), min_size=1, max_size=4))
def test_a_request_gives_the_same_document_by_every_path(all_requests: list[Request]) -> None:
    expected = legacy(all_requests)
    assert len(expected.documents) == len(all_requests)

    for name, path in PATHS.items():
        outcome = path(all_requests)

        assert outcome.rejects == [], name
        for one, wanted, found in zip(all_requests, expected.bodies, outcome.bodies, strict=True):
            exact = one["timestamp"] if name == "real-time" else None
            assert compared(found, exact) == compared(wanted, None), name


def compared(body: Mapping[str, Any], exact: str | None) -> dict[str, Any]:
    """Return a document without its provenance, its times in whole seconds of the end.

    Args:
        body: The document, flat.
        exact: The epoch seconds of its end, where the path tells milliseconds.
    """
    kept = {name: value for name, value in body.items() if name not in OWN}
    for name in ("related.hosts", "related.ip"):  # in the order of the columns
        if name in kept:
            kept[name] = sorted(kept[name])
    beyond = timedelta(milliseconds=int(exact.partition(".")[2])) if exact else timedelta()
    for name in TIMES:
        kept[name] = datetime.fromisoformat(kept[name]) - beyond
    return kept
