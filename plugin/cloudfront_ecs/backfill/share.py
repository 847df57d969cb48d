"""One process of a backfill: runs the pipeline over its share of the objects.

It tells its parent through a pipe how far it is.  A parent that says stop lets it finish what is
in flight; a parent that is gone ends it on the spot, which loses nothing.
"""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.backfill.hour_range import RangeCourse
from cloudfront_ecs.collector import calm_collector
from cloudfront_ecs.config import Adapter, load
from cloudfront_ecs.errors import CloudFrontEcsError
from cloudfront_ecs.pipeline import RunSettings
from cloudfront_ecs.plugins import load_plugins
from cloudfront_ecs.progress import Foreseeing, Progress
from cloudfront_ecs.running import Running, open_pipeline
from cloudfront_ecs.sources.s3.adapter import listing_options, open_listing

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    from cloudfront_ecs.adapters import AdapterContext, Source
    from cloudfront_ecs.backfill.hour_range import HourRange
    from cloudfront_ecs.batches import RunSummary

_TELL = 0.2


@dataclass(frozen=True, slots=True)
class Share:
    """What one process is to do.

    Attributes:
        config: The configuration file.
        pipeline: The pipeline's name.
        bucket: Where the objects are.
        prefix: What their keys begin with.
        hours: Which of them.
        state: The file of what is settled.
        number: Which share, from 0 on.
        shares: How many there are.
        patience: How long a sink or the source may refuse before it gives up.
        drain: How long batches in flight may take after a stop.
    """

    config: Path
    pipeline: str
    bucket: str
    prefix: str
    hours: HourRange
    state: Path
    number: int
    shares: int
    patience: float
    drain: float


@dataclass(frozen=True, slots=True)
class Told:
    """What a process says of itself.

    Attributes:
        progress: How far it is.
        summary: Its books.
        ended: It says nothing more.
        problem: Why it failed, where it did.
    """

    progress: Progress = field(default_factory=Progress)
    summary: RunSummary | None = None
    ended: bool = False
    problem: str | None = None


def run_share(share: Share, parent: Connection, log_format: str, log_level: str) -> None:
    """Do *share*, as a process of its own."""
    from cloudfront_ecs.cli.logs import set_up_logs  # noqa: PLC0415 - in the new process only

    set_up_logs(log_format, log_level)
    stop = threading.Event()
    # Ctrl-C reaches every process of the terminal; the parent tells what is to be done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=_listen, args=[parent, stop], name="parent", daemon=True).start()
    try:
        running = _opened(share, stop)
    except CloudFrontEcsError as error:
        parent.send(Told(ended=True, problem=str(error)))
        return
    calm_collector()
    running.start()
    while not running.wait(_TELL):
        parent.send(_told(running))
    problem = next((str(error) or repr(error) for error in running.failures.values()), None)
    if running.left_behind:
        problem = "hangs and is left behind; what was in flight will be read again"
    parent.send(replace(_told(running), ended=True, problem=problem))


def _listen(parent: Connection, stop: threading.Event) -> None:
    """Wait for the parent's word, or for its end."""
    try:
        parent.recv()
    except (EOFError, OSError):
        os._exit(1)
    stop.set()


def _opened(share: Share, stop: threading.Event) -> Running:
    """Open the pipeline with a source that reads the share and nothing else."""
    plugins = load_plugins()
    config = load(share.config, plugins)
    configured = next(each for each in config.pipelines if each.name == share.pipeline)

    def open_source(options: Any, context: AdapterContext) -> Source:
        found = listing_options(options, share.bucket, share.prefix)
        course = RangeCourse(share.hours, share.number, share.shares)
        return open_listing(found, context, share.state, course)

    source = configured.source
    spec = replace(source.spec, open=open_source)
    configured = replace(configured, source=Adapter(source.name, spec, source.options))
    settings = RunSettings(once=True, patience=share.patience, drain=share.drain)
    return Running([open_pipeline(configured, config, plugins, settings, stop)], stop)


def _told(running: Running) -> Told:
    [pipeline] = running.pipelines
    source = pipeline.parts.source
    progress = source.progress() if isinstance(source, Foreseeing) else Progress()
    return Told(progress, pipeline.accounts.snapshot())
