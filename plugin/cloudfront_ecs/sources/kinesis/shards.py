"""The state of reading one shard."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cloudfront_ecs.delivery.checkpoints.store import Checkpoint
from cloudfront_ecs.delivery.watermark import Watermark
from cloudfront_ecs.sources.kinesis.stream import LATEST, TRIM_HORIZON, Position

if TYPE_CHECKING:
    from cloudfront_ecs.sources.kinesis.stream import Page, Shard

log = logging.getLogger(__name__)

RATE = 2 * 1024 * 1024  # bytes a second and shard; more is answered with throttling
RETENTION_SLACK = 60.0
STUCK_PAGES = 10
UNSEEN = 10.0  # seconds without a page; at the tip they come every few


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often what is asked, seconds.

    Attributes:
        interval: Between calls for one shard: Kinesis allows 5 GetRecords and 5
            GetShardIterator a second.  A thread that starts late brings calls closer.
        idle: After a page that was empty at the tip.
        gather: After a page of fewer than *few* records at the tip; also the longest that a
            small page of a subscription waits for the next ones.
        few: So many records make a payload.
        renewal: From one subscription to a shard to the next; sooner it is refused.
        longest_pause: At most, after failures.
        longest_throttled: At most, after being throttled: what was read too much is paid off
            within 5 seconds.
        listing: From one listing of the shards to the next.
        soonest_listing: Likewise, when there is a reason to look.
    """

    interval: float = 0.22
    idle: float = 0.6
    gather: float = 0.4
    few: int = 1000
    renewal: float = 5.1
    longest_pause: float = 30.0
    longest_throttled: float = 5.0
    listing: float = 30.0
    soonest_listing: float = 0.5

    def pause(self, failures: int, *, throttled: bool = False) -> float:
        """Return how long to wait after *failures* in a row: exponential, with full jitter."""
        limit = self.longest_throttled if throttled else self.longest_pause
        longest = min(limit, self.interval * 2.0 ** min(failures, 16))
        jitter = random.uniform(0, longest)  # noqa: S311 - spreads load, hides nothing
        return self.interval + jitter


@dataclass(frozen=True, slots=True)
class Gap:
    """Records that left the stream before they were read.

    Attributes:
        place: The shard's name for people.
        after: When the last record before the gap came to the stream, epoch seconds.
        before: When the first one behind it came; None where the shard ends with the gap.
    """

    place: str
    after: float | None
    before: float | None


