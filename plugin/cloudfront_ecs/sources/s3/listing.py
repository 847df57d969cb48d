"""Listing mode: the objects of a bucket are found by listing it, again and again.

Made for buckets without notifications and for reading old logs.  What is new is told by the
record of what is settled, never by a time: many distributions write into one prefix, and
objects come up to a day late.  Which keys a pass goes through is the course's business.

Source: Amazon S3 API reference, ListObjectsV2 (keys come in UTF-8 order; consistent).
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.batches import Payload, Receipt
from cloudfront_ecs.errors import PayloadError, SourceError
from cloudfront_ecs.failpoints import reach
from cloudfront_ecs.sources.background import Background
from cloudfront_ecs.sources.s3.claims import Claim
from cloudfront_ecs.sources.s3.keys import dated
from cloudfront_ecs.sources.s3.prefetch import THREADS, WINDOW, Fetch, Prefetch
from cloudfront_ecs.sources.s3.settled import Marks, mark_of
from cloudfront_ecs.sources.s3.survey import Pages, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudfront_ecs.progress import Progress
    from cloudfront_ecs.sources.s3.courses import Course, Scope
    from cloudfront_ecs.sources.s3.objects import S3Objects, StoredObject
    from cloudfront_ecs.sources.s3.settled import SettledObjects
    from cloudfront_ecs.sources.s3.survey import Page

log = logging.getLogger(__name__)

AHEAD = 500
"""With fewer objects than this in hand the next page is asked for."""


class S3Listing:
    """A source that lists one bucket and remembers the objects that are settled.

    Attributes:
        skipped: How many objects of the latest pass hold no log (``no_log``).
    """

    def __init__(
        self,
        client: Any,
        objects: S3Objects,
        record: SettledObjects,
        scope: Scope,
        course: Course,
        *,
        clock: Callable[[], float] = time.monotonic,
        prefetch_bytes: int = 16 * WINDOW,
    ) -> None:
        """List with *client* along *course*; keep what is settled in *record*."""
        self.skipped: Counter[str] = Counter()
        self._pages = Pages(client, scope)
        self._client = client
        self._objects = objects
        self._settled = record
        self._scope = scope
        self._course = course
        self._clock = clock
        self._listing: Background[str] = Background(1, "s3-listing")
        self._prefetch = Prefetch(objects, most=prefetch_bytes, identify=self._identified)
        self._begun: dict[str, Fetch] = {}  # by key: of objects still on the page
        self._page: deque[StoredObject] = deque()
        self._after: str | None = None  # where the pass under way goes on
        self._ended = True  # what the course is to learn of the latest pass, it has
        self._incomplete = False  # the pass under way leaves out what it finds
        self._next_pass = clock()
        self._problem: str | None = None  # why the latest listing was not answered
        self._passes = 0
        self._versioned = True
        self._held: dict[str, Claim] = {}  # by key: listed, and not settled yet
        self._returned: deque[Claim] = deque()
        self._sequence = 0
        self._tally = Tally()
        self._closed = False

    def poll(self, timeout: float) -> Payload | None:
        """Return the next object that is new, or None."""
        deadline = self._clock() + timeout
        while True:
            self._settled.store()  # what waits since the disk was full
            self._list(0.0)
            claim = self._next()
            if claim is not None:
                return self._hand_out(claim)
            now = self._clock()
            if now >= deadline:
                if self._problem is not None:  # it lasts until a listing is answered
                    raise SourceError(self._problem)
                return None
            due = min([deadline, *(claim.ready for claim in self._returned)])
            if self._listing.full:
                self._list(due - now)
            elif self._after is None:
                time.sleep(max(0.0, min(due, self._next_pass) - now))

    def settle(self, receipt: Receipt) -> None:
        """Record the object; a record that cannot be written now stops the next poll."""
        claim = self._take(receipt)
        if claim is None:
            return
        del self._held[claim.stored.key]
        self._settled.add(claim.stored.key, claim.stored.etag or "")
        self._tally.settled(claim.stored)
        try:
            self._settled.store()
            reach("checkpointed")
        except SourceError as error:
            log.warning("%s", error)

    def release(self, receipt: Receipt) -> None:
        """Offer the object again: at once, or after a pause if reading it broke off."""
        claim = self._take(receipt)
        if claim is None:
            return
        claim.give_back(self._clock())
        self._returned.append(claim)

    def drained(self) -> bool:
        """Say whether one whole pass was made and everything it found is settled."""
        passed = self._passes > 0 and self._after is None and not self._listing.full
        return passed and not self._incomplete and not self._page and not self._held

    def progress(self) -> Progress:
        """Return how much of what the latest pass goes through is settled.

        May be asked from other threads.  Until the first pass has listed everything, what
        there is is counted beside it from the first call on.
        """
        counting = self._after is not None and self._passes == 0 and not self._closed
        return self._tally.progress(lambda: self._pages.survey(self._course), counting=counting)

    def close(self) -> None:
        """Write what is settled and close the record."""
        if self._closed:
            return
        self._closed = True
        self._tally.close()
        self._prefetch.close()
        self._listing.close()
        try:
            self._settled.store()
            self._end_pass()
        except SourceError as error:
            log.warning("%s (those objects will be read again)", error)
        self._settled.close()
        self._objects.close()
        self._client.close()

    def _next(self) -> Claim | None:
        """Return an object to hand out."""
        now = self._clock()
        for claim in self._returned:
            if claim.ready <= now:
                self._returned.remove(claim)
                return claim
        if self._page or self._incomplete:
            self._refuse_more()
        if not self._page:
            return None
        for stored in islice(self._page, 2 * THREADS):
            if stored.key not in self._begun:
                self._begun[stored.key] = self._prefetch.begin(stored)
        stored = self._page.popleft()
        claim = Claim(stored, fetch=self._begun.pop(stored.key))
        self._held[stored.key] = claim
        return claim

    def _refuse_more(self) -> None:
        """Read nothing new when no more can be remembered: it would be read for ever after.

        The pass goes on, to forget what the bucket no longer holds; then there is room again,
        and the next pass finds what this one leaves.

        Raises:
            SourceError: The record is full.
        """
        most = self._scope.most_remembered
        if self._settled.count + len(self._held) >= most:
            self._incomplete = True
            self._page.clear()
            for fetch in self._begun.values():
                self._prefetch.cancel(fetch)
            self._begun.clear()
            raise SourceError(
                f"{self._scope.place}: {most} settled objects are remembered, as many as "
                "'most_remembered' allows, so nothing new is read (raise it, narrow 'prefix', "
                "move 'start_after' on, or let old objects expire)"
            )

    def _list(self, wait: float) -> None:
        """Take in the page that was asked for, and ask for the next one when it is time.

        Raises:
            SourceError: The bucket cannot be listed, or the record not be used.
        """
        if self._listing.full:
            answer = self._listing.next(wait)
            if answer is None:
                return
            if answer.error is not None:
                self._problem = str(answer.error)
                raise answer.error
            self._problem = None
            self._take_in(answer.result)
        if self._after is None:
            if self._page or self._clock() < self._next_pass:
                return
            self._end_pass()
            self._course.begin()
            self.skipped.clear()
            self._ended = self._incomplete = False
            self._tally.begin()
            self._versioned = True  # ask again in each pass
            self._after = self._scope.start_after
        if len(self._page) < AHEAD:
            after = self._after
            self._listing.submit(after, lambda: self._pages.after(after))

    def _end_pass(self) -> None:
        """Tell the course of a pass that is over, once all it found has been handed out."""
        if self._ended or self._after is not None or self._page:
            return
        if not self._incomplete:
            self._course.end(tuple(self._held))
        self._ended = True

    def _take_in(self, page: Page) -> None:
        """Look what is new on a page, forget what is gone, and say where to go on."""
        if page.objects:
            reach("received")
        keys = {stored.key for stored in page.objects}
        known = self._settled.between(page.after, page.last)
        prefix = self._scope.prefix
        gone = [key for key in known if key.startswith(prefix) and key not in keys]
        if gone:
            self._settled.forget(gone)
        self.skipped["no_log"] += sum(not stored.holds_logs for stored in page.objects)
        wanted = [
            (stored, mark_of(stored.key, stored.etag or ""), dated(stored.key))
            for stored in page.objects
            if stored.holds_logs and self._course.wants(stored.key)
        ]
        packed = Marks(self._settled)
        new = [
            stored
            for stored, mark, place in wanted
            if known.get(stored.key) != stored.etag and mark not in packed.of(place)
        ]
        self._course.listed([(stored, mark) for stored, mark, _ in wanted])
        self._tally.listed([stored for stored, *_ in wanted], new, last=page.last is None)
        self._page.extend(stored for stored in new if stored.key not in self._held)
        self._after = page.last and (self._course.beyond(page.last) or page.last)
        if page.last is None:
            self._passes += 1
            self._next_pass = self._clock() + self._scope.poll_seconds

    def _hand_out(self, claim: Claim) -> Payload:
        claim.failed = False
        fetch = claim.fetch = claim.fetch or self._prefetch.begin(claim.stored)
        # What is wrong is told where the object is read.
        with suppress(PayloadError, SourceError):
            claim.stored = self._prefetch.identified(fetch)
        self._sequence += 1
        origin = self._objects.origin(claim.stored)
        claim.sequence = self._sequence
        receipt = Receipt(origin.place, self._sequence, claim)
        return Payload(receipt, origin, self._chunks(claim, fetch))

    def _identified(self, stored: StoredObject, notice: bytes) -> StoredObject:
        """Add the version, which listings do not tell, so ids equal those of queue mode.

        One more request for each object, but only where the bucket has versions.
        """
        if self._versioned and stored.version is None:
            stored = self._objects.current(stored)
            self._versioned = stored.version is not None
        return self._objects.identified(stored, notice)

    def _chunks(self, claim: Claim, fetch: Fetch) -> Iterator[bytes]:
        try:
            yield from self._prefetch.read(fetch)
        except SourceError:
            claim.failed = True
            raise

    def _take(self, receipt: Receipt) -> Claim | None:
        """Return the claim of a receipt that is in flight, and end it."""
        claim = receipt.token
        if not isinstance(claim, Claim) or claim.sequence != receipt.sequence:
            return None
        claim.sequence = 0
        if claim.fetch is not None:
            self._prefetch.cancel(claim.fetch)
            claim.fetch = None
        return claim
