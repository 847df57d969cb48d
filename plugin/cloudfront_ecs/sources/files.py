"""The ``files`` source: local files, patterns and standard input, each read once."""

from __future__ import annotations

import glob
import logging
import os
import re
import stat
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from cloudfront_ecs.adapters import SourceSpec
from cloudfront_ecs.batches import Origin, Payload, Receipt
from cloudfront_ecs.delivery.checkpoints.store import Checkpoint, open_checkpoints
from cloudfront_ecs.delivery.fetching import ticking
from cloudfront_ecs.errors import CheckpointError, PayloadError, SourceError, StateError
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.options import option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.delivery.checkpoints.store import CheckpointStore

log = logging.getLogger(__name__)

STDIN = "-"
PIECE = 262_144

_OBJECT_NAME = re.compile(r"(E[A-Z0-9]{6,20})\.\d{4}-\d\d-\d\d-\d\d\.\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesOptions:
    """Options of the ``files`` source."""

    paths: tuple[str, ...] = option(
        doc="Files, patterns such as logs/**/*.gz, or - for standard input.", least=1
    )
    patterns: bool = option(
        True,  # noqa: FBT003 - the default of an option
        doc="Whether * ? [ ] and ** in paths have a meaning.",
    )
    rescan_seconds: float = option(
        10.0, doc="How often patterns are looked at again for new files.", least=0.1
    )


@dataclass(slots=True)
class FilesSource:
    """Hands out every file once; a settled file is not read again unless it changes."""

    options: FilesOptions
    settled: CheckpointStore
    _waiting: deque[str] = field(default_factory=deque)
    _known: set[str] = field(default_factory=set)
    _in_flight: dict[int, tuple[str, str]] = field(default_factory=dict)
    _unsaved: dict[str, Checkpoint] = field(default_factory=dict[str, Checkpoint])
    _sequence: int = 0
    _next_scan: float = 0.0

    def poll(self, timeout: float) -> Payload | None:
        """Return the next file that has not been settled as it is now."""
        try:
            self._save()
        except StateError as error:
            raise CheckpointError(f"reading waits for checkpoints: {error}") from error
        if not self._waiting and time.monotonic() >= self._next_scan:
            self._scan()
        while self._waiting:
            path = self._waiting.popleft()
            payload = self._payload(path)
            if payload is not None:
                return payload
        if timeout > 0:
            time.sleep(min(timeout, max(0.0, self._next_scan - time.monotonic()), 0.2))
        return None

    def settle(self, receipt: Receipt) -> None:
        """Remember that the file, as it was, is done with."""
        path, version = self._in_flight.pop(receipt.sequence)
        if path != STDIN:
            checkpoint = Checkpoint(version, time.time(), finished=True)
            self._unsaved[str(Path(path).absolute())] = checkpoint
            with suppress(StateError):  # tried again, and told, by the next poll
                self._save()

    def release(self, receipt: Receipt) -> None:
        """Offer the file again; standard input cannot be read twice."""
        path, _ = self._in_flight.pop(receipt.sequence)
        if path != STDIN:
            self._waiting.append(path)

    def drained(self) -> bool:
        """Say whether all files there are have been read."""
        idle = not self._waiting and not self._in_flight and not self._unsaved
        return idle and self._next_scan > 0

    def close(self) -> None:
        """Give up the record of settled files."""
        try:
            self._save()
        except StateError as error:
            log.error("%s (those files will be read again)", error)  # noqa: TRY400 - says it all
        self._unsaved.clear()
        self.settled.close()

    def _save(self) -> None:
        if self._unsaved:
            self.settled.save(self._unsaved)
            self._unsaved.clear()

    def _scan(self) -> None:
        """Look for files; what is named but does not exist is reported when it is read."""
        self._next_scan = time.monotonic() + self.options.rescan_seconds
        flying = {path for path, _ in self._in_flight.values()}
        for named in self.options.paths:
            literal = named == STDIN or not self.options.patterns
            found = [named] if literal else _matches(named)
            for path in found:
                if path in flying or (path in self._known and path == STDIN):
                    continue
                self._known.add(path)
                self._waiting.append(path)

    def _payload(self, path: str) -> Payload | None:
        if path == STDIN:
            origin = Origin(STDIN, ("stdin",), content_identity=True)
            return self._handed_out(path, "", origin, ticking(_standard_input(), STDIN))
        try:
            status = Path(path).stat()
            if not stat.S_ISREG(status.st_mode):
                origin = Origin(path, ("pipe", Path(path).name), content_identity=True)
                return self._handed_out(path, "", origin, ticking(_pieces(path), path))
            version = f"{status.st_size}-{status.st_mtime_ns}"
            before = self.settled.load(str(Path(path).absolute()))
            if before is not None and before.position == version:
                return None
            digest = _digest(path)
        except FileNotFoundError:
            origin = Origin(path, ("file", path))
            return self._handed_out(path, "missing", origin, _pieces(path))
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
        name = Path(path).name
        match = _OBJECT_NAME.match(name)
        origin = Origin(
            path,
            ("file", name, digest),
            distribution_id=match[1] if match else None,
            file_path=path,
        )
        return self._handed_out(path, version, origin, _pieces(path))

    def _handed_out(
        self, path: str, version: str, origin: Origin, chunks: Iterable[bytes]
    ) -> Payload:
        self._sequence += 1
        self._in_flight[self._sequence] = (path, version)
        return Payload(Receipt(path, self._sequence), origin, chunks)


def _matches(named: str) -> list[str]:
    if not glob.has_magic(named) or Path(named).exists():
        return [named]
    found = glob.iglob(named, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
    return sorted(path for path in found if not Path(path).is_dir())


def _digest(path: str) -> str:
    """Return a hash of the file's bytes as stored: its identity, as an ETag is an object's."""
    digest = blake2b(digest_size=16)
    with Path(path).open("rb", buffering=0) as file:
        while piece := file.read(1_048_576):
            digest.update(piece)
    return digest.hexdigest()


def _pieces(path: str) -> Iterator[bytes]:
    try:
        with Path(path).open("rb", buffering=0) as file:
            while piece := file.read(PIECE):
                yield piece
    except FileNotFoundError as error:
        raise PayloadError("missing", f"{path}: no such file") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error


def _standard_input() -> Iterator[bytes]:
    """Yield what is there as soon as it is there, so that no line waits for the next one."""
    descriptor = sys.stdin.fileno()
    while piece := os.read(descriptor, PIECE):
        yield piece


def _open(options: FilesOptions, context: AdapterContext) -> FilesSource:
    return FilesSource(options, open_checkpoints(context))


def _check(options: FilesOptions, _: AdapterContext) -> str:
    count = 0
    for named in options.paths:
        for path in [] if named == STDIN else _matches(named):
            with Path(path).open("rb"):
                count += 1
    return f"{count} files can be read"


@hookimpl
def source_specs() -> Iterable[SourceSpec]:
    """Offer the ``files`` source."""
    summary = "Local files, patterns and standard input, gzip or plain."
    return [SourceSpec("files", summary, FilesOptions, _open, _check)]
