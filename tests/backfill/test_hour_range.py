from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudfront_ecs.backfill.hour_range import HourRange, RangeCourse, hour_of, told_hour
from cloudfront_ecs.sources.s3.courses import Scope
from cloudfront_ecs.sources.s3.survey import Pages
from sources.scripted_bucket import ScriptedBucket

DAY = hour_of("2026-01-15")
ONE, OTHER = "E1EXAMPLE00001", "E2EXAMPLE00002"


def stamp(hour: int, shape: str) -> str:
    return datetime.fromtimestamp(hour * 3600, UTC).strftime(shape)


def flat(who: str, hour: int, number: int) -> str:
    return f"cdn/{who}.{stamp(hour, '%Y-%m-%d-%H')}.{number:08x}.gz"


def hive(who: str, hour: int, number: int) -> str:
    folders = stamp(hour, "year=%Y/month=%m/day=%d/hour=%H")
    return f"hive/DistributionId={who}/{folders}/{who}.{stamp(hour, '%Y-%m-%d-%H')}.{number:x}.gz"


def dates_first(who: str, hour: int, number: int) -> str:
    return f"v2/{stamp(hour, '%Y/%m/%d/%H')}/{who}.{stamp(hour, '%Y-%m-%d-%H')}.{number:x}.gz"


def days(who: str, hour: int, number: int) -> str:
    return f"days/{who}/{stamp(hour, '%Y/%m/%d')}/{number:x}.parquet"


NAMINGS = (flat, hive, dates_first, days)


def found(bucket: ScriptedBucket, course: RangeCourse) -> set[str]:
    pages = Pages(bucket, Scope("logs")).along(course)
    return {stored.key for page in pages for stored in page}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-01-15T07", "2026-01-15T07"),
        ("2026-01-15 07", "2026-01-15T07"),
        ("2026-01-15T07:00Z", "2026-01-15T07"),
        ("2026-01-15", "2026-01-15T00"),
        ("2026-02", "2026-02-01T00"),
    ],
)
def test_an_hour_may_be_told_in_these_ways(text: str, told: str) -> None:
    assert told_hour(hour_of(text)) == told


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-01-15T24", "2026-01-15T07:30", "x"])
def test_anything_else_is_no_hour(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        hour_of(text)


@given(
    st.sets(
        st.tuples(
            st.sampled_from(NAMINGS),
            st.sampled_from((ONE, OTHER)),
            st.integers(DAY - 60, DAY + 60),
            st.integers(0, 3),
        ),
        max_size=60,
    ),
    st.integers(-50, 50),
    st.integers(1, 40),
    st.sampled_from(((), (ONE,), (ONE, OTHER))),
    st.integers(1, 4),
)
def test_shares_together_are_the_range_and_each_object_is_in_one(
    objects: set[tuple[object, str, int, int]],
    begin: int,
    length: int,
    distributions: tuple[str, ...],
    shares: int,
) -> None:
    bucket = ScriptedBucket(page=1)
    bucket.put("cdn/readme.txt", b"x")
    hours = HourRange(DAY + begin, DAY + begin + length, distributions)
    wanted = set()
    for naming, who, hour, number in objects:
        key = naming(who, hour, number)  # type: ignore[operator]  # one of NAMINGS
        bucket.put(key, b"x")
        first = hour - hour % 24 if naming is days else hour
        last = first + 24 if naming is days else hour + 1
        inside = first < hours.end and last > hours.begin
        if inside and (not distributions or who in distributions):
            wanted.add(key)

    parts = [found(bucket, RangeCourse(hours, share, shares)) for share in range(shares)]

    assert set().union(*parts) == wanted
    assert sum(map(len, parts)) == len(wanted)


def test_a_range_costs_requests_for_itself_and_two_for_each_distribution() -> None:
    bucket = ScriptedBucket(page=10)
    for hour in range(-500, 500):
        for who in (ONE, OTHER):
            bucket.put(flat(who, DAY + hour, 0), b"x")

    keys = found(bucket, RangeCourse(HourRange(DAY, DAY + 24, (OTHER,))))

    assert keys == {flat(OTHER, DAY + hour, 0) for hour in range(24)}
    assert len(bucket.requests) <= 2 + 2 + 3
