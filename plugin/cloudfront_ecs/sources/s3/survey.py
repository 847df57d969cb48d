"""Pages of a bucket's listing, and how many objects there are in all.

The only module that asks S3 for listings.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from cloudfront_ecs.errors import CloudFrontEcsError, PayloadError, SourceError
from cloudfront_ecs.progress import Progress
from cloudfront_ecs.sources.s3.errors import s3_error
from cloudfront_ecs.sources.s3.objects import StoredObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cloudfront_ecs.sources.s3.courses import Course, Scope

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of S3.

    Attributes:
        after: The text after which the keys begin.
        objects: What was listed, in the order of the keys.
        last: The last key, or None where nothing comes after it.
    """

    after: str
    objects: tuple[StoredObject, ...]
    last: str | None


class Pages:
    """The listing of one scope, page by page; may be used from several threads."""

    def __init__(self, client: Any, scope: Scope) -> None:
        """List with *client*, a boto3 client for S3."""
        self._client = client
        self._scope = scope

    def after(self, after: str) -> Page:
        """Ask for the page that begins after the text *after*.

        Raises:
            SourceError: The bucket cannot be listed.
        """
        scope = self._scope
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
        more = bool(answer.get("IsTruncated")) and bool(listed)
        objects = tuple(
            StoredObject(scope.bucket, item["Key"], None, item["ETag"].strip('"'), item["Size"])
            for item in listed
        )
        return Page(after, objects, objects[-1].key if more else None)

    def along(self, course: Course) -> Iterator[tuple[StoredObject, ...]]:
        """Yield what a pass along *course* finds, page by page.

        Raises:
            SourceError: The bucket cannot be listed.
        """
        after: str | None = self._scope.start_after
        while after is not None:
            page = self.after(after)
            yield tuple(
                stored for stored in page.objects if stored.holds_logs and course.wants(stored.key)
            )
            after = page.last and (course.beyond(page.last) or page.last)

    def survey(self, course: Course) -> Survey:
        """Begin to count what a pass along *course* will find."""
        return Survey(self, course)


class Survey:
    """Counts what a pass will find, in a thread of its own."""

    def __init__(self, pages: Pages, course: Course) -> None:
        """Begin to count."""
        self._pages = pages
        self._course = course
        self._found = Progress()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._count, name="s3-survey", daemon=True)
        self._thread.start()

    def compared(self, done: Progress) -> Progress:
        """Return *done* with what there is beside it, as far as that is counted."""
        found = self._found
        return replace(
            done,
            all_objects=max(found.all_objects, done.all_objects),
            all_bytes=max(found.all_bytes, done.all_bytes),
            counted=found.counted,
        )

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the count; say whether everything is counted."""
        self._thread.join(seconds)
        return self._found.counted

    @property
    def found(self) -> Progress:
        """What is counted so far."""
        return self._found

    def close(self) -> None:
        """Count no further."""
        self._closed.set()

    def _count(self) -> None:
        objects = size = 0
        try:
            for found in self._pages.along(self._course):
                if self._closed.is_set():
                    return
                objects += len(found)
                size += sum(stored.size or 0 for stored in found)
                self._found = Progress(all_objects=objects, all_bytes=size)
            self._found = replace(self._found, counted=True)
        except CloudFrontEcsError as error:
            log.info("%s (how much there is remains unknown)", error)


class _Sum(NamedTuple):
    """Objects, and their size as stored."""

    objects: int = 0
    bytes: int = 0

    def and_those(self, objects: Sequence[StoredObject]) -> _Sum:
        """Return the sum with *objects*."""
        size = sum(stored.size or 0 for stored in objects)
        return _Sum(self.objects + len(objects), self.bytes + size)


class Tally:
    """How much of what a pass goes through is settled, and what was before this run.

    What the first pass finds settled was settled before: what this run has read itself stood
    on a page before that, as unsettled.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._passes = 0
        self._before = _Sum()
        self._read = _Sum()
        self._there = _Sum()
        self._counted = False
        self._survey: Survey | None = None

    def begin(self) -> None:
        """Begin a pass."""
        self._passes += 1
        self._there, self._counted = _Sum(), False

    def settled(self, stored: StoredObject) -> None:
        """Count one more object as settled."""
        self._read = self._read.and_those([stored])

    def listed(
        self, objects: Sequence[StoredObject], new: Sequence[StoredObject], *, last: bool
    ) -> None:
        """Count a page of *objects*, all of which are settled but the *new* ones."""
        self._there, self._counted = self._there.and_those(objects), last
        if self._passes <= 1:
            unsettled = {stored.key for stored in new}
            known = [stored for stored in objects if stored.key not in unsettled]
            self._before = self._before.and_those(known)

    def progress(self, survey: Callable[[], Survey], *, counting: bool) -> Progress:
        """Return how far the reading is; from any thread.

        Args:
            survey: Begins to count what there is.
            counting: It is of use: the listing itself does not know yet.
        """
        before, read, there = self._before, self._read, self._there
        done = Progress(
            objects=before.objects + read.objects,
            bytes=before.bytes + read.bytes,
            all_objects=there.objects,
            all_bytes=there.bytes,
            before=before.objects,
            bytes_before=before.bytes,
            counted=self._counted,
        )
        if self._survey is None and counting:
            self._survey = survey()
        return done if self._survey is None or done.counted else self._survey.compared(done)

    def close(self) -> None:
        """Count no further."""
        if self._survey is not None:
            self._survey.close()
