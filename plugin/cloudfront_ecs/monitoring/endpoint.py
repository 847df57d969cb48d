"""One small HTTP endpoint: it binds where it is told, and answers GET and HEAD of a few pages."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.errors import CloudFrontEcsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from email.message import Message

    from cloudfront_ecs.monitoring.options import Address

log = logging.getLogger(__name__)

SERVER = "cloudfront-ecs"
"""How it calls itself; of which version is in the metrics."""

MOST_AT_ONCE = 8
"""Requests that are answered at the same time; a further one is hung up on."""

LONGEST_REQUEST = 5.0
"""Seconds for which a client may say nothing."""

_STOP_LOOK = 0.05


@dataclass(frozen=True, slots=True)
class Answer:
    """What a page answers."""

    status: HTTPStatus
    content_type: str
    body: bytes


if TYPE_CHECKING:
    Page = Callable[[Message], Answer]
    """Makes an answer from the headers of a request."""


class Endpoint:
    """Listens from the beginning, and answers from the moment there are pages."""

    def __init__(self, address: Address) -> None:
        """Bind *address*.

        Raises:
            CloudFrontEcsError: It is in use, or not an address of this machine.
        """
        self.address = address
        self._thread: threading.Thread | None = None
        try:
            [(family, _, _, _, bound), *_] = socket.getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            self._server = _Server(family, bound)
        except OSError as error:
            hint = " (give another port)" if error.errno == errno.EADDRINUSE else ""
            raise CloudFrontEcsError(
                f"metrics.listen: cannot listen on {address}: {error.strerror}{hint}"
            ) from error

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.socket.getsockname()[1])

    def serve(self, pages: Mapping[str, Page]) -> None:
        """Answer requests for *pages*, by path, in a thread."""
        self._server.pages = pages
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=[_STOP_LOOK], name="metrics", daemon=True
        )
        self._thread.start()
        log.info("metrics and health are served on http://%s", self.address)

    def close(self) -> None:
        """Stop listening.  Safe to call twice."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """The standard library's server, with bounds."""

    daemon_threads = True
    block_on_close = False  # a client that says nothing must not hold up the end

    def __init__(self, family: int, bound: Any) -> None:
        self.address_family = family
        self.pages: Mapping[str, Page] = {}
        self._room = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__(bound, _Handler)

    def server_bind(self) -> None:
        """Bind without asking DNS for the machine's name, as HTTPServer would."""
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request
        log.debug("a client of the metrics left: %s", client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = LONGEST_REQUEST

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            answer = page(self.headers)
        except Exception:
            log.exception("%s cannot be told", self.path.partition("?")[0])
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        self._answer(answer)

    do_HEAD = do_GET  # noqa: N815 - the same

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer in a few words, which do not repeat the request."""
        del message, explain
        status = HTTPStatus(code)
        if status == HTTPStatus.NOT_IMPLEMENTED:  # a method that no page has
            status = HTTPStatus.METHOD_NOT_ALLOWED
        body = f"{status.value} {status.phrase}\n".encode()
        self._answer(Answer(status, "text/plain; charset=utf-8", body))

    def version_string(self) -> str:
        return SERVER

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        log.debug(format, *args)

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
