from __future__ import annotations

import threading
import time

from cloudfront_ecs.delivery.health import SOURCE, Health, sink_part


def test_a_part_that_fails_is_named_with_its_last_words_and_its_first_moment() -> None:
    health = Health()

    began = health.fails(sink_part("search"), "503")
    since = health.problems()["sink search"].since
    time.sleep(0.01)
    again = health.fails(sink_part("search"), "401")

    assert (began, again) == (True, False)
    problem = health.problems()["sink search"]
    assert (problem.text, problem.since) == ("401", since)
    assert problem.lasted() >= 0.01


def test_a_part_that_works_is_not_named_and_says_how_long_it_did_not() -> None:
    health = Health()
    health.fails(SOURCE, "away")

    lasted = health.works(SOURCE)

    assert lasted is not None
    assert lasted >= 0
    assert health.problems() == {}
    assert health.works(SOURCE) is None


def test_a_problem_that_nobody_tells_again_ends_in_its_time() -> None:
    health = Health()
    health.fails(SOURCE, "away", lasts=0.02)
    assert health.problem(SOURCE) is not None

    time.sleep(0.05)

    assert health.problems() == {}
    assert health.problem(SOURCE) is None
    assert health.fails(SOURCE, "away", lasts=0.02), "that is a new one"


def test_it_can_be_read_while_many_threads_tell() -> None:
    health, over = Health(), threading.Event()

    def tell(name: str) -> None:
        while not over.is_set():
            health.fails(name, "away")
            health.works(name)

    threads = [threading.Thread(target=tell, args=[f"sink {n}"]) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2000):
            assert set(health.problems()) <= {f"sink {n}" for n in range(4)}
    finally:
        over.set()
        for thread in threads:
            thread.join()
