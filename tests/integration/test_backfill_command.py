"""``backfill`` as operators meet it: ranges of hours, several processes, kills, going on."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.demo.day import standard_file
from integration.cloud import config, standard_lines
from integration.commands import dead_letters, equations, eventually, json_lines, run, start

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.aws import MotoServer

pytestmark = pytest.mark.integration

DAY = int(datetime(2026, 1, 15, tzinfo=UTC).timestamp())
ONE, OTHER = "E1EXAMPLE00001", "E2EXAMPLE00002"


class Archive:
    """A bucket of old logs, a few lines in each file."""

    def __init__(self, aws: MotoServer, unique: Callable[[str], str], folder: Path) -> None:
        self.s3 = aws.client("s3")
        self.aws = aws
        self.folder = folder
        self.bucket = unique("archive")
        self.s3.create_bucket(Bucket=self.bucket)
        self.out = folder / "out.ndjson"
        self.lines: dict[str, list[bytes]] = {}
        self._unused = iter(standard_lines(8000, seed=1))

    def put(self, distribution: str, hour: int, number: int = 0, lines: int = 20) -> str:
        """Store the log of one hour since DAY and return its key."""
        stamp = datetime.fromtimestamp(DAY + 3600 * hour, UTC).strftime("%Y-%m-%d-%H")
        key = f"cdn/{distribution}.{stamp}.{number:08x}.gz"
        made = list(islice(self._unused, lines))
        self.lines[key] = made
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=standard_file(made, level=1))
        return key

    def config(self, **source: Any) -> Path:
        source = source or {"bucket": self.bucket, "prefix": "cdn/"}
        return config(
            self.folder,
            sources={"logs": {"kind": "aws_s3", "endpoint_url": self.aws.endpoint, **source}},
            sinks={"out": {"kind": "ndjson", "path": str(self.out)}},
            pipelines={"main": {"source": "logs", "sinks": ["out"]}},
        )

    def read(self) -> list[str]:
        """Return the keys of which documents were written, one for each document."""
        return [document["aws"]["s3"]["object"]["key"] for document in json_lines(self.out)]

    def distinct(self) -> list[str]:
        """Return the same in order, each document's id counted once."""
        found = {document["event"]["id"]: document for document in json_lines(self.out)}
        return sorted(document["aws"]["s3"]["object"]["key"] for document in found.values())

    def expected(self, *keys: str) -> list[str]:
        return sorted(key for key in keys for _ in self.lines[key])


@pytest.fixture(name="archive")
def _archive(aws: MotoServer, unique: Callable[[str], str], tmp_path: Path) -> Archive:
    return Archive(aws, unique, tmp_path)


def backfill(path: Path, *more: object, begin: str = "2026-01-15", end: str = "2026-01-16") -> Any:
    return run("backfill", "--config", path, "--from", begin, "--to", end, *more)


def test_a_range_of_one_distribution_is_read_once_by_two_processes(archive: Archive) -> None:
    wanted = [archive.put(ONE, hour, number) for hour in (0, 1, 22, 23) for number in range(3)]
    for hour in (-1, 24):
        archive.put(ONE, hour)
    archive.put(OTHER, 5)
    path = archive.config()

    first = backfill(path, "--distribution", ONE, "--processes", 2)
    again = backfill(path, "--distribution", ONE, "--processes", 2)

    assert first.code == 0, first.err
    assert sorted(archive.read()) == archive.expected(*wanted)
    assert equations(first.err) == {"main": {"out": {"read": 240, "stored": 240}}}
    assert "12 objects read; all done" in first.err
    assert again.code == 0
    assert "goes on where an earlier run of this range ended" in again.err
    assert "0 objects read, 12 were read before; nothing was left to read" in again.err
    assert not (archive.folder / "state" / "s3-settled-logs.sqlite3").exists()


def test_a_dry_run_counts_and_reads_nothing(archive: Archive) -> None:
    for hour in range(30):
        archive.put(ONE, hour)
    archive.put(OTHER, 3)
    path = archive.config()

    ended = backfill(path, "--dry-run")

    assert (ended.code, ended.err) == (0, "")
    assert re.search(rf"{ONE}: 24 objects, 0\.\d MB\n +{OTHER}: 1 objects", ended.out), ended.out
    estimate = re.search(r"in all: 25 objects, .* about (\d+) lines", ended.out)
    assert estimate, ended.out
    assert 450 <= int(estimate[1]) <= 550
    assert not archive.out.exists()
    assert not (archive.folder / "state").exists()


def test_a_source_of_a_queue_needs_the_bucket_and_leaves_the_queue_alone(archive: Archive) -> None:
    key = archive.put(ONE, 0)
    path = archive.config(queue_url="https://sqs.us-east-1.amazonaws.com/123456789012/none")

    without = backfill(path)
    ended = backfill(path, "--bucket", archive.bucket)

    assert without.code == 2
    assert "sources.logs: which bucket is to be listed? (add --bucket" in without.err
    assert ended.code == 0, ended.err
    assert archive.read() == archive.expected(key)


