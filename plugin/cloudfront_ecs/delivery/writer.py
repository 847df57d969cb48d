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
from cloudfront_ecs.errors import SinkBlockedError, SinkUnavailableError

if TYPE_CHECKING:
    from cloudfront_ecs.adapters import Sink
    from cloudfront_ecs.batches import Document, Rejection
    from cloudfront_ecs.delivery.accounting import Accounts
    from cloudfront_ecs.delivery.batching import Batch

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
class SinkHealth:
    """Whether a sink takes documents; written by its thread, read by others.

    Attributes:
        problem: What the sink said when it last refused, or None while it works.
        since: When it began to refuse (monotonic clock).
    """

    problem: str | None = None
    since: float = 0.0

    def blocked_for(self) -> float:
        """Return for how many seconds the sink has not taken anything; 0 while it works."""
        return time.monotonic() - self.since if self.problem is not None else 0.0


@dataclass(slots=True)
class SinkWriter:
    """Writes batches to one sink, in order, and reports each when it is done.

    Attributes:
        name: The sink's name.
        sink: The sink; only this thread calls it.
        accounts: Where results are counted.
        done: Where finished batches are reported.
        give_up: Ends all retrying when it is set.
    """

    name: str
    sink: Sink
    accounts: Accounts
    done: SimpleQueue[Written]
    give_up: threading.Event = field(default_factory=threading.Event)
    health: SinkHealth = field(default_factory=SinkHealth)
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

    def finish(self, timeout: float) -> bool:
        """End the thread after the batches it has; say whether it ended in time."""
        self._queue.put(None)
        if self._thread is None:
            return True
        self._thread.join(timeout)
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
        if self.health.problem is None:
            self.health.since = time.monotonic()
            kind = "blocked" if isinstance(error, SinkBlockedError) else "not available"
            log.warning("sink %s is %s, waiting: %s", self.name, kind, error)
        self.health.problem = str(error)

    def _accepted(self) -> None:
        if self.health.problem is not None:
            seconds = self.health.blocked_for()
            log.warning("sink %s takes documents again after %.0f s", self.name, seconds)
        self.health.problem = None
