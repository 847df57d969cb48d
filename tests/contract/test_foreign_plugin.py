"""A foreign package, built and installed like any other, works beside the built-in adapters."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).parent.parent / "foreign_plugin"

CONFIG = """
[state]
directory = "{folder}/state"

[sources.shelf]
kind = "acme_shelf"
folder = "{folder}/shelf"

[sinks.crate]
kind = "acme_crate"
path = "{folder}/crate.jsonl"
key = "${{ACME_KEY:-none}}"
lid = {{ seal = true }}

[sinks.plain]
kind = "ndjson"
path = "{folder}/plain.ndjson"

[pipelines.acme]
source = "shelf"
decoder = {{ kind = "acme_pipes", fields = ["timestamp", "c-ip", "sc-status"] }}
transforms = [{{ kind = "acme_triage", monitors = ["192.0.2.99"] }}]
sinks = ["crate", "plain"]
batch = {{ documents = 3, seconds = 0.05 }}
"""

ONE = b"""// written by the proxy
1768460400.123|203.0.113.7|200
1768460401.123|192.0.2.99|200
1768460402.123|203.0.113.7|503
"""
TWO = b"1768460403.123|2001:db8::7|404\nbroken|line\n1768460404.123|192.0.2.99|503\n"


@dataclass(frozen=True)
class Command:
    """The command as it runs where some packages are installed beside ours."""

    installed: tuple[Path, ...]
    folder: Path

    def __call__(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        places = [*map(str, self.installed), *filter(None, inherited)]
        return subprocess.run(
            [sys.executable, "-m", "cloudfront_ecs", *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
            env={**os.environ, "COLUMNS": "200", "PYTHONPATH": os.pathsep.join(places), **environ},
        )


@pytest.fixture(name="acme", scope="module")
def _acme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder into which the wheel of the foreign package was installed."""
    made = tmp_path_factory.mktemp("acme")
    shutil.copytree(PACKAGE, made / "source", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [
            *pip, "wheel", "--no-build-isolation", "--no-deps", "--no-index",
            "--wheel-dir", str(made), str(made / "source"),
        ],
        check=True,
    )  # fmt: skip
    [wheel] = made.glob("acme_cloudfront-1.0.0-*.whl")
    target = made / "installed"
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-index", "--target", str(target), str(wheel)],
        check=True,
    )
    return target


@pytest.fixture(name="command")
def _command(acme: Path, tmp_path: Path) -> Command:
    return Command((acme,), tmp_path)


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> Path:
    """Return the file of a configuration that uses all adapters of the foreign package."""
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "one.log").write_bytes(ONE)
    (tmp_path / "shelf" / "two.log").write_bytes(TWO)
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(folder=tmp_path), "utf-8")
    return path


def plugin(place: Path, name: str, code: str) -> Path:
    """Make an installed plugin of one module; return where it is."""
    info = place / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (place / f"{name}.py").write_text(code, "utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[cloudfront_ecs]\n{name} = {name}\n", "utf-8")
    return place


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_foreign_package_runs_in_a_pipeline_from_source_to_sink(
    command: Command, config: Path, tmp_path: Path
) -> None:
    done = command("run", "--config", str(config), "--once", ACME_DIARY=str(tmp_path / "diary"))

    crate = json_lines(tmp_path / "crate.jsonl")
    bodies = [line["body"] for line in crate]
    assert done.returncode == 3, done.stderr
    assert [
        (body["http"]["response"]["status_code"], body["source"]["ip"], body.get("tags"))
        for body in bodies
    ] == [
        (200, "203.0.113.7", None),
        (503, "203.0.113.7", ["acme-failed"]),
        (404, "2001:db8::7", None),
    ]
    assert [line["seal"] for line in crate] == [body["event"]["id"] for body in bodies]
    assert json_lines(tmp_path / "plain.ndjson") == bodies
    assert sorted(path.name for path in (tmp_path / "shelf").iterdir()) == ["one.done", "two.done"]


def test_what_a_foreign_transform_drops_and_a_foreign_decoder_refuses_is_counted(
    command: Command, config: Path, tmp_path: Path
) -> None:
    done = command("run", "--config", str(config), "--once")

    assert "crate: 6 read = 3 stored + 1 dead-lettered + 2 filtered" in done.stderr
    assert "plain: 6 read = 3 stored + 1 dead-lettered + 2 filtered" in done.stderr
    [letters] = (tmp_path / "state" / "dead_letters").iterdir()
    [letter] = json_lines(letters)
    assert letter["reason"] == "columns"
    assert letter["source"] == {"file": f"{tmp_path}/shelf/two.log", "line": 2}


