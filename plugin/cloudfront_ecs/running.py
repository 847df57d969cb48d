"""A checked configuration becomes opened adapters and running pipelines."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudfront_ecs.delivery.dead_letters import DeadLetters
from cloudfront_ecs.opening import conversion_of, opened, parts_of
from cloudfront_ecs.pipeline import Pipeline, RunSettings

if TYPE_CHECKING:
    from cloudfront_ecs.batches import RunSummary
    from cloudfront_ecs.config import Config
    from cloudfront_ecs.config import Pipeline as PipelineConfig
    from cloudfront_ecs.conversion import Conversion
    from cloudfront_ecs.plugins import Plugins

LAST_MOMENT = 1.2
"""Seconds after the time for draining in which a pipeline gives back what it has and closes.

A source or sink that hangs then is left behind: the process ends within two seconds of the
time for draining, whatever the other ends do.
"""


def open_pipelines(
    config: Config, plugins: Plugins, settings: RunSettings, stop: threading.Event
) -> Running:
    """Open every pipeline of a configuration; those already open are closed when one fails."""
    with ExitStack() as endings:
        pipelines = []
        for configured in config.pipelines:
            pipeline = open_pipeline(configured, config, plugins, settings, stop)
            endings.callback(pipeline.close)
            pipelines.append(pipeline)
        endings.pop_all()
    return Running(pipelines, stop)


def open_pipeline(
    configured: PipelineConfig,
    config: Config,
    plugins: Plugins,
    settings: RunSettings,
    stop: threading.Event,
) -> Pipeline:
    """Open every adapter of a pipeline; those already open are closed when one fails."""
    state = config.state

    def conversion() -> Conversion:
        return conversion_of(configured, opened(configured.decoder, state), state)

    parts = parts_of(
        configured,
        plugins,
        state,
        source=opened(configured.source, state),
        letters=DeadLetters(state, configured.name),
        conversion=conversion,
    )
    return Pipeline(parts, settings, stop)


@dataclass(slots=True)
class Running:
    """Pipelines that run side by side, each in a thread of its own.

    Attributes:
        pipelines: The pipelines.
        stop: Asks all of them to stop.
        failures: What ended a pipeline, by name.
        left_behind: Pipelines that did not end in time after a stop.
    """

    pipelines: list[Pipeline]
    stop: threading.Event
    failures: dict[str, BaseException] = field(default_factory=dict)
    left_behind: list[str] = field(default_factory=list[str])
    _threads: list[threading.Thread] = field(default_factory=list)
    _stopped: float | None = None

    def start(self) -> None:
        """Start every pipeline."""
        for pipeline in self.pipelines:
            name = f"pipeline-{pipeline.parts.name}"
            thread = threading.Thread(target=self._run, args=[pipeline], name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def wait(self, timeout: float) -> bool:
        """Wait for all pipelines to end; say whether they have, or are left behind."""
        for thread in self._threads:
            thread.join(timeout / len(self._threads))
        if not any(thread.is_alive() for thread in self._threads):
            return True
        if not self._overdue():
            return False
        pairs = zip(self.pipelines, self._threads, strict=True)
        self.left_behind = [item.parts.name for item, thread in pairs if thread.is_alive()]
        return True

    def _overdue(self) -> bool:
        """Say whether the time that a stop may take is over."""
        if not self.stop.is_set():
            return False
        now = time.monotonic()
        if self._stopped is None:
            self._stopped = now
        longest = max(pipeline.settings.drain for pipeline in self.pipelines)
        return now >= self._stopped + longest + LAST_MOMENT

    def summaries(self) -> list[RunSummary]:
        """Return what each pipeline has read and where it went, so far."""
        return [pipeline.accounts.snapshot() for pipeline in self.pipelines]

    def _run(self, pipeline: Pipeline) -> None:
        try:
            pipeline.run()
        except BaseException as error:  # noqa: BLE001 - told to the caller, who decides
            self.failures[pipeline.parts.name] = error
            # The others go on as long as they can with ``once``; a service is restarted whole.
            if not pipeline.settings.once:
                self.stop.set()
