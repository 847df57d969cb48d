"""Rewrites everything that comes from the field table and the adapters' options.

Run in the repository: ``python -m cloudfront_ecs.generate``.  With ``--check`` nothing is
written; the exit code is 1 when something differs from what would be.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cloudfront_ecs.monitoring.metrics import METRICS, PREFIX
from cloudfront_ecs.normalize.api.risks import RISKS
from cloudfront_ecs.options import describe
from cloudfront_ecs.plugins import BUILT_IN, ROLES, Plugins
from cloudfront_ecs.resources import ACCESS_LOGS, LOGS, field_table
from cloudfront_ecs.setup.templates import PRODUCTS, templates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from cloudfront_ecs.adapters import AdapterSpec
    from cloudfront_ecs.resources import FieldRow

TEMPLATE_FOLDERS = ("component_templates", "index_templates")

_BLOCK = re.compile(
    r"(?P<head><!-- generated: (?P<name>[a-z_]+) -->\n).*?(?P<tail><!-- end -->)", re.DOTALL
)


def generated_files(root: Path) -> dict[Path, str]:
    """Return every generated file of the repository at *root* with its content."""
    files = {
        root / "mappings" / f"{template.kind}s" / product / f"{template.name}.json": _json(
            template.body
        )
        for product in PRODUCTS
        for template in templates(product, field_table())
    }
    readme = root / "README.md"
    files[readme] = refresh(readme.read_text("utf-8"), BLOCKS)
    return files


def refresh(text: str, blocks: Mapping[str, Callable[[], str]]) -> str:
    """Return *text* with every generated block replaced by its current content.

    Raises:
        ValueError: The text asks for a block that nobody generates.
    """

    def content(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in blocks:
            known = ", ".join(sorted(blocks))
            raise ValueError(f"README.md: unknown block {name!r} (known: {known})")
        return f"{match['head']}\n{blocks[name]()}\n{match['tail']}"

    return _BLOCK.sub(content, text)


def fields_block() -> str:
    """Return the field table as Markdown."""
    return _table(("Column", "Log", "ECS fields", "Description"), map(_field_row, field_table()))


def adapters_block() -> str:
    """Return the built-in adapters and their options as Markdown, one table for each kind."""
    plugins = Plugins([(importlib.import_module(name), name) for name in BUILT_IN])
    return "\n".join(
        adapter_section(role, spec)
        for role in ROLES
        for spec in sorted(plugins.specs(role).values(), key=lambda spec: spec.kind)
    )


def adapter_section(role: str, spec: AdapterSpec) -> str:
    """Return a heading, the summary and the options of one kind of adapter."""
    rows = [
        (f"`{doc.name}`", doc.type, _code(doc.default), _with_example(doc.doc, doc.example))
        for doc in describe(spec.options)
    ]
    table = "\n" + _table(("Option", "Type", "Default", "Meaning"), rows) if rows else ""
    return f"#### {role.capitalize()} `{spec.kind}`\n\n{spec.summary}\n{table}"


def risks_block() -> str:
    """Return the risk tags of CloudTrail documents as Markdown."""
    rows = [(f"`{tag}`", risk.certain, risk.meaning) for tag, risk in RISKS.items()]
    return _table(("Tag", "Says", "When"), rows)


def metrics_block() -> str:
    """Return the metrics as Markdown."""
    rows = [
        (
            f"`{PREFIX}{metric.name}`",
            metric.kind,
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.meaning,
        )
        for metric in METRICS
    ]
    return _table(("Metric", "Type", "Labels", "Meaning"), rows)


BLOCKS: Mapping[str, Callable[[], str]] = {
    "fields": fields_block,
    "adapters": adapters_block,
    "risks": risks_block,
    "metrics": metrics_block,
}
"""What makes each generated block of the README."""


def stale_files(root: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield the files to write with their content, and those to delete with None."""
    wanted = generated_files(root)
    for path, text in wanted.items():
        if not path.exists() or path.read_text("utf-8") != text:
            yield path, text
    for folder in TEMPLATE_FOLDERS:
        for path in sorted((root / "mappings" / folder).glob("*/*.json")):
            if path not in wanted:
                yield path, None


def main(arguments: Sequence[str]) -> int:
    """Rewrite what is stale, or with ``--check`` only name it; return the exit code."""
    root = Path.cwd()
    unknown = [argument for argument in arguments if argument != "--check"]
    if unknown or not (root / "mappings" / "fields.csv").exists():
        problem = f"unknown argument {unknown[0]!r}" if unknown else f"{root}: no mappings here"
        _say(f"generate: {problem} (run 'make generate' in the repository)")
        return 2
    stale = list(stale_files(root))
    if "--check" in arguments:
        for path, _ in stale:
            _say(f"{path.relative_to(root)}: is not what the sources give (run 'make generate')")
        return 1 if stale else 0
    for path, text in stale:
        _write(path, text)
        _say(f"{path.relative_to(root)}: {'deleted' if text is None else 'written'}")
    return 0


def _write(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _json(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _field_row(row: FieldRow) -> tuple[str, ...]:
    targets = "<br>".join(f"`{name}` {mapping_type}" for name, mapping_type in row.targets)
    unit = f" In {row.unit}." if row.unit else ""
    column = row.column if row.column.startswith("(") else f"`{row.column}`"
    return column, _logs(row), targets, row.description + unit


def _logs(row: FieldRow) -> str:
    if row.logs == set(LOGS):
        return "all"
    if row.logs == set(ACCESS_LOGS):
        return "access"
    return ", ".join(log for log in LOGS if log in row.logs)


def _with_example(text: str, example: str | None) -> str:
    return f"{text} Example: `{example}`" if example else text


def _code(default: str) -> str:
    return default if default in ("required", "none") else f"`{default}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
