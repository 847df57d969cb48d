"""``explain``: what became of each column of a line."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cloudfront_ecs.demo.columns import STANDARD, STANDARD_COLUMNS
from cloudfront_ecs.demo.day import DAY_COLUMNS
from cloudfront_ecs.demo.render import STANDARD_HEADER
from cloudfront_ecs.explaining.words import WORDS
from cloudfront_ecs.resources import field_table
from integration.cloud import realtime_lines, standard_lines
from integration.commands import COMMAND, run

pytestmark = pytest.mark.integration

DATA = Path(__file__).parent.parent / "data"
GOOD = standard_lines(1, seed=3)[0]


def explained(*arguments: object, stdin: bytes = b"") -> dict[str, Any]:
    ended = run("explain", "--json", *arguments, stdin=stdin)
    assert (ended.code, ended.err) == (0, "")
    return dict(json.loads(ended.out))


def by_column(explanation: dict[str, Any]) -> dict[str, Any]:
    return {column["column"]: column for column in explanation["columns"]}


def fields_of(column: dict[str, Any]) -> dict[str, Any]:
    return {field["field"]: field["value"] for field in column["fields"]}


def flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or name in ("labels", "observer.geo.location"):
        return {name: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= flat(inner, f"{name}.{key}" if name else key)
    return found


def written(tmp_path: Path, **values: str) -> Path:
    """Return a standard log with one record, a good one but for *values*."""
    row = dict(zip(STANDARD_COLUMNS, GOOD.decode().split("\t"), strict=True)) | values
    log = tmp_path / "E2EXAMPLE.2026-01-15-20.a1b2c3d4.gz"
    log.write_bytes(gzip.compress((STANDARD_HEADER + "\t".join(row.values()) + "\n").encode()))
    return log


def test_every_conversion_of_the_table_is_told_in_words() -> None:
    conversions = {row.conversion for row in field_table() if row.conversion}

    assert conversions == WORDS.keys()


def test_each_column_shows_its_text_its_value_and_the_fields_it_became(tmp_path: Path) -> None:
    log = written(tmp_path, **{"sc-status": "404", "cs-uri-query": "q=a%20b", "cs(Referer)": "-"})

    explanation = explained(f"{log}:3")

    assert (explanation["format"], explanation["line"]) == ("standard", 3)
    assert [column["column"] for column in explanation["columns"]] == STANDARD.split()
    columns = by_column(explanation)
    assert columns["sc-status"]["raw"] == "404"
    assert columns["sc-status"]["conversion"] == "status"
    assert columns["sc-status"]["value"] == 404
    assert columns["sc-status"]["note"] is None
    assert fields_of(columns["sc-status"])["http.response.status_code"] == 404
    assert fields_of(columns["sc-status"])["event.outcome"] == "failure"
    assert (columns["cs-uri-query"]["raw"], columns["cs-uri-query"]["value"]) == (
        "q=a%20b",
        "q=a b",
    )
    assert columns["cs(Referer)"] == {
        "column": "cs(Referer)",
        "raw": "-",
        "conversion": "percent",
        "value": None,
        "fields": [],
        "note": "absent: the log has no value",
    }


def test_a_field_of_several_columns_names_the_others(tmp_path: Path) -> None:
    columns = by_column(explained(f"{written(tmp_path)}:3"))

    [sent] = [f for f in columns["sc-bytes"]["fields"] if f["field"] == "network.bytes"]
    [received] = [f for f in columns["cs-bytes"]["fields"] if f["field"] == "network.bytes"]

    assert (sent["also"], received["also"]) == (["cs-bytes"], ["sc-bytes"])
    assert sent["value"] == received["value"]


@pytest.mark.parametrize(
    "log", ["standard/columns_33", "realtime/columns_71", "v2_json/absent_values"]
)
def test_every_field_of_the_document_is_told_with_its_value(log: str) -> None:
    path = DATA / f"{log}.log"
    fields = path.with_suffix(".fields")
    options = ["--fields", f"@{fields}"] if fields.exists() else []
    number = 3 if log.startswith("standard") else 1

    explanation = explained(*options, f"{path}:{number}")

    told = {field["field"]: field["value"] for field in explanation["derived"]}
    for column in explanation["columns"]:
        told |= fields_of(column)
    document = flat(explanation["document"])
    headers = "aws.cloudfront.request_headers"
    if headers in told:
        document = {name: v for name, v in document.items() if not name.startswith(f"{headers}.")}
        told.pop(headers)
    volatile = ("event.created", "aws.cloudfront.ingest_delay")
    assert {n: v for n, v in told.items() if n not in volatile} == {
        n: v for n, v in document.items() if n not in volatile
    }


def test_what_cannot_be_read_says_why_and_where_it_is_kept(tmp_path: Path) -> None:
    log = written(tmp_path, **{"c-port": "many", "x-forwarded-for": "nobody,192.0.2.1"})

    columns = by_column(explained(f"{log}:3"))

    assert columns["c-port"]["value"] is None
    assert columns["c-port"]["note"] == (
        "not a whole number; kept as logged in aws.cloudfront.other"
    )
    assert fields_of(columns["c-port"]) == {"aws.cloudfront.other.c-port": "many"}
    assert columns["x-forwarded-for"]["note"] == "holds parts that are no addresses"
    assert fields_of(columns["x-forwarded-for"])["network.forwarded_ip"] == ["192.0.2.1"]


def test_a_column_nobody_knows_is_said_to_be_kept() -> None:
    log = DATA / "standard" / "unknown_columns.log"

    columns = explained(f"{log}:3")["columns"]

    [unknown] = [column for column in columns if column["conversion"] is None and column["fields"]][
        :1
    ]
    assert unknown["note"].startswith("this version does not know the column; kept as logged")
    assert unknown["value"] == unknown["raw"]


def test_the_columns_are_those_of_the_last_header_before_the_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "#Fields: date time c-ip\n2026-01-15\t20:01:07\t192.0.2.1\n"
        "#Fields: c-ip date time sc-status\n192.0.2.2\t2026-01-15\t20:01:08\t200\n"
    )

    first, second = explained(f"{log}:2"), explained(f"{log}:4")

    assert list(by_column(first)) == ["date", "time", "c-ip"]
    assert list(by_column(second)) == ["c-ip", "date", "time", "sc-status"]
    assert second["document"]["source"]["ip"] == "192.0.2.2"


def test_a_line_may_be_given_itself_or_on_standard_input() -> None:
    realtime = realtime_lines(1, seed=4)[0]
    fields = ("--fields", ",".join(DAY_COLUMNS))

    assert explained(GOOD.decode())["format"] == "standard"
    assert explained(STANDARD_HEADER + GOOD.decode())["line"] == 3
    assert explained("-", stdin=STANDARD_HEADER.encode() + GOOD)["line"] == 3
    assert explained("-", stdin=gzip.compress(STANDARD_HEADER.encode() + GOOD))["line"] == 3
    assert explained(*fields, realtime.decode())["format"] == "realtime"
    assert explained("--no-user-agent", GOOD.decode())["document"]["user_agent"].keys() == {
        "original"
    }


@pytest.mark.parametrize(
    ("log", "number"), [("connection/success", 1), ("function/events_a_line", 2)]
)
def test_other_logs_are_explained_too(log: str, number: int) -> None:
    explanation = explained(f"{DATA / log}.log:{number}")

    assert explanation["format"] == log.partition("/")[0]
    assert explanation["document"]["event"]["dataset"] == f"cloudfront.{explanation['format']}"
    assert explanation["derived"]


@pytest.mark.parametrize(
    ("content", "number", "said"),
    [
        pytest.param(STANDARD_HEADER.encode(), 2, "a header line, no record", id="header"),
        pytest.param(STANDARD_HEADER.encode() + b"\n" + GOOD, 3, "a blank line", id="blank"),
        pytest.param(STANDARD_HEADER.encode() + GOOD, 9, "the file ends at line 3", id="end"),
    ],
)
def test_a_place_without_a_record_says_what_is_there(
    tmp_path: Path, content: bytes, number: int, said: str
) -> None:
    log = tmp_path / "log"
    log.write_bytes(content)

    ended = run("explain", f"{log}:{number}")

    assert (ended.code, ended.out) == (2, "")
    assert f"{log}:{number}: {said}" in re.sub(r"\s+", " ", ended.err)


@pytest.mark.parametrize(
    ("content", "number", "said"),
    [
        pytest.param(
            STANDARD_HEADER.encode() + b"a\tb", 3, "'columns': 33 columns expected, 2 found",
            id="width",
        ),
        pytest.param(
            STANDARD_HEADER.encode() + GOOD.replace(b"2026", b"MMXX", 1), 3, "'timestamp': ",
            id="time",
        ),
        pytest.param(b"\x89PNG\r\n\x1a\n\0\0", 1, "'foreign': ", id="binary"),
        pytest.param(gzip.compress(GOOD * 99)[:-20], 5, "'truncated': ", id="torn-gzip"),
    ],
)  # fmt: skip
def test_a_refused_line_says_why(tmp_path: Path, content: bytes, number: int, said: str) -> None:
    log = tmp_path / "log"
    log.write_bytes(content)

    ended = run("explain", f"{log}:{number}")

    assert (ended.code, ended.out) == (3, "")
    assert said in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["missing.log:3"], "missing.log: no such file", id="file"),
        pytest.param([__file__], "which line?", id="no-number"),
        pytest.param([], "LINE|FILE:N", id="nothing"),
        pytest.param(["--fields", "sc-statu", "x"], "did you mean 'sc-status'?", id="fields"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], said: str) -> None:
    ended = run("explain", *arguments)

    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


def test_a_line_without_tabs_says_what_may_have_happened() -> None:
    ended = run("explain", GOOD.decode().replace("\t", " "))

    assert ended.code == 3
    assert "no tab in it: put the line in quotes" in ended.err


def on_terminal(*arguments: object, columns: int, env: dict[str, str]) -> str:
    """Return what the command shows on a terminal of a given width."""
    master, slave = pty.openpty()
    shown = b""
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color", **env}
    with subprocess.Popen(
        [*COMMAND, "explain", *map(str, arguments)], stdout=slave, env=environment
    ) as process:
        os.close(slave)
        while True:
            try:
                piece = os.read(master, 65_536)
            except OSError:  # how Linux tells that the other end has closed
                break
            if not piece:
                break
            shown += piece
    os.close(master)
    assert process.returncode == 0
    return shown.decode()


def test_text_on_a_narrow_terminal_stays_inside_it(tmp_path: Path) -> None:
    log = written(tmp_path)

    shown = on_terminal(f"{log}:3", columns=40, env={"NO_COLOR": "1"})

    assert "\x1b[3" not in shown
    assert max(map(len, shown.splitlines())) <= 40
    assert "http.response.status_code" in shown


def test_colors_are_for_terminals_that_want_them(tmp_path: Path) -> None:
    log = written(tmp_path)

    assert "\x1b[" in on_terminal(f"{log}:3", columns=100, env={"NO_COLOR": ""})
    assert "\x1b[" not in run("explain", f"{log}:3").out


def test_log_content_cannot_move_the_cursor(tmp_path: Path) -> None:
    log = written(tmp_path, **{"cs(Referer)": "%1B%5B2Jgone%E2%80%AEevil"})

    ended = run("explain", f"{log}:3")

    assert "\x1b" not in ended.out
    assert "\u202e" not in ended.out
    assert "\\u001b[2Jgone\\u202eevil" in ended.out
