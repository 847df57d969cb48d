"""A Fluentd Forward receiver, the FluentServer of npm, that reports every entry it takes."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from servers.packages import HERE, node
from servers.process import HOST, Command, Process, ServerError, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from servers.certificates import Certificate
    from servers.packages import PackageCache

HOSTNAME = "receiver.test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """What the receiver demands of a client.

    Attributes:
        shared_key: Empty for none; then there is no handshake at all.
        users: Passwords by name; only with a shared key.
        certificate: Given, it speaks TLS only.
    """

    shared_key: str = ""
    users: Mapping[str, str] = field(default_factory=dict[str, str])
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True)
class ForwardEntry:
    """One entry as it came over the wire.

    Attributes:
        nanoseconds: ``None`` when the time was a plain integer.
        record: Binary values as ``{"base64": ...}``; integers beyond 2**53 are rounded.
    """

    tag: str
    seconds: int
    nanoseconds: int | None
    record: dict[str, Any]


@dataclass(slots=True)
class ForwardServer:
    """A running receiver.  Port and entries stay the same from stop to start.

    Attributes:
        path: Where the entries are appended, a JSON line each.
        process: To stop, kill, restart or halt it.
    """

    port: int
    path: Path
    process: Process
    host: str = HOST
    _seen: int = 0
    _offset: int = 0

    def count(self) -> int:
        """Return how many entries were taken so far, reading only what is new."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            new = file.read()
        self._offset += len(new)
        self._seen += new.count(b"\n")
        return self._seen

    def entries(self) -> list[ForwardEntry]:
        """Return the entries taken so far, in the order of their arrival."""
        whole, _, _ = self.path.read_bytes().rpartition(b"\n")
        return [ForwardEntry(*json.loads(line)) for line in whole.splitlines()]

    def wait_for(self, count: int, patience: float = 60.0) -> list[ForwardEntry]:
        """Return the entries once there are *count* of them.

        The receiver acks a chunk before it reports it, so a client may be done a moment earlier.

        Raises:
            ServerError: Fewer came in *patience* seconds.
        """
        deadline = time.monotonic() + patience
        while self.count() < count:
            if time.monotonic() > deadline:
                raise ServerError(f"forward: {self.count()} of {count} entries came")
            time.sleep(0.02)
        return self.entries()


def start_forward(
    cache: PackageCache, folder: Path, security: Security | None = None
) -> ForwardServer:
    """Start a receiver, with its entries and log in *folder*."""
    security = security or Security()
    port = free_port()
    path = folder / f"forward-{port}.jsonl"
    path.touch()
    options: dict[str, Any] = {
        "port": port,
        "entries": str(path),
        "hostname": HOSTNAME,
        "sharedKey": security.shared_key,
        "users": dict(security.users),
    }
    if security.certificate:
        options["key"] = str(security.certificate.key)
        options["certificate"] = str(security.certificate.chain)
    log = folder / f"forward-{port}.log"
    command = Command(
        name="forward receiver",
        argv=(node(), HERE / "forward_server.js", json.dumps(options)),
        log=log,
        env={"NODE_PATH": str(cache.node_modules())},
        ready=_Listening(log),
        grace=5.0,
    )
    server = ForwardServer(port, path, Process(command))
    server.process.start()
    return server


@dataclass(slots=True)
class _Listening:
    """Whether the receiver has said so once more.

    A connection would be taken for a client: FluentServer answers it with a handshake.
    """

    log: Path
    _starts: int = 0

    def __call__(self) -> bool:
        starts = self.log.read_bytes().count(b"listening on")
        if starts == self._starts:
            return False
        self._starts = starts
        return True
