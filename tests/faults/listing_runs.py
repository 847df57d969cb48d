"""A bucket that is listed, runs over it that end when all of it is read, and what they wrote."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.config import load
from cloudfront_ecs.demo.day import standard_file
from cloudfront_ecs.pipeline import RunSettings
from cloudfront_ecs.plugins import load_plugins
from cloudfront_ecs.running import open_pipelines
from integration.cloud import config, request_id, standard_lines
from integration.commands import json_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudfront_ecs.batches import RunSummary
    from faults.lab import Lab

LINES = 20
PAGE = 10
DAY = int(datetime(2026, 1, 15, tzinfo=UTC).timestamp())


class Listed:
    """A bucket of logs, hour by hour, and a configuration that lists it.

    Attributes:
        issued: The ids of CloudFront's requests that were put, in all contents of all objects.
        listings: How many pages the latest run asked for.
    """

    def __init__(self, lab: Lab, **options: Any) -> None:
        """Make the bucket."""
        self.lab = lab
        self.s3 = lab.moto.client("s3")
        self.bucket = lab.unique("listed")
        self.s3.create_bucket(Bucket=self.bucket)
        self.folder = lab.folder / lab.unique("run")
        self.out = self.folder / "out.ndjson"
        self.issued: list[str] = []
        self._unused = iter(standard_lines(2000, seed=1000))
        self.listings = 0
        self.config = config(
            self.folder,
            sources={
                "logs": {
                    "kind": "aws_s3",
                    "bucket": self.bucket,
                    "prefix": "cdn/",
                    "endpoint_url": lab.moto.endpoint,
                    "poll_seconds": 0.5,
                    **options,
                }
            },
            sinks={"out": {"kind": "ndjson", "path": str(self.out)}},
            pipelines={
                "main": {"source": "logs", "sinks": ["out"], "batch": {"documents": 2 * LINES}}
            },
        )

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs to reach the bucket."""
        return self.lab.moto.environment

    def put(self, hour: int, number: int = 0, distribution: str = "E1EXAMPLE00001") -> str:
        """Store a file of *hour*, counted from DAY; return its key."""
        stamp = datetime.fromtimestamp(DAY + 3600 * hour, UTC).strftime("%Y-%m-%d-%H")
        key = f"cdn/{distribution}.{stamp}.{number:08x}.gz"
        lines = list(islice(self._unused, LINES))
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=standard_file(lines, level=1))
        self.issued += [request_id(line) for line in lines]
        return key

    def read(self, patience: float = 5.0) -> RunSummary:
        """Run until everything is read, in this process."""
        plugins = load_plugins()
        settings = RunSettings(once=True, patience=patience)
        running = open_pipelines(load(self.config, plugins), plugins, settings, threading.Event())
        [pipeline] = running.pipelines
        source: Any = pipeline.parts.source
        ask, self.listings = source._pages._client.list_objects_v2, 0

        def counted(**request: Any) -> Any:
            self.listings += 1
            return ask(**request, MaxKeys=PAGE)

        source._pages._client.list_objects_v2 = counted
        summary = pipeline.run()
        assert not summary.imbalance("out"), f"{summary.imbalance('out')} are unaccounted for"
        return summary

    def found(self) -> Counter[str]:
        """Return how often each request's id was written."""
        return Counter(document["http"]["request"]["id"] for document in json_lines(self.out))

    def assert_all(self, most: int = 1) -> None:
        """See that every line was written, and none more often than *most*."""
        found = self.found()
        missing = [name for name in self.issued if name not in found]
        assert not missing, f"{len(missing)} of {len(self.issued)} lines are missing"
        often = {name: count for name, count in found.items() if count > most}
        assert not often, f"{len(often)} lines came {max(often.values())} times"
        strange = found.keys() - set(self.issued)
        assert not strange, f"{len(strange)} lines were never issued"
