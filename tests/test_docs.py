"""What is generated is current, and what the README promises exists."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cloudfront_ecs.plugins import load_plugins

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_templates_and_readme_tables_are_what_the_field_table_makes() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "cloudfront_ecs.generate", "--check"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_reasons_the_code_gives_are_those_in_the_readme() -> None:
    sources = [path.read_text("utf-8") for path in (ROOT / "plugin").rglob("*.py")]
    table = README.partition("## What is refused")[2].partition("\n## ")[0]

    given = {reason for text in sources for reason in reasons(ast.parse(text))}

    assert given == set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def reasons(tree: ast.AST) -> Iterator[str]:
    """Yield the reasons for which the code refuses lines and payloads."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = getattr(call.func, "attr", None) or getattr(call.func, "id", None)
        if name in ("PayloadError", "RejectedLine", "Misfit", "refused"):
            given = [*call.args, *(word.value for word in call.keywords if word.arg == "reason")]
            texts = [each.value for each in given if isinstance(each, ast.Constant)]
            yield from (text for text in texts[:1] if re.fullmatch(r"\w+", str(text)))


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
