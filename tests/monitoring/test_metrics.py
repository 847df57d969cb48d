from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from email.message import Message
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs import Rejection, Settlement, WriteResult
from cloudfront_ecs.config import BatchOptions
from cloudfront_ecs.errors import SinkUnavailableError, SourceError
from cloudfront_ecs.monitoring.metrics import METRICS, MOST_SERIES, PREFIX, Metrics
from cloudfront_ecs.monitoring.watch import Watch
from monitoring.scrapes import scrape
from pipeline_parts import ListSource, World, lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cloudfront_ecs import Document, Payload
    from cloudfront_ecs.pipeline import Pipeline

RECORDS = 40
PAYLOADS = 100


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> World:
    return World(tmp_path)


def watched(*pipelines: Pipeline) -> Metrics:
    """Return metrics that look at pipelines."""
    metrics = Metrics()
    for pipeline in pipelines:
        pipeline.parts.plugins.watch(metrics.settlements, "metrics")
    metrics.watch(Watch(pipelines, {pipeline.parts.name: "edge" for pipeline in pipelines}))
    return metrics


class EverySecond:
    """Drops every second document."""

    def apply(self, documents: list[Document]) -> list[Document]:
        return documents[::2]


def moody(documents: Sequence[Document]) -> WriteResult:
    """Reject, retry, store and know already, each some."""
    if len(documents) < 3:
        return WriteResult(stored=len(documents))
    rejected, again, *rest = documents
    return WriteResult(
        stored=len(rest) - 1,
        duplicates=1,
        retry=(again,),
        rejected=(Rejection(rejected, "400 mapper"),),
    )


def unavailable(_: Sequence[Document]) -> WriteResult:
    raise SinkUnavailableError("connection reset")


def test_the_books_balance_for_every_sink_at_every_scrape_of_a_run(world: World) -> None:
    payload = [lines(RECORDS), b"two\tcolumns\n"]
    source = world.source(*[payload] * PAYLOADS, while_read=lambda: time.sleep(0.0005))
    moods = world.sink("moody", answers=deque([moody] * 8))
    acking = world.sink("acking", always=lambda each: WriteResult(acked=len(each)))
    pipeline = world.pipeline(
        source, {"moody": moods, "acking": acking}, transforms=[EverySecond()]
    )
    metrics = watched(pipeline)
    running = threading.Thread(target=pipeline.run)
    found = [scrape(metrics)]

    running.start()
    while running.is_alive():
        found.append(scrape(metrics))
    running.join()
    found.append(scrape(metrics))

    assert [each.imbalance("test", sink) for each in found for sink in ("moody", "acking")] == (
        [0.0] * 2 * len(found)
    )
    assert sum(bool(each.get("in_flight_documents", pipeline="test", sink="moody"))
               for each in found) > 5  # fmt: skip
    assert found[-1].get("records_read_total", pipeline="test") == (RECORDS + 1) * PAYLOADS
    ends = found[-1].ends("test", "moody")
    assert all(ends[outcome] for outcome in ("stored", "duplicate", "dead_lettered", "filtered"))
    assert found[-1].ends("test", "acking") == {
        "stored": 0,
        "duplicate": 0,
        "acked": RECORDS // 2 * PAYLOADS,
        "dead_lettered": PAYLOADS,
        "filtered": RECORDS // 2 * PAYLOADS,
    }


def test_counters_never_fall(world: World) -> None:
    source = world.source(*[[lines(RECORDS)]] * 30)
    pipeline = world.pipeline(source, {"memory": world.sink()})
    metrics = watched(pipeline)
    running = threading.Thread(target=pipeline.run)
    before = scrape(metrics)

    running.start()
    while running.is_alive():
        now = scrape(metrics)
        for (name, labels), value in before.samples.items():
            if name.endswith("_total"):
                assert now.samples[name, labels] >= value, name
        before = now


def test_dead_letters_are_told_by_reason(world: World) -> None:
    source = world.source([lines(3), b"two\tcolumns\n"])
    reject = deque([lambda each: WriteResult(rejected=tuple(Rejection(d, "400") for d in each))])
    pipeline = world.pipeline(source, {"memory": world.sink(answers=reject)})
    metrics = watched(pipeline)

    pipeline.run()

    found = scrape(metrics)
    reasons = {
        labels["reason"]: found.get("dead_letters_total", **labels)
        for labels in found.labels("dead_letters_total")
    }
    assert sum(count or 0 for count in reasons.values()) == 4
    assert reasons.pop("rejected") == 3
    assert found.ends("test", "memory")["dead_lettered"] == 4


