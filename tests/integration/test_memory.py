"""However large an object is, it passes through in little memory."""

from __future__ import annotations

import gzip
import json
import subprocess
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.demo.day import standard_file
from integration.cloud import Bucket, config, standard_lines
from integration.commands import equations, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from integration.commands import Running
    from servers.aws import MotoServer

pytestmark = pytest.mark.integration

LARGE = 200 * 2**20
MOST_MB = 150.0
LINES = 50_000
"""Different ones: what conversion remembers of repeating values counts, too."""


class CountingBulk(ThreadingHTTPServer):
    """A bulk endpoint that takes everything, keeps nothing and counts.

    Attributes:
        taken: How many documents came, by index.
        damaged: Requests whose lines are no pairs.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Counting)
        self.taken: Counter[str] = Counter()
        self.damaged = 0


class _Counting(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: CountingBulk

    def do_GET(self) -> None:
        self._answer({"version": {"distribution": "opensearch", "number": "2.19.4"}})

    def do_HEAD(self) -> None:
        self._answer({}, content=False)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        count, odd = divmod(body.count(b"\n"), 2)
        self.server.damaged += odd or body.count(b'"_id"') != count
        index = json.loads(body[: body.index(b"\n")])["create"]["_index"]
        self.server.taken[index] += count
        self._answer({"errors": False, "items": [{"create": {"status": 201}}] * count})

    def _answer(self, body: dict[str, Any], *, content: bool = True) -> None:
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text if content else b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(name="bulk")
def _bulk() -> Iterator[CountingBulk]:
    with CountingBulk() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(name="large", scope="module")
def _large() -> tuple[bytes, int]:
    """Return a gzip file of 200 MB unpacked, made of many members, and its number of lines."""
    lines = standard_lines(LINES, seed=51)
    text = b"".join(line + b"\n" for line in lines)
    repeats = -(-LARGE // len(text))
    assert repeats * len(text) >= LARGE
    return standard_file([]) + gzip.compress(text, 1, mtime=0) * repeats, repeats * LINES


def test_a_large_object_passes_to_ndjson_in_little_memory(
    tmp_path: Path, aws: MotoServer, unique: Callable[[str], str], large: tuple[bytes, int]
) -> None:
    body, lines = large
    path, bucket = _config(tmp_path, aws, unique, body, {"kind": "ndjson"})

    with _line_counter() as (counter, documents):
        running = start("run", "--config", path, "--once", out=counter)
        counter.close()
        ended = _measured(running, "ndjson", lines)
        written = int(documents.read())

    assert ended == {"read": lines, "stored": lines}
    assert written == lines
    assert bucket.waiting() == 0


def test_a_large_object_passes_to_a_search_cluster_in_little_memory(
    tmp_path: Path,
    aws: MotoServer,
    unique: Callable[[str], str],
    large: tuple[bytes, int],
    bulk: CountingBulk,
) -> None:
    body, lines = large
    sink = {"kind": "elastic", "hosts": [f"http://127.0.0.1:{bulk.server_port}"]}
    path, bucket = _config(tmp_path, aws, unique, body, sink)

    ended = _measured(start("run", "--config", path, "--once"), "elastic", lines)

    assert ended == {"read": lines, "stored": lines}
    assert bulk.taken == {"logs-cloudfront.standard-default": lines}
    assert bulk.damaged == 0
    assert bucket.waiting() == 0


def _config(
    folder: Path,
    aws: MotoServer,
    unique: Callable[[str], str],
    body: bytes,
    sink: dict[str, Any],
) -> tuple[Path, Bucket]:
    bucket = Bucket(aws, unique)
    bucket.put(body)
    source = {
        "kind": "aws_s3",
        "queue_url": bucket.queue_url,
        "endpoint_url": aws.endpoint,
        "wait_seconds": 1,
    }
    pipeline = {"source": "logs", "sinks": ["out"], "transforms": ["user_agent"]}
    path = config(
        folder, sources={"logs": source}, sinks={"out": sink}, pipelines={"main": pipeline}
    )
    return path, bucket


def _measured(running: Running, label: str, lines: int) -> dict[str, int]:
    """Wait for the end of a run, look at its memory, and return its equation."""
    began = time.monotonic()
    peak = 0.0
    while running.process.poll() is None:
        peak = max(peak, running.peak_mb())
        time.sleep(0.05)
    seconds = time.monotonic() - began
    ended = running.wait()
    print(f"{label}: {lines} lines in {seconds:.1f} s, at most {peak:.0f} MB")
    assert ended.code == 0, ended.err
    assert 0 < peak <= MOST_MB
    return equations(ended.err)["main"]["out"]


@contextmanager
def _line_counter() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Give a pipe whose lines are counted and a file in which the number will stand."""
    with subprocess.Popen(["wc", "-l"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as counter:
        assert counter.stdin
        assert counter.stdout
        yield counter.stdin, counter.stdout
