"""The pipeline: poll, convert, write to every sink, and only then settle.

This is the only place that knows the order.  One thread reads and settles, one thread for
each sink writes.  Nothing is buffered beyond a few batches: when a sink takes nothing, the
pipeline stops reading and the source keeps the data.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from cloudfront_ecs.batches import Settlement
from cloudfront_ecs.delivery.accounting import Accounts
from cloudfront_ecs.delivery.backoff import Backoff
from cloudfront_ecs.delivery.batching import Batching, PayloadProgress
from cloudfront_ecs.delivery.dead_letters import DeadLetter
from cloudfront_ecs.delivery.writer import SinkWriter, Written
from cloudfront_ecs.errors import (
    AccountingError,
    CloudFrontEcsError,
    SinkBlockedError,
    SourceError,
    StateError,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping

    from cloudfront_ecs.adapters import Sink, Source
    from cloudfront_ecs.batches import Payload, RunSummary
    from cloudfront_ecs.config import BatchOptions
    from cloudfront_ecs.conversion import Conversion, Converted
    from cloudfront_ecs.delivery.batching import Batch
    from cloudfront_ecs.delivery.dead_letters import DeadLetters
    from cloudfront_ecs.plugins import Plugins

log = logging.getLogger(__name__)

MOST_IN_FLIGHT = 2
"""Batches that may be on their way at once; with the batch size it bounds the memory.

