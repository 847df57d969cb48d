"""The verb ``layout infer``, and a run whose configuration changes at CloudFront."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.demo.columns import ORIGINAL_COLUMNS, REALTIME_COLUMNS
from cloudfront_ecs.demo.render import realtime_line
from cloudfront_ecs.demo.traffic import requests
from integration.cloud import config
from integration.commands import dead_letters, json_lines, run
from servers.cloudfront import ARN, cloudfront

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


def records(columns: tuple[str, ...], count: int = 300, seed: int = 1) -> bytes:
    lines = (realtime_line(request, columns) for request in requests(seed, count))
    return "".join(f"{line}\n" for line in lines).encode()


def test_a_layout_is_proposed_as_a_table_and_as_configuration(tmp_path: Path) -> None:
    log = tmp_path / "edge.log"
    log.write_bytes(records(ORIGINAL_COLUMNS))

    ended = run("layout", "infer", log)

    assert ended.code == 0
    table, _, option = ended.out.partition("fields = ")
    assert json.loads(option) == list(ORIGINAL_COLUMNS)
    assert "2  c-ip" in table
    assert "s-ip" in table
    assert "300 records, 40 columns, not certain: 2, " in table


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_json_has_the_documented_form(packed: bool) -> None:  # noqa: FBT001
    data = records(REALTIME_COLUMNS)

    ended = run("layout", "infer", "-", "--json", stdin=gzip.compress(data) if packed else data)

    found = json.loads(ended.out)["fields"]
    assert ended.code == 0
    assert [each["name"] for each in found] == list(REALTIME_COLUMNS)
    assert all(each == {"name": each["name"], "certain": True, "also": []} for each in found)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param(b"", "there are no records", id="nothing"),
        pytest.param(b"#Version: 1.0\n", "this is a standard log", id="standard"),
        pytest.param(gzip.compress(b"1\t2\n")[:-9], "", id="torn"),
    ],
)
def test_what_cannot_be_explained_ends_with_1(data: bytes, problem: str) -> None:
    ended = run("layout", "infer", "-", stdin=data)

    assert (ended.code, ended.out) == (1, "")
    assert f"cloudfront-ecs: -: {problem}" in ended.err


def test_records_of_other_widths_are_told(tmp_path: Path) -> None:
    log = tmp_path / "edge.log"
    log.write_bytes(records(ORIGINAL_COLUMNS) + b"a\tb\n")

    ended = run("layout", "infer", log)

    assert f"{log}: left out 1 records of 2 columns" in ended.err


def test_a_run_follows_a_configuration_that_changes(tmp_path: Path) -> None:
    wider = tuple(name for name in REALTIME_COLUMNS[:45] if name != "s-ip")
    with cloudfront() as played:
        played.fields, played.rate = ORIGINAL_COLUMNS, 50
        decoder: dict[str, Any] = {
            "kind": "realtime", "config_arn": ARN, "endpoint_url": played.endpoint
        }  # fmt: skip
        path = config(
            tmp_path,
            sources={"logs": {"kind": "files", "paths": [str(tmp_path / "*.log")]}},
            sinks={"out": {"kind": "ndjson", "path": str(tmp_path / "out.ndjson")}},
            pipelines={"edge": {"source": "logs", "decoder": decoder, "sinks": ["out"]}},
        )
        assert "40 columns, sampled at 50 %" in run("check", "--config", path).out
        (tmp_path / "1.log").write_bytes(records(ORIGINAL_COLUMNS, 100))
        first = run("run", "--once", "--config", path)
        played.fields = tuple(reversed(wider))
        (tmp_path / "2.log").write_bytes(records(wider, 100, 2) + records(ORIGINAL_COLUMNS, 50, 3))
        second = run("run", "--once", "--config", path)
        played.error = (403, "AccessDenied")
        (tmp_path / "3.log").write_bytes(records(wider, 10, 4))
        third = run("run", "--once", "--patience", "1", "--config", path)

    documents = json_lines(tmp_path / "out.ndjson")
    history = json.loads((tmp_path / "state" / "layouts.json").read_text("utf-8"))
    [layouts] = history["streams"].values()
    assert (first.code, second.code, third.code) == (0, 0, 1), (first, second, third)
    assert "allow cloudfront:GetRealtimeLogConfig" in third.err
    assert len(documents) == 250
    assert dead_letters(tmp_path / "state") == []
    assert {each["aws"]["cloudfront"]["sampling_rate"] for each in documents} == {50}
    errors = {document.get("error", {}).get("message", "x-forwarded-for") for document in documents}
    assert all(error.startswith("x-forwarded-for") for error in errors)
    assert [len(each["columns"]) for each in layouts] == [40, 44]
    assert layouts[0]["replaced"] == layouts[1]["first_seen"]
