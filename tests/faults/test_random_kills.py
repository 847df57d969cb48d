"""The program is killed twenty times at random, and nothing is lost or visible twice."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from faults.patient import start_patient_kinesalite
from faults.routes import ObjectRoute, RecordRoute
from faults.runner import Plan, Torment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faults.runner import Report
    from servers.aws import MotoServer
    from servers.forward import ForwardServer
    from servers.kinesis import KinesisServer
    from servers.packages import PackageCache
    from servers.search_node import SearchNode

    Start = Callable[..., ForwardServer]

pytestmark = pytest.mark.integration

PLAN = Plan(kills=20, seed=2026)


@pytest.fixture(name="patient")
def _patient(
    kinesalite: KinesisServer,  # noqa: ARG001 - skips the test where there is none
    package_cache: PackageCache,
    tmp_path: Path,
) -> Iterator[KinesisServer]:
    """Run a kinesalite that outlives killed clients."""
    with closing(start_patient_kinesalite(package_cache, tmp_path)) as server:
        yield server


def test_nothing_from_s3_is_lost_or_visible_twice_over_twenty_kills(
    aws: MotoServer,
    opensearch: SearchNode,
    forward_server: Start,
    unique: Callable[[str], str],
    tmp_path: Path,
) -> None:
    route = ObjectRoute(aws, unique("faults"), PLAN.seed)

    report = Torment(route, tmp_path / "run", opensearch, forward_server(), PLAN).run()

    assert_held(report)


def test_nothing_from_kinesis_is_lost_or_visible_twice_over_twenty_kills(
    patient: KinesisServer,
    opensearch: SearchNode,
    forward_server: Start,
    unique: Callable[[str], str],
    tmp_path: Path,
) -> None:
    route = RecordRoute(patient, unique("faults"), PLAN.seed)

    report = Torment(route, tmp_path / "run", opensearch, forward_server(), PLAN).run()

    assert_held(report)


def assert_held(report: Report) -> None:
    """Print all figures; nothing is missing, wrong or twice, and the kills were worth it."""
    print(report.table())
    assert report.verdict.misses == []
    assert len(report.kills) == PLAN.kills
    assert report.hits >= 15
