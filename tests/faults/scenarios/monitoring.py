"""Health and metrics name what is away, for as long as it is, and nothing else."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.demo.day import DAY_COLUMNS
from faults.catalogue import fault
from faults.relay import Relay
from integration.cloud import Bucket, Stream, config, realtime_lines, standard_lines
from integration.commands import eventually, start
from monitoring.served import ask, components, scraped, with_metrics
from servers.process import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faults.lab import Lab
    from monitoring.scrapes import Scrape
    from servers.aws import AwsServer

SINK, SOURCE = "sink forward", "source logs"
LINES = 200
LONGEST = 30.0
"""Seconds within which health has to follow (P6)."""


class Watched:
    """A worker that reads from a service and writes to a receiver, and its endpoint."""

    def __init__(
        self, lab: Lab, source: dict[str, str], decoder: Any, put: Callable[[int], object]
    ) -> None:
        self._put = put
        self._seed = 0
        self.receiver = lab.forward_server()
        self.port = free_port()
        self.issued = 0
        servers = [f"127.0.0.1:{self.receiver.port}"]
        self.config: Path = with_metrics(
            config(
                lab.folder,
                sources={"logs": source},
                sinks={"forward": {"kind": "fluentd", "servers": servers}},
                pipelines={"main": {"source": "logs", "decoder": decoder, "sinks": ["forward"]}},
            ),
            self.port,
        )

    def issue(self) -> None:
        """Give the service new lines."""
        self._seed += 1
        self._put(self._seed)
        self.issued += LINES

    def ended(self) -> float:
        """Return how many documents the receiver has acknowledged; all books must balance."""
        found = scraped(self.port)
        difference = found.imbalance("main", "forward")
        assert difference == 0, f"{difference:g} records are unaccounted for in a scrape"
        return found.ends("main", "forward")["acked"]

    def named(self, expected: list[str]) -> float:
        """Wait until health names exactly *expected*; return after how many seconds."""
        began = time.monotonic()
        before = components(self.port)
        while (seen := components(self.port)) != expected:
            took = time.monotonic() - began
            assert took < LONGEST, f"health names {seen} and not {expected} after {took:.0f} s"
            assert seen == before, f"health named {before}, then {seen}"
            time.sleep(0.05)
        return time.monotonic() - began

    def lasts(self, expected: list[str], seconds: float) -> None:
        """See that health goes on naming exactly *expected*."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            seen = components(self.port)
            assert seen == expected, f"health names {seen}, {expected} is away"
            time.sleep(0.1)


def of_queue(lab: Lab, relay: Relay) -> Watched:
    """Return a worker for a queue that tells of objects."""
    bucket = Bucket(lab.moto, lab.unique)
    url = bucket.queue_url.replace(f":{lab.moto.port}/", f":{relay.port}/")
    source = {"kind": "aws_s3", "queue_url": url}
    return Watched(lab, source, "auto", lambda seed: bucket.put_log(standard_lines(LINES, seed)))


def of_stream(lab: Lab) -> Watched:
    """Return a worker for a stream of two shards."""
    stream = Stream(lab.kinesalite, lab.unique, shards=2)
    source = {"kind": "aws_kinesis", "stream": stream.name, "start": "trim_horizon"}
    decoder = {"kind": "realtime", "fields": list(DAY_COLUMNS)}
    return Watched(lab, source, decoder, lambda seed: stream.put(realtime_lines(LINES, seed)))


@contextmanager
def running(watched: Watched, server: AwsServer, relay: Relay) -> Iterator[None]:
    """Run a worker that has delivered some lines and is well; end it when all is delivered."""
    environment = {**server.environment, **relay.environment}
    worker = start("run", "--config", watched.config, env=environment)
    try:
        eventually(lambda: ask(watched.port, "/healthz")[0] == 200, LONGEST)
        watched.issue()
        eventually(lambda: watched.ended() == watched.issued, LONGEST)
        yield
        watched.issue()
        eventually(lambda: watched.ended() >= watched.issued, LONGEST)
        watched.lasts([], 0.5)
        worker.terminate()
        ended = worker.wait(LONGEST)
        assert ended.code == 0, ended.err
    finally:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.wait()


@fault(
    "P8",
    "a receiver goes away and comes back, then the service of a source",
    made="the receiver is killed with an object on its way; connections to SQS and S3 are cut",
    seen="/healthz names each while it is away and only then; every scrape balances",
)
def sink_and_source_away(lab: Lab) -> str:
    relay = Relay(lab.moto.port)
    watched = of_queue(lab, relay)
    with relay, running(watched, lab.moto, relay):
        watched.receiver.process.kill()
        watched.issue()
        times = [watched.named([SINK])]
        watched.lasts([SINK], 60 if lab.thorough else 1)
        without_sink = scraped(watched.port)
        watched.receiver.process.start()
        times.append(watched.named([]))

        relay.shut()
        times.append(watched.named([SOURCE]))
        watched.lasts([SOURCE], 60 if lab.thorough else 1)
        without_source = scraped(watched.port)
        relay.open()
        times.append(watched.named([]))

        assert ups(without_sink) == {"sink_up": 0, "source_up": 1, "healthy": 0}
        assert ups(without_source) == {"sink_up": 1, "source_up": 0, "healthy": 0}
        in_flight = without_sink.get("in_flight_documents", pipeline="main", sink="forward")
        assert in_flight == LINES, f"{in_flight} documents are in flight"
        lag = without_sink.get("source_lag_seconds", source="logs", partition="queue")
        assert lag, f"the lag of the queue is {lag} while nothing moves on"
    red, green, red_again, green_again = times
    return (
        f"sink: red after {red:.1f} s, green after {green:.1f} s; source: {red_again:.1f} s, "
        f"{green_again:.1f} s; {watched.issued} acked"
    )


def ups(found: Scrape) -> dict[str, float | None]:
    """Return what works, by the metrics."""
    return {
        "sink_up": found.get("sink_up", pipeline="main", sink="forward"),
        "source_up": found.get("source_up", source="logs"),
        "healthy": found.get("healthy"),
    }


@fault(
    "P8",
    "the service of a stream goes away and comes back",
    made="connections to Kinesis are cut and refused, then taken again",
    seen="/healthz names the source while it is away and only then, and not the sink",
)
def stream_away(lab: Lab) -> str:
    relay = Relay(lab.kinesalite.port)
    watched = of_stream(lab)
    with relay, running(watched, lab.kinesalite, relay):
        relay.shut()
        watched.issue()
        red = watched.named([SOURCE])
        watched.lasts([SOURCE], 60 if lab.thorough else 2)
        found = scraped(watched.port)
        relay.open()
        green = watched.named([])

        assert ups(found) == {"sink_up": 1, "source_up": 0, "healthy": 0}
    return f"red after {red:.1f} s, green after {green:.1f} s; {watched.issued} acked"
