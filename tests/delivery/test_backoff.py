from __future__ import annotations

import threading
import time

import pytest

from cloudfront_ecs.delivery.backoff import Backoff


class Clock(threading.Event):
    """An event whose waits end at once and are noted."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return self.is_set()


def test_waits_double_up_to_the_cap() -> None:
    clock = Clock()
    backoff = Backoff(clock, base=1.0, cap=10.0, draw=lambda: 1.0)

    for _ in range(6):
        backoff.wait()

    assert clock.waits == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


@pytest.mark.parametrize("drawn", [0.0, 0.25, 1.0])
def test_every_wait_is_drawn_from_all_of_its_bound(drawn: float) -> None:
    clock = Clock()

    Backoff(clock, base=8.0, draw=lambda: drawn).wait()

    assert clock.waits == [8.0 * drawn]


def test_a_success_begins_with_short_waits_again() -> None:
    clock = Clock()
    backoff = Backoff(clock, base=1.0, draw=lambda: 1.0)
    backoff.wait()
    backoff.wait()

    backoff.reset()
    backoff.wait()

    assert clock.waits == [1.0, 2.0, 1.0]


def test_thousands_of_failures_do_not_overflow() -> None:
    clock = Clock()
    backoff = Backoff(clock, draw=lambda: 1.0, failures=100_000)

    assert backoff.wait()

    assert clock.waits == [15.0]


def test_what_the_other_end_asks_for_is_waited_at_least_and_at_most_ten_minutes() -> None:
    clock = Clock()
    backoff = Backoff(clock, base=1.0, draw=lambda: 1.0)

    backoff.wait(at_least=5.0)
    backoff.wait(at_least=0.5)
    backoff.wait(at_least=86_400.0)

    assert clock.waits == [5.0, 2.0, 600.0]


def test_a_stop_ends_the_wait_and_all_further_attempts() -> None:
    stop = threading.Event()
    backoff = Backoff(stop, base=60.0, draw=lambda: 1.0)
    timer = threading.Timer(0.05, stop.set)
    timer.start()
    began = time.monotonic()

    again = backoff.wait()
    timer.join()

    assert not again
    assert not backoff.wait()
    assert time.monotonic() - began < 30


def test_two_waits_of_one_bound_differ() -> None:
    clocks = [Clock() for _ in range(8)]

    for clock in clocks:
        Backoff(clock, base=10.0).wait()

    assert len({clock.waits[0] for clock in clocks}) > 1
