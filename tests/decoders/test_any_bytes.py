"""Any bytes through every decoder and on to documents: nothing raises, nothing is lost."""

from __future__ import annotations

import logging
import tracemalloc
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.conversion import Conversion
from fuzz.fuzzing import judged
from fuzz.mutation import EDITS, VALUES
from fuzz.samples import NOT_LINES, Sample, decoder_kinds, samples

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 65_536
MEBIBYTE = 1 << 20
LONG = 40 * MEBIBYTE
MOST_HELD = 24 * MEBIBYTE
"""Bytes that a line without an end may cost; the longest line that is read has one MiB."""

SNIPPETS = [
    b"\n", b"\r\n", b"\t", b" ", b"#Version: 1.0\n", b"#Fields: date time c-ip cs-uri-query\n", b"#Fields:\n",
    b"2026-01-15\t20:01:07\t192.0.2.10\tx\n", b"1768507267.148\t192.0.2.10\t200\n", b"{", b"}", b"[", b"]", b'"', b",", b":",
    b'{"date": "2026-01-15", "time": "20:01:07"}\n', b'{"Records": [', b'{"eventTime": "2026-01-15T20:01:07Z"}',
    b'{"messageType":"DATA_MESSAGE","logEvents":[', b"id START DistributionID: E\n", b"id END\n", b"PAR1",
    b"\x1f\x8b", b"\xef\xbb\xbf", b"\xff", b"\x00", b"\xe2\x80\xa8", b"\x85", b"-\t-\t-\n",
]  # fmt: skip

quick = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
every_decoder = pytest.mark.parametrize("kind", decoder_kinds())

pieces = st.lists(st.one_of(st.sampled_from(SNIPPETS), st.binary(max_size=20)), max_size=15)
values = st.one_of(st.sampled_from(VALUES), st.binary(max_size=12))
edits = st.lists(
    st.tuples(st.sampled_from(sorted(EDITS)), st.integers(0, 1 << 20), values), max_size=4
)
ways = st.sampled_from([0.0, 0.8, 0.9])
"""As one chunk, in pieces, as messages."""


@pytest.fixture(name="quiet", autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@every_decoder
@quick
@given(parts=pieces, way=ways, original=st.booleans(), number=st.integers(0, 1000))
def test_any_bytes_end_as_documents_or_rejects(
    kind: str, parts: list[bytes], way: float, number: int, *, original: bool
) -> None:
    chosen = samples(kind)[number % len(samples(kind))]
    lined = kind not in NOT_LINES | {"auto"}
    sample = Sample("any bytes", chosen.decoder, b"", (), lined=lined, exact=False)

    problem, _ = judged(sample, b"".join(parts), way, Random(0), original=original)

    assert problem == ""


@every_decoder
@quick
@given(
    number=st.integers(0, 1000),
    lines=st.lists(st.tuples(st.integers(0, 1000), edits), min_size=1, max_size=6),
    way=ways,
    original=st.booleans(),
)
def test_spoilt_lines_end_as_documents_that_fit_or_as_rejects(
    kind: str,
    number: int,
    lines: list[tuple[int, list[tuple[str, int, bytes]]]],
    way: float,
    *,
    original: bool,
) -> None:
    sample = samples(kind)[number % len(samples(kind))]
    data = sample.header + b"".join(
        edited(sample.lines[which % len(sample.lines)], changes) + b"\n" for which, changes in lines
    )

    problem, _ = judged(sample, sample.wrapped(data), way, Random(0), original=original)

    assert problem == ""


@every_decoder
@pytest.mark.parametrize("begin", [b"x", b"2026-01-15\t", b'{"a": "', b'{"Records": [{"a": "'])
def test_a_line_without_an_end_costs_little_memory(kind: str, begin: bytes) -> None:
    def chunks() -> Iterator[bytes]:
        yield begin
        for _ in range(LONG // PIECE):
            yield b"x" * PIECE

    conversion = Conversion(samples(kind)[0].decoder, ())
    payload = Payload(Receipt("here", 0), Origin("here", ("here",)), chunks())
    tracemalloc.start()

    ended = sum(len(part.documents) + len(part.rejects) for part in conversion.convert(payload))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ended >= 1
    assert peak < MOST_HELD


def edited(line: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    for name, at, value in changes:
        line = EDITS[name](line, at, value)
    return line