def test_foreign_observers_are_told_of_start_batches_and_end(
    command: Command, config: Path, tmp_path: Path
) -> None:
    command("run", "--config", str(config), "--once", ACME_DIARY=str(tmp_path / "diary"))

    first, *settled, last = (tmp_path / "diary").read_text("utf-8").splitlines()
    assert first == "started acme"
    assert sum(int(line.split()[1]) for line in settled) == 3
    assert all(line.startswith("settled ") and "'stored': " in line for line in settled)
    assert last == "stopped read=6 filtered=2"


def test_foreign_kinds_are_listed_with_their_options(command: Command) -> None:
    done = command("adapters")

    assert done.returncode == 0, done.stderr
    for role, kind in [
        ("source", "acme_shelf"),
        ("decoder", "acme_pipes"),
        ("transform", "acme_triage"),
        ("sink", "acme_crate"),
    ]:
        assert f"{role} {kind} (from plugin acme): " in done.stdout
    for text in ["Folder with one log in each file.", "monitors", "lid.seal", "secret text"]:
        assert text in done.stdout


def test_options_of_foreign_adapters_are_checked_like_ours(command: Command, config: Path) -> None:
    text = config.read_text("utf-8")
    text = text.replace("suffix", "").replace('folder = "', 'foldr = "', 1).replace("seal", "sael")
    config.write_text(text.replace('key = "${ACME_KEY:-none}"', 'key = ["hunter2"]'), "utf-8")

    done = command("check", "--config", str(config))

    assert done.returncode == 2
    assert (
        f"{config}: sources.shelf: unknown option 'foldr' (did you mean 'folder'?)" in done.stderr
    )
    assert "sinks.crate.lid: unknown option 'sael' (did you mean 'seal'?)" in done.stderr
    assert "sinks.crate.key: expected secret text, got list\n" in done.stderr
    assert "hunter2" not in done.stderr + done.stdout


BROKEN = {
    "fails_on_import": (
        "import no_such_module_at_all\n",
        (
            "plugin 'fails_on_import' of fails_on_import cannot be loaded: "
            "ModuleNotFoundError: No module named 'no_such_module_at_all'"
        ),
    ),
    "misspells_a_hook": (
        "from cloudfront_ecs import hookimpl\n@hookimpl\ndef sinks_specs():\n    return []\n",
        "plugin 'misspells_a_hook': unknown hook 'sinks_specs' (did you mean 'sink_specs'?)",
    ),
    "offers_a_taken_kind": (
        (
            "from cloudfront_ecs import NoOptions, SinkSpec, hookimpl\n"
            "@hookimpl\n"
            "def sink_specs():\n"
            "    return [SinkSpec('ndjson', 'Mine.', NoOptions, print)]\n"
        ),
        (
            "plugin 'offers_a_taken_kind': sink kind 'ndjson' is already offered by "
            "'cloudfront_ecs.sinks.ndjson'"
        ),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_named_with_the_way_to_switch_it_off(tmp_path: Path, name: str) -> None:
    code, problem = BROKEN[name]
    command = Command((plugin(tmp_path / "site", name, code),), tmp_path)

    done = command("adapters")

    assert done.returncode == 2
    assert done.stderr == (
        f"cloudfront-ecs: {problem}; set CLOUDFRONT_ECS_BLOCK_PLUGINS={name} to run without it\n"
    )


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_can_be_switched_off(tmp_path: Path, name: str) -> None:
    code, _ = BROKEN[name]
    command = Command((plugin(tmp_path / "site", name, code),), tmp_path)

    done = command("adapters", "ndjson", CLOUDFRONT_ECS_BLOCK_PLUGINS=f"other,{name}")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sink ndjson: ")


def test_a_good_plugin_can_be_switched_off_and_its_kinds_are_unknown_then(
    command: Command, config: Path
) -> None:
    done = command("check", "--config", str(config), CLOUDFRONT_ECS_BLOCK_PLUGINS="acme")

    assert done.returncode == 2
    assert "sources.shelf: unknown kind 'acme_shelf'" in done.stderr
