"""The fuzz target in short; ``make fuzz LINES=10000000`` runs it for long."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING

import pytest

from fuzz.fuzzing import fuzz, judged
from fuzz.mutation import EDITS, VALUES, spoilt
from fuzz.samples import decoder_kinds, samples

if TYPE_CHECKING:
    from collections.abc import Iterator

LINES = 20_000
SECONDS = 60


@pytest.fixture(name="quiet", autouse=True)
def _quiet() -> Iterator[None]:
    """Keep failed conversions out of the output; the tally tells them."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("kind", decoder_kinds())
def test_spoilt_lines_are_all_accounted_for_and_their_documents_fit(kind: str) -> None:
    tally = fuzz(kind, LINES, seed=1, seconds=SECONDS)

    assert tally.failures == []
    assert tally.documents > 0
    assert tally.lines > 0


def test_the_same_seed_gives_the_same_lines() -> None:
    one, other = (fuzz("realtime", 2_000, seed=5, first=3) for _ in range(2))

    assert (one.documents, one.rejects) == (other.documents, other.rejects)


def test_every_edit_takes_any_line() -> None:
    for line in (b"", b"-", b"a\tb\tc", b'{"a": [1, {"b": "c"}]}', b"id START x", b"\xff\x00"):
        for edit in EDITS.values():
            for at in (0, 1, 7, 1_000_003):
                for value in VALUES:
                    assert isinstance(edit(line, at, value), bytes)


def test_edits_leave_some_lines_whole_and_spoil_others() -> None:
    dice = random.Random(1)
    line = b"a\tb\tc"

    found = [spoilt(line, dice) for _ in range(200)]

    assert 20 < found.count(line) < 150


def test_a_lost_line_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = samples("standard")[0]
    data = sample.header + sample.lines[0] + b"\n"
    dice = random.Random(1)
    assert judged(sample, data, 0, dice, original=False)[0] == ""

    monkeypatch.setattr("fuzz.fuzzing._count", lambda _: 99)

    assert "99 lines, but" in judged(sample, data, 0, dice, original=False)[0]
