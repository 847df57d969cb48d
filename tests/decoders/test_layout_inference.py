"""A layout from records alone: the right names, and nothing called certain that is not."""

from __future__ import annotations

from functools import cache
from itertools import count
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudfront_ecs.decoders.realtime.inference import MOST_LINES, InferredLayout, infer
from cloudfront_ecs.demo.columns import ORIGINAL_COLUMNS, REALTIME_COLUMNS
from cloudfront_ecs.demo.render import in_order, realtime_line
from cloudfront_ecs.demo.traffic import requests
from cloudfront_ecs.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudfront_ecs.demo.request import Request

COLUMNS_45 = tuple(name for name in REALTIME_COLUMNS[:46] if name != "s-ip")
NEVER_FILLED = {
    "primary-distribution-id", "primary-distribution-dns-name", "distribution-tenant-id",
    "connection-id", "viewer-response-log-data",
}  # fmt: skip
"""Columns in which the demo's traffic has nothing, so that nothing can tell them apart."""

FILLED = [name for name in REALTIME_COLUMNS if name not in NEVER_FILLED]


@cache
def traffic(seed: int, count: int) -> tuple[Request, ...]:
    return tuple(requests(seed, count))


def proposed(columns: tuple[str, ...], seed: int = 5, records: int = 600) -> InferredLayout:
    return infer(realtime_line(request, columns) for request in traffic(seed, records))


def names(proposal: InferredLayout) -> tuple[str, ...]:
    return tuple(each.name for each in proposal.fields)


def wrongly_certain(columns: tuple[str, ...], proposal: InferredLayout) -> list[str]:
    pairs = zip(columns, proposal.fields, strict=True)
    return [each.name for column, each in pairs if each.certain and each.name != column]


def not_even_possible(columns: tuple[str, ...], proposal: InferredLayout) -> list[str]:
    pairs = zip(columns, proposal.fields, strict=True)
    return [column for column, each in pairs if column not in (each.name, *each.also)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "columns",
    [
        pytest.param(ORIGINAL_COLUMNS, id="40"),
        pytest.param(COLUMNS_45, id="45"),
        pytest.param(REALTIME_COLUMNS, id="71"),
    ],
)
def test_the_layouts_of_the_years_are_found(columns: tuple[str, ...], seed: int) -> None:
    proposal = proposed(columns, seed)

    assert names(proposal) == columns
    assert not wrongly_certain(columns, proposal)


def test_all_71_columns_are_certain_because_there_is_no_other_way() -> None:
    assert all(each.certain for each in proposed(REALTIME_COLUMNS).fields)


@settings(max_examples=60)
@given(
    subset=st.sets(st.sampled_from(FILLED), min_size=1),
    seed=st.integers(0, 3),
    count=st.sampled_from([1, 5, 60, 600]),
)
def test_nothing_is_called_certain_that_is_not(subset: set[str], seed: int, count: int) -> None:
    columns = in_order({"timestamp", *subset})

    proposal = proposed(columns, seed, count)

    assert not wrongly_certain(columns, proposal)
    assert not not_even_possible(columns, proposal)
    assert len(proposal.fields) == len(columns)


def test_most_names_of_random_subsets_are_right() -> None:
    dice, right, certain, total = Random(11), 0, 0, 0
    for _ in range(60):
        chosen = dice.sample(FILLED, dice.randint(3, 60))
        columns = in_order({"timestamp", *chosen})
        fields = proposed(columns).fields
        total += len(columns)
        right += sum(a == b.name for a, b in zip(columns, fields, strict=True))
        certain += sum(each.certain for each in fields)

    print(f"{total} columns: {right / total:.1%} right, {certain / total:.1%} certain")
    assert right / total > 0.9
    assert certain / total > 0.3


def test_what_cannot_be_told_apart_is_said_to_be_so() -> None:
    proposal = proposed(("timestamp", "c-ip", "sc-status"))

    address = proposal.fields[1]
    assert (address.name, address.certain, address.also[0]) == ("c-ip", False, "s-ip")
    assert 0.5 < address.confidence < 1


def test_columns_without_values_are_any_of_those_that_may_be_absent() -> None:
    lines = [f"{1768507267 + i}.148\t192.0.2.{i}\t-\t200" for i in range(50)]

    proposal = infer(lines)

    empty = {proposal.fields[2].name, *proposal.fields[2].also}
    assert empty > {"cs-cookie", "sc-range-start", "cmcd-session-id"}
    assert not empty & {"sc-status", "sc-bytes", "x-edge-request-id"}


def test_records_of_another_width_are_left_out_and_counted() -> None:
    some = ("timestamp", "c-ip", "sc-status")
    lines = [realtime_line(request, some) for request in traffic(5, 60)]

    proposal = infer(["a\tb", *lines, "", "c"])

    assert names(proposal) == some
    assert (proposal.records, proposal.others) == (60, {1: 1, 2: 1})


def test_no_more_is_read_than_is_needed() -> None:
    read: list[int] = []

    def endless() -> Iterator[str]:
        for number in count():
            read.append(number)
            yield f"1768507267.148\t192.0.2.{number % 200}\t200"

    assert infer(endless()).records == len(read) == MOST_LINES
    read.clear()
    infer(f"{line}\t{'x' * 1_000_000}" for line in endless())
    assert len(read) < 40


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        pytest.param([], "there are no records", id="nothing"),
        pytest.param(["", "\n"], "there are no records", id="blank"),
        pytest.param(["#Version: 1.0", "#Fields: date"], "standard log", id="standard"),
        pytest.param(["\t".join("-" * 72)], "have at most 71", id="too-wide"),
        pytest.param(["\t".join("x" * 71)], "no choice of 71 of the 71", id="other-values"),
    ],
)
def test_what_is_no_real_time_log_is_told(lines: Iterable[str], problem: str) -> None:
    with pytest.raises(PayloadError, match=problem):
        infer(lines)


@given(st.lists(st.text(max_size=60), max_size=8))
def test_any_lines_give_a_proposal_or_an_error(lines: list[str]) -> None:
    try:
        proposal = infer(lines)
    except PayloadError:
        return
    assert proposal.fields
