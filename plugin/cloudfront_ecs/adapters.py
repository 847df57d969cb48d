"""What an adapter has to be: one small protocol and one spec for each of the four kinds.

Protocols, not base classes: an adapter needs no import from here to fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cloudfront_ecs.batches import Document, Payload, Receipt, RecordBatch, WriteResult


class Source(Protocol):
    """Reads payloads and remembers which of them are settled.

    All calls come from one thread, the pipeline's.
    """

    def poll(self, timeout: float) -> Payload | None:
        """Return the next payload, or None when *timeout* seconds pass without one.

        The payload is in flight until its receipt is settled or released.

        Raises:
            SourceError: Nothing can be read at the moment; the pipeline waits and asks again.
        """

    def settle(self, receipt: Receipt) -> None:
        """Accept that every record of the payload has found its end everywhere.

        The stored position may now pass *receipt*, but never an older receipt of the same
        partition that is still in flight.
        """

    def release(self, receipt: Receipt) -> None:
        """Take the payload back, unsettled, and offer it again later."""

    def drained(self) -> bool:
        """Say whether there is nothing left to read, for ``run --once``.

        A queue: nothing visible and nothing in flight with anyone.  A stream: the tip as
        it was when reading started.  Files: all read.
        """

    def close(self) -> None:
        """Store positions, give back what is in flight and disconnect.  Safe to call twice."""


@runtime_checkable
class Lagging(Protocol):
    """A source that may know how far behind it is; optional."""

    def lag(self) -> Mapping[str, float]:
        """Return how many seconds the reading is behind the newest data, by partition.

        0 where everything has been read; a partition of which nothing is known is left out.
        Partitions are few and told apart by short names (a shard's id, or one name for a
        whole queue), since each becomes a time series.

        Called from other threads at any moment, also after ``close``: it answers at once from
        what is known and asks nobody.
        """


@runtime_checkable
class PassingOver(Protocol):
    """A source that counts what it does not read by rule; optional.

    Attributes:
        skipped: How many objects or messages hold no log or ask for nothing, by why: words
            from a fixed list.
    """

    skipped: Counter[str]


@runtime_checkable
class Skipping(Protocol):
    """A source that meets what asks for nothing, such as test messages, and counts it; optional."""

    def skipped_by_reason(self) -> Mapping[str, int]:
        """Return how often something was passed over, by a few fixed reasons.

        Called from other threads at any moment, also after ``close``.
        """


@runtime_checkable
class Missing(Protocol):
    """A source that may find that data left before it was read, and counts it; optional."""

    def missed(self) -> int:
        """Return how many gaps were found.

        Called from other threads at any moment, also after ``close``.
        """


class Decoder(Protocol):
    """Splits the bytes of payloads into records."""

    def decode(self, payload: Payload) -> Iterator[RecordBatch]:
        """Yield the records of *payload* in order, in batches of one layout each.

        A line that fits no layout is a reject of its batch, never an exception.  With
        *chunks*, everything complete in one chunk is yielded before the next is read, so
        that no line waits behind another one.

        Raises:
            PayloadError: The rest of the payload can never be decoded.
        """


class Transform(Protocol):
    """Changes, completes or drops documents between normalizing and writing.

    One after which the line as read must not be seen again has an attribute ``conceals``,
    which is true: what a sink then refuses becomes a dead letter as it was sent.

    One that only completes an object of the document, equal objects equally, may have an
    attribute ``completion`` (``normalize.plan.Completion``): where it comes first in its
    pipeline, it is then asked once for each distinct object, and not for each document.
    """

    def apply(self, documents: list[Document]) -> list[Document]:
        """Return the documents that go on; the missing ones count as filtered.

        Documents may be changed in place.  Their parts can be shared between documents,
        so a nested Struct is replaced, never changed.
        """


class Sink(Protocol):
    """Writes documents.  Writing the same document twice must be harmless where ids are kept.

    All calls come from one thread, the pipeline's writer for this sink.
    """

    def write(self, documents: Sequence[Document]) -> WriteResult:
        """Write *documents* and account for each of them in the result.

        Raises:
            SinkUnavailableError: The outcome is unknown or nothing was taken; the same
                documents are offered again after a pause.
            SinkBlockedError: Nothing can be written until somebody acts.
        """

    def close(self) -> None:
        """Flush and disconnect.  Safe to call twice."""


@dataclass(frozen=True, slots=True)
class NoOptions:
    """For adapters that have nothing to configure."""


@dataclass(frozen=True, slots=True)
class AdapterContext:
    """What an adapter may know of its surroundings when it is opened.

    Attributes:
        name: The name the configuration gives it, for messages.
        state: The folder in which it may keep what must survive a restart, or None when
            nothing is to be kept (``normalize``, tests).
    """

    name: str
    state: Path | None = None


@dataclass(frozen=True, slots=True)
class SetupStep:
    """One thing that ``setup`` made, changed or found as it should be.

    Attributes:
        name: What it is, for example ``component template logs-cloudfront.standard@mappings``.
        action: ``create``, ``update``, ``remove``, ``unchanged``, ``kept`` (ours, but still
            needed), ``foreign`` (not ours: left alone), ``unavailable`` (the destination has no
            such thing), ``verified`` or ``failed`` (tried out).
        difference: Lines that show what changes, as in a unified diff.
    """

    name: str
    action: str
    difference: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """A kind of source: its name, what it is for, its options and how it is opened.

    Attributes:
        kind: The name by which the configuration selects it: a noun for the service.
        summary: One sentence for ``cloudfront-ecs adapters``.
        options: A frozen dataclass whose fields are declared with ``option``.
        open: Makes the adapter from its options.
        check: Asks the other end whether it can be reached and used, without side
            effects; returns a sentence, raises when it cannot.
    """

    kind: str
    summary: str
    options: type[Any]
    open: Callable[[Any, AdapterContext], Source]
    check: Callable[[Any, AdapterContext], str] | None = None


@dataclass(frozen=True, slots=True)
class DecoderSpec:
    """A log format; attributes as in ``SourceSpec``."""

    kind: str
    summary: str
    options: type[Any]
    open: Callable[[Any, AdapterContext], Decoder]
    check: Callable[[Any, AdapterContext], str] | None = None


@dataclass(frozen=True, slots=True)
class TransformSpec:
    """A step between normalizing and writing; attributes as in ``SourceSpec``."""

    kind: str
    summary: str
    options: type[Any]
    open: Callable[[Any, AdapterContext], Transform]
    check: Callable[[Any, AdapterContext], str] | None = None


@dataclass(frozen=True, slots=True)
class SinkSpec:
    """A kind of sink; attributes as in ``SourceSpec``.

    Attributes:
        setup: Prepares the destination and yields what it did or would do; called with the
            options, the context and whether it is a dry run.
        remove: Takes away what *setup* has made, and says so in the same way.
    """

    kind: str
    summary: str
    options: type[Any]
    open: Callable[[Any, AdapterContext], Sink]
    check: Callable[[Any, AdapterContext], str] | None = None
    setup: Callable[[Any, AdapterContext, bool], Iterable[SetupStep]] | None = None
    remove: Callable[[Any, AdapterContext, bool], Iterable[SetupStep]] | None = None


AdapterSpec = SourceSpec | DecoderSpec | TransformSpec | SinkSpec
