"""Several notices of one key: which of them is read, and which is passed over.

S3 may tell of one object twice, and of two writes of one key in the wrong order.  Its
``sequencer`` tells: it is the same in notices of the same write, and greater in those of a later
write.  So, among the notices that this worker holds or has settled lately:

- The same write of the same content is read once; a second notice waits for the end of the
  first, and is settled with it.
- Without versions, an earlier write of a key is passed over: S3 is strongly consistent, so its
  content was gone before the later notice was sent, and all that could be read in its place is
  what the later notice names.  With versions each write is an object of its own.

Other workers may hold the other notice.  Then both read, and ids make that harmless: the content
read is the one that its ETag names, never another one.

Sequencers are hexadecimal numbers of different lengths.  AWS says to pad the shorter one with
zeros, in newer pages at its right end and in older ones at its left; where the two answers
differ the order counts as unknown.

Source: Amazon S3 user guide, "Event message structure"; AWS re:Post, "Why do I see duplicate
messages in Amazon SQS for the same Amazon S3 event?".
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudfront_ecs.sources.s3.objects import StoredObject

    Verdict = Literal["read", "wait", "repeated", "superseded"]

LATELY = 900.0
"""Seconds for which a settled notice is remembered; S3 repeats notices within minutes."""

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Write:
    """One write of one key, as a notice tells of it.

    Attributes:
        stored: The object as the notice names it.
        sequencer: Its place among the writes of the key, or empty where it is not told.
    """

    stored: StoredObject
    sequencer: str = ""

    @property
    def place(self) -> tuple[str, ...]:
        """What two writes have in common when one of them replaces the other."""
        return (self.stored.bucket, self.stored.key, self.stored.true_version or "")


class Newest:
    """The writes that this worker has in hand, and those settled lately."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Remember nothing yet."""
        self._clock = clock
        self._held: dict[tuple[str, ...], list[Write]] = {}
        self._settled: dict[tuple[str, ...], tuple[Write, float]] = {}

    def judge(self, write: Write) -> Verdict:
        """Say what is to become of a notice of *write*."""
        if not write.sequencer:
            return "read"
        versioned = write.stored.true_version is not None
        held = self._held.get(write.place, ())
        settled = tuple(self._lately(write.place))
        if not versioned and any(later(known, write) for known in (*held, *settled)):
            return "superseded"
        if any(_same(known, write) for known in settled):
            return "repeated"
        return "wait" if any(_same(known, write) for known in held) else "read"

    def begin(self, write: Write) -> None:
        """Take note that *write* is in hand."""
        if write.sequencer:
            self._held.setdefault(write.place, []).append(write)

    def end(self, write: Write, *, read: bool) -> None:
        """Take note that *write* is not in hand any more; *read*: all of it is settled."""
        held = self._held.get(write.place, [])
        if write not in held:
            return
        held.remove(write)
        if not held:
            del self._held[write.place]
        known = self._settled.get(write.place)
        if read and not (known and later(known[0], write)):
            self._settled.pop(write.place, None)  # the newest stand last
            if len(self._settled) >= _REMEMBERED:
                del self._settled[next(iter(self._settled))]
            self._settled[write.place] = (write, self._clock())

    def _lately(self, place: tuple[str, ...]) -> Iterator[Write]:
        known = self._settled.get(place)
        if known and self._clock() - known[1] < LATELY:
            yield known[0]


def later(one: Write, other: Write) -> bool:
    """Say whether *one* surely came after *other*; both of the same key."""
    a, b = one.sequencer.upper(), other.sequencer.upper()
    width = max(len(a), len(b))
    return a.ljust(width, "0") > b.ljust(width, "0") and a.rjust(width, "0") > b.rjust(width, "0")


def _same(one: Write, other: Write) -> bool:
    return one.sequencer.upper() == other.sequencer.upper() and one.stored.etag == other.stored.etag
