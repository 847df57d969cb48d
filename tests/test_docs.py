"""What is generated is current, and what the README promises exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from cloudfront_ecs.plugins import load_plugins

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_templates_and_readme_tables_are_what_the_field_table_makes() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "cloudfront_ecs.generate", "--check"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_reason_the_code_gives_stands_in_the_readme() -> None:
    called = r'(?:PayloadError|RejectedLine)\(\s*(?:reason=)?"([a-z_0-9]+)"'
    sources = [path.read_text("utf-8") for path in (ROOT / "plugin").rglob("*.py")]
    given = {reason for text in sources for reason in re.findall(called, text)}
    table = README.partition("## What is refused")[2].partition("## Configuration")[0]

    told = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))

    assert given
    assert given <= told


def test_every_adapter_stands_in_the_readme() -> None:
    plugins = load_plugins()

    for role, specs in (("Source", plugins.sources), ("Sink", plugins.sinks)):
        for kind in specs:
            if plugins.offered_by[role.lower(), kind].startswith("cloudfront_ecs."):
                assert f"#### {role} `{kind}`" in README


def test_nothing_in_the_repository_speaks_of_the_folder_it_lies_in() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    forbidden = str(ROOT)

    guilty = [
        name
        for name in listed
        if (ROOT / name).is_file() and forbidden in (ROOT / name).read_text("utf-8", "replace")
    ]

    assert not guilty
