"""Small real adapters for tests of the pipeline; each notes what happens in one list."""

from __future__ import annotations

import errno
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudfront_ecs import Origin, Payload, Receipt, Rejection, WriteResult, hookimpl
from cloudfront_ecs.config import BatchOptions
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.realtime.decoder import RealtimeDecoder, RealtimeOptions
from cloudfront_ecs.delivery.dead_letters import DeadLetters
from cloudfront_ecs.errors import SinkBlockedError, SinkUnavailableError
from cloudfront_ecs.pipeline import Pipeline, PipelineParts, RunSettings
from cloudfront_ecs.plugins import Plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cloudfront_ecs import Document, RunSummary, Settlement
    from cloudfront_ecs.adapters import Sink, Source, Transform
    from cloudfront_ecs.delivery.dead_letters import DeadLetter

FIELDS = ("timestamp", "c-ip", "sc-status")


def line(number: int) -> bytes:
    """Return one log line that becomes one document."""
    return f"{1_768_460_400 + number}.123\t203.0.113.7\t200\n".encode()


def lines(count: int, first: int = 0) -> bytes:
    """Return *count* log lines."""
    return b"".join(line(first + index) for index in range(count))


@dataclass(slots=True)
class ListSource:
    """Hands out byte strings, once each unless they are released.

    A piece that is an exception is raised while the payload is read.
    """

    contents: Sequence[Sequence[bytes | BaseException]]
    events: list[str] = field(default_factory=list)
    polls_fail: deque[BaseException] = field(default_factory=deque)
    waiting: deque[int] = field(init=False)
    in_flight: set[int] = field(default_factory=set)
    settled: list[int] = field(default_factory=list)
    released: list[int] = field(default_factory=list)
    while_read: Callable[[], None] = field(default=lambda: None)
    offer_again: bool = False
    closed: int = 0

    def __post_init__(self) -> None:
        self.waiting = deque(range(len(self.contents)))

    def poll(self, timeout: float) -> Payload | None:
        if self.polls_fail:
            raise self.polls_fail.popleft()
        if not self.waiting:
            time.sleep(min(timeout, 0.005))
            return None
        number = self.waiting.popleft()
        self.in_flight.add(number)
        origin = Origin(f"list/{number}", ("list", str(number)))
        return Payload(Receipt("list", number), origin, self._pieces(number))

    def settle(self, receipt: Receipt) -> None:
        self.in_flight.remove(receipt.sequence)
        self.settled.append(receipt.sequence)
        self.events.append(f"settle {receipt.sequence}")

    def release(self, receipt: Receipt) -> None:
        self.in_flight.remove(receipt.sequence)
        self.released.append(receipt.sequence)
        self.events.append(f"release {receipt.sequence}")
        if self.offer_again:
            self.waiting.append(receipt.sequence)

    def drained(self) -> bool:
        return not self.waiting and not self.in_flight

    def close(self) -> None:
        self.closed += 1
        self.events.append("close source")

    def _pieces(self, number: int) -> Iterator[bytes]:
        for piece in self.contents[number]:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
            self.while_read()


@dataclass(slots=True)
class MemorySink:
    """Holds documents by id; *answers* decides about one write each, then all are stored."""

    name: str = "memory"
    events: list[str] = field(default_factory=list)
    answers: deque[Callable[[Sequence[Document]], WriteResult]] = field(default_factory=deque)
    always: Callable[[Sequence[Document]], WriteResult] | None = None
    held: dict[str, Document] = field(default_factory=dict)
    writes: list[list[str]] = field(default_factory=list)
    closed: int = 0

    def write(self, documents: Sequence[Document]) -> WriteResult:
        self.writes.append([document.id for document in documents])
        self.events.append(f"write {self.name} {len(documents)}")
        if self.answers:
            return self.answers.popleft()(documents)
        if self.always is not None:
            return self.always(documents)
        return self.store(documents)

    def store(self, documents: Sequence[Document]) -> WriteResult:
        new = {document.id: document for document in documents if document.id not in self.held}
        self.held |= new
        return WriteResult(stored=len(new), duplicates=len(documents) - len(new))

    def close(self) -> None:
        self.closed += 1
        self.events.append(f"close {self.name}")


class ObservedLetters(DeadLetters):
    """Dead letters that note when they are durable, and fail as often as they are told."""

    def __init__(self, state: Path, events: list[str], failures: int = 0) -> None:
        super().__init__(state, "test")
        self.events = events
        self.failures = failures
        self.kept: list[DeadLetter] = []

    def add(self, letters: Iterable[DeadLetter]) -> None:
        letters = list(letters)
        if self.failures:
            self.failures -= 1
            self.events.append("full")
            raise OSError(errno.ENOSPC, "No space left on device")
        super().add(letters)
        if letters:
            self.kept += letters
            self.events.append(f"letters {len(letters)}")


@dataclass(slots=True)
class Observer:
    """Keeps what observers are told."""

    started: list[str] = field(default_factory=list)
    settlements: list[Settlement] = field(default_factory=list)
    summaries: list[RunSummary] = field(default_factory=list)

    @hookimpl
    def pipeline_started(self, name: str) -> None:
        self.started.append(name)

    @hookimpl
    def batch_settled(self, settlement: Settlement) -> None:
        self.settlements.append(settlement)

    @hookimpl
    def pipeline_stopped(self, summary: RunSummary) -> None:
        self.summaries.append(summary)


@dataclass(slots=True)
class World:
    """A pipeline of doubles that share one list of events."""

    state: Path
    events: list[str] = field(default_factory=list)
    observer: Observer = field(default_factory=Observer)
    stop: threading.Event = field(default_factory=threading.Event)
    letters: ObservedLetters = field(init=False)

    def __post_init__(self) -> None:
        self.letters = ObservedLetters(self.state, self.events)

    def source(self, *contents: Sequence[bytes | BaseException], **more: Any) -> ListSource:
        return ListSource(contents, self.events, **more)

    def sink(self, name: str = "memory", **more: Any) -> MemorySink:
        return MemorySink(name, self.events, **more)

    def pipeline(
        self,
        source: Source,
        sinks: Mapping[str, Sink],
        *,
        transforms: Sequence[Transform] = (),
        settings: RunSettings = RunSettings(once=True, patience=5.0, drain=5.0),  # noqa: B008 - frozen
        batch: BatchOptions = BatchOptions(documents=10, seconds=0.05),  # noqa: B008 - frozen
    ) -> Pipeline:
        decoder = RealtimeDecoder(RealtimeOptions(fields=FIELDS))
        parts = PipelineParts(
            name="test",
            source=source,
            conversion=Conversion(decoder, transforms),
            sinks=sinks,
            batch=batch,
            dead_letters=self.letters,
            plugins=Plugins([(self.observer, "observer")]),
        )
        return Pipeline(parts, settings, self.stop)


def unavailable(_: Sequence[Document]) -> WriteResult:
    raise SinkUnavailableError("connection reset")


def blocked(_: Sequence[Document]) -> WriteResult:
    raise SinkBlockedError("401: credentials expired")


def reject_all(documents: Sequence[Document]) -> WriteResult:
    return WriteResult(rejected=tuple(Rejection(each, "400 mapper") for each in documents))


def run_in_thread(pipeline: Pipeline) -> tuple[threading.Thread, list[BaseException]]:
    """Start a service; what ends it is put into the list."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            pipeline.run()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, errors


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until *condition* holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
