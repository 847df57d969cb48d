"""The layouts that each stream has had, kept in ``layouts.json`` of the state directory.

After a change of the real-time configuration, records in the old layout keep arriving for
hours, and a stream that is read again from its beginning holds layouts of months ago.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zlib import crc32

from cloudfront_ecs.batches import Layout
from cloudfront_ecs.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from cloudfront_ecs.batches import Origin

FILE = "layouts.json"
VERSION = 1
STALE_SECONDS = 600.0
"""How much older than the truth ``last_seen`` on the disk may be."""


@dataclass(frozen=True, slots=True)
class KnownLayout:
    """A layout that a stream has or had; times are epoch seconds.

    Attributes:
        layout: The columns and the sampling rate.
        first_seen: When it was first found configured.
        last_seen: When it was last found configured.
        since: When it was found configured again, or for the first time.
        replaced: When it was found to be configured no more, or None while it is.
    """

    layout: Layout
    first_seen: float
    last_seen: float
    since: float
    replaced: float | None = None


def stream_of(origin: Origin, decoder: str) -> str:
    """Return the name under which the layouts of *origin* are kept.

    A Kinesis stream or a bucket has layouts of its own; local files share those of the
    decoder that reads them.
    """
    if origin.kinesis is not None and origin.kinesis.stream:
        return f"stream {origin.region or '-'} {origin.kinesis.stream}"
    if origin.s3 is not None and origin.s3.bucket is not None:
        return f"bucket {origin.s3.bucket.name}"
    return f"decoder {decoder}"


class LayoutHistory:
    """The layouts of all streams; without a state directory they last one run."""

    def __init__(self, state: Path | None) -> None:
        """Read what is there.

        Raises:
            StateError: The file is damaged or of a newer version.
        """
        self._path = None if state is None else state / FILE
        self._streams: dict[str, tuple[KnownLayout, ...]] = self._read()

    def known(self, stream: str) -> tuple[KnownLayout, ...]:
        """Return the layouts of a stream in the order in which they were first seen."""
        return self._streams.get(stream, ())

    def note(self, stream: str, configured: Sequence[Layout], now: float) -> bool:
        """Note which layouts a stream is configured to have.

        Returns:
            Whether that changes what is known of the stream, apart from times.

        Raises:
            StateError: The file cannot be read or written.
        """
        before = self.known(stream)
        after = _noted(before, configured, now)
        changed = _state(after) != _state(before)
        if not changed and all(
            new.last_seen - old.last_seen < STALE_SECONDS
            for new, old in zip(after, before, strict=True)
        ):
            return False
        with self._locked():
            self._streams = self._read() if self._path else self._streams
            self._streams[stream] = _noted(self.known(stream), configured, now)
            self._write()
        return changed

    def _read(self) -> dict[str, tuple[KnownLayout, ...]]:
        if self._path is None:
            return {}
        try:
            content = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StateError(f"{self._path}: cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise self._refusal(f"is damaged: {type(error).__name__}") from error
        try:
            version = content["version"]
            if isinstance(version, int) and version > VERSION:
                raise StateError(
                    f"{self._path}: has format {version}, this version knows {VERSION} "
                    "(run the newer version that wrote it)"
                )
            if version == VERSION and content.get("sum", sum_of(content)) != sum_of(content):
                raise self._refusal("is damaged: it is not as it was written")
            streams = content["streams"].items() if version == VERSION else ()
            found = {stream: tuple(map(_known, entries)) for stream, entries in streams}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._refusal(f"is damaged: {type(error).__name__}") from error
        if version != VERSION:
            raise self._refusal("is not a file of layouts")
        return found

    def _refusal(self, problem: str) -> StateError:
        return StateError(
            f"{self._path}: {problem} (restore it, or move it away: records in layouts of the "
            "past are then refused)"
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep others from writing between our reading and our writing."""
        if self._path is None:
            yield
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = self._path.with_name(f"{FILE}.lock").open("a", encoding="ascii")
        except OSError as error:
            raise StateError(f"{self._path}: cannot be written: {error.strerror}") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self) -> None:
        """Replace the file as a whole, so that a crash leaves the old or the new one."""
        if self._path is None:
            return
        content: dict[str, Any] = {
            "version": VERSION,
            "streams": {stream: list(map(_entry, each)) for stream, each in self._streams.items()},
        }
        content["sum"] = sum_of(content)
        partial = self._path.with_name(f"{FILE}.partial")
        try:
            with partial.open("w", encoding="utf-8") as file:
                json.dump(content, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StateError(f"{self._path}: cannot be written: {error.strerror}") from error


def sum_of(content: Mapping[str, Any]) -> int:
    """Return the check sum of the layouts in a file: a name with another letter is a name, too."""
    text = json.dumps(content["streams"], sort_keys=True, separators=(",", ":"))
    return crc32(text.encode("ascii"))


def _noted(
    before: Sequence[KnownLayout], configured: Sequence[Layout], now: float
) -> tuple[KnownLayout, ...]:
    after: list[KnownLayout] = []
    for known in before:
        if known.layout not in configured:
            after.append(known if known.replaced else replace(known, replaced=now))
        elif known.replaced:
            after.append(replace(known, last_seen=now, since=now, replaced=None))
        else:
            after.append(replace(known, last_seen=max(now, known.last_seen)))
    there = {known.layout for known in before}
    after += [KnownLayout(layout, now, now, now) for layout in configured if layout not in there]
    return tuple(after)


def _state(known: Sequence[KnownLayout]) -> list[tuple[Layout, bool]]:
    return [(each.layout, each.replaced is None) for each in known]


_TIMES = ("first_seen", "last_seen", "since", "replaced")


def _entry(known: KnownLayout) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "columns": list(known.layout.columns),
        "sampling_rate": known.layout.sampling_rate,
    }
    for name in _TIMES:
        moment = getattr(known, name)
        text = None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()
        entry[name] = text
    return entry


def _known(entry: Mapping[str, Any]) -> KnownLayout:
    columns, rate = entry["columns"], entry["sampling_rate"]
    if not columns or not all(isinstance(name, str) for name in columns):
        raise ValueError("no names of columns")
    if rate is not None and not isinstance(rate, int):
        raise ValueError("no sampling rate")
    times = {name: _epoch(entry[name]) for name in _TIMES if entry[name] is not None}
    return KnownLayout(Layout("realtime", tuple(columns), rate), **times)


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
