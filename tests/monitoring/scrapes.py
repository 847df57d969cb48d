"""What a scrape says, as tests ask for it."""

from __future__ import annotations

from email.message import Message
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from cloudfront_ecs.monitoring.metrics import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs.monitoring.metrics import Metrics

ENDS = ("stored", "duplicate", "acked", "dead_lettered", "filtered")


class Scrape:
    """The values of one moment."""

    def __init__(self, text: str) -> None:
        self.samples = {
            (sample.name.removeprefix(PREFIX), frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def get(self, name: str, **labels: str) -> float | None:
        """Return a value, or None where there is none."""
        return self.samples.get((name, frozenset(labels.items())))

    def labels(self, name: str) -> Iterator[dict[str, str]]:
        """Yield the labels of every series of a metric."""
        return (dict(labels) for found, labels in self.samples if found == name)

    def ends(self, pipeline: str, sink: str) -> dict[str, float]:
        """Return how records ended for a sink."""
        return {
            outcome: self.samples[
                "documents_written_total",
                frozenset({"pipeline": pipeline, "sink": sink, "outcome": outcome}.items()),
            ]
            for outcome in ENDS
        }

    def imbalance(self, pipeline: str, sink: str) -> float:
        """Return how many records are unaccounted for."""
        read = self.get("records_read_total", pipeline=pipeline)
        in_flight = self.get("in_flight_documents", pipeline=pipeline, sink=sink)
        assert read is not None
        assert in_flight is not None
        return read - sum(self.ends(pipeline, sink).values()) - in_flight


def scrape(metrics: Metrics) -> Scrape:
    """Ask as Prometheus does."""
    return Scrape(metrics.page(Message()).body.decode())
