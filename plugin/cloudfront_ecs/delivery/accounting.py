"""The books: every record read is in exactly one column, for every sink, at every moment."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from cloudfront_ecs.batches import RunSummary
from cloudfront_ecs.errors import AccountingError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudfront_ecs.batches import WriteResult
    from cloudfront_ecs.conversion import Converted


class Accounts:
    """Counts what one pipeline reads and how it ends; used by several threads.

    Attributes:
        summary: The books themselves; ``snapshot`` is for those who read along.
        retried: For each sink, how often a document was offered again.
    """

    def __init__(self, pipeline: str, sinks: Iterable[str]) -> None:
        """Begin with everything at zero."""
        self._lock = threading.Lock()
        self.summary = RunSummary(pipeline)
        self.retried: Counter[str] = Counter()
        for sink in sinks:
            self.summary.sinks[sink] = Counter()
            self.summary.in_flight[sink] = 0

    def converted(self, part: Converted) -> None:
        """Count what some lines became.

        Raises:
            AccountingError: The conversion lost or invented a record.
        """
        count = len(part.documents)
        if part.filtered < 0:
            raise AccountingError(
                f"transforms made {count} documents of {count + part.filtered} "
                "(they may change and drop documents, not add any)"
            )
        if part.read != count + len(part.rejects) + part.filtered:
            raise AccountingError(
                f"{part.read} records became {count} documents, {len(part.rejects)} rejects "
                f"and {part.filtered} filtered ones"
            )
        with self._lock:
            self.summary.read += part.read
            self.summary.skipped += part.skipped
            self.summary.filtered += part.filtered
            self.summary.dead_lettered += len(part.rejects)
            self.summary.reasons.update(reject.reason for reject in part.rejects)
            for sink in self.summary.in_flight:
                self.summary.in_flight[sink] += count

    def written(self, sink: str, offered: int, result: WriteResult) -> None:
        """Count what a sink did with *offered* documents; retries stay in flight.

        Raises:
            AccountingError: The sink's result does not account for every document.
        """
        if result.total != offered:
            raise AccountingError(
                f"sink {sink!r} was given {offered} documents and accounts for {result.total}"
            )
        if min(result.stored, result.duplicates, result.acked) < 0:
            raise AccountingError(f"sink {sink!r} reports a negative number of documents")
        with self._lock:
            ended = self.summary.sinks[sink]
            ended["stored"] += result.stored
            ended["duplicate"] += result.duplicates
            ended["acked"] += result.acked
            ended["dead_lettered"] += len(result.rejected)
            self.summary.in_flight[sink] -= offered - len(result.retry)
            self.retried[sink] += len(result.retry)
            if result.rejected:
                self.summary.reasons["rejected"] += len(result.rejected)

    def not_kept(self, sink: str, count: int) -> None:
        """Take back that *count* documents are dead letters: they could not be stored."""
        with self._lock:
            self.summary.sinks[sink]["dead_lettered"] -= count
            self.summary.reasons["rejected"] -= count
            self.summary.in_flight[sink] += count

    def refused(self, sink: str, offered: int) -> None:
        """Count *offered* documents of which a sink took none now; they are offered again."""
        with self._lock:
            self.retried[sink] += offered

    def snapshot(self) -> RunSummary:
        """Return the books of one moment: they balance while several threads go on counting."""
        with self._lock:
            return replace(
                self.summary,
                in_flight=self.summary.in_flight.copy(),
                reasons=self.summary.reasons.copy(),
                sinks={sink: ended.copy() for sink, ended in self.summary.sinks.items()},
            )

    def check(self) -> None:
        """Compare both sides of the equation for every sink.

        Raises:
            AccountingError: They differ.
        """
        with self._lock:
            for sink in self.summary.sinks:
                difference = self.summary.imbalance(sink)
                if difference:
                    raise AccountingError(
                        f"pipeline {self.summary.pipeline!r}, sink {sink!r}: {difference} of "
                        f"{self.summary.read} records are unaccounted for"
                    )