Two keep a sink busy: one is being written, one waits, and a third is being filled.
"""

LONGEST_WAIT = 0.25
"""No wait of the reading thread is longer, so that it notices a stop within a second."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How a run behaves.

    Attributes:
        once: End when the source is drained.
        patience: With *once*, give up when a sink or the source has refused for so long.
        drain: How long batches in flight may take after a stop was asked for.
    """

    once: bool = False
    patience: float = 30.0
    drain: float = 25.0


@dataclass(slots=True)
class PipelineParts:
    """The opened adapters of one pipeline and what it needs beside them."""

    name: str
    source: Source
    conversion: Conversion
    sinks: Mapping[str, Sink]
    batch: BatchOptions
    dead_letters: DeadLetters
    plugins: Plugins


@dataclass(slots=True)
class Pipeline:
    """Runs the parts until it is stopped, or until the source is drained."""

    parts: PipelineParts
    settings: RunSettings
    stop: threading.Event
    accounts: Accounts = field(init=False)
    _done: SimpleQueue[Written] = field(init=False, default_factory=SimpleQueue)
    _writers: dict[str, SinkWriter] = field(init=False)
    _batching: Batching = field(init=False)
    _in_flight: int = field(init=False, default=0)
    _open: list[PayloadProgress] = field(init=False, default_factory=list)
    _refusals: dict[str, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Make the writers and the books."""
        self.accounts = Accounts(self.parts.name, self.parts.sinks)
        self._batching = Batching(self.parts.batch)
        self._writers = {
            name: SinkWriter(name, sink, self.accounts, self._done)
            for name, sink in self.parts.sinks.items()
        }

    def run(self) -> RunSummary:
        """Run, and return what was read and where it went.

        Raises:
            AccountingError: Records are unaccounted for.
            CloudFrontEcsError: The run cannot go on; everything in flight has been given
                back to the source.
        """
        began = time.monotonic()
        summary = self.accounts.summary
        for writer in self._writers.values():
            writer.start()
        self.parts.plugins.pipeline_started(self.parts.name)
        try:
            self._read_until_stopped()
            self._drain(self.settings.drain)
            self.accounts.check()
        except BaseException as error:
            summary.error = str(error) or type(error).__name__
            self._abandon()
            raise
        finally:
            self._close()
            summary.seconds = time.monotonic() - began
            self.parts.plugins.pipeline_stopped(summary)
        return summary

    def health(self) -> dict[str, str]:
        """Return what is wrong, by sink; empty when all is well."""
        return {
            name: writer.health.problem
            for name, writer in self._writers.items()
            if writer.health.problem is not None
        }

    def _read_until_stopped(self) -> None:
        while not self.stop.is_set():
            self._settle_finished(wait=0.0)
            if not self._room():
                continue
            due = self._batching.due_in()
            payload = self._poll(LONGEST_WAIT if due is None else min(due, LONGEST_WAIT))
            if payload is not None:
                self._read(payload)
            due = self._batching.due_in()
            if due is not None and (due <= 0 or (payload is None and self.settings.once)):
                self._dispatch(self._batching.take())
            if payload is None and self.settings.once and self._drained():
                return

    def _drained(self) -> bool:
        """Say whether everything that was read is settled and nothing is left to read."""
        idle = not self._in_flight and not self._open and self._batching.due_in() is None
        return idle and self.parts.source.drained()

    def _poll(self, timeout: float) -> Payload | None:
        try:
            payload = self.parts.source.poll(timeout)
        except SourceError as error:
            self._source_refused("poll", error)
            return None
        self._refusals.pop("poll", None)
        return payload

    def _source_refused(self, call: str, error: SourceError) -> None:
        """Wait for the source; with *once*, not for ever.

        A payload that cannot be read comes again and again, so only one that settles ends
        the waiting that began with it.
        """
        now = time.monotonic()
        if call not in self._refusals:
            log.warning("pipeline %s: cannot read, waiting: %s", self.parts.name, error)
        since = self._refusals.setdefault(call, now)
        if self.settings.once and now - since >= self.settings.patience:
            raise error
        self.stop.wait(LONGEST_WAIT)

    def _read(self, payload: Payload) -> None:
        """Read one payload to its end, handing over batches on the way."""
        progress = PayloadProgress(payload.receipt, payload.origin)
        self._open.append(progress)
        parts: Iterator[Converted] = self.parts.conversion.convert(payload)
        try:
            for part in parts:
                self._keep_rejects(progress, part)
                self.accounts.converted(part)
                for batch in self._batching.add(progress, part):
                    self._dispatch(batch)
                    while not self._room():
                        self._settle_finished(wait=LONGEST_WAIT)
                if self.stop.is_set():
                    progress.failed = True
                    break
            else:
                progress.complete = True
        except SourceError as error:
            progress.failed = True
            self._tell_source(progress)
            self._source_refused("read", error)
        self._tell_source(progress)

    def _keep_rejects(self, progress: PayloadProgress, part: Converted) -> None:
        """Bring dead letters to the disk before anything about their payload can settle."""
        letters = [
            DeadLetter(reject, progress.origin, layout=part.layout) for reject in part.rejects
        ]
        self._store(letters)

    def _store(self, letters: list[DeadLetter]) -> None:
        """Store dead letters, waiting while the disk is full.

        Raises:
            StateError: The run is being stopped, or ran out of patience.
        """
        backoff = Backoff(self.stop)
        began = time.monotonic()
        while letters:
            try:
                self.parts.dead_letters.add(letters)
            except OSError as error:
                if backoff.failures == 0:
                    log.warning("dead letters cannot be stored, waiting: %s", error.strerror)
                tired = time.monotonic() - began >= self.settings.patience
                if (self.settings.once and tired) or not backoff.wait():
                    raise StateError(f"dead letters cannot be stored: {error}") from error
            else:
                return

    def _room(self) -> bool:
        """Say whether another batch may be sent off; wait a little where not."""
        if self._in_flight < MOST_IN_FLIGHT:
            return True
        self._settle_finished(wait=LONGEST_WAIT)
        return self._in_flight < MOST_IN_FLIGHT or self.stop.is_set()

    def _dispatch(self, batch: Batch) -> None:
        batch.waiting_for = set(self._writers)
        batch.offered = time.monotonic()
        self._in_flight += 1
        for writer in self._writers.values():
            writer.offer(batch)

    def _settle_finished(self, *, wait: float) -> None:
        """Take in finished batches and settle the payloads that ended with them.

        Raises:
            SinkBlockedError: With *once*, when a sink has refused for too long.
            CloudFrontEcsError: A sink failed in a way that cannot be retried.
        """
        self._lose_patience()
        timeout = wait
        while self._in_flight:
            try:
                written = self._done.get(timeout=timeout) if timeout else self._done.get_nowait()
            except Empty:
                return
            timeout = 0.0
            self._take_in(written)

    def _lose_patience(self) -> None:
        if not self.settings.once:
            return
        for name, writer in self._writers.items():
            if writer.health.blocked_for() >= self.settings.patience:
                raise SinkBlockedError(f"sink {name}: {writer.health.problem}")

    def _take_in(self, written: Written) -> None:
        """Take note of the end of a batch in one sink.

        Raises:
            CloudFrontEcsError: The sink failed in a way that cannot be retried.
        """
        self._keep_rejections(written)
        if written.failure is not None:
            error = written.failure
            if isinstance(error, CloudFrontEcsError):
                raise error
            raise CloudFrontEcsError(
                f"sink {written.sink}: failed with {type(error).__name__} (see the log)"
            ) from error
        batch = written.batch
        batch.outcomes[written.sink] = dict(written.outcomes)
        batch.failed = batch.failed or not written.finished
        batch.waiting_for.discard(written.sink)
        if batch.waiting_for:
            return
        self._in_flight -= 1
        if not batch.failed:
            self._announce(batch)
        for share in batch.shares:
            share.progress.outstanding -= share.count
            share.progress.failed = share.progress.failed or batch.failed
            self._tell_source(share.progress)

    def _keep_rejections(self, written: Written) -> None:
        """Dead-letter what a sink refused for good, with the bytes of its line."""
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
                    type(line)(line.reason, detail, line.raw, line.line, line.position),
                    share.progress.origin,
                    layout=share.layout,
                    sink=written.sink,
                )
            )
        self._store(letters)

    def _announce(self, batch: Batch) -> None:
        newest = max((document.time_ns for document in batch.documents), default=0)
        self.parts.plugins.batch_settled(
            Settlement(
                pipeline=self.parts.name,
                documents=len(batch.documents),
                seconds=time.monotonic() - batch.offered,
                outcomes=batch.outcomes,
                newest_ns=newest,
            )
        )

    def _tell_source(self, progress: PayloadProgress) -> None:
        """Settle or release a payload whose last document has found its end."""
        if not progress.ended or progress not in self._open:
            return
        self._open.remove(progress)
        if progress.complete and not progress.failed:
            self._refusals.pop("read", None)
            self.parts.source.settle(progress.receipt)
        else:
            self.parts.source.release(progress.receipt)

    def _drain(self, limit: float) -> None:
        """Let batches in flight finish, then give back what did not."""
        deadline = time.monotonic() + limit
        if self._batching.due_in() is not None:
            self._dispatch(self._batching.take())
        while self._in_flight and time.monotonic() < deadline:
            self._settle_finished(wait=min(LONGEST_WAIT, max(0.0, deadline - time.monotonic())))
        self._abandon()

    def _abandon(self) -> None:
        """Stop all retrying and release every payload that is still open."""
        for writer in self._writers.values():
            writer.give_up.set()
        for writer in self._writers.values():
            writer.finish(timeout=1.0)
        while not self._done.empty():  # what a sink took and refused until now still counts
            self._each_safely(lambda: self._take_in(self._done.get_nowait()))
        for progress in tuple(self._open):
            self._open.remove(progress)
            self._each_safely(lambda: self.parts.source.release(progress.receipt))  # noqa: B023

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.give_up.set()
            if writer.finish(timeout=1.0):
                self._each_safely(writer.sink.close)
        self._each_safely(self.parts.source.close)

    def _each_safely(self, action: Callable[[], None]) -> None:
        """Do one of several endings; a failing one must not keep the others from theirs."""
        try:
            action()
        except Exception:
            log.exception("pipeline %s: an ending step failed", self.parts.name)
