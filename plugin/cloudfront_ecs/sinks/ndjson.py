"""The ``ndjson`` sink: one JSON document a line, to a file or to standard output."""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cloudfront_ecs.adapters import SinkSpec
from cloudfront_ecs.batches import Rejection, WriteResult
from cloudfront_ecs.delivery.appending import append_lines, cut_torn_line
from cloudfront_ecs.encoding import json_line, json_lines
from cloudfront_ecs.errors import SinkBlockedError
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.options import option

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Document

STDOUT = "-"
MODE = 0o640


@dataclass(frozen=True, slots=True, kw_only=True)
class NdjsonOptions:
    """Options of the ``ndjson`` sink."""

    path: str = option(STDOUT, doc="File to append to, made if there is none; - is stdout.")


class NdjsonSink:
    """Appends documents to a file; what it reports as stored has reached the disk."""

    def __init__(self, path: str) -> None:
        """Open the file and cut back a last line that a crash has torn.

        Raises:
            SinkBlockedError: The file cannot be written.
        """
        self._path = path
        self._closed = False
        self._regular = False
        if path == STDOUT:
            self._descriptor = sys.stdout.fileno()
            return
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            # Not in append mode: with the lock held, the end of the file is ours.
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
            self._regular = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
            if self._regular:
                with _Locked(self._descriptor):
                    cut_torn_line(self._descriptor)
        except OSError as error:
            raise SinkBlockedError(f"{path}: cannot be opened: {error.strerror}") from error

    def write(self, documents: Sequence[Document]) -> WriteResult:
        """Append *documents*; two pipelines may share the file.

        Raises:
            SinkBlockedError: The disk is full or the file cannot be written.
        """
        lines, rejected = self._encode(documents)
        if lines:
            try:
                self._append(lines)
            except OSError as error:
                raise SinkBlockedError(f"{self._path}: {error.strerror}") from error
        return WriteResult(stored=len(documents) - len(rejected), rejected=rejected)

    def close(self) -> None:
        """Close the file."""
        if not self._closed and self._path != STDOUT:
            os.close(self._descriptor)
        self._closed = True

    def _encode(self, documents: Sequence[Document]) -> tuple[bytes, tuple[Rejection, ...]]:
        try:
            return json_lines(documents), ()
        except (UnicodeEncodeError, TypeError, ValueError, OverflowError):
            return self._encode_one_by_one(documents)

    def _encode_one_by_one(
        self, documents: Sequence[Document]
    ) -> tuple[bytes, tuple[Rejection, ...]]:
        lines = bytearray()
        rejected: list[Rejection] = []
        for document in documents:
            try:
                lines += json_line(document) + b"\n"
            except (UnicodeEncodeError, TypeError, ValueError, OverflowError) as error:
                rejected.append(Rejection(document, f"no JSON: {type(error).__name__}"))
        return bytes(lines), tuple(rejected)

    def _append(self, lines: bytes) -> None:
        if not self._regular:  # a pipe or a terminal has no end to go back to
            _write_all(self._descriptor, lines)
            return
        with _Locked(self._descriptor):
            append_lines(self._descriptor, lines)


class _Locked:
    """Holds the file against other processes and pipelines that append to it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _open(options: NdjsonOptions, _: AdapterContext) -> NdjsonSink:
    return NdjsonSink(options.path)


def _check(options: NdjsonOptions, _: AdapterContext) -> str:
    if options.path == STDOUT:
        return "standard output"
    path = Path(options.path)
    nearest = path if path.exists() else next(p for p in path.parents if p.exists())
    if path.is_dir() or not os.access(nearest, os.W_OK):
        raise SinkBlockedError(f"{path}: cannot be written")
    return f"{path} can be written"


@hookimpl
def sink_specs() -> Iterable[SinkSpec]:
    """Offer the ``ndjson`` sink."""
    summary = "One JSON document a line, to a file or to standard output."
    return [SinkSpec("ndjson", summary, NdjsonOptions, _open, _check)]
