"""Appending whole lines to a file so that a crash or a full disk leaves no half line."""

from __future__ import annotations

import os
from contextlib import suppress

_BLOCK = 65_536


def append_lines(descriptor: int, content: bytes) -> None:
    """Append *content*, whole lines, and bring them to the disk.

    Raises:
        OSError: Nothing was appended.
    """
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
