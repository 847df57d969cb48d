"""Appending whole lines to a file so that a crash or a full disk leaves no half line."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK = 65_536


@contextmanager
def held(path: Path, mode: int | None = None) -> Iterator[int]:
    """Give the descriptor of a file that nobody else writes to, replaces or removes meanwhile.

    Whoever held it before may have replaced or removed it, so it is opened again until what
    is held is what lies at *path*.

    Args:
        path: The file.
        mode: Its permissions, where it is to be made if there is none.

    Raises:
        OSError: It cannot be opened.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if mode is not None else 0)
    while True:
        descriptor = os.open(path, flags, mode or 0)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _lies_at(path, descriptor):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _lies_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def sync_folder(folder: Path) -> None:
    """Make the names of files as durable as their content."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_lines(descriptor: int, content: bytes) -> None:
    """Append *content*, whole lines, and bring them to the disk.

    Another process that appended to the file may have been killed amidst a line: the torn line
    is cut off first.

    Raises:
        OSError: Nothing was appended.
    """
    end = os.fstat(descriptor).st_size
    if end and os.pread(descriptor, 1, end - 1) != b"\n":
        cut_torn_line(descriptor)
        end = os.fstat(descriptor).st_size
    try:
        offset, view = end, memoryview(content)
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written
        os.fdatasync(descriptor)
    except OSError:
        with suppress(OSError):  # the error to tell is the first one
            os.ftruncate(descriptor, end)
        raise


def cut_torn_line(descriptor: int) -> None:
    """Cut the file back to its last line end."""
    end = size = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - _BLOCK)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)
