"""Passes of listing mode against a bucket in memory: what is found, when, and how cheaply."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudfront_ecs.errors import SourceError
from cloudfront_ecs.sources.s3.courses import Floors, Scope
from cloudfront_ecs.sources.s3.keys import dated
from cloudfront_ecs.sources.s3.listing import S3Listing
from cloudfront_ecs.sources.s3.objects import S3Objects
from cloudfront_ecs.sources.s3.settled import SettledObjects
from sources.scripted_bucket import ScriptedBucket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs.batches import Payload

START = int(datetime(2026, 1, 15, tzinfo=UTC).timestamp()) // 3600
BUCKET = "logs"


@dataclass(slots=True)
class Site:
    """A bucket, a clock in whole hours, and the source that watches it.

    Attributes:
        hour: Hours since 1970.
        settled: How often each (key, ETag) was settled.
        contents: How many contents were stored.
    """

    state: Path
    bucket: ScriptedBucket = field(default_factory=lambda: ScriptedBucket(page=5))
    hour: int = START
    scope: Scope = field(default_factory=lambda: Scope(BUCKET, "cdn/", poll_seconds=0.05))
    settled: Counter[tuple[str, str]] = field(default_factory=Counter)
    contents: int = 0
    source: S3Listing = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self, **changes: Any) -> None:
        record = SettledObjects(self.state / "settled.sqlite3", BUCKET)
        scope = Scope(**{name: getattr(self.scope, name) for name in Scope.__slots__} | changes)
        course = Floors(record, scope, now=lambda: self.hour * 3600.0)
        objects = S3Objects(self.bucket)
        self.source = S3Listing(self.bucket, objects, record, scope, course)

    def restart(self, **changes: Any) -> None:
        self.source.close()
        self.start(**changes)

    def die(self) -> None:
        """Start again after a kill: what was not stored is gone."""
        self.source._prefetch.close()
        self.source._listing.close()
        self.source._settled.close()
        self.start()

    def listed(self) -> int:
        """Return how many listings were asked for since this was last asked."""
        count = len(self.bucket.requests)
        self.bucket.requests.clear()
        return count

    def settle(self, payload: Payload) -> None:
        key = payload.origin.identity[2]
        list(payload.chunks)
        self.settled[key, payload.origin.identity[3]] += 1
        self.source.settle(payload.receipt)

    def payloads(self) -> Iterator[Payload]:
        """Make one pass and hand out what it finds."""
        passes = self.source._passes
        while True:
            payload = self.source.poll(0.005)
            if payload is not None:
                yield payload
            elif self.source._passes > passes:
                return

    def put(self, name: str) -> tuple[str, str]:
        """Store content that was never there before; return what must be settled."""
        self.contents += 1
        return name, self.bucket.put(name, b"%d" % self.contents)

    def overwrite(self, choice: int, wanted: set[tuple[str, str]]) -> None:
        """Change one of the objects that may still come for the first time."""
        fresh = [name for name in sorted(self.bucket.held) if self.age(name) <= 25]
        if fresh:
            name = fresh[choice % len(fresh)]
            wanted.discard((name, self.bucket.etag(name)))
            wanted.add(self.put(name))

    def age(self, name: str) -> int:
        """Return how many hours ago the hour of a key began; 0 where it tells none."""
        place = dated(name)
        return 0 if place is None else self.hour - place.hour

    def broken_pass(self, until: int) -> None:
        """Settle some objects and give one back; none is given back where *until* is 0."""
        for count, payload in enumerate(self.payloads()):
            if until and count % until == 0:
                self.source.release(payload.receipt)
                return
            self.settle(payload)

    def one_pass(self) -> set[str]:
        """Make one pass, settle what it finds, and return the keys."""
        found = set()
        for _ in range(2):  # the first one may have begun before
            for payload in self.payloads():
                found.add(payload.origin.identity[2])
                self.settle(payload)
        return found


def key(hour: int, number: int = 0, distribution: str = "E1EXAMPLE00001") -> str:
    return (
        f"cdn/{distribution}.{datetime.fromtimestamp(hour * 3600, UTC):%Y-%m-%d-%H}.{number:08x}.gz"
    )


def hive_key(hour: int, number: int) -> str:
    folders = datetime.fromtimestamp(hour * 3600, UTC).strftime("year=%Y/month=%m/day=%d/hour=%H")
    return f"cdn/hive/{folders}/E3EXAMPLE00003.x.{number:08x}.parquet"


def day_key(hour: int, number: int) -> str:
    folders = datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y/%m/%d")
    return f"cdn/AWSLogs/123456789012/CloudTrail/us-east-1/{folders}/{number:08x}.json.gz"


def plain_key(_: int, number: int) -> str:
    return f"cdn/exports/{number:08x}.gz"


KINDS = (
    key,
    lambda hour, number: key(hour, number, "E2EXAMPLE00002"),
    hive_key,
    day_key,
    plain_key,
)


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.source.close()


STEPS = st.one_of(
    st.tuples(
        st.just("put"), st.integers(0, len(KINDS) - 1), st.sampled_from((0, 0, 1, 12, 24, 25))
    ),
    st.tuples(st.just("late"), st.integers(0, len(KINDS) - 1), st.sampled_from((24, 25))),
    st.tuples(st.just("overwrite"), st.integers(0, 999), st.just(0)),
    st.tuples(st.just("hours"), st.sampled_from((1, 2, 24, 40)), st.just(0)),
    st.tuples(st.just("pass"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("restart"), st.just(0), st.just(0)),
    st.tuples(st.just("kill"), st.just(0), st.just(0)),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, max_size=30))
def test_every_object_within_the_look_back_is_delivered_once_for_each_content(
    steps: list[tuple[str, int, int]],
) -> None:
    with TemporaryDirectory() as folder:
        # No pass lists everything again, and a page is one key, so nothing but the floors decides.
        scope = Scope(BUCKET, "cdn/", "", 0.01, whole_hours=1e9)
        site = Site(Path(folder), ScriptedBucket(page=1), scope=scope)
        wanted: set[tuple[str, str]] = set()
        for number, (step, value, late) in enumerate(steps):
            if step in ("put", "late"):
                if step == "late":
                    wanted.add(site.put(KINDS[value](site.hour, number)))
                    site.one_pass()
                wanted.add(site.put(KINDS[value](site.hour - late, number)))
            elif step == "overwrite":
                site.overwrite(value, wanted)
            elif step == "hours":
                site.one_pass()  # what comes later is later than what was listed
                site.hour += value
            elif step == "pass":
                site.broken_pass(value)
            else:
                {"restart": site.restart, "kill": site.die}[step]()
        site.one_pass()
        site.source.close()

        assert {item for item in wanted if not site.settled[item]} == set()
        assert {item: count for item, count in site.settled.items() if count > 1} == {}


def test_a_brief_pass_lists_from_the_floors_on_and_finds_files_a_day_late(site: Site) -> None:
    for hour in range(START - 400, START):
        site.bucket.put(key(hour), b"a%d" % hour)
        site.bucket.put(key(hour, distribution="E2EXAMPLE00002"), b"b%d" % hour)
    assert len(site.one_pass()) == 800
    site.listed()

    # Twenty-three hours after the end of its hour, and twenty-four.
    late = {key(START - 24, 7), key(START - 25, 8)}
    for name in late:
        site.put(name)
    found = site.one_pass()

    assert found == late
    # Two passes, two stems: 26 hours each, in pages of 5, and one page to come upon each stem.
    assert site.listed() <= 2 * 2 * (26 // 5 + 3)


def test_a_new_distribution_is_found_by_the_next_pass(site: Site) -> None:
    for hour in range(START - 100, START):
        site.bucket.put(key(hour, distribution="E5EXAMPLE00005"), b"%d" % hour)
    site.one_pass()

    new = {key(START - 60, distribution=f"E{n}EXAMPLE0000{n}") for n in (1, 6)}
    for name in new:
        site.bucket.put(name, b"new")

    assert site.one_pass() == new


def test_a_file_later_than_the_look_back_waits_for_the_next_whole_listing(site: Site) -> None:
    for hour in range(START - 400, START):
        site.bucket.put(key(hour), b"%d" % hour)
    site.one_pass()
    late = key(START - 100, 7)
    site.bucket.put(late, b"late")
    overwritten = key(START - 200)
    site.bucket.put(overwritten, b"new content")

    assert site.one_pass() == set()
    site.hour += 23
    assert site.one_pass() == set()
    site.hour += 1
    assert site.one_pass() == {late, overwritten}
    assert site.one_pass() == set()
    assert max(site.settled.values()) == 1


def test_an_unsettled_object_holds_the_floor_down_over_a_restart(site: Site) -> None:
    for hour in range(START - 100, START):
        site.bucket.put(key(hour), b"%d" % hour)
    for payload in site.payloads():
        if payload.origin.identity[2] == key(START - 90):
            list(payload.chunks)  # and it never settles
        else:
            site.settle(payload)
    for _ in site.payloads():
        raise AssertionError("something came twice")

    site.restart()

    assert site.one_pass() == {key(START - 90)}
    site.listed()
    site.one_pass()
    assert site.listed() < 20


def test_a_whole_pass_cut_off_is_begun_again_and_repeats_nothing(site: Site) -> None:
    for hour in range(START - 100, START):
        site.bucket.put(key(hour), b"%d" % hour)
    for count, payload in enumerate(site.payloads()):
        if count == 60:
            break
        site.settle(payload)
    site.die()

    assert len(site.one_pass()) == 40
    assert max(site.settled.values()) == 1


def test_older_objects_are_remembered_by_eight_bytes_and_forgotten_when_they_expire(
    site: Site,
) -> None:
    for hour in range(START - 400, START):
        for number in range(3):
            site.bucket.put(key(hour, number), b"%d %d" % (hour, number))
    site.one_pass()
    record = site.source._settled

    assert record.count == 1200
    assert len(record.between("", None)) <= 3 * 26
    site.restart()
    record = site.source._settled
    assert record.count == 1200

    for hour in range(START - 400, START - 100):
        del site.bucket.held[key(hour, 1)]
        if hour < START - 300:
            del site.bucket.held[key(hour, 0)], site.bucket.held[key(hour, 2)]
    site.hour += 24
    assert site.one_pass() == set()

    assert record.count == 300 + 200 * 2 + 0 * 1
    site.restart()
    assert site.source._settled.count == record.count


def test_another_prefix_or_look_back_lists_everything_once(site: Site) -> None:
    for hour in range(START - 100, START):
        site.bucket.put(key(hour), b"%d" % hour)
        site.bucket.put("cdn/a" + key(hour), b"a%d" % hour)
    site.restart(prefix="cdn/E")
    assert len(site.one_pass()) == 100
    site.bucket.put(key(START - 80, 1), b"late")

    site.restart(prefix="cdn/", look_back=12.0)

    assert len(site.one_pass()) == 101
    assert max(site.settled.values()) == 1


def test_a_name_from_the_future_does_not_hide_files_of_today(site: Site) -> None:
    site.bucket.put(key(START + 90_000), b"future")
    site.bucket.put(key(START), b"today")
    site.one_pass()

    site.bucket.put(key(START - 20, 1), b"late")

    assert site.one_pass() == {key(START - 20, 1)}


def test_a_full_record_stops_reading_until_objects_expire(site: Site) -> None:
    for number in range(20):
        site.bucket.put(plain_key(0, number), b"%d" % number)
    site.restart(most_remembered=12)
    with pytest.raises(SourceError, match=r"12 settled objects are remembered.*most_remembered"):
        site.one_pass()
    assert site.settled.total() == 12
    for _ in range(3):
        with pytest.raises(SourceError, match="most_remembered"):
            site.source.poll(0.5)
    assert not site.source.drained()

    for number in range(10):
        del site.bucket.held[plain_key(0, number)]
    deadline = time.monotonic() + 10
    while not site.source.drained() and time.monotonic() < deadline:
        try:
            payload = site.source.poll(0.05)
        except SourceError:
            continue
        if payload is not None:
            site.settle(payload)

    assert site.source.drained()
    assert site.settled.total() == 20
    assert max(site.settled.values()) == 1


def test_a_listing_that_hangs_does_not_hold_up_the_one_who_asks(site: Site) -> None:
    hang = threading.Event()
    site.bucket.before_list = hang.wait
    site.bucket.put(key(START), b"x")
    began = time.monotonic()

    assert site.source.poll(0.25) is None
    assert not site.source.drained()
    site.source.close()

    assert time.monotonic() - began < 1.0
    hang.set()


def test_progress_tells_what_is_done_of_what_there_is(site: Site) -> None:
    for hour in range(START - 40, START):
        site.bucket.put(key(hour), b"12345")
    assert site.source.progress().all_objects == 0
    payloads = site.payloads()
    for _ in range(10):
        site.settle(next(payloads))
    site.source.progress()
    deadline = time.monotonic() + 10
    while not (told := site.source.progress()).counted and time.monotonic() < deadline:
        time.sleep(0.01)

    assert (told.objects, told.bytes, told.all_objects, told.all_bytes) == (10, 50, 40, 200)
    for _ in range(2):
        list(map(site.settle, site.payloads()))
    told = site.source.progress()
    assert (told.objects - told.before, told.before) in {(40, 0), (told.objects, 0)}
    site.restart(poll_seconds=60.0)
    for payload in site.payloads():
        site.settle(payload)
    told = site.source.progress()
    assert 26 <= told.objects == told.all_objects == told.before < 40  # those of the window


def test_a_listing_that_fails_slowly_is_no_success_in_between(site: Site) -> None:
    def fail() -> None:
        time.sleep(0.1)
        raise EndpointConnectionError(endpoint_url="https://example.com")

    site.bucket.before_list = fail
    while site.source.poll(0.01) is None and len(site.bucket.requests) < 1:
        pass
    with pytest.raises(SourceError):
        site.source.poll(1.0)

    for _ in range(20):
        with pytest.raises(SourceError, match="EndpointConnectionError"):
            site.source.poll(0.01)

    site.bucket.before_list = lambda: None
    site.bucket.put(key(START), b"x")
    deadline = time.monotonic() + 5
    while not site.settled and time.monotonic() < deadline:
        try:
            payload = site.source.poll(0.1)
        except SourceError:
            continue
        if payload is not None:
            site.settle(payload)
    assert site.settled.total() == 1
