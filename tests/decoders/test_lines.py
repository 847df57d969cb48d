"""Framing: any cut of the same bytes gives the same lines."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudfront_ecs.batches import Message
from cloudfront_ecs.decoders.lines import KEPT_BYTES, line_blocks, message_blocks
from cloudfront_ecs.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PARTS = st.sampled_from(
    [b"\n", b"\r\n", b"\r", b"a", b"\t", b"#", b"{", b"\xef", b"\xbb", b"\xbf", b"\xff", b"\0"]
)
BYTES = st.lists(PARTS, max_size=60).map(b"".join)


def frame(chunks: Iterable[bytes], max_bytes: int = 1024) -> list[tuple[int, str | bytes, int]]:
    """Return (number, line, 0), or (number, kept bytes, length) of what is too long."""
    found: list[tuple[int, str | bytes, int]] = []
    for block in line_blocks(chunks, max_bytes):
        found += [(block.first + i, line, 0) for i, line in enumerate(block.lines)]
        for reject in block.rejects:
            assert reject.line is not None
            found.append((reject.line, reject.raw, reject.length or 0))
    return found


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(BYTES, st.lists(st.integers(0, 200), max_size=8), st.integers(1, 9))
def test_any_cut_of_the_bytes_gives_the_same_lines(
    data: bytes, places: list[int], longest: int
) -> None:
    whole = frame([data], longest)

    assert frame(cut(data, places), longest) == whole
    assert frame([data[i : i + 1] for i in range(len(data))], longest) == whole


@given(BYTES)
def test_lines_are_numbered_from_one_without_a_gap(data: bytes) -> None:
    numbers = [number for number, _, _ in frame([data])]

    text = data.removeprefix(b"\xef\xbb\xbf")
    expected = text.count(b"\n") + (1 if text and not text.endswith(b"\n") else 0)
    assert numbers == [*range(1, expected + 1)]


@given(BYTES)
def test_lines_hold_all_the_bytes_that_came_in(data: bytes) -> None:
    lines = [line for _, line, _ in frame([data])]

    text = data.removeprefix(b"\xef\xbb\xbf")
    ended = text if text.endswith(b"\n") or not text else text + b"\n"
    joined = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
    assert joined == ended.replace(b"\r\n", b"\n")


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"\n", [""], id="a-blank-line"),
        pytest.param(b"a", ["a"], id="no-line-end"),
        pytest.param(b"a\r\nb\r\n", ["a", "b"], id="crlf"),
        pytest.param(b"a\r\r\nb\rc\n", ["a\r", "b\rc"], id="other-carriage-returns"),
        pytest.param(b"\xef\xbb\xbfa\n", ["a"], id="byte-order-mark"),
        pytest.param(b"a\n\xef\xbb\xbfb\n", ["a", "\ufeffb"], id="only-the-first-mark"),
        pytest.param(b"\xef\xbb\xbf", [], id="nothing-but-a-mark"),
        pytest.param(b"\xc3\xa4\n", ["ä"], id="utf-8"),
        pytest.param(b"\xe4\n", ["\udce4"], id="not-utf-8"),
        pytest.param(b"a\x0bb\x0cc\x1cd\xc2\x85e\n", ["a\x0bb\x0cc\x1cd\x85e"], id="no-line-ends"),
    ],
)
def test_only_a_newline_ends_a_line(data: bytes, lines: list[str]) -> None:
    assert [line for _, line, _ in frame([data])] == lines


@pytest.mark.parametrize("size", [1 << 20, 1000, 7])
def test_a_line_that_is_too_long_is_refused_with_its_beginning_and_its_length(size: int) -> None:
    long = b"x" * 100_000
    data = b"first\n" + long + b"\nlast\n"

    found = frame([data[i : i + size] for i in range(0, len(data), size)], 2000)

    assert found == [(1, "first", 0), (2, long[:KEPT_BYTES], 100_000), (3, "last", 0)]


def test_a_line_is_too_long_from_one_byte_above_the_limit() -> None:
    assert frame([b"x" * 1024 + b"\n"]) == [(1, "x" * 1024, 0)]
    assert frame([b"x" * 1025 + b"\n"]) == [(1, b"x" * 1025, 1025)]


def test_a_line_that_never_ends_is_refused_too() -> None:
    assert frame([b"x" * 3000] * 3) == [(1, b"x" * 9000, 9000)]


def test_lines_around_a_long_one_come_in_blocks() -> None:
    data = b"a\n" * 500 + b"x" * 2000 + b"\n" + b"b\n" * 500

    blocks = list(line_blocks([data], 1024))

    assert [len(block.lines) for block in blocks] == [500, 0, 500]


def test_memory_stays_small_while_fifty_megabytes_of_one_line_come_in() -> None:
    def chunks() -> Iterator[bytes]:
        piece = b"x" * 65_536
        for _ in range(800):
            yield piece
        yield b"\nshort\n"

    tracemalloc.start()
    found = frame(chunks(), 1_048_576)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert [(number, length) for number, _, length in found] == [(1, 800 * 65_536), (2, 0)]
    assert peak < 6 * 2**20


def test_what_is_unfinished_when_reading_ends_badly_goes_into_the_reject() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"whole\nunfini"
        yield b"shed"
        raise PayloadError("truncated", "gzip ends in mid-stream")

    blocks = line_blocks(chunks())

    assert next(blocks).lines == ["whole"]
    with pytest.raises(PayloadError) as caught:
        next(blocks)
    assert caught.value.raw == b"unfinished"


def test_the_end_of_a_message_ends_a_line() -> None:
    messages = [Message(b"a\nb", "1"), Message(b"c\n", "2"), Message(b"x" * 2000, "3")]

    blocks = list(message_blocks(messages, 1024))

    lines = [(block.position, block.first, line) for block in blocks for line in block.lines]
    [reject] = [reject for block in blocks for reject in block.rejects]
    assert lines == [("1", 0, "a"), ("1", 1, "b"), ("2", 0, "c")]
    assert (reject.position, reject.line, reject.length) == ("3", None, 2000)
