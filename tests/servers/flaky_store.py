"""An S3 of one object that fails by script: bodies that break off, refusals, another region."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from servers.process import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that is answered in place of the object.

    Attributes:
        status: The HTTP status.
        code: S3's code.
        message: S3's words.
        more: Other elements of the error.
        headers: Other headers of the answer.
    """

    status: int
    code: str
    message: str = "so it is"
    more: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class FlakyStore(ThreadingHTTPServer):
    """The store; whatever is asked for, it has its one object.

    Attributes:
        body: The object's bytes.
        etag: The object's ETag.
        cuts: After how many bytes each coming body breaks off; then all are whole.
        refusals: What each coming request is answered with, whatever it asks.
        overwrite_at: The number of the GET before which *etag* and *body* become *successor*.
        successor: The ETag and the body that come after an overwrite.
        region: Requests that are signed for another one are refused, where it is set.
        requests: The headers of every GET.
        paths: The path and query of every GET.
        methods: The method of every request.
    """

    daemon_threads = True

    def __init__(self, body: bytes) -> None:
        """Hold *body*."""
        super().__init__((HOST, free_port()), _Handler)
        self.body = body
        self.etag = "first"
        self.cuts: list[int] = []
        self.refusals: list[Refusal] = []
        self.overwrite_at = 0
        self.successor = ("second", body)
        self.region = ""
        self.requests: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.methods: list[str] = []

    @property
    def endpoint(self) -> str:
        """The URL that boto3 calls ``endpoint_url``."""
        return f"http://{HOST}:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Say nothing of readers that leave early."""


@contextmanager
def running_store(body: bytes) -> Iterator[FlakyStore]:
    """Run a store that holds *body*."""
    store = FlakyStore(body)
    thread = threading.Thread(target=store.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield store
    finally:
        store.shutdown()
        store.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FlakyStore

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_HEAD(self) -> None:
        if not self._refused():
            self._answer(200, self.server.body, send=b"")

    def do_GET(self) -> None:
        store = self.server
        store.requests.append(dict(self.headers))
        store.paths.append(self.path)
        if len(store.requests) == store.overwrite_at:
            store.etag, store.body = store.successor
        if self._refused():
            return
        if self.headers.get("If-Match", f'"{store.etag}"') != f'"{store.etag}"':
            self._refuse(Refusal(412, "PreconditionFailed"))
            return
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        part = store.body[start:]
        cut = store.cuts.pop(0) if store.cuts else len(part)
        self._answer(206 if start else 200, part, send=part[:cut], start=start)
        if cut < len(part):
            self.close_connection = True

    def _refused(self) -> bool:
        store = self.server
        store.methods.append(self.command)
        if store.refusals:
            self._refuse(store.refusals.pop(0))
            return True
        if store.region and f"/{store.region}/s3/" not in self.headers["Authorization"]:
            code = "AuthorizationHeaderMalformed"
            self._refuse(Refusal(400, code, more={"Region": store.region}))
            return True
        return False

    def _refuse(self, refusal: Refusal) -> None:
        more = "".join(f"<{name}>{value}</{name}>" for name, value in refusal.more.items())
        text = f"<Code>{refusal.code}</Code><Message>{refusal.message}</Message>{more}"
        error = f"<Error>{text}</Error>".encode()
        send = b"" if self.command == "HEAD" else error
        self._answer(refusal.status, error, send=send, headers=refusal.headers)

    def _answer(
        self,
        status: int,
        body: bytes,
        *,
        send: bytes,
        start: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{self.server.etag}"')
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if start:
            whole = len(self.server.body)
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        self.end_headers()
        self.wfile.write(send)
