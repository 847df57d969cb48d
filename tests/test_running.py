from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs.pipeline import RunSettings
from cloudfront_ecs.running import LAST_MOMENT, Running
from integration.commands import run
from pipeline_parts import ListSource, World, lines

if TYPE_CHECKING:
    from pathlib import Path

LIAR = """
from cloudfront_ecs import SinkSpec, WriteResult, hookimpl
from cloudfront_ecs.adapters import NoOptions

class Liar:
    def write(self, documents):
        return WriteResult(stored=len(documents) {lie})
    def close(self):
        pass

@hookimpl
def sink_specs():
    return [SinkSpec("liar", "Loses documents.", NoOptions, lambda options, context: Liar())]
"""


def test_a_source_that_hangs_at_its_end_is_left_behind_in_time(tmp_path: Path) -> None:
    class Hanging(ListSource):
        def close(self) -> None:
            over.wait(30)

    over, world = threading.Event(), World(tmp_path)
    settings = RunSettings(drain=0.2)
    hanging = world.pipeline(Hanging([[lines(1)]]), {"memory": world.sink()}, settings=settings)
    running = Running([hanging], world.stop)
    running.start()
    assert not running.wait(0.3)

    world.stop.set()
    began = time.monotonic()
    while not running.wait(0.05):
        assert time.monotonic() - began < 10
    took = time.monotonic() - began
    over.set()

    assert running.left_behind == ["test"]
    assert settings.drain <= took < settings.drain + LAST_MOMENT + 0.5
    assert running.failures == {}


def test_pipelines_that_end_are_not_left_behind(tmp_path: Path) -> None:
    world = World(tmp_path)
    running = Running(
        [world.pipeline(world.source([lines(1)]), {"memory": world.sink()})], world.stop
    )
    running.start()

    while not running.wait(0.05):
        pass

    assert (running.left_behind, running.failures) == ([], {})


@pytest.mark.integration
@pytest.mark.parametrize("lie", ["- 1", "+ 1"])
def test_a_foreign_sink_that_loses_a_document_ends_the_run_with_1(tmp_path: Path, lie: str) -> None:
    (tmp_path / "acme_liar.py").write_text(LIAR.format(lie=lie))
    about = tmp_path / "acme_liar-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-liar\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[cloudfront_ecs]\nliar = acme_liar\n")
    (tmp_path / "log").write_bytes(
        b"#Version: 1.0\n#Fields: date time x-edge-location sc-bytes\n"
        b"2026-01-15\t07:00:00\tFRA2\t5\n2026-01-15\t07:00:01\tFRA2\t6\n"
    )
    config = tmp_path / "run.toml"
    config.write_text(
        f"""
[state]
directory = "{tmp_path}/state"
[sources.logs]
kind = "files"
paths = ["{tmp_path}/log"]
[sinks.liar]
kind = "liar"
[pipelines.main]
source = "logs"
sinks = ["liar"]
"""
    )

    env = {"PYTHONPATH": ":".join([str(tmp_path), *filter(None, sys.path)])}
    ended = run("run", "--once", "--config", config, env=env)
    again = run("run", "--once", "--config", config, env=env)

    assert ended.code == 1, ended.err
    assert "sink 'liar' was given 2 documents and accounts for" in ended.err
    assert "2 read = 2 in flight" in again.err, "the file counted as settled"