def test_a_killed_process_is_reported_and_the_same_command_goes_on(archive: Archive) -> None:
    wanted = [archive.put(ONE, hour, number, 120) for hour in range(6) for number in range(10)]
    path = archive.config()
    running = start(
        "backfill", "--config", path, "--from", "2026-01-15", "--to", "2026-01-16",
        "--processes", 2,
    )  # fmt: skip
    eventually(lambda: archive.out.exists() and archive.out.stat().st_size > 0)

    victim = _children(running.process.pid)[0]
    os.kill(victim, signal.SIGKILL)
    ended = running.wait()
    again = backfill(path, "--processes", 3)

    assert ended.code == 1
    assert re.search(r"process \d of 2: was killed by signal 9 \(give the same command", ended.err)
    assert again.code == 0, again.err
    assert "with 2 processes, as it was begun" in again.err
    # What was in flight came twice, under the ids of the first time; nothing is missing.
    assert archive.distinct() == archive.expected(*wanted)


def _children(parent: int) -> list[int]:
    """Return the processes of a backfill, the resource tracker left out."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            words = (folder / "cmdline").read_bytes()
        except (OSError, IndexError):
            continue
        if folder.name.isdigit() and int(status[1]) == parent and b"spawn_main" in words:
            found.append(int(folder.name))
    return found


def test_interrupted_it_stops_all_processes_and_goes_on_later(archive: Archive) -> None:
    wanted = [archive.put(ONE, hour, number, 120) for hour in range(6) for number in range(10)]
    path = archive.config()
    running = start(
        "backfill", "--config", path, "--from", "2026-01-15", "--to", "2026-01-16",
        "--processes", 2,
    )  # fmt: skip
    eventually(lambda: archive.out.exists() and archive.out.stat().st_size > 0)
    children = _children(running.process.pid)
    began = time.monotonic()

    running.process.send_signal(signal.SIGINT)
    ended = running.wait()
    took = time.monotonic() - began
    again = backfill(path)

    assert ended.code == 130, ended.err
    assert took < 5
    assert "give the same command again to go on" in ended.err
    assert "Traceback" not in ended.err
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
    assert again.code == 0, again.err
    assert archive.distinct() == archive.expected(*wanted)
    # Each process may have been amidst an object, which is then read again as a whole.
    assert len(archive.read()) <= len(archive.distinct()) + 2 * 120


def test_two_of_the_same_range_are_refused_and_other_ranges_are_not(archive: Archive) -> None:
    for number in range(60):
        archive.put(ONE, 0, number, 120)
    key = archive.put(OTHER, 1)
    path = archive.config()
    running = start(
        "backfill", "--config", path, "--from", "2026-01-15", "--to", "2026-01-16",
        "--distribution", ONE,
    )  # fmt: skip
    eventually(lambda: archive.out.exists() and archive.out.stat().st_size > 0)

    same = backfill(path, "--distribution", ONE)
    other = backfill(path, "--distribution", OTHER)
    running.process.send_signal(signal.SIGINT)
    running.wait()

    assert same.code == 1
    assert f"in use by process {running.process.pid}" in same.err
    assert other.code == 0, other.err
    assert archive.read().count(key) == 20


def test_refused_lines_end_it_with_3(archive: Archive) -> None:
    key = archive.put(ONE, 0)
    archive.s3.put_object(Bucket=archive.bucket, Key=key, Body=standard_file([b"one\ttwo"]))

    ended = backfill(archive.config(), "--processes", 2)

    assert ended.code == 3
    assert [letter["reason"] for letter in dead_letters(archive.folder / "state")] == ["columns"]


def test_a_range_without_objects_says_so(archive: Archive) -> None:
    archive.put(ONE, 0)

    ended = backfill(archive.config(), "--distribution", "E9TYPO000000009")

    assert ended.code == 0
    assert f"no key in s3://{archive.bucket}/cdn/ is of E9TYPO000000009 from" in ended.err


def test_a_missing_bucket_is_told_and_ends_with_1(archive: Archive) -> None:
    path = archive.config(bucket=archive.bucket + "x")

    ended = backfill(path, "--patience", 1)
    rehearsed = backfill(path, "--dry-run")

    assert ended.code == 1
    assert "process 1 of 1: s3://" in ended.err
    assert "NoSuchBucket" in ended.err
    assert rehearsed.code == 1
    assert "NoSuchBucket" in rehearsed.err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(["--from", "2026-01-15T25", "--to", "2026-01-16"], "hour", id="hour"),
        pytest.param(["--from", "yesterday", "--to", "2026-01-16"], "is no hour", id="words"),
        pytest.param(["--from", "2026-01-16", "--to", "2026-01-16"], "--to is not after", id="end"),
        pytest.param(["--from", "2026-01-16"], "--to", id="no-end"),
        pytest.param(
            ["--from", "2026-01", "--to", "2026-02", "--pipeline", "mian"],
            "did you mean 'main'",
            id="pipeline",
        ),
    ],
)
def test_a_wrong_range_is_a_usage_error(
    archive: Archive, arguments: list[str], problem: str
) -> None:
    ended = run("backfill", "--config", archive.config(), *arguments)

    assert ended.code == 2
    assert problem in ended.err


def test_standard_output_is_for_one_process_alone(archive: Archive) -> None:
    key = archive.put(ONE, 0)
    path = config(
        archive.folder,
        sources={"logs": {"kind": "aws_s3", "endpoint_url": archive.aws.endpoint,
                          "bucket": archive.bucket}},
        sinks={"out": {"kind": "ndjson"}},
        pipelines={"main": {"source": "logs", "sinks": ["out"]}},
    )  # fmt: skip

    two = backfill(path, "--processes", 2)
    one = backfill(path)

    assert two.code == 2
    assert "sink 'out' writes to standard output" in two.err
    assert len([json.loads(line) for line in one.out.splitlines()]) == len(archive.lines[key])
