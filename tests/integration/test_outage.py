"""The search node is away for a while in mid-run: the sources keep the data, nothing is lost."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Self

import pytest

from cloudfront_ecs.demo.day import DAY_COLUMNS
from integration.cloud import (
    Bucket,
    Stream,
    config,
    counted,
    found,
    realtime_lines,
    request_id,
    standard_lines,
)
from integration.commands import equations, eventually, run, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from integration.commands import Running
    from servers.aws import MotoServer
    from servers.kinesis import KinesisServer
    from servers.search_node import SearchNode

pytestmark = pytest.mark.integration

OUTAGE = 20.0
LINES = 200
RECORDS = 100
GRACE = 60.0
"""Everything must be there so many seconds after the end of the outage, its backlog included."""


class Feeder:
    """CloudFront, which does not wait for us: an object and some records, again and again."""

    def __init__(self, bucket: Bucket, stream: Stream) -> None:
        self.standard = standard_lines(10_000, seed=21)
        self.realtime = realtime_lines(5_000, seed=22)
        self.puts = 0
        self._bucket, self._stream = bucket, stream
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Put nothing more."""
        self._stop.set()
        self._thread.join()

    def put(self) -> None:
        """Put one object and some records."""
        at = self.puts
        self._bucket.put_log(self.standard[at * LINES : (at + 1) * LINES])
        self._stream.put(self.realtime[at * RECORDS : (at + 1) * RECORDS])
        self.puts += 1

    def _run(self) -> None:
        # The last put is for after the outage; a deep queue makes the emulator slow.
        while self.puts < len(self.standard) // LINES - 1 and not self._stop.wait(0.7):
            self.put()


@pytest.fixture(name="node")
def _node(opensearch: SearchNode) -> Iterator[SearchNode]:
    yield opensearch
    if not opensearch.process.running:
        opensearch.start()


def test_an_outage_of_the_search_node_loses_and_repeats_nothing(
    tmp_path: Path,
    aws: MotoServer,
    kinesalite: KinesisServer,
    node: SearchNode,
    unique: Callable[[str], str],
) -> None:
    bucket, stream = Bucket(aws, unique), Stream(kinesalite, unique, shards=2)
    namespace = bucket.name.replace("-", "")
    path = _config(tmp_path, bucket, stream, node, namespace)
    assert run("setup", "--config", path).code == 0
    feeder = Feeder(bucket, stream)
    standard, realtime = (f"logs-cloudfront.{d}-{namespace}" for d in ("standard", "realtime"))
    service = start("--log-format", "json", "run", "--config", path)
    with feeder:
        eventually(lambda: counted(node, standard) > 0 and counted(node, realtime) > 0)
        node.stop()
        stopped = time.monotonic()
        eventually(lambda: service.said().count("is not available, waiting") == 2)
        held = _held(tmp_path, bucket, feeder)

        time.sleep(max(0.0, stopped + OUTAGE - time.monotonic()))

        assert _held(tmp_path, bucket, feeder) == held
        assert service.process.poll() is None
        feeder.stop()
    node.start()
    back = time.monotonic()
    feeder.put()
    wanted = {standard: feeder.puts * LINES, realtime: feeder.puts * RECORDS}
    eventually(lambda: all(counted(node, name) >= count for name, count in wanted.items()), GRACE)
    print(f"all of {wanted} there {time.monotonic() - back:.1f} s after the outage")
    _assert_drains(service, feeder)
    _assert_all_there(node, feeder, standard, realtime)
    assert bucket.waiting() == 0
    assert _checkpoints(tmp_path) == stream.newest


def _config(folder: Path, bucket: Bucket, stream: Stream, node: SearchNode, namespace: str) -> Path:
    return config(
        folder,
        sources={
            "logs": {
                "kind": "aws_s3",
                "queue_url": bucket.queue_url,
                "endpoint_url": bucket.sqs.meta.endpoint_url,
                "wait_seconds": 1,
                # Shorter than the outage: what is in our hands must be renewed.
                "visibility_timeout": 8,
            },
            "edge": {
                "kind": "aws_kinesis",
                "stream": stream.name,
                "endpoint_url": stream.client.meta.endpoint_url,
            },
        },
        sinks={"search": {"kind": "elastic", "hosts": [node.url], "namespace": namespace}},
        pipelines={
            "standard": {"source": "logs", "sinks": ["search"]},
            "realtime": {
                "source": "edge",
                "decoder": {"kind": "realtime", "fields": list(DAY_COLUMNS)},
                "sinks": ["search"],
            },
        },
    )


def _held(folder: Path, bucket: Bucket, feeder: Feeder) -> tuple[int, dict[str, str]]:
    """Return how far the sources have been advanced: messages deleted, and checkpoints."""
    while True:
        before = feeder.puts
        waiting = bucket.waiting()
        if feeder.puts == before:
            # An object is in the queue a moment before it is counted here.
            return max(0, before - waiting), _checkpoints(folder)


def _checkpoints(folder: Path) -> dict[str, str]:
    file = folder / "state" / "checkpoints-edge.sqlite3"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT partition, position FROM checkpoints").fetchall()
    return {name.rpartition("/")[2]: position for name, position in rows}


def _assert_drains(service: Running, feeder: Feeder) -> None:
    time.sleep(1.5)  # the last batch settles a moment after the node has it
    service.terminate()
    ended = service.wait(60)

    assert ended.code == 0, ended.err
    books = equations(ended.err)
    for pipeline, each in (("standard", LINES), ("realtime", RECORDS)):
        ends = books[pipeline]["search"]
        assert ends["read"] == feeder.puts * each
        # A bulk request whose answer was cut off is sent again under the same ids.
        assert set(ends) <= {"read", "stored", "already there"}


def _assert_all_there(node: SearchNode, feeder: Feeder, standard: str, realtime: str) -> None:
    lines = feeder.standard[: feeder.puts * LINES]
    records = feeder.realtime[: feeder.puts * RECORDS]
    for name, wanted in (
        (standard, Counter(map(request_id, lines))),
        (realtime, Counter(request_id(record, DAY_COLUMNS) for record in records)),
    ):
        hits = found(node, name)
        assert Counter(hit["_source"]["http"]["request"]["id"] for hit in hits) == wanted
