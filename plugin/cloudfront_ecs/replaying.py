"""Replay: dead letters go once more through the decoder and the sinks of their pipeline."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cloudfront_ecs.decoders.realtime.history import FILE as LAYOUTS
from cloudfront_ecs.delivery.accounting import Accounts
from cloudfront_ecs.delivery.dead_letters import DeadLetter
from cloudfront_ecs.delivery.kept_letters import KeptLetter, LetterFile
from cloudfront_ecs.errors import StateError
from cloudfront_ecs.opening import conversion_of, opened, parts_of
from cloudfront_ecs.pipeline import Pipeline, RunSettings
from cloudfront_ecs.replayed_letters import LetterConversion, LetterDecoder
from cloudfront_ecs.running import Running
from cloudfront_ecs.sources.dead_letters import LetterSource

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from cloudfront_ecs.batches import RunSummary
    from cloudfront_ecs.config import Adapter, Config
    from cloudfront_ecs.config import Pipeline as PipelineConfig
    from cloudfront_ecs.conversion import Conversion
    from cloudfront_ecs.plugins import Plugins

LOCK = "replay.lock"

_LOOK = 0.2


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters are replayed.

    Attributes:
        reasons: Only letters of these reasons, where there are any.
        since: Only letters of this time or later.
    """

    reasons: frozenset[str] = frozenset()
    since: datetime | None = None

    def takes(self, letter: KeptLetter) -> bool:
        """Say whether a letter is replayed."""
        if self.reasons and letter.reason not in self.reasons:
            return False
        return self.since is None or letter.time >= self.since


@dataclass(slots=True)
class Found:
    """The letters of one pipeline before a replay.

    Attributes:
        chosen: Letters that take part, by reason.
        others: Letters that do not, by reason.
        sinks: Sinks that refused letters that take part.
        unreadable: Lines that are no letters.
    """

    chosen: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    sinks: set[str] = field(default_factory=set)
    unreadable: int = 0


@dataclass(slots=True)
class Replayed:
    """What a replay did with the letters of one pipeline.

    Attributes:
        pipeline: The pipeline's name.
        found: What there was.
        summaries: The books, for each set of sinks.
        removed: Letters that were delivered, or filtered by the configuration.
        refused: Letters that were refused again.
        unfit: Letters that cannot be read again from their bytes, by reason.
        failures: What ended it early.
    """

    pipeline: str
    found: Found = field(default_factory=Found)
    summaries: list[RunSummary] = field(default_factory=list)
    removed: int = 0
    refused: int = 0
    unfit: Counter[str] = field(default_factory=Counter)
    failures: list[BaseException] = field(default_factory=list)

    @property
    def staying(self) -> int:
        """How many of the letters that were to go still lie there."""
        return self.found.chosen.total() - self.removed + self.found.unreadable


@dataclass(frozen=True, slots=True)
class Part:
    """The letters that go to the same sinks."""

    sinks: tuple[Adapter, ...]
    takes: Callable[[KeptLetter], bool]


