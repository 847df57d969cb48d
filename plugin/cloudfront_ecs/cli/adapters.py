"""The verb ``adapters``: everything that can be configured, from the same declarations."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from cloudfront_ecs.cli.ending import OK
from cloudfront_ecs.errors import nearest
from cloudfront_ecs.options import describe
from cloudfront_ecs.plugins import ROLES, Plugins, load_plugins


@click.command(epilog="\b\nExamples:\n  cloudfront-ecs adapters\n  cloudfront-ecs adapters elastic")
@click.argument("kind", required=False)
def adapters(kind: str | None) -> int:
    """List all adapters, built in and installed, with their options.

    KIND shows one of them only.
    """
    plugins = load_plugins()
    chosen = [
        (role, name) for role in ROLES for name in plugins.specs(role) if kind in (None, name)
    ]
    if not chosen:
        known = [name for role in ROLES for name in plugins.specs(role)]
        problem = f"unknown kind {kind!r}{nearest(str(kind), known)}"
        raise click.BadParameter(problem, param_hint="KIND")
    console = Console(highlight=False, soft_wrap=False)
    for role, name in chosen:
        _show(console, plugins, role, name)
    return OK


def _show(console: Console, plugins: Plugins, role: str, name: str) -> None:
    spec = plugins.specs(role)[name]
    owner = plugins.offered_by[role, name]
    origin = "" if owner.startswith("cloudfront_ecs.") else f" (from plugin {owner})"
    console.print(f"[bold]{role} {name}[/bold]{origin}: {spec.summary}")
    options = list(describe(spec.options))
    if not options:
        console.print("  no options\n")
        return
    table = Table(box=None, padding=(0, 2, 0, 2), show_header=True, header_style="dim")
    for title in ("option", "type", "default", "meaning"):
        table.add_column(title, no_wrap=title == "option", overflow="fold")
    for item in options:
        example = f" Example: {item.example}" if item.example else ""
        table.add_row(item.name, item.type, item.default, item.doc + example)
    console.print(table)
    console.print()
