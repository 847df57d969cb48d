"""Lifecycle policies and roles as both products keep them: a scripted server.

The servers that tests can start have no lifecycle policies.  The answers are shaped as the
references of the products show them, with the additions that the servers make.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ILM = "/_ilm/policy/"
ISM = "/_plugins/_ism/policies/"
ROLES = {"elasticsearch": "/_security/role/", "opensearch": "/_plugins/_security/api/roles/"}
_VERSIONS = {
    "elasticsearch": {"number": "9.1.0"},
    "opensearch": {"distribution": "opensearch", "number": "2.19.4"},
}
MAPPINGS = "/_plugins/_security/api/rolesmapping/"


@dataclass
class SecurityServer:
    """The server; *kept* is what was put, by path, *calls* everything that was asked."""

    product: str
    port: int = 0
    kept: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    statuses: dict[str, tuple[int, Any]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        """Answer one request."""
        path, _, query = target.partition("?")
        self.calls.append((method, target))
        if path == "/":
            return 200, {"version": _VERSIONS[self.product]}
        refusals = [answer for start, answer in self.statuses.items() if path.startswith(start)]
        return refusals[0] if refusals else self._kept(method, path, query, body)

    def _kept(self, method: str, path: str, query: str, body: Any) -> tuple[int, Any]:
        name = path.rpartition("/")[2]
        if method == "PUT":
            wanted = f"if_seq_no={self.versions.get(path)}&if_primary_term=1"
            if path.startswith(ISM) and path in self.kept and query != wanted:
                return 409, {"error": {"type": "version_conflict_engine_exception"}}
            self.kept[path] = body
            self.versions[path] = self.versions.get(path, 0) + 1
            return 200, {"acknowledged": True}
        if path not in self.kept:
            return 404, self._missing(path)
        if method == "DELETE":
            del self.kept[path]
            return 200, {"acknowledged": True}
        return 200, self._shown(path, name)

    def _missing(self, path: str) -> Any:
        if path.startswith(ROLES["elasticsearch"]):
            return {}
        if path.startswith((ROLES["opensearch"], MAPPINGS)):
            return {"status": "NOT_FOUND", "message": f"{path} not found."}
        return {"error": {"type": "resource_not_found_exception", "reason": path}, "status": 404}

    def _shown(self, path: str, name: str) -> Any:
        body = json.loads(json.dumps(self.kept[path]))
        if path.startswith(ILM):
            body["policy"]["phases"]["hot"]["min_age"] = "0ms"
            return {name: {"version": 1, "modified_date": "2026-11-20T10:00:00.000Z", **body}}
        if path.startswith(ISM):
            for state in body["policy"]["states"]:
                for action in state["actions"]:
                    action["retry"] = {"count": 3, "backoff": "exponential", "delay": "1m"}
            body["policy"] |= {"policy_id": name, "schema_version": 21}
            number = self.versions[path]
            return {"_id": name, "_seq_no": number, "_primary_term": 1, "_version": 1, **body}
        if path.startswith("/_security"):
            return {name: {"run_as": [], "transient_metadata": {"enabled": True}, **body}}
        if "/api/roles" in path:
            return {name: {"reserved": False, "hidden": False, "static": False, **body}}
        kind = path.split("/")[1].removeprefix("_")
        return {f"{kind}s": [{"name": name, kind: body}]}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    scripted: SecurityServer

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        given = json.loads(self.rfile.read(length) or b"null")
        status, body = self.scripted.answer(self.command, self.path, given)
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if self.scripted.product == "elasticsearch":
            self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_PUT = do_DELETE = do_GET  # noqa: N815 - http.server asks for these names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


@contextmanager
def security_server(product: str) -> Iterator[SecurityServer]:
    """Run a server on a port of its own."""
    scripted = SecurityServer(product)
    handler = type("_Handler", (_Handler,), {"scripted": scripted})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        scripted.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield scripted
        finally:
            server.shutdown()
            thread.join()
