"""The verb ``check``: is the configuration right, and can each end be reached and used."""

from __future__ import annotations

import os
from pathlib import Path

import click

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.cli.ending import FAILED, OK
from cloudfront_ecs.config import Adapter, Config, load
from cloudfront_ecs.errors import CloudFrontEcsError
from cloudfront_ecs.plugins import load_plugins

config_option = click.option(
    "--config", "path", required=True, metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path), help="The configuration file (TOML).",
)  # fmt: skip


@click.command(epilog="\b\nExample:\n  cloudfront-ecs check --config cloudfront-ecs.toml")
@config_option
def check(path: Path) -> int:
    """Check the configuration, then ask each end whether it can be reached and used.

    Nothing is read from a source, written to a sink or made anywhere.  Exits with 2 when
    the configuration is wrong, with 1 when an end cannot be used.
    """
    config = load(path, load_plugins())
    click.echo(f"{path}: {len(config.pipelines)} pipelines, all names and options are right")
    results = [_asked(config, role, adapter) for role, adapter in _ends(config)]
    results.append(_state(config))
    results.append(_metrics(config))
    return OK if all(results) else FAILED


def _ends(config: Config) -> list[tuple[str, Adapter]]:
    found: dict[tuple[str, str], Adapter] = {}
    for pipeline in config.pipelines:
        found["source", pipeline.source.name] = pipeline.source
        found["decoder", pipeline.decoder.name] = pipeline.decoder
        for transform in pipeline.transforms:
            found["transform", transform.name] = transform
        for sink in pipeline.sinks:
            found["sink", sink.name] = sink
    return [(role, adapter) for (role, _), adapter in found.items()]


def _asked(config: Config, role: str, adapter: Adapter) -> bool:
    if adapter.spec.check is None:
        return True
    label = f"{role} {adapter.name} ({adapter.spec.kind})"
    try:
        finding = adapter.spec.check(adapter.options, AdapterContext(adapter.name, config.state))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        click.echo(f"FAILED  {label}: {error}")
        return False
    click.echo(f"ok      {label}: {finding}")
    return True


def _state(config: Config) -> bool:
    folder = config.state
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not _writable(existing):
        click.echo(f"FAILED  state directory {folder}: cannot be written")
        return False
    click.echo(f"ok      state directory {folder}")
    return True


def _metrics(config: Config) -> bool:
    address = config.metrics.address
    if address is None:
        return True
    from cloudfront_ecs.monitoring.monitor import address_use  # noqa: PLC0415 - costs each start

    try:
        finding = address_use(address)
    except CloudFrontEcsError as error:
        click.echo(f"FAILED  {error}")
        return False
    click.echo(f"ok      metrics on {address}: {finding}")
    return True


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)