@dataclass(frozen=True, slots=True)
class Replay:
    """How letters are replayed.

    Attributes:
        config: The configuration.
        plugins: The adapters there are.
        settings: Patience with sinks, time for what is in flight.
        stop: Ends it when it is set.
        choice: Which letters.
        configured_layouts: Real-time layouts of the past do not count, only configured ones.
    """

    config: Config
    plugins: Plugins
    settings: RunSettings
    stop: threading.Event
    choice: Choice = Choice()
    configured_layouts: bool = False

    def run(
        self, configured: PipelineConfig, paths: Sequence[Path], tell: Callable[[int], None]
    ) -> Replayed:
        """Deliver the letters of one pipeline and take out what found its end.

        Args:
            configured: The pipeline.
            paths: Its files of letters.
            tell: Is told how many more letters were read.

        Raises:
            StateError: A file of letters cannot be read or written; letters stay.
            CloudFrontEcsError: An adapter cannot be opened.
        """
        result = Replayed(configured.name, found_in(paths, self.choice))
        for part in self._parts(configured, result.found):
            if self.stop.is_set():
                break
            files = [LetterFile(path) for path in paths]
            source = LetterSource(files, part.takes)
            pipeline = self._open(configured, part, source)
            running = Running([pipeline], self.stop)
            with ExitStack() as endings:
                for file in files:
                    endings.callback(file.write_back)  # each, also where another one fails
                running.start()
                read = 0
                while not running.wait(_LOOK):
                    now = pipeline.accounts.summary.read
                    tell(now - read)
                    read = now
            self._note(result, source, pipeline.accounts.summary)
            if running.failures:
                result.failures += running.failures.values()
                break
        return result

    def rehearse(
        self, configured: PipelineConfig, paths: Sequence[Path], tell: Callable[[int], None]
    ) -> Replayed:
        """Decode the letters of one pipeline and count, but write nothing at all."""
        result = Replayed(configured.name, found_in(paths, self.choice))
        with _copied(self.config.state) as state:
            for part in self._parts(configured, result.found):
                source = LetterSource([LetterFile(path) for path in paths], part.takes)
                conversion = self._conversion(configured, state)
                accounts = Accounts(configured.name, ())
                while not source.drained() and not self.stop.is_set():
                    payload = source.poll(0.0)
                    if payload is None:
                        continue
                    for converted in conversion.convert(payload):
                        accounts.converted(converted)
                        source.add(DeadLetter(each, payload.origin) for each in converted.rejects)
                        tell(converted.read)
                    source.settle(payload.receipt)
                self._note(result, source, accounts.summary)
        return result

    def _parts(self, configured: PipelineConfig, found: Found) -> Iterator[Part]:
        """Yield which letters go where.

        What a sink refused goes to that sink alone, as the others have it.  These come
        first: a letter that is refused by one sink now is not tried twice.
        """
        names = {sink.name for sink in configured.sinks}
        alone = found.sinks & names if len(names) > 1 else set()
        for sink in configured.sinks:
            if sink.name in alone:
                yield Part((sink,), partial(self._is_of, {sink.name}))
        if found.chosen:
            yield Part(configured.sinks, partial(self._is_of_none, alone))

    def _is_of(self, sinks: set[str], letter: KeptLetter) -> bool:
        return letter.sink in sinks and self.choice.takes(letter)

    def _is_of_none(self, sinks: set[str], letter: KeptLetter) -> bool:
        return letter.sink not in sinks and self.choice.takes(letter)

    def _note(self, result: Replayed, source: LetterSource, summary: RunSummary) -> None:
        if summary.read:
            result.summaries.append(summary)
        result.removed += sum(file.removed for file in source.files)
        result.refused += sum(file.refused for file in source.files)
        result.unfit += source.unfit

    def _open(self, configured: PipelineConfig, part: Part, source: LetterSource) -> Pipeline:
        """Open the adapters; those already open are closed when one fails."""
        state = self.config.state
        parts = parts_of(
            configured,
            self.plugins,
            state,
            source=source,
            letters=source,
            conversion=partial(self._conversion, configured, state),
            sinks=part.sinks,
        )
        return Pipeline(parts, self.settings, self.stop)

    def _conversion(self, configured: PipelineConfig, state: Path) -> Conversion:
        known = None if self.configured_layouts else state
        decoder = LetterDecoder(opened(configured.decoder, known))
        return conversion_of(configured, decoder, state, LetterConversion)


def found_in(paths: Sequence[Path], choice: Choice) -> Found:
    """Look through files of letters.

    Raises:
        StateError: One cannot be read.
    """
    found = Found()
    for file in map(LetterFile, paths):
        for letter in file.letters():
            taken = choice.takes(letter)
            (found.chosen if taken else found.others)[letter.reason] += 1
            if taken and letter.sink is not None:
                found.sinks.add(letter.sink)
        found.unreadable += file.unreadable
    return found


@contextmanager
def alone(state: Path) -> Iterator[None]:
    """Keep a second replay out.

    Raises:
        StateError: There is one already, or the folder cannot be written.
    """
    path = state / LOCK
    try:
        with path.open("a", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StateError(f"{path}: another replay is running") from error
            yield
    except OSError as error:
        raise StateError(f"{path}: cannot be written: {error.strerror}") from error


@contextmanager
def _copied(state: Path) -> Iterator[Path]:
    """Give a folder with the layouts that are known, which adapters may change."""
    with tempfile.TemporaryDirectory() as folder:
        if (state / LAYOUTS).exists():
            shutil.copy(state / LAYOUTS, folder)
        yield Path(folder)
