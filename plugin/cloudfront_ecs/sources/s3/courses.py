"""Which keys of a bucket a pass goes through, and which it may leave out unlisted.

``Floors`` is the course of a source that watches a bucket.  A pass over everything asks S3 once
for each 1,000 keys that the bucket ever got.  So most passes list a *stem* (all that keys have
before their hour) only from its *floor* on: the hour that lies the look-back before the newest
one, or that of the oldest object still on its way.  Everything below the floor is settled.  Now
and then a pass lists everything: it finds what came later than the look-back, and what stands
among old hours under another kind of name.

New stems need no search: what follows a stem's newest hour in the listing is the next stem.
"""

from __future__ import annotations

import json
import logging
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from cloudfront_ecs.sources.s3.keys import dated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cloudfront_ecs.sources.s3.keys import Stem
    from cloudfront_ecs.sources.s3.objects import StoredObject
    from cloudfront_ecs.sources.s3.settled import SettledObjects

log = logging.getLogger(__name__)

LONGEST_LOOK_BACK = 24.0
"""Hours; CloudFront's logs come up to a day late."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which objects are listed, and how often.

    Attributes:
        bucket: The bucket.
        prefix: What every key starts with.
        start_after: Keys up to this one are left out.
        poll_seconds: From the end of one pass to the start of the next.
        look_back: How many hours late an object may be to be found by the next pass.
        whole_hours: After how many hours a pass lists everything again.
        most_remembered: How many settled objects are remembered at most.
    """

    bucket: str
    prefix: str = ""
    start_after: str = ""
    poll_seconds: float = 60.0
    look_back: float = LONGEST_LOOK_BACK
    whole_hours: float = 24.0
    most_remembered: int = 10_000_000

    @property
    def place(self) -> str:
        """The scope's name for people."""
        return f"s3://{self.bucket}/{self.prefix}"


class Course(Protocol):
    """What a pass goes through."""

    def begin(self) -> None:
        """Begin a pass."""

    def wants(self, key: str) -> bool:
        """Say whether the object is one to be read."""

    def beyond(self, key: str) -> str | None:
        """Return the text after which to go on listing behind *key*, where that saves keys."""

    def listed(self, objects: Sequence[tuple[StoredObject, int]]) -> None:
        """Take note of what a page held: objects with the marks of ``settled``."""

    def end(self, unsettled: Iterable[str]) -> None:
        """Take note that the pass has ended, and which keys it found are not settled."""


@dataclass(slots=True)
class _Hour:
    """The hour of a stem at which a pass over everything is.

    Attributes:
        before: The hour before it that the pass found.
        hour: The hour.
        marks: What the pass has found of it.
    """

    before: int
    hour: int
    marks: set[int] = field(default_factory=set[int])


class Floors:
    """The course of a source that lists one bucket again and again."""

    def __init__(
        self, settled: SettledObjects, scope: Scope, now: Callable[[], float] = time.time
    ) -> None:
        """Go on from the floors that *settled* keeps; *now* is the time since 1970."""
        self._settled = settled
        self._scope = scope
        self._now = now
        self._terms = json.dumps([scope.prefix, scope.start_after, scope.look_back])
        same = settled.note("terms") == self._terms
        self._floors = settled.floors() if same else {}
        self._listed_whole = float(settled.note("listed_whole") or 0) if same else 0.0
        self._whole = True
        self._began = 0.0
        self._tops: dict[Stem, int] = {}
        self._hours: dict[Stem, _Hour] = {}

    @property
    def whole(self) -> bool:
        """Whether the pass under way lists everything."""
        return self._whole

    def begin(self) -> None:
        """Begin a pass, over everything if the last such pass is long ago."""
        self._began = self._now()
        age = self._began - self._listed_whole
        # A clock that was set back must not keep the next one from coming.
        self._whole = not 0 <= age < self._scope.whole_hours * 3600
        self._tops.clear()
        self._hours.clear()

    def wants(self, key: str) -> bool:  # noqa: ARG002 - as the protocol has it
        """Want every object."""
        return True

    def beyond(self, key: str) -> str | None:
        """Return where the stem's floor begins, if the pass is below it."""
        place = None if self._whole else dated(key)
        if place is None:
            return None
        floor = self._floors.get(place.stem.name)
        if floor is None or place.hour >= floor:
            return None
        begin = place.stem.at(floor)
        return begin if begin > key else None

    def listed(self, objects: Sequence[tuple[StoredObject, int]]) -> None:
        """Note the newest hour of each stem, and forget what the bucket no longer holds."""
        for stored, mark in objects:
            place = dated(stored.key)
            if place is None:
                continue
            stem, hour = place
            self._tops[stem] = max(hour, self._tops.get(stem, hour))
            if not self._whole or self._cut_off(stem):
                continue
            at = self._hours.setdefault(stem, _Hour(-1, hour))
            if hour > at.hour:
                self._settled.keep_hours(stem, at.before, hour, at.hour, at.marks)
                self._hours[stem] = at = _Hour(at.hour, hour)
            at.marks.add(mark)
        if objects and (place := dated(objects[-1][0].key)):
            self._settled.pack(place.stem, place.hour - self._window)

    def end(self, unsettled: Iterable[str]) -> None:
        """Raise the floors to the look-back before the newest hours, and store them.

        Raises:
            SourceError: They cannot be stored; the old ones stand.
        """
        oldest: dict[Stem, int] = {}
        for key in unsettled:
            if place := dated(key):
                oldest[place.stem] = min(place.hour, oldest.get(place.stem, place.hour))
        this_hour = int(self._now()) // 3600
        floors = {} if self._whole else dict(self._floors)
        for stem, top in self._tops.items():
            # A name from the future must not keep files of today from being found.
            floor = min(top, this_hour + 1) - self._window
            floor = max(floor, self._floors.get(stem.name, floor))
            floors[stem.name] = min(floor, oldest.get(stem, floor))
            self._settled.pack(stem, floor)
        for stem, at in self._hours.items():
            self._settled.keep_hours(stem, at.before, None, at.hour, at.marks)
        listed_whole = self._began if self._whole else self._listed_whole
        self._settled.set_floors(floors, {"terms": self._terms, "listed_whole": repr(listed_whole)})
        self._floors, self._listed_whole = floors, listed_whole
        self._tops.clear()
        self._hours.clear()

    @property
    def _window(self) -> int:
        """Hours below the newest one; an hour's file may come the look-back after its end."""
        return math.ceil(self._scope.look_back) + 1

    def _cut_off(self, stem: Stem) -> bool:
        """Whether prefix or start hide a part of the stem, of which nothing is forgotten."""
        scope = self._scope
        return len(scope.prefix) > len(stem.text) or scope.start_after > stem.text