def test_documents_offered_again_are_counted_beside_the_ends(world: World) -> None:
    source = world.source([lines(5)])
    sink = world.sink(answers=deque([unavailable, unavailable]))
    pipeline = world.pipeline(source, {"memory": sink}, batch=BatchOptions(documents=5))
    metrics = watched(pipeline)

    pipeline.run()

    found = scrape(metrics)
    again = {"pipeline": "test", "sink": "memory", "outcome": "retried"}
    assert found.get("documents_written_total", **again) == 10
    assert found.ends("test", "memory")["stored"] == 5


def test_each_batch_is_timed_for_each_sink(world: World) -> None:
    def slow(documents: Sequence[Document]) -> WriteResult:
        time.sleep(0.2)
        return WriteResult(stored=len(documents))

    source = world.source([lines(10)], [lines(10)])
    pipeline = world.pipeline(source, {"slow": world.sink(always=slow), "fast": world.sink()})
    metrics = watched(pipeline)

    pipeline.run()

    found = scrape(metrics)
    sums = {}
    for sink in ("slow", "fast"):
        assert found.get("batch_seconds_count", pipeline="test", sink=sink) == 2
        sums[sink] = found.get("batch_seconds_sum", pipeline="test", sink=sink) or 0
    assert sums["slow"] >= 0.4 > sums["fast"]


def test_a_sink_is_down_while_it_refuses_and_only_then(world: World) -> None:
    gate = threading.Event()

    def until_open(documents: Sequence[Document]) -> WriteResult:
        if not gate.is_set():
            raise SinkUnavailableError("connection refused")
        return WriteResult(stored=len(documents))

    source = world.source([lines(3)])
    sinks = {"search": world.sink(always=until_open), "other": world.sink()}
    pipeline = world.pipeline(source, sinks)
    metrics = watched(pipeline)
    running = threading.Thread(target=pipeline.run)
    before = scrape(metrics)

    running.start()
    deadline = time.monotonic() + 10
    while (down := scrape(metrics)).get("sink_up", pipeline="test", sink="search"):
        assert time.monotonic() < deadline
    gate.set()
    running.join()
    after = scrape(metrics)

    up = [
        [each.get("sink_up", pipeline="test", sink=sink) for each in (before, down, after)]
        for sink in sinks
    ]
    assert up == [[1, 0, 1], [1, 1, 1]]
    assert [each.get("healthy") for each in (before, down, after)] == [1, 0, 1]


def test_the_last_settlement_and_its_newest_document_are_told(world: World) -> None:
    pipeline = world.pipeline(world.source([lines(3)]), {"memory": world.sink()})
    metrics = watched(pipeline)
    began = time.time()
    assert scrape(metrics).get("last_settled_timestamp_seconds", pipeline="test") is None

    pipeline.run()

    found = scrape(metrics)
    ended = found.get("last_settled_timestamp_seconds", pipeline="test") or 0
    assert began <= ended <= time.time()
    newest = found.get("newest_document_timestamp_seconds", pipeline="test")
    assert newest == pytest.approx(1_768_460_402.123)


@dataclass(slots=True)
class Shards(ListSource):
    """A source that can tell how far behind it is, and what it passes over."""

    behind: dict[str, float] = field(default_factory=dict)

    def lag(self) -> Mapping[str, float]:
        return self.behind

    def missed(self) -> int:
        return 2

    def skipped_by_reason(self) -> Mapping[str, int]:
        return {"no_event": 3}


def test_the_lag_of_each_partition_is_told(world: World) -> None:
    source = Shards([], behind={"shard-1": 0.0, "shard-2": 12.5})
    metrics = watched(world.pipeline(source, {"memory": world.sink()}))

    found = scrape(metrics)

    assert found.get("source_lag_seconds", source="edge", partition="shard-1") == 0
    assert found.get("source_lag_seconds", source="edge", partition="shard-2") == 12.5


def test_a_source_that_cannot_tell_its_lag_has_no_series(world: World) -> None:
    metrics = watched(world.pipeline(world.source(), {"memory": world.sink()}))

    assert list(scrape(metrics).labels("source_lag_seconds")) == []


def test_what_a_source_passes_over_is_told(world: World) -> None:
    metrics = watched(world.pipeline(Shards([]), {"memory": world.sink()}))

    found = scrape(metrics)

    assert found.get("source_skipped_total", source="edge", reason="no_event") == 3


def test_what_left_the_source_unread_is_counted(world: World) -> None:
    metrics = watched(world.pipeline(Shards([]), {"memory": world.sink()}))

    assert scrape(metrics).get("source_gaps_total", source="edge") == 2


