"""Parts of queue messages, and how far each of them is.

A message names any number of objects; each is a part, and so is what could not be understood
in it.  The message ends when its last part has ended: it is deleted if all were settled, and
given back otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudfront_ecs.errors import PayloadError
from cloudfront_ecs.sources.s3.newest import Write
from cloudfront_ecs.sources.s3.notices import read_notice
from cloudfront_ecs.sources.s3.prefetch import THREADS, WINDOW
from cloudfront_ecs.sources.sqs.calls import AT_ONCE

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence

    from cloudfront_ecs.sources.s3.objects import StoredObject
    from cloudfront_ecs.sources.s3.prefetch import Fetch
    from cloudfront_ecs.sources.sqs.messages import QueueMessage

MOST_DOUBLINGS = 6
"""Pauses between two readings double this often at most, to about a minute."""

AHEAD = 2 * THREADS
"""With this many objects waiting to be asked for, nothing more is received."""

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Rules:
    """What is asked of messages.

    Attributes:
        wait_seconds: How long one receive waits for a message.
        max_receives: Receives of what can never be read before it is a dead letter.
        buckets: The only buckets read from, or empty for any.
        redrive: What can never be read is left to the queue's redrive policy.
        concurrency: Messages held at once.
        prefetch_bytes: Bytes of objects held before the pipeline asks for them.
    """

    wait_seconds: int = 2
    max_receives: int = 5
    buckets: frozenset[str] = frozenset()
    redrive: bool = False
    concurrency: int = 500
    prefetch_bytes: int = 16 * WINDOW

    def give_up(self, claim: Claim) -> bool:
        """Say whether a part that can never be read becomes a dead letter now."""
        foreign = claim.problem is not None and claim.problem.reason == "foreign"
        last = claim.source.message.receives >= self.max_receives
        return not self.redrive and (foreign or last)

    def foreign(self, stored: StoredObject, raw: bytes) -> PayloadError | None:
        """Return what is wrong with the bucket of an object, if anything."""
        if not self.buckets or stored.bucket in self.buckets:
            return None
        detail = f"{stored.place}: is in none of the configured buckets"
        return PayloadError("foreign", detail, raw)


@dataclass(slots=True, eq=False)
class Unpacked:
    """A message and how far its parts have come.

    Attributes:
        message: The latest receive of the message.
        claims: The parts that have not ended, by what tells them apart.
        settled: The parts that are settled, now or when the message was here before.
        released: At least one part goes back, so the message does.
        pause: Seconds for which it stays hidden then.
    """

    message: QueueMessage
    claims: dict[object, Claim] = field(default_factory=dict)
    settled: set[object] = field(default_factory=set)
    released: bool = False
    pause: float = 0.0

    def go_back_after(self, seconds: float) -> None:
        """Keep the message hidden for so long at least once it goes back."""
        self.pause = max(self.pause, seconds)

    def patience(self) -> float:
        """Return the pause before a reading that broke off is tried again."""
        return 2.0 ** min(self.message.receives, MOST_DOUBLINGS)


@dataclass(slots=True, eq=False)
class Claim:
    """One part of a message: an object, or a reason why there is none.

    Attributes:
        source: The message.
        part: What tells the part from the message's others, each time it is received.
        write: The object and when it was written.
        problem: Why it cannot be read, now or ever.
        fetch: The object on its way, once it has been begun.
        ended: It was settled or released.
    """

    source: Unpacked
    part: object
    write: Write | None = None
    problem: PayloadError | None = None
    fetch: Fetch | None = None
    ended: bool = False

    @property
    def size(self) -> int | None:
        """Bytes of the object, or None where its notice does not tell."""
        return self.write.stored.size if self.write else 0


class Remembered:
    """Which parts of messages are settled, in case a message comes again.

    A message that is deleted can come again: its deletion was lost, or came too late.
    """

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._parts: dict[str, frozenset[object] | None] = {}  # None: all of them

    def of(self, message: QueueMessage) -> frozenset[object] | None:
        """Return the settled parts of a message; None means all."""
        return self._parts.get(message.id, frozenset())

    def keep(self, unpacked: Unpacked) -> None:
        """Remember a message that has ended."""
        self._parts.pop(unpacked.message.id, None)  # the newest stand last
        if len(self._parts) >= _REMEMBERED:
            del self._parts[next(iter(self._parts))]
        self._parts[unpacked.message.id] = (
            frozenset(unpacked.settled) if unpacked.released else None
        )


class Appetite:
    """How many messages are worth asking for: no more than is soon read, others wait too."""

    def __init__(self, rules: Rules) -> None:
        """Know nothing of the sizes of objects yet."""
        self._rules = rules
        self._mean = 0.0

    def learn(self, claim: Claim) -> None:
        """Take note of the size of an object."""
        if claim.size is not None:
            self._mean += (claim.size - self._mean) / 8

    def messages(self, held: int, waiting: Sequence[Claim]) -> int:
        """Return how many messages to ask for, with so many held and these objects unread."""
        rules = self._rules
        room = min(rules.concurrency - held, AHEAD - len(waiting), AT_ONCE)
        left = rules.prefetch_bytes - sum(
            self._mean if claim.size is None else claim.size for claim in waiting
        )
        if room <= 0 or left <= 0:
            return 0
        return max(1, min(room, int(left / max(1.0, self._mean))))


def claims_of(unpacked: Unpacked, rules: Rules, skipped: Counter[str]) -> Iterator[Claim]:
    """Yield a claim for each part of a message; count in *skipped* what asks for nothing."""
    raw = unpacked.message.raw
    try:
        notice = read_notice(unpacked.message.body)
    except PayloadError as error:
        yield Claim(unpacked, "notice", problem=error)
        return
    if unpacked.message.receives == 1:
        skipped.update(notice.skipped)
    for stored in notice.objects:
        write = Write(stored, notice.sequencers.get(stored, ""))
        yield Claim(unpacked, stored, write, rules.foreign(stored, raw))
    if notice.unreadable:
        yield Claim(unpacked, "notice", problem=notice.unreadable)
