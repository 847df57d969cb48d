"""Settlement: batches go to every sink, and payloads settle when all of theirs have ended.

Used by the pipeline's reading thread only; the sinks' threads report through a queue.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from cloudfront_ecs.batches import Settlement
from cloudfront_ecs.delivery.backoff import Backoff
from cloudfront_ecs.delivery.dead_letters import DeadLetter
from cloudfront_ecs.delivery.fetching import StoppedError
from cloudfront_ecs.delivery.health import LETTERS, sink_part
from cloudfront_ecs.delivery.writer import SinkWriter, Written
from cloudfront_ecs.errors import (
    AccountingError,
    CloudFrontEcsError,
    SinkBlockedError,
    StateError,
)
from cloudfront_ecs.failpoints import reach

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from cloudfront_ecs.conversion import Converted
    from cloudfront_ecs.delivery.accounting import Accounts
    from cloudfront_ecs.delivery.batching import Batch, PayloadProgress
    from cloudfront_ecs.delivery.health import Health
    from cloudfront_ecs.pipeline_parts import PipelineParts, RunSettings

log = logging.getLogger(__name__)

MOST_IN_FLIGHT = 2
"""Batches that may be on their way at once; with the batch size it bounds the memory.

Two keep a sink busy: one is being written, one waits, and a third is being filled.
"""

LONGEST_WAIT = 0.25
"""No wait of the reading thread is longer, so that it notices a stop within a second."""

LAST_WRITE = 0.4
"""Seconds for which the end of writes under way is waited for when nothing more is written."""


class Settling:
    """What is between reading and the source's positions.

    Attributes:
        writers: The writer of each sink.
        in_flight: How many batches have no known end in every sink.
        open: Payloads that are neither settled nor released.
    """

    def __init__(
        self,
        parts: PipelineParts,
        settings: RunSettings,
        stop: threading.Event,
        accounts: Accounts,
        health: Health,
    ) -> None:
        """Make a writer for each sink."""
        self._accounts = accounts
        self._health = health
        self._parts = parts
        self._settings = settings
        self._stop = stop
        self._done: SimpleQueue[Written] = SimpleQueue()
        self.writers = {
            name: SinkWriter(name, sink, accounts, self._done, health)
            for name, sink in parts.sinks.items()
        }
        self.in_flight = 0
        self.open: list[PayloadProgress] = []

    def keep_rejects(self, progress: PayloadProgress, part: Converted) -> None:
        """Bring dead letters to the disk before anything about their payload can settle.

        Raises:
            StoppedError: They cannot be stored, and a stop was asked for.
        """
        letters = [
            DeadLetter(reject, progress.origin, layout=part.layout) for reject in part.rejects
        ]
        if not self._stored(letters):
            raise StoppedError(f"{progress.origin.place}: dead letters cannot be stored")

    def wait_for_room(self) -> None:
        """Wait until another batch may be sent off, or until a stop is asked for.

        Raises:
            CloudFrontEcsError: As ``settle_finished`` does.
        """
        while self.in_flight >= MOST_IN_FLIGHT and not self._stop.is_set():
            self.settle_finished(wait=LONGEST_WAIT)

    def dispatch(self, batch: Batch) -> None:
        """Offer a batch to every sink."""
        reach("batched")
        batch.waiting_for = set(self.writers)
        batch.offered = time.monotonic()
        self.in_flight += 1
        for writer in self.writers.values():
            writer.offer(batch)

    def settle_finished(self, *, wait: float) -> None:
        """Take in finished batches and settle the payloads that ended with them.

        Raises:
            SinkBlockedError: With *once*, when a sink has refused for too long.
            CloudFrontEcsError: A sink failed in a way that cannot be retried.
        """
        self._lose_patience()
        timeout = wait
        while self.in_flight:
            try:
                written = self._done.get(timeout=timeout) if timeout else self._done.get_nowait()
            except Empty:
                return
            timeout = 0.0
            self._take_in(written)

    def tell_source(self, progress: PayloadProgress) -> None:
        """Settle or release a payload whose last document has found its end."""
        if not progress.ended or progress not in self.open:
            return
        self.open.remove(progress)
        if progress.complete and not progress.failed:
            reach("settling")
            self._parts.source.settle(progress.receipt)
        else:
            self._parts.source.release(progress.receipt)

    def abandon(self) -> Exception | None:
        """Stop all retrying and release every payload that is still open.

        Returns:
            The first thing that went wrong with it; everything else was done nevertheless.
        """
        self._end_writers()
        errors: list[Exception | None] = []
        while not self._done.empty():  # what a sink took and refused until now still counts
            errors.append(self._safely(lambda: self._take_in(self._done.get_nowait())))
        for progress in tuple(self.open):
            self.open.remove(progress)
            release = partial(self._parts.source.release, progress.receipt)
            errors.append(self._safely(release))
        return next(filter(None, errors), None)

    def close(self) -> None:
        """Close every sink and the source."""
        for writer in self._end_writers():
            self._safely(writer.sink.close)
        self._safely(self._parts.source.close)

    def _end_writers(self) -> list[SinkWriter]:
        """End all writers; return those that have ended, not those whose sink hangs."""
        for writer in self.writers.values():
            writer.give_up.set()
            writer.finish()
        deadline = time.monotonic() + LAST_WRITE
        return [writer for writer in self.writers.values() if writer.finished(deadline)]

    def _stored(self, letters: list[DeadLetter]) -> bool:
        """Store dead letters, waiting while the disk is full; false when a stop ends that.

        Raises:
            StateError: The run has run out of patience.
        """
        backoff = Backoff(self._stop)
        began = time.monotonic()
        while letters:
            try:
                self._parts.dead_letters.add(letters)
            except OSError as error:
                if self._health.fails(LETTERS, error.strerror or str(error)):
                    log.warning("dead letters cannot be stored, waiting: %s", error)
                tired = time.monotonic() - began >= self._settings.patience
                if self._settings.once and tired:
                    raise StateError(f"dead letters cannot be stored: {error}") from error
                if not backoff.wait():
                    return False
            else:
                reach("letter_written")
                seconds = self._health.works(LETTERS)
                if seconds is not None:
                    log.warning("dead letters are stored again after %.0f s", seconds)
                break
        return True

    def _lose_patience(self) -> None:
        if not self._settings.once:
            return
        for name in self.writers:
            problem = self._health.problem(sink_part(name))
            if problem is not None and problem.lasted() >= self._settings.patience:
                raise SinkBlockedError(f"sink {name}: {problem.text}")

    def _take_in(self, written: Written) -> None:
        """Take note of the end of a batch in one sink.

        Raises:
            CloudFrontEcsError: The sink failed in a way that cannot be retried.
        """
        kept = self._keep_rejections(written)
        if written.failure is not None:
            error = written.failure
            if isinstance(error, CloudFrontEcsError):
                raise error
            raise CloudFrontEcsError(
                f"sink {written.sink}: failed with {type(error).__name__} (see the log)"
            ) from error
        batch = written.batch
        batch.outcomes[written.sink] = dict(written.outcomes)
        batch.seconds[written.sink] = written.seconds
        batch.failed = batch.failed or not (written.finished and kept)
        batch.waiting_for.discard(written.sink)
        if batch.waiting_for:
            return
        self.in_flight -= 1
        if not batch.failed:
            self._announce(batch)
        for share in batch.shares:
            share.progress.outstanding -= share.count
            share.progress.failed = share.progress.failed or batch.failed
            self.tell_source(share.progress)

    def _keep_rejections(self, written: Written) -> bool:
        """Dead-letter what a sink refused for good, with the bytes of its line.

        Returns:
            False when a stop was asked for and they could not be stored: then they have
            not found their end.
        """
        letters = []
        for rejection in written.rejected:
            found = written.batch.line_of(rejection.document)
            if found is None:
                raise AccountingError(
                    f"sink {written.sink!r} rejects document {rejection.document.id}, "
                    "which it was not given"
                )
            share, line = found
            detail = f"{written.sink}: {rejection.detail}"
            letters.append(
                DeadLetter(
                    replace(line, detail=detail),
                    share.progress.origin,
                    layout=share.layout,
                    sink=written.sink,
                    as_sent=share.concealed,
                )
            )
        if self._stored(letters):
            return True
        self._accounts.not_kept(written.sink, len(letters))
        return False

    def _announce(self, batch: Batch) -> None:
        newest = max((document.time_ns for document in batch.documents), default=0)
        self._parts.plugins.batch_settled(
            Settlement(
                pipeline=self._parts.name,
                documents=len(batch.documents),
                seconds=time.monotonic() - batch.offered,
                outcomes=batch.outcomes,
                newest_ns=newest,
                sink_seconds=batch.seconds,
            )
        )

    def _safely(self, action: Callable[[], None]) -> Exception | None:
        """Do one of several endings; a failing one must not keep the others from theirs."""
        try:
            action()
        except Exception as error:
            log.exception("pipeline %s: an ending step failed", self._parts.name)
            return error
        return None
