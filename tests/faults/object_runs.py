"""Objects of every kind, read once from a queue, and what became of each."""

from __future__ import annotations

import base64
import importlib
import os
import sys
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

from faults.queue_runs import Files, QueueRun, assert_empty
from integration.cloud import request_id, standard_lines
from integration.commands import dead_letters
from servers.flaky_store import running_store
from sources.s3_world import record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faults.lab import Lab
    from servers.flaky_store import FlakyStore

zstd: Any = importlib.import_module(
    "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
)


class Letter(NamedTuple):
    """A dead letter: its reason, what is told of it, its bytes."""

    reason: str
    detail: str
    raw: bytes


class Objects(Files):
    """A bucket whose objects are announced, and a run that reads them.

    Attributes:
        run: The run; it is opened with ``read``.
        ids: The ids of the documents, by key, in the order in which they were written.
        requests: The ids of CloudFront's requests in them, likewise.
        letters: The dead letters, by key.
        summary: What the latest run in this process told at its end.
    """

    def __init__(self, lab: Lab, **options: Any) -> None:
        """Make an empty bucket; *options* are those of the source."""
        super().__init__(lab)
        self.run = QueueRun(self, lab.folder / lab.unique("run"), **options)
        self._state = self.run.path.parent / "state"
        self.ids: dict[str, list[str]] = defaultdict(list)
        self.requests: dict[str, list[str]] = defaultdict(list)
        self.letters: dict[str, list[Letter]] = defaultdict(list)

    def store(self, name: str, body: bytes) -> dict[str, Any]:
        """Put *body* as it is; return what S3 told."""
        told: dict[str, Any] = self.s3.put_object(Bucket=self.bucket, Key=name, Body=body)
        return told

    def announce(self, name: str, **told: Any) -> None:
        """Send the notice of an object, with what S3 would tell of it."""
        self.send({"Records": [record(self.bucket, name, **told)]})

    def read(self) -> None:
        """Run until the queue is drained; see that the books balance and look at the outcome."""
        self.run.open()
        self.summary = summary = self.run.drain()
        assert summary.error is None, f"the run ended with: {summary.error}"
        assert not summary.imbalance("file"), f"{summary.imbalance('file')} are unaccounted for"
        self.look()

    def look(self) -> None:
        """See that the queue is empty, and look at what has been written."""
        assert_empty(self)
        for found in (self.ids, self.requests, self.letters):
            found.clear()  # type: ignore[attr-defined]
        for body in self.run.bodies():
            key = body["aws"]["s3"]["object"]["key"]
            self.ids[key].append(body["event"]["id"])
            self.requests[key].append(body["http"]["request"]["id"])
        for letter in dead_letters(self._state):
            found_letter = Letter(
                letter["reason"], letter["detail"], base64.b64decode(letter["raw"])
            )
            self.letters[letter["source"].get("key", "")].append(found_letter)

    def reasons(self, name: str) -> list[str]:
        """Return the reasons of an object's dead letters."""
        return [letter.reason for letter in self.letters.get(name, [])]


def numbered(count: int, seed: int) -> tuple[list[bytes], list[str]]:
    """Return lines of a standard log, and the ids of their requests."""
    lines = standard_lines(count, seed)
    return lines, [request_id(line) for line in lines]


def whole_lines(text: bytes) -> int:
    """Return how many lines of a log with two header lines stand whole in *text*."""
    return max(0, text.count(b"\n") - 2)


def assert_once(found: Sequence[str], wanted: Sequence[str], what: str) -> None:
    """See that exactly the *wanted* requests were found, in order and once each."""
    missing = [name for name in wanted if name not in set(found)]
    more = len(found) - len(set(found))
    assert not missing, f"{what}: {len(missing)} of {len(wanted)} lines are missing"
    assert more == 0, f"{what}: {more} lines were written twice"
    assert list(found) == list(wanted), f"{what}: {len(found)} lines, {len(wanted)} were put"


@contextmanager
def flaky(lab: Lab, body: bytes, **options: Any) -> Iterator[tuple[FlakyStore, Objects]]:
    """Read through a true queue from a store that fails by script.

    The endpoint of each service comes from the environment, as that of another S3 would.
    """
    with running_store(body) as store:
        objects = Objects(lab, **options)
        text = objects.run.path.read_text("utf-8")
        kept = [line for line in text.splitlines() if not line.startswith("endpoint_url")]
        objects.run.path.write_text("\n".join(kept) + "\n", "utf-8")
        environment = {
            "AWS_ENDPOINT_URL_SQS": objects.aws.endpoint,
            "AWS_ENDPOINT_URL_S3": store.endpoint,
        }
        with mock.patch.dict(os.environ, environment):
            yield store, objects
