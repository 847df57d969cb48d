from __future__ import annotations

from collections import Counter

import pytest

from cloudfront_ecs.backfill.crew import sum_of
from cloudfront_ecs.batches import RunSummary
from cloudfront_ecs.cli.progress import told, told_seconds
from cloudfront_ecs.progress import Progress, added_up


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (3725, "1 h 2 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_span_of_time_is_told_in_two_units(seconds: float, words: str) -> None:
    assert told_seconds(seconds) == words


def test_the_rest_is_estimated_from_what_this_run_has_read() -> None:
    done = Progress(60, 6_000_000, 100, 10_000_000, before=20, bytes_before=2_000_000, counted=True)

    assert done.seconds_left(10.0) == 10.0
    assert told(done, 5000, 10.0) == (
        "60 of 100 objects, 6.0 of 10.0 MB, 500 records/s, about 10 s left"
    )


def test_nothing_is_estimated_before_all_is_counted_or_anything_read() -> None:
    assert Progress(1, 1, 2, 2).seconds_left(1.0) is None
    assert Progress(1, 1, 2, 2, before=1, bytes_before=1, counted=True).seconds_left(1.0) is None
    assert "of 2 or more objects" in told(Progress(1, 1, 2, 2), 0, 1.0)


def test_progress_of_several_is_counted_when_all_are() -> None:
    one, other = Progress(1, 10, 2, 20, counted=True), Progress(3, 30, 4, 40)

    assert added_up([one, other]) == Progress(4, 40, 6, 60)
    assert added_up([one, one]).counted
    assert not added_up([]).counted


def test_books_of_several_runs_add_up() -> None:
    def books(read: int, stored: int, seconds: float) -> RunSummary:
        summary = RunSummary("main", read, 2, 1, 1, seconds=seconds)
        summary.sinks["out"] = Counter(stored=stored)
        summary.in_flight["out"] = read - stored - 2
        summary.reasons["columns"] = 1
        return summary

    total = sum_of("main", [books(10, 8, 1.0), books(20, 15, 3.0)])

    assert (total.read, total.skipped, total.dead_lettered, total.filtered) == (30, 4, 2, 2)
    assert (total.sinks["out"]["stored"], total.in_flight["out"], total.seconds) == (23, 3, 3.0)
    assert total.reasons == {"columns": 2}
    assert total.imbalance("out") == 0
