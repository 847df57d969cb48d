"""One thread for each sink: offers batches until every document has found its end."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING

from cloudfront_ecs.delivery.backoff import Backoff
from cloudfront_ecs.delivery.health import sink_part
from cloudfront_ecs.errors import SinkBlockedError, SinkUnavailableError

if TYPE_CHECKING:
    from cloudfront_ecs.adapters import Sink
    from cloudfront_ecs.batches import Document, Rejection
    from cloudfront_ecs.delivery.accounting import Accounts
    from cloudfront_ecs.delivery.batching import Batch
    from cloudfront_ecs.delivery.health import Health

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Written:
    """The end of one batch in one sink.

    Attributes:
        sink: The sink's name.
        batch: The batch.
        rejected: Documents the sink will never take, also those of an unfinished batch:
            they are counted, so they have to be kept.
        outcomes: How many documents ended how (``stored``, ``duplicate``, ``acked``,
            ``dead_lettered``).
        failure: The error that ended the writer, when it did not finish the batch; None
            with *finished* false means that it was told to give up.
        finished: Whether every document has found its end.
        seconds: From the moment the batch was handed over.
    """

    sink: str
    batch: Batch
    rejected: tuple[Rejection, ...] = ()
    outcomes: Counter[str] = field(default_factory=Counter)
    failure: BaseException | None = None
    finished: bool = True
    seconds: float = 0.0


@dataclass(slots=True)
class SinkWriter:
    """Writes batches to one sink, in order, and reports each when it is done.

    Attributes:
        name: The sink's name.
        sink: The sink; only this thread calls it.
        accounts: Where results are counted.
        done: Where finished batches are reported.
        health: Where it is told that the sink refuses.
        give_up: Ends all retrying when it is set.
    """

    name: str
    sink: Sink
    accounts: Accounts
    done: SimpleQueue[Written]
    health: Health
    give_up: threading.Event = field(default_factory=threading.Event)
    _queue: SimpleQueue[Batch | None] = field(default_factory=SimpleQueue)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        name = f"sink-{self.name}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def offer(self, batch: Batch) -> None:
        """Hand over a batch; it will be reported once."""
        self._queue.put(batch)

    def finish(self) -> None:
        """Have the thread end after the batches it has."""
        self._queue.put(None)

    def finished(self, deadline: float) -> bool:
        """Wait for the end of the thread; say whether it came by *deadline* (monotonic clock)."""
        if self._thread is None:
            return True
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            rejected: list[Rejection] = []
            outcomes: Counter[str] = Counter()
            finished, failure = False, None
            try:
                finished = self._write(batch.documents, rejected, outcomes)
            except BaseException as error:
                # A defect of the sink: what it has done is not known, so nothing settles.
                # Unreported, it would leave the pipeline waiting for ever.
                log.exception("sink %s failed", self.name)
                failure = error
            took = time.monotonic() - batch.offered
            self.done.put(
                Written(self.name, batch, tuple(rejected), outcomes, failure, finished, took)
            )
            if failure is not None:
                return

    def _write(
        self, documents: list[Document], rejected: list[Rejection], outcomes: Counter[str]
    ) -> bool:
        """Note how documents end; return False when told to give up."""
        backoff = Backoff(self.give_up)
        pending: list[Document] = documents
        while pending:
            if self.give_up.is_set():
                return False
            try:
                result = self.sink.write(pending)
            except SinkUnavailableError as error:
                self.accounts.refused(self.name, len(pending))
                self._refused(error)
                if not backoff.wait(error.retry_after or 0.0):
                    return False
                continue
            self.accounts.written(self.name, len(pending), result)
            rejected += result.rejected
            outcomes.update(
                stored=result.stored,
                duplicate=result.duplicates,
                acked=result.acked,
                dead_lettered=len(result.rejected),
            )
            if len(result.retry) == len(pending):
                self._refused(SinkUnavailableError("every document is to be offered again"))
            else:
                self._accepted()
                backoff.reset()
            pending = list(result.retry)
            if pending and not backoff.wait():
                return False
        return True

    def _refused(self, error: SinkUnavailableError) -> None:
        if self.health.fails(sink_part(self.name), str(error)):
            kind = "blocked" if isinstance(error, SinkBlockedError) else "not available"
            log.warning("sink %s is %s, waiting: %s", self.name, kind, error)

    def _accepted(self) -> None:
        seconds = self.health.works(sink_part(self.name))
        if seconds is not None:
            log.warning("sink %s takes documents again after %.0f s", self.name, seconds)
