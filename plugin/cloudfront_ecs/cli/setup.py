"""The verb ``setup``: prepares the destinations of a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.cli.check import config_option
from cloudfront_ecs.cli.ending import FAILED, OK
from cloudfront_ecs.config import load
from cloudfront_ecs.plugins import load_plugins

if TYPE_CHECKING:
    from pathlib import Path

_SIGNS = {"create": "+", "update": "~", "unchanged": "=", "foreign": "!"}


@click.command(
    epilog="\b\nExamples:\n"
    "  cloudfront-ecs setup --config cloudfront-ecs.toml --dry-run\n"
    "  cloudfront-ecs setup --config cloudfront-ecs.toml"
)
@config_option
@click.option("--dry-run", is_flag=True, help="Show what would change, change nothing.")
def setup(path: Path, *, dry_run: bool) -> int:
    """Install component and index templates where the sinks need them.

    Runs as often as you like: what is as it should be is left alone, and so is everything
    that cloudfront-ecs has not made.
    """
    config = load(path, load_plugins())
    foreign = changed = 0
    for name, sink in config.sinks.items():
        if sink.spec.setup is None:
            click.echo(f"{name} ({sink.spec.kind}): nothing to set up")
            continue
        click.echo(f"{name} ({sink.spec.kind}):")
        for step in sink.spec.setup(sink.options, AdapterContext(name, config.state), dry_run):
            click.echo(f"  {_SIGNS[step.action]} {step.action:9} {step.name}")
            for line in step.difference:
                click.echo(f"      {line}")
            foreign += step.action == "foreign"
            changed += step.action in ("create", "update")
    would = "would change" if dry_run else "changed"
    click.echo(f"{changed} {would}" + (f", {foreign} are not ours and stay" if foreign else ""))
    return FAILED if foreign else OK
