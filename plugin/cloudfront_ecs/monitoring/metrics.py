"""The metrics of a run, for Prometheus.

Counts come from the books of the pipelines, one consistent moment of each for each scrape.
What is said about a batch when it has ended comes from the hook ``batch_settled``.

Labels are names from the configuration, words from fixed lists, and partitions of sources;
nothing of a log line is ever in them.
"""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from cloudfront_ecs.adapters import Lagging, Missing, Skipping
from cloudfront_ecs.delivery.health import CHECKPOINTS, LETTERS, PAYLOADS, SOURCE, sink_part
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.monitoring.endpoint import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from email.message import Message

    from cloudfront_ecs.batches import Settlement
    from cloudfront_ecs.monitoring.watch import Watch
    from cloudfront_ecs.pipeline import Pipeline

PREFIX = "cloudfront_ecs_"

MOST_SERIES = 1000
"""Partitions of one source, or reasons of one pipeline, that are told apart."""

REST = "other"
"""The label of all beyond ``MOST_SERIES``."""

_STORES = {"checkpoints": CHECKPOINTS, "dead_letters": LETTERS}
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as people and Prometheus read it.

    Attributes:
        name: Without the prefix.
        kind: Prometheus's type.
        labels: What its series are told apart by.
        meaning: One or two sentences.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str

    def family(self) -> CounterMetricFamily | GaugeMetricFamily:
        """Return a family without series."""
        name = PREFIX + self.name
        if self.kind == "counter":
            return CounterMetricFamily(name, self.meaning, labels=self.labels)
        return GaugeMetricFamily(name, self.meaning, labels=self.labels)


BATCH_SECONDS = Metric(
    "batch_seconds", "histogram", ("pipeline", "sink"),
    "From the moment a batch was handed to the sinks until this one had answered for all of it.",
)  # fmt: skip

METRICS = (
    Metric(
        "records_read_total", "counter", ("pipeline",),
        "Records read, those that are refused or filtered included; headers and blank lines are "
        "none.",
    ),
    Metric(
        "documents_written_total", "counter", ("pipeline", "sink", "outcome"),
        "How records ended for this sink: `stored`, `duplicate` (it had it already), `acked`, "
        "`dead_lettered`, `filtered`. `retried` is no end: it counts documents offered again.",
    ),
    Metric(
        "in_flight_documents", "gauge", ("pipeline", "sink"),
        "Documents whose end in this sink is not known yet.",
    ),
    BATCH_SECONDS,
    Metric(
        "dead_letters_total", "counter", ("pipeline", "reason"),
        "Dead letters; `rejected` are those that a sink refused.",
    ),
    Metric(
        "records_filtered_total", "counter", ("pipeline",),
        "Records dropped because the configuration says so, or because they are none of "
        "CloudFront's.",
    ),
    Metric(
        "source_skipped_total", "counter", ("source", "reason"),
        "What the source passed over since it asked for nothing: `no_event` (test messages), "
        "`other_event`, `no_log`, `repeated` and `superseded` notices.",
    ),
    Metric(
        "source_gaps_total", "counter", ("source",),
        "How often data had left the source before it was read; the log tells from when to when.",
    ),
    Metric(
        "source_lag_seconds", "gauge", ("source", "partition"),
        "How far the reading is behind the newest data, where the source can tell.",
    ),
    Metric(
        "source_up", "gauge", ("source",),
        "1 while the source can be asked and what it names can be read, else 0.",
    ),
    Metric(
        "sink_up", "gauge", ("pipeline", "sink"), "1 while the sink takes documents, else 0."
    ),
    Metric(
        "store_up", "gauge", ("pipeline", "store"),
        "1 while `checkpoints` and `dead_letters` can be stored, else 0.",
    ),
    Metric("healthy", "gauge", (), "1 while `/healthz` answers 200, else 0."),
    Metric(
        "last_settled_timestamp_seconds", "gauge", ("pipeline",),
        "When a batch last had found its end in every sink (seconds since 1970).",
    ),
    Metric(
        "newest_document_timestamp_seconds", "gauge", ("pipeline",),
        "The newest `@timestamp` of that batch (seconds since 1970).",
    ),
    Metric("build_info", "gauge", ("version", "python"), "Always 1."),
)  # fmt: skip
"""Every metric; the README's table is made from it."""


@dataclass(slots=True)
class Settlements:
    """What is known of batches that have ended; registered as an observer.

    Attributes:
        seconds: How long sinks took.
        last: For each pipeline, when its last batch ended and the newest time in it.
    """

    seconds: Histogram
    last: dict[str, tuple[float, float]] = field(default_factory=dict)

    @hookimpl
    def batch_settled(self, settlement: Settlement) -> None:
        """Note one batch."""
        for sink, seconds in settlement.sink_seconds.items():
            self.seconds.labels(settlement.pipeline, sink).observe(seconds)
        self.last[settlement.pipeline] = (time.time(), settlement.newest_ns / 1e9)


