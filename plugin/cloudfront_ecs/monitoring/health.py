"""Whether everything works, as ``/healthz`` tells: what is wrong, where, and since when."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from cloudfront_ecs.delivery.health import SOURCE
from cloudfront_ecs.monitoring.endpoint import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs.monitoring.watch import Watch


@dataclass(frozen=True, slots=True)
class Trouble:
    """A part of a pipeline that does not work.

    Attributes:
        pipeline: The pipeline's name.
        component: The part: ``sink search``, ``source edge``, ``dead letters``, …
        problem: What it said last.
        since: When it began, RFC 3339 in UTC; None where that is not known.
    """

    pipeline: str
    component: str
    problem: str
    since: str | None = None


def troubles(watch: Watch) -> Iterator[Trouble]:
    """Yield everything that does not work now."""
    for pipeline in watch.pipelines:
        name = pipeline.parts.name
        if name in watch.failures:
            error = watch.failures[name]
            yield Trouble(name, "pipeline", str(error) or type(error).__name__)
        for part, problem in pipeline.health().items():
            component = f"{part} {watch.sources[name]}" if part == SOURCE else part
            yield Trouble(name, component, problem.text, rfc3339(problem.lasted()))


def health_page(watch: Watch) -> Answer:
    """Return 200 while all is well, else 503 and what is wrong."""
    found = [asdict(trouble) for trouble in troubles(watch)]
    status = HTTPStatus.SERVICE_UNAVAILABLE if found else HTTPStatus.OK
    told = {
        "status": "failing" if found else "ok",
        "pipelines": [pipeline.parts.name for pipeline in watch.pipelines],
        "problems": found,
    }
    return Answer(status, "application/json", json.dumps(told).encode() + b"\n")


def rfc3339(seconds_ago: float) -> str:
    """Return the moment so many seconds ago."""
    moment = datetime.fromtimestamp(time.time() - seconds_ago, UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
