"""Listing mode: the objects of a bucket are found by listing it, again and again.

Made for buckets without notifications and for reading old logs.  Every pass lists the whole
prefix (one request for 1,000 keys), since neither names nor times tell what is new: many
distributions write into one prefix, and objects come up to a day late.  A large bucket is
better watched through a queue.

Source: Amazon S3 API reference, ListObjectsV2 (keys come in UTF-8 order; consistent).
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from cloudfront_ecs.batches import Payload, Receipt
from cloudfront_ecs.errors import CloudFrontEcsError, PayloadError, SourceError
from cloudfront_ecs.failpoints import reach
from cloudfront_ecs.sources.s3_objects import StoredObject, s3_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudfront_ecs.sources.s3_objects import S3Objects
    from cloudfront_ecs.sources.s3_settled import SettledObjects

log = logging.getLogger(__name__)

MOST_DOUBLINGS = 6
"""An object that cannot be read is tried again after 2, 4, … 64 seconds, then each 64."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which objects are listed, and how often.

    Attributes:
        bucket: The bucket.
        prefix: What every key starts with.
        start_after: Keys up to this one are left out.
        poll_seconds: From the end of one pass to the start of the next.
    """

    bucket: str
    prefix: str = ""
    start_after: str = ""
    poll_seconds: float = 60.0

    @property
    def place(self) -> str:
        """The scope's name for people."""
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(slots=True, eq=False)
class _Claim:
    """One object on its way: listed, handed out, perhaps taken back.

    Attributes:
        stored: The object, and the ETag that settles it.
        ready: The time before which it is not offered again.
        failures: How many readings broke off.
        failed: Whether the latest one did.
        sequence: That of the receipt it is in flight under, or 0.
    """

    stored: StoredObject
    ready: float = 0.0
    failures: int = 0
    failed: bool = False
    sequence: int = 0


class S3Listing:
    """A source that lists one bucket and remembers the objects that are settled."""

    def __init__(
        self,
        client: Any,
        objects: S3Objects,
        settled: SettledObjects,
        scope: Scope,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """List with *client*; read through *objects*; keep what is settled in *settled*."""
        self._client = client
        self._objects = objects
        self._settled = settled
        self._scope = scope
        self._clock = clock
        self._page: deque[StoredObject] = deque()
        self._after: str | None = None  # the last key of the pass under way
        self._next_pass = clock()
        self._passes = 0
        self._versioned = True
        self._held: dict[str, _Claim] = {}  # by key: listed, and not settled yet
        self._returned: deque[_Claim] = deque()
        self._sequence = 0
        self._closed = False

    def poll(self, timeout: float) -> Payload | None:
        """Return the next object that is new, or None."""
        deadline = self._clock() + timeout
        while True:
            self._settled.store()  # what waits since the disk was full
            claim = self._next()
            if claim is not None:
                return self._hand_out(claim)
            now = self._clock()
            if now >= deadline:
                return None
            if self._after is None:
                due = min([self._next_pass, deadline, *(claim.ready for claim in self._returned)])
                time.sleep(max(0.0, due - now))

    def settle(self, receipt: Receipt) -> None:
        """Record the object; a record that cannot be written now stops the next poll."""
        claim = self._take(receipt)
        if claim is None:
            return
        del self._held[claim.stored.key]
        self._settled.add(claim.stored.key, claim.stored.etag or "")
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
        claim.ready = self._clock()
        if claim.failed:
            claim.failures += 1
            claim.ready += 2.0 ** min(claim.failures, MOST_DOUBLINGS)
        self._returned.append(claim)

    def drained(self) -> bool:
        """Say whether one whole pass was made and everything it found is settled."""
        return self._passes > 0 and self._after is None and not self._page and not self._held

    def close(self) -> None:
        """Write what is settled and close the record."""
        if self._closed:
            return
        self._closed = True
        try:
            self._settled.store()
        except SourceError as error:
            log.warning("%s (those objects will be read again)", error)
        self._settled.close()
        self._objects.close()
        self._client.close()

    def _next(self) -> _Claim | None:
        """Return an object to hand out, listing at most one page for it."""
        now = self._clock()
        for claim in self._returned:
            if claim.ready <= now:
                self._returned.remove(claim)
                return claim
        if not self._page:
            if self._after is None and now < self._next_pass:
                return None
            self._list_page()
        if not self._page:
            return None
        stored = self._page.popleft()
        claim = _Claim(stored)
        self._held[stored.key] = claim
        return claim

    def _list_page(self) -> None:
        """List the next page of the pass, or the first one of a new pass."""
        scope = self._scope
        after = scope.start_after if self._after is None else self._after
        request = {"Bucket": scope.bucket, "Prefix": scope.prefix}
        if after:
            request["StartAfter"] = after  # unlike a token it does not expire
        try:
            answer = self._client.list_objects_v2(**request)
        except (ClientError, BotoCoreError) as error:
            # A bucket that is not there is a mistake in the configuration, not a loss.
            meaning = s3_error(scope.place, error)
            text = meaning.detail if isinstance(meaning, PayloadError) else str(meaning)
            raise SourceError(text) from error
        listed = answer.get("Contents", [])
        if listed:
            reach("received")
        more = bool(answer.get("IsTruncated")) and bool(listed)
        found = {item["Key"]: item for item in listed}
        known = self._settled.between(after, listed[-1]["Key"] if more else None)
        gone = [key for key in known if key.startswith(scope.prefix) and key not in found]
        if gone:
            self._settled.forget(gone)
        self._page.extend(
            stored
            for stored in (self._stored(item) for item in listed)
            if stored.holds_logs
            and stored.key not in self._held
            and known.get(stored.key) != stored.etag
        )
        self._after = listed[-1]["Key"] if more else None
        if not more:
            self._passes += 1
            self._next_pass = self._clock() + scope.poll_seconds
            self._versioned = True  # ask again in the next pass

    def _stored(self, item: dict[str, Any]) -> StoredObject:
        etag = str(item["ETag"]).strip('"')
        return StoredObject(self._scope.bucket, item["Key"], None, etag, item["Size"])

    def _hand_out(self, claim: _Claim) -> Payload:
        problem: CloudFrontEcsError | None = None
        claim.failed = False
        try:
            claim.stored = self._identified(claim.stored)
        except (PayloadError, SourceError) as error:
            problem = error
        self._sequence += 1
        origin = self._objects.origin(claim.stored)
        claim.sequence = self._sequence
        receipt = Receipt(origin.place, self._sequence, claim)
        return Payload(receipt, origin, self._chunks(claim, problem))

    def _identified(self, stored: StoredObject) -> StoredObject:
        """Add the version, which listings do not tell, so ids equal those of queue mode.

        One more request for each object, but only where the bucket has versions.
        """
        if self._versioned and stored.version is None:
            stored = self._objects.current(stored)
            self._versioned = stored.version is not None
        return self._objects.identified(stored)

    def _chunks(self, claim: _Claim, problem: CloudFrontEcsError | None) -> Iterator[bytes]:
        try:
            if problem is not None:
                raise problem
            yield from self._objects.read(claim.stored)
        except SourceError:
            claim.failed = True
            raise

    def _take(self, receipt: Receipt) -> _Claim | None:
        """Return the claim of a receipt that is in flight, and end it."""
        claim = receipt.token
        if not isinstance(claim, _Claim) or claim.sequence != receipt.sequence:
            return None
        claim.sequence = 0
        return claim
