"""The configuration of transforms in the README runs as it stands."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

from cloudfront_ecs.config import load
from cloudfront_ecs.pipeline import RunSettings
from cloudfront_ecs.plugins import load_plugins
from cloudfront_ecs.running import open_pipelines
from normalize.converting import header, legacy_columns, line
from transforms.places import CITIES, write_database

README = Path(__file__).parents[2] / "README.md"


def test_the_example_of_the_readme_does_what_it_says(tmp_path: Path) -> None:
    marker = re.escape("<!-- example: transforms.toml -->")
    [text] = re.findall(marker + r"\n```toml\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    path = tmp_path / "transforms.toml"
    path.write_text(text, "utf-8")
    columns = legacy_columns()
    kept = {"sc-status": "404", "c-ip": "192.0.2.10", "x-forwarded-for": "203.0.113.77",
            "cs-uri-query": "token=s3cr3t&a=1", "cs(Cookie)": "session=s3cr3t"}  # fmt: skip
    dropped = {"cs-uri-stem": "/health/deep"}
    content = header(columns) + line(columns, kept) + line(columns, dropped)
    (tmp_path / "access.log").write_bytes(content)
    environment = {
        "CLOUDFRONT_ECS_STATE": str(tmp_path / "state"),
        "LOGS": str(tmp_path / "*.log"),
        "OUT": str(tmp_path / "out.ndjson"),
        "CITIES": write_database(tmp_path / "cities.mmdb", CITIES),
        "PRIVACY_KEY": "a key of the test",
    }

    plugins = load_plugins()
    config = load(path, plugins, environment)
    running = open_pipelines(config, plugins, RunSettings(once=True), threading.Event())
    running.start()
    while not running.wait(1.0):
        pass

    assert running.failures == {}
    [document] = map(json.loads, (tmp_path / "out.ndjson").read_text("utf-8").splitlines())
    assert document["client"]["ip"] == "203.0.113.0"
    assert document["client"]["geo"]["city_name"] == "Berlin"
    assert document["source"]["ip"] == "192.0.2.0"
    assert document["url"]["query"] == "token=REDACTED&a=1"
    assert len(document["user_agent"]["original"]) == 64
    assert document["user_agent"]["name"] == "curl"
    assert "s3cr3t" not in json.dumps(document)
    [summary] = running.summaries()
    assert (summary.read, summary.filtered) == (2, 1)