@dataclass(slots=True)
class ShardReader:
    """How far one shard has been handed out, and when and how to go on.

    Attributes:
        place: The shard's name for people.
        position: The end of what was handed out; reading goes on behind it.
        watermark: The end of what is settled without a hole.
        iterator: For the next call, if there is one.
        due: When the next call is allowed, on the monotonic clock.
        at_tip: The first iterator may be ``LATEST``.
        ticket: Counts up whenever an answer that is under way must no longer be used.
        busy: A call is under way.
        failures: Failed calls in a row.
        behind: Distance from the tip at the last page, seconds.
        seen: When the last page came, on the monotonic clock; 0 before the first.
        caught_up: The tip as it was at the start has been reached.
        ended: The closed shard has been read to its end.
        suspect: Kinesis refused the position once.
        missing: Kinesis did not know the shard when it was last asked.
        term: For which the shard is this worker's.
        leaving: When another worker asked for it, on the monotonic clock; 0 where nobody has.
        gaps: Takes what was missed.
    """

    shard: Shard
    place: str
    position: Position
    watermark: Watermark[Position] = field(init=False)
    iterator: str | None = None
    due: float = 0.0
    at_tip: bool = False
    ticket: int = 0
    busy: bool = False
    failures: int = 0
    behind: float = 0.0
    seen: float = 0.0
    caught_up: bool = False
    ended: bool = False
    suspect: bool = False
    missing: bool = False
    term: int = 0
    leaving: float = 0.0
    gaps: list[Gap] = field(default_factory=list[Gap])
    _stuck: int = 0
    _gap: Position | None = None

    def __post_init__(self) -> None:
        """Begin with nothing in flight."""
        self.watermark = Watermark(self.position)

    @property
    def finished(self) -> bool:
        """Whether everything the shard ever held is settled."""
        return self.ended and not self.watermark.in_flight

    def checkpoint(self) -> Checkpoint:
        """Return what is safe to store."""
        settled = self.watermark.value
        return Checkpoint(settled.text(), settled.arrived, self.finished)

    def begin(self) -> Position:
        """Return the position for the next iterator."""
        at_tip, self.at_tip = self.at_tip, False
        return LATEST if at_tip else self.position

    def take(self, page: Page, sequence: int, began: float, pace: Pace) -> None:
        """Go on behind *page*, whose messages, if any, are in flight as *sequence*.

        Args:
            page: What the call that *began* on the monotonic clock brought.
            sequence: The sequence of the receipt.
            began: When the call was made.
            pace: How soon the next call may follow.
        """
        self.failures, self.suspect, self.missing = 0, False, False
        self.iterator, self.behind = page.iterator, page.behind
        self.seen = time.monotonic()
        # Kinesis counts from when it answered.
        self.due = max(began + pace.interval, self.seen + page.size / RATE)
        if page.messages:
            if not page.behind and len(page.messages) < pace.few:
                self.due = max(self.due, began + pace.gather)
            self._report_gap(page.messages[0].arrived)
            self.position = Position.after(page.messages[-1])
            self.watermark.open(sequence, self.position)
        elif not page.behind:
            self.due = began + pace.idle
        if page.iterator is None:
            self.ended = True

    def lag(self, now: float) -> float:
        """Return the distance from the tip, seconds; *now* is on the monotonic clock.

        What came since the last page is unknown, so where that is long ago the time counts.
        """
        age = now - self.seen
        return self.behind + (age if age > UNSEEN else 0.0)

    def note_tip(self, page: Page, started: float) -> None:
        """Notice when *page* reaches the tip as it was at *started*, epoch seconds.

        A distance of 0 alone proves nothing, since kinesalite always says so; neither does
        an empty page of a closed shard, whose end is still to come.
        """
        newest = page.messages[-1].arrived if page.messages else None
        empty_at_tip = not page.messages and not page.behind and not self.shard.closed
        if self.ended or empty_at_tip or (newest is not None and newest > started):
            self.caught_up = True

    def release(self, sequence: int) -> bool:
        """Go back to where the receipt *sequence* began; tell whether it was in flight."""
        position = self.watermark.release(sequence)
        if position is None:
            return False
        self.rewind(position)
        return True

    def rewind(self, position: Position) -> None:
        """Read again behind *position*; an answer that is under way is not used."""
        self.position, self.iterator = position, None
        self.ended, self.caught_up = False, False
        self.ticket += 1
        self.busy = False

    def note_stuck(self, page: Page, retention: float) -> bool:
        """Say whether *page* is one too many of those that a position too old brings.

        Instead of an error Kinesis may answer nothing, for ever, with a distance as long
        as the retention.
        """
        too_old = page.behind >= retention - RETENTION_SLACK and self.position.resumes
        self._stuck = self._stuck + 1 if too_old and not page.messages else 0
        return self._stuck >= STUCK_PAGES

    def jump_gap(self) -> None:
        """Go on with the oldest record there is, and report what is missing."""
        log.warning(
            "%s: position %s (record of %s) is no longer in the stream; "
            "reading goes on with the oldest record there is",
            *(self.place, self.position.value, when(self.position.arrived)),
        )
        self._gap, self._stuck, self.suspect = self.position, 0, False
        self.rewind(TRIM_HORIZON)

    def expire(self) -> None:
        """Give the rest of the shard up: the stream does not have it any more."""
        log.warning(
            "%s: the shard expired before it was read to its end; "
            "records that came after %s may be missing",
            *(self.place, when(self.position.arrived)),
        )
        self.gaps.append(Gap(self.place, self.position.arrived, None))
        self.ended = self.caught_up = True

    def _report_gap(self, arrived: float | None) -> None:
        if self._gap is None:
            return
        log.warning(
            "%s: records that came between %s and %s expired before they were read",
            *(self.place, when(self._gap.arrived), when(arrived)),
        )
        self.gaps.append(Gap(self.place, self._gap.arrived, arrived))
        self._gap = None


def when(arrived: float | None) -> str:
    """Return an arrival for people."""
    if arrived is None:
        return "unknown time"
    return datetime.fromtimestamp(arrived, UTC).isoformat(timespec="milliseconds")
