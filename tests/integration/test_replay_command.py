"""``replay`` as operators meet it: quarantined records, a real node, kills, what it prints."""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.demo.day import DAY_COLUMNS
from integration.cloud import config, found, realtime_lines
from integration.commands import dead_letters, equations, json_lines, run, start

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from servers.search_node import SearchNode

pytestmark = pytest.mark.integration

FEWER = DAY_COLUMNS[:-1]
NOBODY = "http://127.0.0.1:9"


def _config(folder: Path, fields: Sequence[str], **sinks: dict[str, Any]) -> Path:
    return config(
        folder,
        sources={"logs": {"kind": "files", "paths": [str(folder.parent / "edge.log")]}},
        sinks=sinks,
        pipelines={
            "edge": {
                "source": "logs",
                "decoder": {"kind": "realtime", "fields": list(fields)},
                "sinks": list(sinks),
            }
        },
    )


def _ndjson(path: Path) -> dict[str, Any]:
    return {"kind": "ndjson", "path": str(path)}


@pytest.fixture(name="ids")
def _ids(tmp_path: Path) -> list[str]:
    """Write a log and return the ids that a first reading in the right layout makes."""
    (tmp_path / "edge.log").write_bytes(b"\n".join(realtime_lines(300, seed=41)) + b"\n")
    out = tmp_path / "direct.ndjson"
    path = _config(tmp_path / "direct", DAY_COLUMNS, out=_ndjson(out))
    assert run("run", "--once", "--config", path).code == 0
    return sorted(body["event"]["id"] for body in json_lines(out))


def test_quarantined_records_reach_the_cluster_with_the_ids_of_a_first_reading(
    tmp_path: Path, opensearch: SearchNode, unique: Callable[[str], str], ids: list[str]
) -> None:
    """The node refuses them at first, too: then they stay, and go once it takes them."""
    namespace = unique("replay").replace("-", "_")
    search = {"kind": "elastic", "hosts": [opensearch.url], "namespace": namespace}
    stream = f"logs-cloudfront.realtime-{namespace}"
    here = tmp_path / "here"
    wrong = _config(here, FEWER, search=search)
    assert run("setup", "--config", wrong).code == 0
    quarantined = run("run", "--once", "--config", wrong)
    right = _config(here, DAY_COLUMNS, search=search)
    number = {"properties": {"http.request.method": {"type": "integer"}}}
    strange = {"index_patterns": [stream], "data_stream": {}, "priority": 9_999}
    strange["template"] = {"mappings": number}
    assert opensearch.call("PUT", f"/_index_template/{namespace}", strange).status == 200

    refused = run("replay", "--config", right)
    letters = dead_letters(here / "state")
    opensearch.call("DELETE", f"/_data_stream/{stream}")
    assert opensearch.call("DELETE", f"/_index_template/{namespace}").status == 200
    taken = run("replay", "--config", right, "--reason", "rejected")
    again = run("replay", "--config", right)

    assert quarantined.code == 3
    assert refused.code == 3, refused.err
    assert equations(refused.err)["edge"]["search"] == {"read": 300, "dead-lettered": 300}
    assert {(each["reason"], each["sink"], each["attempts"]) for each in letters} == {
        ("rejected", "search", 2)
    }
    assert (taken.code, again.code) == (0, 0), taken.err
    assert equations(taken.err)["edge"]["search"] == {"read": 300, "stored": 300}
    assert dead_letters(here / "state") == []
    opensearch.call("POST", f"/{stream}/_refresh")
    assert sorted(hit["_id"] for hit in found(opensearch, stream)) == ids


