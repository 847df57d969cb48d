"""Pipelines that read one queue in this process, and what comes out of them."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.config import load
from cloudfront_ecs.demo.day import standard_file
from cloudfront_ecs.pipeline_parts import RunSettings
from cloudfront_ecs.plugins import load_plugins
from cloudfront_ecs.running import open_pipelines
from faults.judge import Verdict, judge_documents
from faults.producer import Lines
from sources.s3_world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from cloudfront_ecs.batches import Payload, RunSummary
    from cloudfront_ecs.conversion import Conversion, Converted
    from cloudfront_ecs.sources.sqs.queue import SqsQueue
    from faults.lab import Lab

SEED = 5


class Files(World):
    """A bucket and a queue, and numbered lines in files.

    Attributes:
        lines: Where the lines come from; its oracle knows them all.
    """

    def __init__(self, lab: Lab) -> None:
        """Make a bucket and a queue that S3 tells nothing yet."""
        super().__init__(lab.moto, lab.unique, lab.folder)
        self.lines = Lines("standard", SEED)

    def file(self, number: int = 20) -> bytes:
        """Return a file of so many new lines."""
        return standard_file(self.lines.next(number), level=1)

    def put_file(self, name: str, number: int = 20) -> str:
        """Store a file of so many new lines and return its ETag."""
        told = self.s3.put_object(Bucket=self.bucket, Key=name, Body=self.file(number))
        return str(told["ETag"]).strip('"')


class QueueRun:
    """One run of a pipeline from a queue to a file, until the queue is drained."""

    def __init__(self, files: Files, folder: Path, **options: Any) -> None:
        """Open the pipeline, with state and output in *folder*; *options* are the source's."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "run.toml"
        self._folder = folder
        told = {
            "kind": "aws_s3",
            "queue_url": files.queue_url,
            "endpoint_url": files.aws.endpoint,
            "wait_seconds": 1,
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in {**told, **options}.items()]
        self.path.write_text(
            f"""\
[state]
directory = {json.dumps(str(folder / "state"))}
[sources.logs]
{chr(10).join(lines)}
[sinks.file]
kind = "ndjson"
path = {json.dumps(str(folder / "out.ndjson"))}
[pipelines.standard]
source = "logs"
sinks = ["file"]
original = true
batch = {{ documents = 200, seconds = 0.1 }}
""",
            encoding="utf-8",
        )

    def open(self, *, once: bool = True) -> SqsQueue:
        """Open the pipeline and return its source."""
        plugins = load_plugins()
        self.stop = threading.Event()
        settings = RunSettings(once=once, patience=60, drain=5)
        running = open_pipelines(load(self.path, plugins), plugins, settings, self.stop)
        (self.pipeline,) = running.pipelines
        self.source: SqsQueue = self.pipeline.parts.source  # type: ignore[assignment]
        return self.source

    def drain(self) -> RunSummary:
        """Run until everything is read and settled."""
        return self.pipeline.run()

    def start(self) -> threading.Thread:
        """Run beside the caller, who joins the thread."""
        thread = threading.Thread(target=self.pipeline.run, name="queue-run", daemon=True)
        thread.start()
        return thread

    def before_each_object(self, pause: Callable[[], object]) -> None:
        """Call *pause* before an object is converted."""
        self.pipeline.parts.conversion = _Paused(  # type: ignore[assignment]
            self.pipeline.parts.conversion, pause
        )

    def bodies(self) -> list[dict[str, Any]]:
        """Return every document that was written."""
        path = self._folder / "out.ndjson"
        if not path.exists():
            return []
        with path.open("rb") as file:
            return [msgspec.json.decode(line) for line in file]

    def letters(self) -> Counter[str]:
        """Return how many dead letters there are for each reason but too few columns."""
        found: Counter[str] = Counter()
        for path in (self._folder / "state" / "dead_letters").glob("*.ndjson"):
            with path.open("rb") as file:
                found.update(msgspec.json.decode(line)["reason"] for line in file)
        del found["columns"]  # the producer cuts off some lines
        return found


class _Paused:
    """A conversion that waits before each payload."""

    def __init__(self, conversion: Conversion, pause: Callable[[], object]) -> None:
        self._conversion = conversion
        self._pause = pause

    def convert(self, payload: Payload) -> Iterator[Converted]:
        self._pause()
        return self._conversion.convert(payload)


def judged(lines: Lines, runs: Iterable[QueueRun]) -> tuple[int, int]:
    """See that every line is found, and no line under two ids, as a search node would show it.

    Returns:
        How many lines there are, and how many documents were written more than once.
    """
    verdict = Verdict(issued=len(lines.oracle.issued))
    bodies = [body for run in runs for body in run.bodies()]
    found = judge_documents(verdict, lines.oracle, "files", bodies)
    assert not verdict.misses, "\n".join(verdict.misses)
    ids = {body["event"]["id"] for body in bodies}
    assert len(ids) == len(found), f"{len(found)} lines are seen as {len(ids)} documents"
    return len(found), len(bodies) - len(ids)


def answer(
    client: Any, operation: str, script: Callable[[dict[str, Any]], dict[str, Any] | None]
) -> None:
    """Let *script* see each request of an SQS operation and answer it where it returns one.

    An answer with the member ``Error`` is an error, all others are what SQS returns.
    """

    def before(params: dict[str, Any], **_: object) -> tuple[Any, dict[str, Any]] | None:
        told = script(json.loads(params["body"]))
        if told is None:
            return None
        status = 400 if "Error" in told else 200
        http = type("Response", (), {"status_code": status, "headers": {}})()
        return http, {**told, "ResponseMetadata": {"HTTPStatusCode": status}}

    client.meta.events.register(f"before-call.sqs.{operation}", before)


def assert_empty(files: Files) -> None:
    """See that the queue is empty, also of hidden messages."""
    visible, hidden = files.visible(), files.hidden()
    assert (visible, hidden) == (0, 0), f"{visible} messages are visible, {hidden} hidden"
