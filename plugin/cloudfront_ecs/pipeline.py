"""The pipeline: poll, convert, write to every sink, and only then settle.

This is the only place that knows the order.  One thread reads and settles, one thread for
each sink writes.  Nothing is buffered beyond a few batches: when a sink takes nothing, the
pipeline stops reading and the source keeps the data.
"""

from __future__ import annotations

import logging
import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cloudfront_ecs.adapters import PassingOver
from cloudfront_ecs.delivery.accounting import Accounts
from cloudfront_ecs.delivery.batching import Batching, PayloadProgress
from cloudfront_ecs.delivery.fetching import StoppedError, until_stopped
from cloudfront_ecs.delivery.health import CHECKPOINTS, PAYLOADS, SOURCE, Health
from cloudfront_ecs.delivery.settling import LONGEST_WAIT, MOST_IN_FLIGHT, Settling
from cloudfront_ecs.errors import CheckpointError, SourceError
from cloudfront_ecs.failpoints import reach
from cloudfront_ecs.pipeline_parts import PipelineParts, RunSettings

if TYPE_CHECKING:
    import threading

    from cloudfront_ecs.batches import Payload, RunSummary
    from cloudfront_ecs.delivery.health import Problem

__all__ = ["MOST_IN_FLIGHT", "Pipeline", "PipelineParts", "RunSettings"]

log = logging.getLogger(__name__)

LONGEST_PAUSE = 150.0
"""Seconds after which a payload that could not be read would have come again.

A source pauses for 64 s at most before it offers one once more; after more than twice that
somebody else has read it, or it is gone.
"""


@dataclass(slots=True)
class Pipeline:
    """Runs the parts until it is stopped, or until the source is drained."""

    parts: PipelineParts
    settings: RunSettings
    stop: threading.Event
    accounts: Accounts = field(init=False)
    _batching: Batching = field(init=False)
    _settling: Settling = field(init=False)
    _health: Health = field(init=False, default_factory=Health)

    def __post_init__(self) -> None:
        """Make the books, the writers and an empty batch."""
        self.accounts = Accounts(self.parts.name, self.parts.sinks)
        self._batching = Batching(self.parts.batch)
        self._settling = Settling(self.parts, self.settings, self.stop, self.accounts, self._health)

    def run(self) -> RunSummary:
        """Run, and return what was read and where it went.

        Raises:
            AccountingError: Records are unaccounted for.
            CloudFrontEcsError: The run cannot go on; everything in flight has been given
                back to the source.
        """
        began = time.monotonic()
        summary = self.accounts.summary
        for writer in self._settling.writers.values():
            writer.start()
        self.parts.plugins.pipeline_started(self.parts.name)
        try:
            self._read_until_stopped()
            self._drain(self.settings.drain)
            self.accounts.check()
        except BaseException as error:
            summary.error = str(error) or type(error).__name__
            self._settling.abandon()
            raise
        finally:
            self._settling.close()
            summary.seconds = time.monotonic() - began
            if isinstance(self.parts.source, PassingOver):
                summary.passed_over = self.parts.source.skipped.copy()
            self.parts.plugins.pipeline_stopped(summary)
        return summary

    def close(self) -> None:
        """Close every adapter of a pipeline that is not going to run."""
        self._settling.close()

    def health(self) -> dict[str, Problem]:
        """Return what does not work now and since when, by part; empty when all is well.

        The parts are those that ``delivery.health`` names.  May be called from any thread.
        """
        return self._health.problems()

    def _read_until_stopped(self) -> None:
        while True:
            self._settling.settle_finished(wait=0.0)
            self._settling.wait_for_room()
            if self.stop.is_set():
                return
            due = self._batching.due_in()
            payload = self._poll(LONGEST_WAIT if due is None else min(due, LONGEST_WAIT))
            if payload is not None:
                self._read(payload)
            due = self._batching.due_in()
            if due is not None and (due <= 0 or (payload is None and self.settings.once)):
                self._settling.dispatch(self._batching.take())
            if payload is None and self.settings.once and self._drained():
                return

    def _drained(self) -> bool:
        """Say whether everything that was read is settled and nothing is left to read."""
        idle = (
            not self._settling.in_flight
            and not self._settling.open
            and self._batching.due_in() is None
        )
        return idle and self.parts.source.drained()

    def _poll(self, timeout: float) -> Payload | None:
        try:
            payload = self.parts.source.poll(timeout)
        except SourceError as error:
            part = CHECKPOINTS if isinstance(error, CheckpointError) else SOURCE
            self._source_refused(part, error)
            return None
        self._source_works(SOURCE)
        self._source_works(CHECKPOINTS)
        return payload

    def _source_refused(self, part: str, error: SourceError) -> None:
        """Wait for the source; with *once*, not for ever.

        A payload that cannot be read comes again and again, so only one that is read to its
        end ends the waiting that began with it.
        """
        lasts = LONGEST_PAUSE if part == PAYLOADS else float("inf")
        if self._health.fails(part, str(error), lasts):
            log.warning("pipeline %s: cannot read, waiting: %s", self.parts.name, error)
        problem = self._health.problem(part)
        if self.settings.once and problem and problem.lasted() >= self.settings.patience:
            raise error
        self.stop.wait(LONGEST_WAIT)

    def _source_works(self, part: str) -> None:
        seconds = self._health.works(part)
        if seconds is not None:
            text = "pipeline %s: %s can be used again after %.0f s"
            log.warning(text, self.parts.name, part, seconds)

    def _read(self, payload: Payload) -> None:
        """Read one payload to its end, handing over batches on the way."""
        progress = PayloadProgress(payload.receipt, payload.origin)
        self._settling.open.append(progress)
        try:
            self._convert(payload, progress)
            progress.complete = True
            self._source_works(PAYLOADS)
        except StoppedError as error:
            log.debug("pipeline %s: %s", self.parts.name, error)
            progress.failed = True
        except SourceError as error:
            progress.failed = True
            self._settling.tell_source(progress)
            self._source_refused(PAYLOADS, error)
        self._settling.tell_source(progress)

    def _convert(self, payload: Payload, progress: PayloadProgress) -> None:
        """Convert one payload to its end.

        Raises:
            StoppedError: A stop was asked for before.
            SourceError: It cannot be read.
        """
        place = payload.origin.place
        pieces = until_stopped(payload.chunks, self.stop, place)
        with closing(pieces):
            if payload.messages is None:
                payload = replace(payload, chunks=pieces)
            for part in self.parts.conversion.convert(payload):
                reach("decoded")
                self._settling.keep_rejects(progress, part)
                self.accounts.converted(part)
                for batch in self._batching.add(progress, part):
                    self._settling.dispatch(batch)
                    self._settling.wait_for_room()
                if self.stop.is_set():
                    raise StoppedError(f"{place}: left behind, for a stop was asked for")

    def _drain(self, limit: float) -> None:
        """Let batches in flight finish, then give back what did not.

        Raises:
            Exception: Something of that went wrong; all that could be done was done.
        """
        deadline = time.monotonic() + limit
        if self._batching.due_in() is not None:
            self._settling.dispatch(self._batching.take())
        while self._settling.in_flight and time.monotonic() < deadline:
            reach("draining")
            self._settling.settle_finished(
                wait=min(LONGEST_WAIT, max(0.0, deadline - time.monotonic()))
            )
        error = self._settling.abandon()
        if error is not None:
            raise error
