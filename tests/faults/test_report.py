"""What is told of a run is what was found, and arrivals are counted as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults.arrivals import Arrivals
from faults.judge import FRESH, MEMORY, Verdict, judge_emptiness
from faults.report import Kill, Report, routes_table, table

if TYPE_CHECKING:
    from pathlib import Path


def test_a_route_is_told_by_what_was_lost_wrong_and_repeated_on_it() -> None:
    verdict = Verdict(repeated=30)
    verdict.miss("P1", (f"line {number} is missing" for number in range(50)))
    verdict.miss("P2", ["document 7 has another event.original than was put"])
    kills = [Kill("sent", 1.0, wrote=True, unfinished=True)] * 10

    told = routes_table([Report("S3+SQS", {}, verdict, kills)])

    assert told.splitlines()[-1].split() == ["S3+SQS", "10", "50", "1", "0", "30", "3"]
    assert len(verdict.misses) == 22  # 20 of the lines in full, how many more, and the document


def test_only_random_kills_of_a_process_at_work_count_as_hits() -> None:
    kills = [
        Kill("work", 1.0, wrote=True, unfinished=True, resumed=0.5),
        Kill("work", 1.0, wrote=True, unfinished=False),
        Kill("early", 1.0, wrote=False, unfinished=True),
        Kill("sent", 1.0, wrote=True, unfinished=True),
    ]

    report = Report("Kinesis", {"inflating": "CloudFront compresses no record"}, kills=kills)

    assert (report.random, report.hits, report.reached) == (3, 1, {"sent": 1})
    assert "inflating (CloudFront compresses no record)" in report.figures()
    assert "0.50 s after a start, at worst 0.50 s" in report.figures()


def test_a_long_cell_is_wrapped_and_columns_stay_in_line() -> None:
    told = table(("fault", "made"), [("F1", "a b c d e f"), ("F2", "")], most=5)

    assert told == "fault  made\n-----  -----\nF1     a b c\n       d e f\nF2"


def test_another_run_that_finds_something_is_a_miss() -> None:
    verdict = Verdict()

    judge_emptiness(verdict, "  search: 0 read = 0\n  receiver: 0 read = 0\n")
    none = list(verdict.misses)
    judge_emptiness(verdict, "  search: 3 read = 3 already there\n")

    assert none == []
    assert verdict.misses == ["P4: another run reads 3 records"]
    assert (FRESH, MEMORY) == (30.0, 200)


def test_arrivals_are_counted_once_their_line_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "entries"
    path.write_bytes(b'["before"]\n')
    arrivals = Arrivals(path)
    seen = []

    for piece in (b'["SERIAL-000000001-ab"]\n["SERIAL-0000', b'00002-cd"]\n', b"", b'["SERIAL-'):
        with path.open("ab") as file:
            file.write(piece)
        seen.append((arrivals.look(), arrivals.count, sorted(arrivals.serials)))

    assert seen == [(True, 1, [1]), (True, 2, [1, 2]), (False, 2, [1, 2]), (True, 2, [1, 2])]
