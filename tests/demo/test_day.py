from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs.demo.columns import STANDARD_COLUMNS
from cloudfront_ecs.demo.day import Broken, Day, write_day

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return write_day(tmp_path_factory.mktemp("day"), seed=5, requests=6000, realtime=1000)


def broken(day: Day, what: str) -> Broken:
    return next(one for one in day.broken if one.what == what)


def readable(day: Day) -> list[Path]:
    lost = {one.path for one in day.broken if one.what in {"truncated", "noise"}}
    return [path for path in day.standard if path not in lost]


def rows(path: Path) -> list[bytes]:
    return gzip.decompress(path.read_bytes()).split(b"\n")[2:-1]


def test_the_same_seed_writes_the_same_files(tmp_path: Path) -> None:
    first, second = (
        write_day(tmp_path / name, seed=5, requests=900, realtime=200) for name in ("a", "b")
    )

    for one, other in zip(
        first.standard + first.realtime, second.standard + second.realtime, strict=True
    ):
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes()


def test_files_are_named_as_cloudfront_names_them(day: Day) -> None:
    name = re.compile(r"EDFDVBD6EXAMPLE\.2026-01-15-\d\d\.[0-9a-f]{8}\.gz")

    assert all(name.fullmatch(path.name) for path in day.standard)
    assert len({path.name for path in day.standard}) == len(day.standard) >= 48
    assert {path.parent.name for path in day.standard} == {"cdn"}


def test_no_request_is_missing_from_the_standard_logs(day: Day) -> None:
    told = sum(len(rows(path)) for path in readable(day))

    assert told + broken(day, "truncated").lines == day.requests == 6000


def test_rows_stand_in_the_file_of_their_hour_but_not_in_order(day: Day) -> None:
    ordered = 0
    for path in readable(day):
        times = [row[:19].replace(b"\t", b"-") for row in rows(path)]
        hour = path.name.split(".")[1].encode()
        assert all(time.startswith(hour) for time in times)
        ordered += times == sorted(times)
    assert ordered < len(day.standard) / 4


def test_some_files_have_several_members(day: Day) -> None:
    assert any(path.read_bytes().count(b"\x1f\x8b\x08\x00") > 1 for path in readable(day))


def test_real_time_records_tell_a_sample_of_the_same_requests(day: Day) -> None:
    lines = [line for path in day.realtime for line in path.read_bytes().split(b"\n")[:-1]]
    place = day.columns.index("x-edge-request-id")
    told = {row.split(b"\t")[14] for path in readable(day) for row in rows(path)}
    sampled = {line.split(b"\t")[place] for line in lines}

    assert len(lines) == len(sampled) == day.realtime_requests == 1000
    assert len(sampled & told) > 900
    widths = sorted(line.count(b"\t") + 1 for line in lines)
    assert widths[0] == len(day.columns) - 1
    assert set(widths[1:]) == {len(day.columns)}


def test_the_truncated_file_breaks_off(day: Day) -> None:
    with pytest.raises(EOFError):
        gzip.decompress(broken(day, "truncated").path.read_bytes())


def test_the_noise_is_no_gzip(day: Day) -> None:
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(broken(day, "noise").path.read_bytes())


def test_broken_lines_are_where_the_day_says(day: Day) -> None:
    short = [row for row in rows(broken(day, "missing_column").path) if row.count(b"\t") == 31]
    strange = [row for row in rows(broken(day, "not_utf8").path) if not row.isascii()]
    size = STANDARD_COLUMNS.index("sc-bytes")
    numbers = [row.split(b"\t")[size] for row in rows(broken(day, "bad_number").path)]

    assert len(short) == broken(day, "missing_column").lines == 3
    assert len(strange) == 1
    assert [number for number in numbers if not number.isdigit()] == [b"12O4"]
