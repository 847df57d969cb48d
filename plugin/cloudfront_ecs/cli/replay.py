"""The verb ``replay``: dead letters back through today's decoder, to the sinks."""

from __future__ import annotations

import logging
import re
import signal
import threading
from datetime import datetime
from typing import TYPE_CHECKING

import click

from cloudfront_ecs.cli.check import config_option
from cloudfront_ecs.cli.ending import FAILED, INTERRUPTED, OK, REJECTED, tell
from cloudfront_ecs.cli.progress import counting
from cloudfront_ecs.cli.run import signals
from cloudfront_ecs.cli.summary import print_summaries, told_reasons
from cloudfront_ecs.collector import calm_collector
from cloudfront_ecs.config import load
from cloudfront_ecs.delivery.dead_letters import letter_files
from cloudfront_ecs.errors import CloudFrontEcsError, nearest
from cloudfront_ecs.pipeline import RunSettings
from cloudfront_ecs.plugins import load_plugins
from cloudfront_ecs.replaying import Choice, Replay, Replayed, alone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from cloudfront_ecs.config import Config
    from cloudfront_ecs.config import Pipeline as PipelineConfig

log = logging.getLogger(__name__)

_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def _moment(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    """Return a time with its zone, as RFC 3339 has it."""
    if value is None:
        return None
    problem = click.BadParameter(f"{value!r} is no time (such as 2026-01-15T07:00:00Z)")
    if not _RFC_3339.fullmatch(value):
        raise problem
    try:
        return datetime.fromisoformat(value.upper())
    except ValueError as error:
        raise problem from error


@click.command(
    epilog="\b\nExamples:\n"
    "  cloudfront-ecs replay --config cloudfront-ecs.toml --dry-run\n"
    "  cloudfront-ecs replay --config cloudfront-ecs.toml --reason layout --reason columns\n"
    "  cloudfront-ecs replay --config cloudfront-ecs.toml --since 2026-01-15T07:00:00Z"
)
@config_option
@click.option("--pipeline", metavar="NAME", help="Only the dead letters of this pipeline.")
@click.option(
    "--reason", "reasons", multiple=True, metavar="REASON",
    help="Only letters of this reason; can be given more than once.",
)  # fmt: skip
@click.option(
    "--since", callback=_moment, metavar="TIME",
    help="Only letters written at this time or later (2026-01-15T07:00:00Z).",
)  # fmt: skip
@click.option(
    "--configured-layouts", is_flag=True,
    help="Real-time: read by the layouts of the configuration alone, not by those of the past.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Decode and count, but write nothing.")
@click.option(
    "--patience", type=click.FloatRange(min=0), default=30.0, show_default=True,
    metavar="SECONDS", help="How long a sink may refuse everything before giving up.",
)  # fmt: skip
def replay(
    path: Path,
    pipeline: str | None,
    reasons: tuple[str, ...],
    since: datetime | None,
    *,
    configured_layouts: bool,
    dry_run: bool,
    patience: float,
) -> int:
    """Deliver dead letters: decode them by the configuration of today, and write them.

    A letter is taken out once every sink has its document, which gets the id that it would
    have had.  What is refused again stays, with one attempt more.  Exits with 3 where letters
    stay, with 1 where a sink is blocked.  It may run beside `run`.
    """
    plugins = load_plugins()
    config = load(path, plugins)
    chosen = _chosen(config, pipeline)
    letters = letter_files(config.state)
    stop = threading.Event()
    settings = RunSettings(once=True, patience=patience)
    choice = Choice(frozenset(reasons), since)
    how = Replay(config, plugins, settings, stop, choice, configured_layouts)
    calm_collector()
    with signals(stop) as received:
        if dry_run or not letters:
            results = _each(chosen, letters, how.rehearse)
        else:
            with alone(config.state):
                results = _each(chosen, letters, how.run)
    for result in results:
        _print(result, dry_run=dry_run)
    if not letters:
        click.echo("no dead letters", err=True)
    strangers = _tell_strangers(config, letters) if pipeline is None else False
    _tell_unknown(reasons, results)
    for result in results:
        for error in result.failures:
            tell(f"pipeline {result.pipeline}: {error}")
            log.debug("pipeline %s failed", result.pipeline, exc_info=error)
    if any(result.failures for result in results):
        return FAILED
    if signal.SIGINT in received:
        return INTERRUPTED
    return REJECTED if strangers or any(result.staying for result in results) else OK


def _chosen(config: Config, name: str | None) -> list[PipelineConfig]:
    found = [each for each in config.pipelines if name is None or each.name == name]
    if not found:
        hint = nearest(str(name), [each.name for each in config.pipelines])
        raise click.BadParameter(f"unknown pipeline {name!r}{hint}", param_hint="--pipeline")
    return found


def _each(
    pipelines: Sequence[PipelineConfig],
    letters: Mapping[str, Sequence[Path]],
    replayed: Callable[[PipelineConfig, Sequence[Path], Callable[[int], None]], Replayed],
) -> list[Replayed]:
    """Replay one pipeline after the other; one that fails does not keep the others back."""
    results: list[Replayed] = []
    with counting("letters") as count:
        for configured in pipelines:
            if configured.name not in letters:
                continue
            try:
                results.append(replayed(configured, letters[configured.name], count))
            except CloudFrontEcsError as error:
                results.append(Replayed(configured.name, failures=[error]))
    return results


def _print(result: Replayed, *, dry_run: bool) -> None:
    """Say what a replay did, or would do, with the letters of a pipeline."""
    if not dry_run:
        print_summaries(result.summaries)
    delivered, refused = "delivered and taken out", "refused again"
    if dry_run:
        delivered, refused = "would be delivered", "would be refused again"
    parts = [f"{result.removed} {delivered}", f"{result.refused} {refused}"]
    if count := result.unfit.total():
        reasons = told_reasons(result.unfit)
        parts.append(f"{count} not whole records, read their source again ({reasons})")
    if count := result.found.others.total():
        parts.append(f"{count} not chosen")
    if count := result.found.unreadable:
        parts.append(f"{count} lines that are no letters")
    untouched = result.found.chosen.total() - result.removed - result.refused
    if count := untouched - result.unfit.total():
        parts.append(f"{count} not tried")
    told = f"dead letters of {result.pipeline}: {', '.join(parts)}"
    if dry_run:
        for summary in result.summaries:
            if reasons := told_reasons(summary.reasons):
                told += f"\n  refused: {reasons}"
    click.echo(told, err=True)


def _tell_strangers(config: Config, letters: Mapping[str, Sequence[Path]]) -> bool:
    """Name letters of pipelines that are configured no more; say whether there are any."""
    strangers = sorted(letters.keys() - {each.name for each in config.pipelines})
    for name in strangers:
        tell(f"dead letters of {name}: there is no such pipeline any more, so they stay")
    return bool(strangers)


def _tell_unknown(reasons: Sequence[str], results: Sequence[Replayed]) -> None:
    """Say so where no letter has a reason that was asked for: it may be misspelt."""
    there = {
        reason for result in results for reason in (*result.found.chosen, *result.found.others)
    }
    for reason in reasons:
        if there and reason not in there:
            tell(f"--reason {reason}: no dead letter has it{nearest(reason, there)}")