def test_partitions_beyond_a_bound_share_one_series(world: World) -> None:
    behind = {f"shard-{number}": float(number) for number in range(MOST_SERIES + 500)}
    metrics = watched(world.pipeline(Shards([], behind=behind), {"memory": world.sink()}))

    found = scrape(metrics)

    assert len(list(found.labels("source_lag_seconds"))) == MOST_SERIES + 1
    assert found.get("source_lag_seconds", source="edge", partition="other") == MOST_SERIES + 499


def test_every_series_belongs_to_a_metric_of_the_table_and_has_its_labels(world: World) -> None:
    source = Shards([[lines(3), b"two\tcolumns\n"]], behind={"shard-1": 1.0})
    pipeline = world.pipeline(source, {"memory": world.sink()})
    metrics = watched(pipeline)
    pipeline.run()

    text = metrics.page(Message()).body.decode()

    families = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    created = {name for name in families if name.endswith("_created")}
    own = {name for name in families - created if not name.startswith(f"{PREFIX}process_")}
    assert own == {PREFIX + metric.name for metric in METRICS}
    found = scrape(metrics)
    for metric in METRICS:
        name = f"{metric.name}_count" if metric.kind == "histogram" else metric.name
        series = list(found.labels(name))
        assert series, metric.name
        assert all(labels.keys() == set(metric.labels) for labels in series)


def test_nothing_of_a_log_line_is_told(world: World) -> None:
    source = world.source([lines(3), b"198.51.100.99\tcanary\n", b"canary-2\n"])
    pipeline = world.pipeline(source, {"memory": world.sink()})
    metrics = watched(pipeline)

    pipeline.run()

    text = metrics.page(Message()).body.decode()
    assert "203.0.113.7" not in text
    assert "198.51.100.99" not in text
    assert "canary" not in text


def test_two_runs_in_one_process_do_not_know_of_each_other(world: World, tmp_path: Path) -> None:
    first = world.pipeline(world.source([lines(3)]), {"memory": world.sink()})
    other = World(tmp_path / "other")
    second = other.pipeline(other.source([lines(5)]), {"memory": other.sink()})
    metrics = [watched(first), watched(second)]

    first.run()
    second.run()

    assert [scrape(each).get("records_read_total", pipeline="test") for each in metrics] == [3, 5]


def test_a_client_that_wants_openmetrics_gets_it(world: World) -> None:
    metrics = watched(world.pipeline(world.source(), {"memory": world.sink()}))
    headers = Message()
    headers["Accept"] = "application/openmetrics-text; version=1.0.0"

    answer = metrics.page(headers)

    assert answer.content_type.startswith("application/openmetrics-text")
    assert answer.body.endswith(b"# EOF\n")


def test_an_old_plugin_that_tells_no_times_for_sinks_is_no_problem() -> None:
    metrics = Metrics()

    metrics.settlements.batch_settled(Settlement("main", 1, 0.1, {"memory": {"stored": 1}}))

    assert metrics.settlements.last["main"]


def test_a_source_that_cannot_be_asked_is_down_until_it_can(world: World) -> None:
    gate = threading.Event()

    @dataclass(slots=True)
    class Away(ListSource):
        def poll(self, timeout: float) -> Payload | None:
            if not gate.is_set():
                raise SourceError("https://queue.example.com: connection refused")
            return ListSource.poll(self, timeout)

    pipeline = world.pipeline(Away([[lines(3)]]), {"memory": world.sink()})
    metrics = watched(pipeline)
    running = threading.Thread(target=pipeline.run)

    running.start()
    deadline = time.monotonic() + 10
    while (down := scrape(metrics)).get("source_up", source="edge"):
        assert time.monotonic() < deadline
    gate.set()
    running.join()
    after = scrape(metrics)

    assert (down.get("healthy"), down.get("sink_up", pipeline="test", sink="memory")) == (0, 1)
    assert (after.get("healthy"), after.get("source_up", source="edge")) == (1, 1)


def test_a_store_for_dead_letters_that_is_full_is_down_until_it_is_not(world: World) -> None:
    world.letters.failures = 3
    pipeline = world.pipeline(world.source([b"two\tcolumns\n"]), {"memory": world.sink()})
    metrics = watched(pipeline)
    running = threading.Thread(target=pipeline.run)

    running.start()
    deadline = time.monotonic() + 10
    while (down := scrape(metrics)).get("store_up", pipeline="test", store="dead_letters"):
        assert time.monotonic() < deadline
    running.join()
    after = scrape(metrics)

    assert down.get("healthy") == 0
    assert down.get("store_up", pipeline="test", store="checkpoints") == 1
    assert after.get("store_up", pipeline="test", store="dead_letters") == 1
