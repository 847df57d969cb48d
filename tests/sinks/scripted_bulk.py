"""A bulk endpoint that keeps documents like a data stream and fails as it is told to.

Each bulk request takes the next fault of the script; without one it is answered as a real
server would.  Statuses, types and texts are those real nodes gave.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import ssl
import struct
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from servers.certificates import Certificate

ROOT = {"version": {"distribution": "opensearch", "number": "2.19.4"}}
CONFLICT = {
    "type": "version_conflict_engine_exception",
    "reason": "version conflict, document already exists",
}


@dataclass(frozen=True)
class Seen:
    """One bulk request as it arrived, inflated; header names in lower case.

    Attributes:
        sent: The body as it came, compressed or not.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes
    sent: bytes = b""

    @property
    def actions(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """The parameters and the body of each ``create``."""
        lines = [json.loads(line) for line in self.body.splitlines()]
        return [
            (action["create"], body) for action, body in zip(lines[::2], lines[1::2], strict=True)
        ]

    @property
    def ids(self) -> list[str]:
        """The ids in order."""
        return [action["_id"] for action, _ in self.actions]


class Exchange:
    """One request in the hands of a fault."""

    def __init__(self, server: ScriptedBulk, handler: Handler, seen: Seen) -> None:
        self.server = server
        self.handler = handler
        self.seen = seen
        self.date = ""

    def store(self) -> list[dict[str, Any]]:
        """Keep all documents, and return the items of the answer."""
        return [self._store_one(action, body) for action, body in self.seen.actions]

    def _store_one(self, action: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        name = action.get("_id") or f"auto-{len(self.server.arrivals)}"
        key = action["_index"], name
        self.server.arrivals.append(name)
        if key in self.server.stored:
            return {"create": {"status": 409, "error": CONFLICT}}
        self.server.stored[key] = body
        return {"create": {"status": 201, "_index": f".ds-{action['_index']}-000001"}}

    def answer(
        self, status: int, body: object = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer with JSON, or with bytes as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = {} if isinstance(body, bytes) else {"Content-Type": "application/json"}
        self.handler.date = self.date
        self.handler.send_response(status)
        for name, value in {**kind, "Content-Length": len(content), **(headers or {})}.items():
            self.handler.send_header(name, str(value))
        self.handler.end_headers()
        self.handler.wfile.write(content)

    def items(self, items: list[dict[str, Any]]) -> None:
        """Answer a bulk request."""
        errors = any("error" in item["create"] for item in items)
        self.answer(200, {"errors": errors, "items": items})

    def reset(self) -> None:
        """End the connection as a crashed server does."""
        linger = struct.pack("ii", 1, 0)
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.handler.close_connection = True


def status(code: int, body: object = b"", **headers: str) -> Callable[[Exchange], None]:
    """Refuse the whole request."""
    return lambda exchange: exchange.answer(code, body, headers)


def item(code: int, kind: str = "", reason: str = "", **more: str) -> dict[str, Any]:
    """Return the item of one document."""
    error = {"error": {"type": kind, "reason": reason}} if kind else {}
    return {"create": {"status": code, **error, **more}}


def items(*answers: dict[str, Any] | None) -> Callable[[Exchange], None]:
    """Answer with these items; None stores the document at that place."""

    def fault(exchange: Exchange) -> None:
        given = zip(answers, exchange.seen.actions, strict=True)
        exchange.items([one or exchange._store_one(*action) for one, action in given])

    return fault


def reset(exchange: Exchange) -> None:
    """Reset the connection; nothing is stored."""
    exchange.reset()


def store_then_reset(exchange: Exchange) -> None:
    """Store everything and never say so."""
    exchange.store()
    exchange.reset()


def store_then_cut(exchange: Exchange) -> None:
    """Store everything and send half of the answer."""
    content = json.dumps({"errors": False, "items": exchange.store()}).encode()
    exchange.answer(200, content[: len(content) // 2], {"Content-Length": str(len(content))})
    exchange.handler.close_connection = True


def store_then_cut_cleanly(exchange: Exchange) -> None:
    """Store everything and send half of the answer as if it were whole."""
    content = json.dumps({"errors": False, "items": exchange.store()}).encode()
    exchange.answer(200, content[: len(content) // 2], {"Content-Type": "application/json"})


def store_then_page(exchange: Exchange) -> None:
    """Store everything; a proxy answers with a page of its own."""
    exchange.store()
    exchange.answer(200, b"<html>Welcome</html>", {"Content-Type": "text/html"})


def store_then_hang(exchange: Exchange) -> None:
    """Store everything and answer never."""
    exchange.store()
    exchange.server.closing.wait(30)
    exchange.handler.close_connection = True


def one_item_more(exchange: Exchange) -> None:
    """Answer with more items than there were actions, as Elasticsearch 7.10 did."""
    exchange.items([*exchange.store(), item(201)])


def one_item_less(exchange: Exchange) -> None:
    """Answer with fewer items than there were actions."""
    exchange.items(exchange.store()[:-1])


def no_gzip(exchange: Exchange) -> None:
    """Read gzip as text, behind a proxy that took the header away."""
    if exchange.seen.headers.get("content-encoding") == "gzip":
        error = {"type": "json_parse_exception", "reason": "Illegal character (CTRL-CHAR)"}
        exchange.answer(400, {"error": error, "status": 400})
    else:
        exchange.items(exchange.store())


def poison(word: bytes) -> Callable[[Exchange], None]:
    """Refuse every request as a whole that holds *word*."""

    def fault(exchange: Exchange) -> None:
        if word in exchange.seen.body:
            error = {"type": "x_content_parse_exception", "reason": "[1:8] Unrecognized token"}
            exchange.answer(400, {"error": error, "status": 400})
        else:
            exchange.items(exchange.store())

    return fault


@dataclass
class ScriptedBulk:
    """The server.

    Attributes:
        script: Faults, one for each bulk request to come.
        always: The fault of every request that the script does not cover.
        most_bytes: A larger body (inflated) is answered with an empty 413.
        templates: Names for which there is an index template; None: for all.
        template_status: The answer for templates that are there.
        root: The answer to GET /, and its status.
    """

    script: deque[Callable[[Exchange], None]] = field(default_factory=deque)
    always: Callable[[Exchange], None] | None = None
    most_bytes: int | None = None
    templates: set[str] | None = None
    root: tuple[int, object, Mapping[str, str]] = (200, ROOT, {})
    stored: dict[tuple[str, str], Any] = field(default_factory=dict)
    arrivals: list[str] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    others: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    scheme: str = "http"
    template_status: int = 200

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def bulk(self, exchange: Exchange) -> None:
        """Answer one bulk request."""
        self.seen.append(exchange.seen)
        if self.most_bytes is not None and len(exchange.seen.body) > self.most_bytes:
            exchange.answer(413)
        elif self.script:
            self.script.popleft()(exchange)
        elif self.always:
            self.always(exchange)
        else:
            exchange.items(exchange.store())

    def other(self, exchange: Exchange, method: str) -> None:
        """Answer what is no bulk request."""
        path = exchange.seen.path
        self.others.append((method, path, exchange.seen.headers))
        if path == "/":
            exchange.answer(*self.root)
            return
        name = path.rpartition("/")[2]
        is_there = self.templates is None or name in self.templates
        found = self.template_status if "_index_template" in path else 404
        exchange.answer(found if is_there else 404)


class Handler(BaseHTTPRequestHandler):
    """Reads requests whole; keeps connections open."""

    protocol_version = "HTTP/1.1"
    scripted: ScriptedBulk
    date = ""
    """What the header ``Date`` says, where it is not the time."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        return self.date or super().date_time_string(timestamp)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = sent = self.rfile.read(length)
        with contextlib.suppress(OSError):
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
        seen = Seen(self.path, {k.lower(): v for k, v in self.headers.items()}, body, sent)
        exchange = Exchange(self.scripted, self, seen)
        with contextlib.suppress(OSError):
            if "_bulk" in self.path:
                self.scripted.bulk(exchange)
            else:
                self.scripted.other(exchange, self.command)

    do_GET = do_PUT = do_HEAD = do_POST  # noqa: N815 - http.server asks for these names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of handshakes and connections that a client broke off."""


@contextlib.contextmanager
def scripted_bulk(certificate: Certificate | None = None) -> Iterator[ScriptedBulk]:
    """Run a server on a port of its own, with TLS when it has a certificate."""
    scripted = ScriptedBulk(scheme="https" if certificate else "http")
    handler = type("_Handler", (Handler,), {"scripted": scripted})
    with _Server(("127.0.0.1", 0), handler) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.chain, certificate.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        scripted.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield scripted
        finally:
            scripted.closing.set()
            server.shutdown()
            thread.join()
