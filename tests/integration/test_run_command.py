"""``run`` as operators meet it: wrong configurations, blocked sinks, signals, what it prints."""

from __future__ import annotations

import json
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.demo.day import standard_file
from integration.cloud import config, standard_lines
from integration.commands import dead_letters, equations, eventually, json_lines, run, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

FILES = {"kind": "files", "paths": ["nothing-here.gz"]}


@pytest.fixture(name="nobody")
def _nobody() -> Iterator[str]:
    """Return an address where nobody listens and nobody ever will."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def _logs(folder: Path, *, files: int = 2, lines: int = 500) -> list[bytes]:
    """Write files of standard logs and return all lines."""
    made = standard_lines(files * lines, seed=31)
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    for number in range(files):
        content = standard_file(made[number * lines : (number + 1) * lines])
        (folder / "logs" / f"E1EXAMPLE.2026-01-15-20.{number:08x}.gz").write_bytes(content)
    return made


def _files_config(folder: Path, sink: dict[str, Any], **source: Any) -> Path:
    return config(
        folder,
        sources={"logs": {"kind": "files", "paths": [str(folder / "logs" / "*.gz")], **source}},
        sinks={"out": sink},
        pipelines={"main": {"source": "logs", "sinks": ["out"]}},
    )


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        pytest.param(
            {"sinks": {"out": {"kind": "ndjsn"}}},
            "sinks.out: unknown kind 'ndjsn' (did you mean 'ndjson'?)",
            id="kind",
        ),
        pytest.param(
            {"sources": {"logs": {"kind": "files", "path": ["x"]}}},
            "sources.logs: unknown option 'path' (did you mean 'paths'?)",
            id="option",
        ),
        pytest.param(
            {"sources": {"logs": {"kind": "files", "paths": "x"}}},
            "sources.logs.paths: expected",
            id="type",
        ),
        pytest.param(
            {"pipelines": {"main": {"source": "log", "sinks": ["out"]}}},
            "pipelines.main.source: unknown source 'log' (did you mean 'logs'?)",
            id="source",
        ),
        pytest.param(
            {"pipelines": {"main": {"source": "logs", "sinks": ["oot"]}}},
            "pipelines.main.sinks[0]: unknown sink 'oot' (did you mean 'out'?)",
            id="sink",
        ),
        pytest.param(
            {"pipelines": {"main": {"source": "logs", "sinks": ["out"], "decoder": "standrd"}}},
            "pipelines.main.decoder: unknown decoder 'standrd' (did you mean 'standard'?)",
            id="decoder",
        ),
        pytest.param(
            {"pipelnes": {"main": {}}},
            "unknown section 'pipelnes' (did you mean 'pipelines'?)",
            id="section",
        ),
        pytest.param(
            {"sinks": {"out": {"kind": "ndjson", "path": "${NOT_SET_ANYWHERE}"}}},
            "sinks.out.path: environment variable 'NOT_SET_ANYWHERE' is not set",
            id="variable",
        ),
    ],
)
def test_a_wrong_configuration_ends_with_2_and_says_where(
    tmp_path: Path, sections: dict[str, Any], problem: str
) -> None:
    right: dict[str, Any] = {
        "sources": {"logs": FILES},
        "sinks": {"out": {"kind": "ndjson"}},
        "pipelines": {"main": {"source": "logs", "sinks": ["out"]}},
    }
    path = config(tmp_path, **(right | sections))

    for verb in (["run", "--once"], ["check"], ["setup"]):
        ended = run(*verb, "--config", path)

        assert (ended.code, ended.out) == (2, "")
        assert f"cloudfront-ecs: {path}: {problem}" in ended.err
        assert "Traceback" not in ended.err
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(None, "cannot be read: No such file or directory", id="missing"),
        pytest.param("[sources", "is not TOML", id="toml"),
        pytest.param("", "pipelines: none configured", id="empty"),
    ],
)
def test_a_file_that_is_no_configuration_ends_with_2(
    tmp_path: Path, text: str | None, problem: str
) -> None:
    path = tmp_path / "cloudfront-ecs.toml"
    if text is not None:
        path.write_text(text)

    ended = run("run", "--config", path)

    assert ended.code == 2
    assert f"cloudfront-ecs: {path}: {problem}" in ended.err


def test_a_missing_config_option_is_a_usage_error() -> None:
    ended = run("run", "--once")

    assert ended.code == 2
    assert "--config" in ended.err


def test_files_reach_ndjson_once_and_the_second_run_writes_nothing(tmp_path: Path) -> None:
    lines = _logs(tmp_path)
    out = tmp_path / "out.ndjson"
    path = _files_config(tmp_path, {"kind": "ndjson", "path": str(out)})

    first = run("run", "--config", path, "--once")
    written = out.read_bytes()
    second = run("run", "--config", path, "--once")

    assert (first.code, first.out) == (second.code, second.out) == (0, "")
    assert equations(first.err) == {"main": {"out": {"read": 1000, "stored": 1000}}}
    assert equations(second.err) == {"main": {"out": {"read": 0}}}
    assert out.read_bytes() == written
    ids = [document["http"]["request"]["id"] for document in json_lines(out)]
    assert sorted(ids) == sorted(line.split(b"\t")[14].decode() for line in lines)


def test_documents_on_standard_output_are_not_mixed_with_anything(tmp_path: Path) -> None:
    _logs(tmp_path)
    path = _files_config(tmp_path, {"kind": "ndjson"})

    ended = run("--log-level", "debug", "run", "--config", path, "--once")

    assert ended.code == 0
    assert len([json.loads(line) for line in ended.out.splitlines()]) == 1000


def test_refused_lines_end_a_run_with_3_and_are_counted_by_reason(tmp_path: Path) -> None:
    _logs(tmp_path, files=1, lines=10)
    broken = tmp_path / "logs" / "broken.gz"
    broken.write_bytes(standard_file([b"one\ttwo", b"three"]))
    path = _files_config(tmp_path, {"kind": "ndjson", "path": str(tmp_path / "out.ndjson")})

    ended = run("run", "--config", path, "--once")

    assert ended.code == 3
    assert equations(ended.err)["main"]["out"] == {"read": 12, "stored": 10, "dead-lettered": 2}
    assert "dead letters: 2 columns" in ended.err
    assert [letter["source"] for letter in dead_letters(tmp_path / "state")] == [
        {"file": str(broken), "line": 3},
        {"file": str(broken), "line": 4},
    ]


@pytest.mark.parametrize("kind", ["elastic", "fluentd", "ndjson"])
def test_a_blocked_sink_ends_an_impatient_run_with_1_and_settles_nothing(
    tmp_path: Path, nobody: str, kind: str
) -> None:
    _logs(tmp_path)
    sinks = {
        "elastic": {"kind": "elastic", "hosts": [f"http://{nobody}"]},
        "fluentd": {"kind": "fluentd", "servers": [nobody]},
        "ndjson": {"kind": "ndjson", "path": "/dev/full"},
    }
    path = _files_config(tmp_path, sinks[kind])
    out = tmp_path / "out.ndjson"
    began = time.monotonic()

    ended = run("run", "--config", path, "--once", "--patience", "1")
    took = time.monotonic() - began
    mended = _files_config(tmp_path, {"kind": "ndjson", "path": str(out)})
    later = run("run", "--config", mended, "--once")

    assert ended.code == 1
    assert 1 <= took < 15
    assert "pipeline main: sink out: " in ended.err
    assert "Traceback" not in ended.err
    assert equations(ended.err)["main"]["out"] == {"read": 1000, "in flight": 1000}
    assert dead_letters(tmp_path / "state") == []
    assert later.code == 0
    assert len(json_lines(out)) == 1000


def test_a_directory_as_output_ends_with_1_before_anything_is_read(tmp_path: Path) -> None:
    _logs(tmp_path)
    path = _files_config(tmp_path, {"kind": "ndjson", "path": str(tmp_path)})

    checked = run("check", "--config", path)
    ended = run("run", "--config", path, "--once")

    assert (checked.code, ended.code) == (1, 1)
    assert "FAILED  sink out (ndjson): " in checked.out
    assert ended.err == f"cloudfront-ecs: {tmp_path}: cannot be opened: Is a directory\n"


def test_a_missing_file_is_a_dead_letter_and_not_a_success(tmp_path: Path) -> None:
    path = _files_config(tmp_path, {"kind": "ndjson"}, paths=[str(tmp_path / "gone.gz")])

    ended = run("run", "--config", path, "--once")

    assert ended.code == 3
    [letter] = dead_letters(tmp_path / "state")
    assert (letter["reason"], letter["source"]) == ("missing", {"file": str(tmp_path / "gone.gz")})


def test_a_service_waits_for_files_and_ends_on_sigterm_with_0(tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"
    path = _files_config(tmp_path, {"kind": "ndjson", "path": str(out)}, rescan_seconds=0.2)
    service = start("run", "--config", path)
    eventually(out.exists)
    _logs(tmp_path, files=1, lines=50)
    eventually(lambda: out.read_bytes().count(b"\n") == 50)
    began = time.monotonic()

    service.terminate()
    ended = service.wait(30)

    assert (ended.code, ended.out) == (0, "")
    assert time.monotonic() - began < 10
    assert equations(ended.err) == {"main": {"out": {"read": 50, "stored": 50}}}


def test_sigint_stops_a_run_with_130(tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"
    path = _files_config(tmp_path, {"kind": "ndjson", "path": str(out)})
    service = start("run", "--config", path)
    eventually(out.exists)
    time.sleep(0.5)

    service.process.send_signal(signal.SIGINT)
    ended = service.wait(30)

    assert ended.code == 130
    assert "Traceback" not in ended.err


def test_the_first_sigterm_drains_and_the_second_one_ends_at_once(
    tmp_path: Path, nobody: str
) -> None:
    _logs(tmp_path)
    path = _files_config(tmp_path, {"kind": "fluentd", "servers": [nobody]})
    service = start("--log-format", "json", "run", "--config", path, "--drain", "60")
    eventually(lambda: "waiting" in service.said())

    service.terminate()
    time.sleep(1.5)
    still_draining = service.process.poll() is None
    began = time.monotonic()
    service.terminate()
    ended = service.wait(30)

    assert still_draining
    assert time.monotonic() - began < 2
    assert ended.code == 128 + signal.SIGTERM
    # It loses nothing: the next run reads everything again.
    out = tmp_path / "out.ndjson"
    mended = _files_config(tmp_path, {"kind": "ndjson", "path": str(out)})
    assert run("run", "--config", mended, "--once").code == 0
    assert len(json_lines(out)) == 1000


def test_a_drain_that_takes_too_long_gives_everything_back_and_ends_with_0(
    tmp_path: Path, nobody: str
) -> None:
    _logs(tmp_path)
    path = _files_config(tmp_path, {"kind": "fluentd", "servers": [nobody]})
    service = start("run", "--config", path, "--drain", "0.5")
    eventually(lambda: "waiting" in service.said())
    began = time.monotonic()

    service.terminate()
    ended = service.wait(30)

    assert ended.code == 0
    assert time.monotonic() - began < 10
    assert equations(ended.err)["main"]["out"] == {"read": 1000, "in flight": 1000}


def test_messages_as_json_are_one_object_a_line(tmp_path: Path, nobody: str) -> None:
    _logs(tmp_path)
    path = _files_config(tmp_path, {"kind": "elastic", "hosts": [f"http://{nobody}"]})

    ended = run("--log-format", "json", "run", "--config", path, "--once", "--patience", "0.5")

    messages = [json.loads(line) for line in ended.err.splitlines() if line.startswith("{")]
    assert ended.code == 1
    assert messages
    for message in messages:
        assert list(message)[:4] == ["@timestamp", "log.level", "log.logger", "message"]
        assert message["@timestamp"].endswith("Z")
        assert message["log.logger"].startswith("cloudfront_ecs")
    assert any("sink out is not available, waiting" in message["message"] for message in messages)


def test_two_runs_cannot_share_a_state_directory(tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"
    path = _files_config(tmp_path, {"kind": "ndjson", "path": str(out)})
    service = start("run", "--config", path)
    eventually(out.exists)

    ended = run("run", "--config", path, "--once")

    service.terminate()
    assert service.wait(30).code == 0
    assert ended.code == 1
    assert f"in use by process {service.process.pid}" in ended.err
