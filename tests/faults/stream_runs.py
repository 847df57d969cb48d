"""A pipeline that reads one stream in this process, and what comes out of it."""

from __future__ import annotations

import io
import json
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.awsrequest import AWSResponse
from botocore.eventstream import EventStream

from cloudfront_ecs.config import load
from cloudfront_ecs.demo.day import DAY_COLUMNS
from cloudfront_ecs.pipeline_parts import RunSettings
from cloudfront_ecs.plugins import load_plugins
from cloudfront_ecs.running import open_pipelines
from faults.judge import Verdict, judge_documents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cloudfront_ecs.batches import RunSummary
    from cloudfront_ecs.sources.kinesis.source import KinesisSource
    from faults.oracle import Oracle
    from servers.kinesis import KinesisServer


def made_stream(server: KinesisServer, name: str, shards: int) -> Any:
    """Make a stream and return the client; the stream takes records."""
    client = server.client()
    client.create_stream(StreamName=name, ShardCount=shards)
    for _ in range(200):
        told = client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        if told["StreamStatus"] == "ACTIVE":
            return client
        time.sleep(0.05)
    raise RuntimeError("the stream did not become active")


class StreamRun:
    """One run of a pipeline from a stream to a file, until the stream is drained."""

    def __init__(self, server: KinesisServer, folder: Path, stream: str, **options: Any) -> None:
        """Open the pipeline; *options* are those of the source."""
        folder.mkdir(parents=True, exist_ok=True)
        self._out = folder / "out.ndjson"
        told = {"kind": "aws_kinesis", "stream": stream, "endpoint_url": server.endpoint}
        given = {"idle_seconds": 0.2, **told, **options}
        lines = [f"{name} = {json.dumps(value)}" for name, value in given.items()]
        path = folder / "run.toml"
        path.write_text(
            f"""\
[state]
directory = {json.dumps(str(folder / "state"))}
[sources.logs]
{chr(10).join(lines)}
[sinks.file]
kind = "ndjson"
path = {json.dumps(str(self._out))}
[pipelines.realtime]
source = "logs"
sinks = ["file"]
original = true
decoder = {{ kind = "realtime", fields = {json.dumps(DAY_COLUMNS)} }}
""",
            encoding="utf-8",
        )
        plugins = load_plugins()
        self.stop = threading.Event()
        settings = RunSettings(once=True, patience=60)
        running = open_pipelines(load(path, plugins), plugins, settings, self.stop)
        (self._pipeline,) = running.pipelines
        self.source: KinesisSource = self._pipeline.parts.source  # type: ignore[assignment]
        self.client = self.source._stream.client

    def drain(self) -> RunSummary:
        """Run until everything is read and settled."""
        return self._pipeline.run()

    @contextmanager
    def watched(self, every: float, look: Callable[[], None]) -> Iterator[None]:
        """Look at something again and again while the body runs."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(every):
                look()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def bodies(self) -> list[dict[str, Any]]:
        """Return every document that was written, in order."""
        with self._out.open("rb") as file:
            return [msgspec.json.decode(line) for line in file]

    def judged(self, oracle: Oracle) -> int:
        """See that every line issued became its own document, once; return how many there are."""
        verdict = Verdict(issued=len(oracle.issued))
        bodies = self.bodies()
        found = judge_documents(verdict, oracle, "file", bodies)
        assert not verdict.misses, "\n".join(verdict.misses)
        twice = [serial for serial, times in found.items() if times > 1]
        assert not twice, f"lines that came twice: {twice[:20]}"
        ids = {body["event"]["id"] for body in bodies}
        assert len(ids) == len(bodies), f"{len(bodies)} documents have {len(ids)} ids"
        return len(bodies)


class Answers:
    """Answers given in place of the server's, and when the calls were made.

    Attributes:
        times: Of all calls of the operation, on the monotonic clock.
        scripted: The answers still to be given: an error's name, a whole answer, or None where
            the server's own is wanted.
    """

    def __init__(self, client: Any, operation: str, *scripted: str | dict[str, Any] | None) -> None:
        """Stand between *client* and its server."""
        self.times: list[float] = []
        self.scripted = list(scripted)
        client.meta.events.register_first(f"before-send.kinesis.{operation}", self._answer)

    def _answer(self, request: Any, **_: Any) -> AWSResponse | None:
        self.times.append(time.monotonic())
        answer = self.scripted.pop(0) if self.scripted else None
        if answer is None:
            return None
        status = 200
        if isinstance(answer, str):
            answer, status = {"__type": answer, "message": "scripted"}, 400
        headers = {"content-type": "application/x-amz-json-1.1"}
        return AWSResponse(request.url, status, headers, Raw(json.dumps(answer).encode()))

    def most_in_a_second(self) -> int:
        """Return the most calls that fell into one second."""
        return max(
            (sum(start <= time < start + 0.99 for time in self.times) for start in self.times),
            default=0,
        )


class Raw(io.BytesIO):
    """The body of an answer that no server gave."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.getvalue()

    def release_conn(self) -> None:
        """Do nothing."""


@contextmanager
def fan_out(breaks_after: int = 0) -> Iterator[None]:
    """Have botocore read what kinesis-local sends, which lacks the first frame.

    Args:
        breaks_after: The first subscription breaks off after so many events, where it is set.
    """
    known = EventStream.get_initial_response, EventStream.__iter__
    left = [breaks_after] if breaks_after else []

    def breaking(self: EventStream) -> Iterator[Any]:
        most = left.pop() if left else None
        for number, event in enumerate(known[1](self)):
            if number == most:
                raise ConnectionResetError("scripted")
            yield event

    EventStream.get_initial_response = lambda _: SimpleNamespace(payload=b"{}")
    EventStream.__iter__ = breaking
    try:
        yield
    finally:
        EventStream.get_initial_response, EventStream.__iter__ = known
