"""The judge sees what it is there to see."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from cloudfront_ecs.batches import Origin, Payload, Receipt
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.standard import StandardDecoder, StandardOptions
from cloudfront_ecs.demo.columns import STANDARD_COLUMNS
from faults.judge import (
    Verdict,
    judge_documents,
    judge_equation,
    judge_letters,
    judge_receiver,
)
from faults.producer import Lines

if TYPE_CHECKING:
    from pathlib import Path


class Issue:
    """Some lines and what the program makes of them."""

    def __init__(self, count: int) -> None:
        lines = Lines("standard", seed=5)
        self.lines = lines.next(count)
        self.oracle = lines.oracle
        decoder = StandardDecoder(StandardOptions(fields=STANDARD_COLUMNS))
        body = b"".join(line + b"\n" for line in self.lines)
        payload = Payload(Receipt("x", 1), Origin("x", ("x",)), chunks=[body])
        parts = list(Conversion(decoder, (), original=True).convert(payload))
        self.bodies: list[dict[str, Any]] = [
            msgspec.json.decode(msgspec.json.encode(document.body))
            for part in parts
            for document in part.documents
        ]

    def misses(self, bodies: list[dict[str, Any]]) -> list[str]:
        """Return what the judge finds wrong with *bodies*."""
        verdict = Verdict()
        judge_documents(verdict, self.oracle, "sink", bodies)
        return verdict.misses


@pytest.fixture(name="issue", scope="module")
def _issue() -> Issue:
    return Issue(1000)


def test_what_the_program_makes_is_what_the_oracle_expects(issue: Issue) -> None:
    refused = list(issue.oracle.refused())

    assert issue.misses(issue.bodies) == []
    assert 0 < len(refused) == 1000 - len(issue.bodies)


def test_a_document_that_is_missing_is_seen(issue: Issue) -> None:
    assert len(issue.misses(issue.bodies[1:])) == 1
    assert issue.misses(issue.bodies[1:])[0].startswith("P1: sink: line ")


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [
        pytest.param("url", "query", "serial=1", id="query"),
        pytest.param("event", "original", "line", id="line"),
        pytest.param("source", "port", 1, id="number"),
        pytest.param("http", "request", {"id": "SERIAL-999999999-x"}, id="never-issued"),
        pytest.param("http", "request", {"id": "x"}, id="no-serial"),
    ],
)
def test_a_document_with_other_content_is_seen(
    issue: Issue, group: str, name: str, value: object
) -> None:
    first, *others = issue.bodies
    changed = {**first, group: {**first[group], name: value}}

    assert any(miss.startswith("P2: ") for miss in issue.misses([changed, *others]))


def test_two_lines_that_changed_places_are_seen(issue: Issue) -> None:
    one, two, *others = issue.bodies
    mixed = [{**one, "event": two["event"]}, {**two, "event": one["event"]}]

    assert len(issue.misses([*mixed, *others])) == 2


def test_more_repetitions_than_the_kills_explain_are_seen(issue: Issue, tmp_path: Path) -> None:
    entries = tmp_path / "entries"
    twice = [*issue.bodies, *issue.bodies[:100]]
    entries.write_text("".join(json.dumps(["tag", 1, 0, body]) + "\n" for body in twice))
    few, enough = Verdict(), Verdict()

    judge_receiver(few, issue.oracle, entries, kills=9, in_flight=11)
    judge_receiver(enough, issue.oracle, entries, kills=10, in_flight=10)

    assert (enough.repeated, enough.misses) == (100, [])
    assert few.misses == ["P3: receiver: 100 entries came again, 9 kills explain 99"]


def test_a_dead_letter_that_is_missing_or_needless_is_seen(issue: Issue, tmp_path: Path) -> None:
    folder = tmp_path / "dead_letters"
    folder.mkdir()
    first, *others = list(issue.oracle.refused())
    good = next(issue.oracle.documents())
    letters = [
        {"reason": "columns", "raw": base64.b64encode(issue.lines[serial - 1]).decode()}
        for serial in (*others, good)
    ]
    (folder / "x.ndjson").write_text("".join(json.dumps(letter) + "\n" for letter in letters))
    verdict = Verdict()

    judge_letters(verdict, issue.oracle, tmp_path)

    assert verdict.misses == [
        f"P2: dead letter {good} is a dead letter because of 'columns'",
        f"P1: refused line {first} is no dead letter",
    ]


@pytest.mark.parametrize(
    ("parts", "misses"),
    [
        pytest.param("3 stored + 2 already there + 5 acked", 0, id="balances"),
        pytest.param("9 stored + 1 dead-lettered", 0, id="dead-letters"),
        pytest.param("9 stored", 1, id="too-few"),
        pytest.param("9 stored + 1 in flight", 1, id="in-flight"),
        pytest.param("10 stored  UNACCOUNTED FOR: 1", 1, id="told"),
    ],
)
def test_an_equation_that_does_not_balance_is_seen(parts: str, misses: int) -> None:
    verdict = Verdict()

    judge_equation(verdict, f"pipeline x: 10 records\n  sink: 10 read = {parts}\n", 1)

    assert len(verdict.misses) == misses


def test_an_equation_that_was_not_printed_is_seen() -> None:
    verdict = Verdict()

    judge_equation(verdict, "Traceback", 2)

    assert verdict.misses == ["P5: 0 equations were printed for 2 sinks"]