def test_a_replay_that_is_killed_again_and_again_loses_nothing(
    tmp_path: Path, ids: list[str]
) -> None:
    here, out = tmp_path / "here", tmp_path / "out.ndjson"
    run("run", "--once", "--config", _config(here, FEWER, out=_ndjson(out)))
    right = _config(here, DAY_COLUMNS, out=_ndjson(out))
    dice = Random(5)
    killed = 0
    for _ in range(12):
        running = start("replay", "--config", right)
        time.sleep(dice.uniform(0.2, 1.5))
        running.process.kill()
        killed += running.wait().code != 0
        kept = {letter["source"]["line"] for letter in dead_letters(here / "state")}
        there = {body["event"]["id"] for body in json_lines(out)} if out.exists() else set()
        assert len(kept) + len(there) >= len(ids)

    ended = run("replay", "--config", right)

    assert killed
    assert ended.code == 0, ended.err
    assert dead_letters(here / "state") == []
    assert sorted({body["event"]["id"] for body in json_lines(out)}) == ids


def test_a_sink_that_cannot_be_reached_ends_with_1_and_keeps_the_letters(
    tmp_path: Path, ids: list[str]
) -> None:
    here = tmp_path / "here"
    run("run", "--once", "--config", _config(here, FEWER, out=_ndjson(tmp_path / "out")))
    before = dead_letters(here / "state")
    away = _config(here, DAY_COLUMNS, out={"kind": "elastic", "hosts": [NOBODY]})

    ended = run("replay", "--config", away, "--patience", "0.5")

    assert ended.code == 1
    assert "pipeline edge: sink out: " in ended.err
    assert len(before) == len(ids)
    assert dead_letters(here / "state") == before


def test_a_dry_run_tells_what_would_happen(tmp_path: Path, ids: list[str]) -> None:
    here, out = tmp_path / "here", tmp_path / "out.ndjson"
    wrong = _config(here, FEWER, out=_ndjson(out))
    run("run", "--once", "--config", wrong)
    before = dead_letters(here / "state")

    bad = run("replay", "--config", wrong, "--dry-run")
    good = run("replay", "--config", _config(here, DAY_COLUMNS, out=_ndjson(out)), "--dry-run")

    told = f"dead letters of edge: 0 would be delivered, {len(ids)} would be refused again"
    assert (bad.code, bad.out) == (3, "")
    assert told in bad.err
    assert f"{len(ids)} columns" in bad.err
    told = f"dead letters of edge: {len(ids)} would be delivered, 0 would be refused again"
    assert (good.code, good.err) == (0, f"{told}\n")
    assert dead_letters(here / "state") == before


def test_letters_of_a_pipeline_that_is_no_more_are_named(tmp_path: Path, ids: list[str]) -> None:
    here, out = tmp_path / "here", tmp_path / "out.ndjson"
    path = _config(here, FEWER, out=_ndjson(out))
    run("run", "--once", "--config", path)
    path.write_text(path.read_text("utf-8").replace("[pipelines.edge]", "[pipelines.new]"), "utf-8")

    ended = run("replay", "--config", path)

    assert ended.code == 3
    assert "dead letters of edge: there is no such pipeline any more, so they stay" in ended.err
    assert len(dead_letters(here / "state")) == len(ids)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(["--since", "yesterday"], "'yesterday' is no time", id="no-time"),
        pytest.param(["--since", "2026-13-01T00:00:00Z"], "is no time", id="month-13"),
        pytest.param(["--since", "2026-01-15T07:00:00"], "is no time", id="no-zone"),
        pytest.param(
            ["--pipeline", "egde"], "unknown pipeline 'egde' (did you mean 'edge'?)", id="pipeline"
        ),
    ],
)
def test_wrong_options_end_with_2(tmp_path: Path, arguments: list[str], problem: str) -> None:
    path = _config(tmp_path / "here", FEWER, out=_ndjson(tmp_path / "out"))

    ended = run("replay", "--config", path, *arguments)

    assert ended.code == 2
    assert problem in ended.err


def test_without_letters_there_is_nothing_to_do(tmp_path: Path) -> None:
    path = _config(tmp_path / "here", FEWER, out=_ndjson(tmp_path / "out"))

    ended = run("replay", "--config", path)

    assert (ended.code, ended.out, ended.err) == (0, "", "no dead letters\n")
    assert not (tmp_path / "here" / "state").exists()
