"""The verb ``run``: all pipelines of a configuration, until they are told to stop."""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from cloudfront_ecs.cli.check import config_option
from cloudfront_ecs.cli.ending import FAILED, INTERRUPTED, OK, REJECTED, tell
from cloudfront_ecs.cli.progress import counting, measuring
from cloudfront_ecs.cli.summary import print_summaries
from cloudfront_ecs.collector import calm_collector
from cloudfront_ecs.config import load
from cloudfront_ecs.pipeline import RunSettings
from cloudfront_ecs.plugins import load_plugins
from cloudfront_ecs.progress import Foreseeing, added_up
from cloudfront_ecs.running import open_pipelines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from cloudfront_ecs.config import Config
    from cloudfront_ecs.plugins import Plugins
    from cloudfront_ecs.running import Running

log = logging.getLogger(__name__)

_LOOK = 0.2


@click.command(
    epilog="\b\nExamples:\n"
    "  cloudfront-ecs run --config cloudfront-ecs.toml\n"
    "  cloudfront-ecs run --config backfill.toml --once"
)
@config_option
@click.option("--once", is_flag=True, help="End when the sources are drained.")
@click.option(
    "--patience", type=click.FloatRange(min=0), default=30.0, show_default=True,
    metavar="SECONDS", help="With --once: how long a sink or source may refuse before giving up.",
)  # fmt: skip
@click.option(
    "--drain", type=click.FloatRange(min=0), default=25.0, show_default=True,
    metavar="SECONDS", help="After SIGTERM: how long batches in flight may take to finish.",
)  # fmt: skip
def run(path: Path, *, once: bool, patience: float, drain: float) -> int:
    """Run all pipelines: read, convert, write to every sink, and only then move on.

    SIGTERM or Ctrl-C stops reading at once, lets batches in flight finish and gives the
    rest back to the source; a second one ends the process on the spot, which loses nothing
    either.  At the end the counters are printed and checked.
    """
    plugins = load_plugins()
    config = load(path, plugins)
    stop = threading.Event()
    settings = RunSettings(once=once, patience=patience, drain=drain)
    with ExitStack() as opened:
        show = opened.enter_context(_monitored(config, plugins))
        running = open_pipelines(config, plugins, settings, stop)
        show(running)
        calm_collector()
        received = opened.enter_context(signals(stop))
        look = opened.enter_context(_followed(running, once=once))
        running.start()
        while not running.wait(_LOOK):
            look()
    summaries = running.summaries()
    print_summaries(summaries)
    if once:
        _tell_sources(running)
    for name in running.left_behind:
        tell(f"pipeline {name}: hangs and is left behind; what was in flight will be read again")
    for name, error in running.failures.items():
        tell(f"pipeline {name}: {error}")
        log.debug("pipeline %s failed", name, exc_info=error)
    if running.failures:
        return FAILED
    if signal.SIGINT in received:
        return INTERRUPTED
    if once and any(summary.reasons.total() for summary in summaries):
        return REJECTED
    return OK


def _monitored(
    config: Config, plugins: Plugins
) -> AbstractContextManager[Callable[[Running], None]]:
    """Bind the address for metrics, where there is one; gives a function that shows a run."""
    address = config.metrics.address
    if address is None:
        return nullcontext(lambda _: None)
    from cloudfront_ecs.monitoring.monitor import monitored  # noqa: PLC0415 - costs each start

    return monitored(address, config, plugins)


@contextmanager
def _followed(running: Running, *, once: bool) -> Iterator[Callable[[], None]]:
    """Give a function that shows how far a run is: a count, or a share where an end is known."""
    sources = [pipeline.parts.source for pipeline in running.pipelines]
    foreseeing = [source for source in sources if isinstance(source, Foreseeing)]
    seen = 0

    def read() -> int:
        return sum(summary.read for summary in running.summaries())

    def look() -> None:
        nonlocal seen
        now = read()
        count(now - seen)
        seen = now

    if once and foreseeing:
        with measuring() as show:
            yield lambda: show(added_up(source.progress() for source in foreseeing), read())
    else:
        with counting("records") as count:
            yield look


def _tell_sources(running: Running) -> None:
    """Say of sources with an end what an earlier run had read, and what is left."""
    for pipeline in running.pipelines:
        source = pipeline.parts.source
        if isinstance(source, Foreseeing) and (done := source.progress()).all_objects:
            told = f"{done.objects - done.before:,} objects read"
            told += f", {done.before:,} were read before" if done.before else ""
            if left := done.all_objects - done.objects:
                more = "" if done.counted else " or more"
                told += f", {left:,}{more} are left (the next start goes on with them)"
            click.echo(f"  source of {pipeline.parts.name}: {told}", err=True)


@contextmanager
def signals(stop: threading.Event) -> Iterator[set[int]]:
    """Make the first signal stop the run and the second one end the process."""
    received: set[int] = set()

    def stopped(number: int, _: Any) -> None:
        if received:
            os._exit(128 + number)
        received.add(number)
        stop.set()

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, stopped) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