class RunCollector(Collector):
    """Reads everything that is counted elsewhere, when somebody asks."""

    def __init__(self, watch: Watch, settlements: Settlements) -> None:
        """Look at *watch*."""
        self._watch = watch
        self._settlements = settlements

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """Return all families with the values of this moment."""
        families = {
            metric.name: metric.family() for metric in METRICS if metric.kind != "histogram"
        }
        for name, labels, value in self._values():
            families[name].add_metric(labels, value)
        return families.values()

    def _values(self) -> Iterator[tuple[str, tuple[str, ...], float]]:
        healthy = not self._watch.failures
        yield "build_info", (version("cloudfront-ecs"), platform.python_version()), 1.0
        for pipeline in self._watch.pipelines:
            name = pipeline.parts.name
            yield from _counted(pipeline)
            failing = pipeline.health().keys()
            healthy = healthy and not failing
            for sink in pipeline.parts.sinks:
                yield "sink_up", (name, sink), float(sink_part(sink) not in failing)
            for store, part in _STORES.items():
                yield "store_up", (name, store), float(part not in failing)
            source = self._watch.sources[name]
            yield "source_up", (source,), float(failing.isdisjoint((SOURCE, PAYLOADS)))
            if isinstance(pipeline.parts.source, Lagging):
                for partition, seconds in _bounded(pipeline.parts.source.lag(), max).items():
                    yield "source_lag_seconds", (source, partition), seconds
            if isinstance(pipeline.parts.source, Missing):
                yield "source_gaps_total", (source,), pipeline.parts.source.missed()
            if isinstance(pipeline.parts.source, Skipping):
                for reason, count in pipeline.parts.source.skipped_by_reason().items():
                    yield "source_skipped_total", (source, reason), count
            if name in self._settlements.last:
                ended, newest = self._settlements.last[name]
                yield "last_settled_timestamp_seconds", (name,), ended
                yield "newest_document_timestamp_seconds", (name,), newest
        yield "healthy", (), float(healthy)


def _counted(pipeline: Pipeline) -> Iterator[tuple[str, tuple[str, ...], float]]:
    """Yield what the books say, so that it adds up for every sink."""
    name = pipeline.parts.name
    books = pipeline.accounts.snapshot()
    yield "records_read_total", (name,), books.read
    yield "records_filtered_total", (name,), books.filtered
    for reason, count in _bounded(books.reasons, sum).items():
        yield "dead_letters_total", (name, reason), count
    for sink, ended in books.sinks.items():
        outcomes = {
            "stored": ended["stored"],
            "duplicate": ended["duplicate"],
            "acked": ended["acked"],
            "dead_lettered": ended["dead_lettered"] + books.dead_lettered,
            "filtered": books.filtered,
            "retried": pipeline.accounts.retried[sink],
        }
        for outcome, count in outcomes.items():
            yield "documents_written_total", (name, sink, outcome), count
        yield "in_flight_documents", (name, sink), books.in_flight[sink]


def _bounded(
    values: Mapping[str, float], joined: Callable[[Iterable[float]], float]
) -> dict[str, float]:
    """Return at most ``MOST_SERIES`` values by label, and one for the rest of them."""
    if len(values) <= MOST_SERIES:
        return dict(values)
    items = list(values.items())
    kept = dict(items[:MOST_SERIES])
    return kept | {REST: joined(value for _, value in items[MOST_SERIES:])}


class Metrics:
    """All metrics of one run, in a registry of their own.

    Attributes:
        settlements: To be registered as an observer of the pipelines.
    """

    def __init__(self) -> None:
        """Begin without pipelines."""
        self.registry = CollectorRegistry()
        ProcessCollector(namespace=PREFIX.rstrip("_"), registry=self.registry)
        seconds = Histogram(
            PREFIX + BATCH_SECONDS.name,
            BATCH_SECONDS.meaning,
            BATCH_SECONDS.labels,
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.settlements = Settlements(seconds)

    def watch(self, watch: Watch) -> None:
        """Tell of the pipelines in *watch* from now on."""
        self.registry.register(RunCollector(watch, self.settlements))
        for pipeline in watch.pipelines:  # a series that begins at 0 shows its first increase
            for sink in pipeline.parts.sinks:
                self.settlements.seconds.labels(pipeline.parts.name, sink)

    def page(self, headers: Message) -> Answer:
        """Return all metrics in the format that the client wants."""
        encode, content_type = choose_encoder(headers.get("Accept", ""))
        return Answer(HTTPStatus.OK, content_type, encode(self.registry))
