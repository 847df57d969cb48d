"""Metrics and health of the real command."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from integration.cloud import config, standard_lines
from integration.commands import eventually, run, start
from monitoring.served import ask, components, health, scraped, with_metrics
from servers.process import free_port

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    """Return a configuration that follows a folder of logs."""
    (tmp_path / "logs").mkdir()
    source = {"kind": "files", "paths": [str(tmp_path / "logs" / "*")], "rescan_seconds": 0.2}
    return config(
        tmp_path,
        sources={"logs": source},
        sinks={"out": {"kind": "ndjson", "path": str(tmp_path / "out.ndjson")}},
        pipelines={"main": {"source": "logs", "decoder": "standard", "sinks": ["out"]}},
    )


def write_log(folder: Path, *lines: bytes) -> None:
    header = b"#Version: 1.0\n#Fields: date time x-edge-request-id\n"
    (folder / "logs" / "new").write_bytes(header + b"".join(line + b"\n" for line in lines))
    (folder / "logs" / "new").rename(folder / "logs" / "log")


def test_a_service_tells_its_metrics_and_health_until_it_is_stopped(
    path: Path, tmp_path: Path
) -> None:
    port = free_port()
    service = start("run", "--config", with_metrics(path, port))
    eventually(lambda: ask(port, "/healthz")[0] == 200)
    assert health(port)[1] == {"status": "ok", "pipelines": ["main"], "problems": []}

    write_log(tmp_path, b"2026-01-15\t20:01:07\tr-1==", b"2026-01-15\t20:01:08\tr-2==", b"three")
    eventually(lambda: scraped(port).get("last_settled_timestamp_seconds", pipeline="main"))
    found = scraped(port)
    began = time.monotonic()
    service.terminate()
    ended = service.wait(30)

    assert (ended.code, ended.out) == (0, "")
    assert time.monotonic() - began < 5
    assert ask(port, "/healthz")[0] == 0
    assert found.get("records_read_total", pipeline="main") == 3
    assert found.get("dead_letters_total", pipeline="main", reason="columns") == 1
    ends = found.ends("main", "out")
    assert (ends["stored"], ends["dead_lettered"]) == (2, 1)
    assert (found.get("source_up", source="logs"), found.get("healthy")) == (1, 1)
    assert (found.get("process_resident_memory_bytes") or 0) > 10_000_000


def test_an_address_in_use_ends_a_run_with_1_before_anything_is_opened(
    path: Path, tmp_path: Path
) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        ended = run("run", "--once", "--config", with_metrics(path, port))
        checked = run("check", "--config", path)

    problem = (
        f"metrics.listen: cannot listen on 127.0.0.1:{port}: Address already in use "
        "(give another port)"
    )
    assert (ended.code, ended.err) == (1, f"cloudfront-ecs: {problem}\n")
    assert not (tmp_path / "out.ndjson").exists()
    assert checked.code == 1
    assert f"FAILED  {problem}\n" in checked.out


def test_check_knows_a_run_that_listens_already(path: Path) -> None:
    port = free_port()
    before = run("check", "--config", with_metrics(path, port))
    service = start("run", "--config", path)
    eventually(lambda: ask(port, "/healthz")[0] == 200)

    during = run("check", "--config", path)
    service.terminate()
    service.wait(30)

    assert f"ok      metrics on 127.0.0.1:{port}: nobody listens there yet\n" in before.out
    answers = f"ok      metrics on 127.0.0.1:{port}: a cloudfront-ecs that runs answers there\n"
    assert answers in during.out


def test_a_wrong_address_is_a_configuration_error_with_its_place(path: Path) -> None:
    path.write_text(path.read_text("utf-8") + '\n[metrics]\nlisten = ":9464"\n', "utf-8")

    ended = run("run", "--config", path)

    assert ended.code == 2
    assert ended.err == (
        f"cloudfront-ecs: {path}: metrics: listen: ':9464' names no host "
        "('0.0.0.0:9464' listens everywhere)\n"
    )


def test_a_sink_that_refuses_is_named_while_it_does_and_only_then(
    tmp_path: Path, path: Path
) -> None:
    write_log(tmp_path, *standard_lines(0, seed=1), b"2026-01-15\t20:01:07\tr-1==")
    text = path.read_text("utf-8").replace('kind = "ndjson"', 'kind = "fluentd"')
    receiver, port = free_port(), free_port()
    out = f'path = "{tmp_path / "out.ndjson"}"'
    ports = f'servers = ["127.0.0.1:{receiver}"]\nrequire_ack = false'
    path.write_text(text.replace(out, ports), "utf-8")
    service = start("run", "--config", with_metrics(path, port))
    eventually(lambda: ask(port, "/healthz")[0] == 503)
    _, told = health(port)

    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", receiver))
        listening.listen()
        eventually(lambda: components(port) == [])

    service.terminate()
    assert service.wait(30).code == 0
    [problem] = told["problems"]
    assert (problem["pipeline"], problem["component"]) == ("main", "sink out")
    assert "refused" in problem["problem"]
    assert problem["since"].endswith("Z")
