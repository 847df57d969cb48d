"""MMDB files: opened, read, and opened again when they change.

What is read is a copy without a name beside the system's temporary files: a file that is
overwritten in place would change, or vanish, under whoever has it mapped.  The mapping
itself costs no memory but what is looked at.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.errors import CloudFrontEcsError

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

PROBES = ("192.0.2.1", "2001:db8::1")
"""Addresses looked up to see whether a file that opened can also be read."""


class DatabaseError(CloudFrontEcsError):
    """A database cannot be used; the text says why."""


class Database:
    """One MMDB file, as it was when it was last found whole.

    Attributes:
        generation: Grows with each file that was taken; what was read before is old then.
    """

    def __init__(
        self, path: str, *, check_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Open the file.

        Args:
            path: Where the file lies.
            check_seconds: How often it is looked at again.
            clock: Seconds that never go back.

        Raises:
            DatabaseError: It cannot be read, or is no MMDB.
        """
        self._path = Path(path)
        self._check_seconds, self._clock = check_seconds, clock
        self._checked = clock()
        self._tried = _version(self._path)
        self._reader = _opened(self._path)
        self.generation = 0

    def record(self, address: str) -> dict[str, Any]:
        """Return what the database says of an address; empty where it says nothing."""
        try:
            found = self._reader.get(address)
        except ValueError:  # an IPv6 address, and the database has only IPv4
            return {}
        return found if isinstance(found, dict) else {}

    def refresh(self) -> None:
        """Take a changed file, when it is time to look; a broken one leaves the old in use."""
        now = self._clock()
        if now - self._checked < self._check_seconds:
            return
        self._checked = now
        version = _version(self._path)
        if version == self._tried:
            return
        try:
            reader = _opened(self._path)
        except DatabaseError as error:
            log.warning("%s; the one opened before stays in use", error)
            self._tried = version
            return
        if _version(self._path) != version:  # still being written: look again next time
            reader.close()
            return
        self._tried = version
        self._reader.close()
        self._reader = reader
        self.generation += 1
        log.info("%s: the new database is in use", self._path)


def _version(path: Path) -> tuple[int, ...] | None:
    """Return what changes with the file's content, or None where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _opened(path: Path) -> Any:
    """Return a reader of a private copy of *path*.

    Raises:
        DatabaseError: There is no such file, it is no MMDB, or the package is missing.
    """
    try:
        import maxminddb  # noqa: PLC0415 - an extra that most do without
    except ImportError as error:
        hint = "pip install 'cloudfront-ecs[geoip]'"
        raise DatabaseError(f"the package 'maxminddb' is not installed ({hint})") from error
    handle, name = tempfile.mkstemp(suffix=".mmdb")
    try:
        with path.open("rb") as source, os.fdopen(handle, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        reader = maxminddb.open_database(name)
        for address in PROBES[: 2 if reader.metadata().ip_version == 6 else 1]:  # noqa: PLR2004
            reader.get(address)
    except OSError as error:
        raise DatabaseError(f"{path}: cannot be read: {error.strerror}") from error
    except (maxminddb.InvalidDatabaseError, ValueError, UnicodeDecodeError) as error:
        hint = "an .mmdb file is needed, unpacked"
        raise DatabaseError(f"{path}: is no database in MMDB format ({hint})") from error
    finally:
        Path(name).unlink()
    return reader
