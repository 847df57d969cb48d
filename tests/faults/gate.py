"""A way to a server on which single requests can be held up or refused.

It speaks HTTP, so it can tell one request from another; everything else it hands on as it is.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HOST = "127.0.0.1"
_NOT_HANDED_ON = frozenset({"transfer-encoding", "connection", "content-length"})


class Asked(NamedTuple):
    """A request; header names are in lower case."""

    at: float
    method: str
    path: str
    headers: Mapping[str, str]

    @property
    def call(self) -> str:
        """What is asked for, by the name of the API: ``GetObject``, ``ReceiveMessage``, …"""
        target = self.headers.get("x-amz-target", "")
        if target:
            return target.rpartition(".")[2]
        path, _, query = self.path.partition("?")
        if self.method == "GET" and "list-type" in query:
            return "ListObjectsV2"
        in_bucket = "/" in path.strip("/")
        return f"{self.method.title()}Object" if in_bucket else self.method


class Refusal(NamedTuple):
    """An answer that the server does not give."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


@dataclass
class Gate:
    """The way.

    Attributes:
        port: Where it begins.
        hold: A call that gets no answer, or only the first half of it if it is ``GetObject``.
        held: A call is being held.
        refuse: Looks at each request and may answer it in the server's place.
        asked: Every request.
    """

    port: int = 0
    hold: str = ""
    held: threading.Event = field(default_factory=threading.Event)
    refuse: Callable[[Asked], Refusal | None] = lambda _: None
    asked: list[Asked] = field(default_factory=list[Asked])
    over: threading.Event = field(default_factory=threading.Event)

    def led_through(self, text: str, target: int) -> str:
        """Return *text* with this gate's port in place of the server's."""
        return text.replace(f":{target}", f":{self.port}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gate: Gate
    target: int

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(time.monotonic(), self.command, self.path, headers)
        self.gate.asked.append(asked)
        refusal = self.gate.refuse(asked)
        if refusal is not None:
            self._answer(refusal.status, dict(refusal.headers), refusal.body)
        elif asked.call == self.gate.hold != "GetObject":
            self._hang()
        else:
            self._hand_on(asked, body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _handle  # noqa: N815 - its names

    def _hand_on(self, asked: Asked, body: bytes) -> None:
        with contextlib.closing(HTTPConnection(HOST, self.target, timeout=60)) as connection:
            connection.putrequest(
                asked.method, asked.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
            headers = dict(answer.getheaders())
        self._answer(answer.status, headers, content, half=asked.call == self.gate.hold)

    def _answer(
        self, status: int, headers: Mapping[str, str], body: bytes, *, half: bool = False
    ) -> None:
        length = {name.lower(): value for name, value in headers.items()}.get("content-length")
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in _NOT_HANDED_ON:
                self.send_header(name, value)
        told = length if self.command == "HEAD" and length else str(len(body))
        self.send_header("Content-Length", told)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if half else body)
        if half:
            self._hang()

    def _hang(self) -> None:
        self.wfile.flush()
        self.gate.held.set()
        self.gate.over.wait(120)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of connections that were broken off."""


@contextlib.contextmanager
def gate_to(target: int) -> Iterator[Gate]:
    """Open a way to the server at port *target* of this machine."""
    gate = Gate()
    handler = type("_GateHandler", (_Handler,), {"gate": gate, "target": target})
    with _Server((HOST, 0), handler) as server:
        gate.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        try:
            yield gate
        finally:
            gate.over.set()
            server.shutdown()
