"""Tags and labels of a pipeline stand in each of its documents."""

from __future__ import annotations

import json
import threading
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.config import load
from cloudfront_ecs.errors import ConfigError
from cloudfront_ecs.pipeline import RunSettings
from cloudfront_ecs.plugins import load_plugins
from cloudfront_ecs.running import open_pipelines
from normalize.converting import header, legacy_columns, line

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION = """
[state]
directory = "{folder}/state"

[sources.here]
kind = "files"
paths = ["{folder}/access.log"]

[sinks.out]
kind = "ndjson"
path = "{folder}/out.ndjson"

[pipelines.main]
source = "here"
sinks = ["out"]
{marks}
"""


def configured(folder: Path, marks: str) -> Path:
    path = folder / "config.toml"
    path.write_text(dedent(CONFIGURATION).format(folder=folder, marks=marks), "utf-8")
    return path


def ran(folder: Path, marks: str) -> list[dict[str, Any]]:
    """Run a pipeline over one record; return its documents."""
    columns = legacy_columns()
    (folder / "access.log").write_bytes(header(columns) + line(columns))
    plugins = load_plugins()
    config = load(configured(folder, marks), plugins, {})
    running = open_pipelines(config, plugins, RunSettings(once=True), threading.Event())
    running.start()
    while not running.wait(1.0):
        pass
    assert running.failures == {}
    return [json.loads(each) for each in (folder / "out.ndjson").read_text("utf-8").splitlines()]


def test_tags_and_labels_stand_in_every_document(tmp_path: Path) -> None:
    marks = 'tags = ["edge", "web", "edge"]\nlabels = { team = "platform", stage = "test" }'

    [document] = ran(tmp_path, marks)

    assert document["tags"] == ["edge", "web"]
    assert document["labels"] == {"team": "platform", "stage": "test"}


def test_without_them_there_are_none(tmp_path: Path) -> None:
    [document] = ran(tmp_path, "")

    assert not {"tags", "labels"} & set(document)


@pytest.mark.parametrize(
    ("marks", "problem"),
    [
        ("labels = { team = 7 }", "pipelines.main: labels.team: expected text, got int"),
        ('labels = { team = "" }', "pipelines.main: labels.team: empty"),
        ('tags = [""]', "pipelines.main: tags[0]: empty"),
        ("tags = [1]", "pipelines.main.tags[0]: expected text, got int 1"),
        ('tag = ["x"]', "pipelines.main: unknown option 'tag' (did you mean 'tags'?)"),
    ],
)
def test_a_wrong_mark_is_named_with_its_place(tmp_path: Path, marks: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(configured(tmp_path, marks), load_plugins(), {})

    assert problem in str(caught.value)
