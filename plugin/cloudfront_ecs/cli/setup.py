"""The verb ``setup``: prepares the destinations of a configuration."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.cli.check import config_option
from cloudfront_ecs.cli.ending import FAILED, OK
from cloudfront_ecs.config import load
from cloudfront_ecs.plugins import load_plugins

if TYPE_CHECKING:
    from pathlib import Path

_SIGNS = {
    "create": "+", "update": "~", "remove": "-", "unchanged": "=", "kept": "!", "foreign": "!",
    "unavailable": "?", "verified": "=", "failed": "!",
}  # fmt: skip
_CHANGES = ("create", "update", "remove")


@click.command(
    epilog="\b\nExamples:\n"
    "  cloudfront-ecs setup --config cloudfront-ecs.toml --dry-run\n"
    "  cloudfront-ecs setup --config cloudfront-ecs.toml\n"
    "  cloudfront-ecs setup --config cloudfront-ecs.toml --remove"
)
@config_option
@click.option("--dry-run", is_flag=True, help="Show what would change, change nothing.")
@click.option(
    "--remove", is_flag=True, help="Take away what setup made; documents stay where they are."
)
def setup(path: Path, *, dry_run: bool, remove: bool) -> int:
    """Install templates, lifecycle policies and roles where the sinks need them.

    Runs as often as you like: what is as it should be is left alone, and so is everything
    that cloudfront-ecs has not made.  In the end one document of each dataset is written,
    found and deleted again.
    """
    config = load(path, load_plugins())
    actions: Counter[str] = Counter()
    for name, sink in config.sinks.items():
        prepare = sink.spec.remove if remove else sink.spec.setup
        if prepare is None:
            click.echo(f"{name} ({sink.spec.kind}): nothing to set up")
            continue
        click.echo(f"{name} ({sink.spec.kind}):")
        for step in prepare(sink.options, AdapterContext(name, config.state), dry_run):
            click.echo(f"  {_SIGNS[step.action]} {step.action:11} {step.name}")
            for line in step.difference:
                click.echo(f"      {line}")
            actions[step.action] += 1
    changed = sum(actions[action] for action in _CHANGES)
    told = [f"{changed} {'would change' if dry_run else 'changed'}"]
    told += [f"{actions['kept']} are still needed"] if actions["kept"] else []
    told += [f"{actions['foreign']} are not ours and stay"] if actions["foreign"] else []
    told += [f"{actions['failed']} failed"] if actions["failed"] else []
    click.echo(", ".join(told))
    return FAILED if actions["foreign"] or actions["kept"] or actions["failed"] else OK
