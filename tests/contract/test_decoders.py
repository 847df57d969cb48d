"""What every decoder promises; see ``cloudfront_ecs.adapters.Decoder``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cloudfront_ecs import Message, Origin, Payload, Receipt, RecordBatch
from cloudfront_ecs.errors import PayloadError
from contract.configured import closed_port, kinds, opened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloudfront_ecs.adapters import Decoder

ORIGIN = Origin("here", ("here",))
SNIPPETS = [
    b"\n", b"\r\n", b"\t", b"\n\n", b"#Version: 1.0\n", b"#Fields: date time c-ip\n", b"#Fields:\n",
    b"2026-01-15\t07:00:00\t203.0.113.7\n", b"1768460400.123\t203.0.113.7\t200\n", b"{", b"}\n",
    b'{"Records": [', b'{"date": "2026-01-15"}\n', b"[]\n", b"PAR1", b"\x1f\x8b", b"\xff\xfe",
    b"\x00", b"\xe2\x80\xa8", b"\x85", b"\x1c", b"-\t-\t-\n", b"\tx" * 40,
]  # fmt: skip

BOM = b"\xef\xbb\xbf"
"""Counts as nothing where it begins a stream, so it is left to examples."""

GZIP = b"\x1f\x8b"
SEAM = b"}{"
"""Ends a line where objects are JSON, so how many lines there are depends on the decoder."""

pieces = st.lists(st.one_of(st.sampled_from(SNIPPETS), st.binary(max_size=12)), max_size=12).filter(
    lambda chunks: BOM not in b"".join(chunks) and SEAM not in b"".join(chunks)
)
every_decoder = pytest.mark.parametrize("kind", kinds("decoder"))
quick = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(name="decoder")
def _decoder(tmp_path: Path) -> Callable[[str], Decoder]:
    """Return a function that opens a decoder, one for all examples of a test."""
    held: dict[str, Decoder] = {}

    def decoder(kind: str) -> Decoder:
        if kind not in held:
            held[kind] = opened("decoder", kind, tmp_path, closed_port())
        return held[kind]

    return decoder


def decoded(decoder: Decoder, payload: Payload) -> tuple[list[RecordBatch], PayloadError | None]:
    batches: list[RecordBatch] = []
    try:
        batches.extend(decoder.decode(payload))
    except PayloadError as error:
        return batches, error
    return batches, None


def accounted(batches: list[RecordBatch]) -> int:
    return sum(
        len(each.rows) + len(each.rejects) + each.skipped + each.filtered for each in batches
    )


def by_lines(kind: str, data: bytes) -> bool:
    """Return whether a decoder takes lines; CloudTrail is JSON on however many of them."""
    return kind != "cloudtrail" and not (kind == "auto" and b'"Records"' in data)


def empty(data: bytes) -> bool:
    """Return whether JSON holds nothing: blanks, or lists without anything in them."""
    return not data.strip(b" \t\r\n[]")


def check(batches: list[RecordBatch]) -> None:
    """Check that batches are what the normalizer expects."""
    for batch in batches:
        assert len(batch.rows) == len(batch.lines) == len(batch.numbers)
        assert all(isinstance(row, list) for row in batch.rows)
        assert batch.positions is None or len(batch.positions) == len(batch.rows)
        assert all(0 <= index < len(batch.rows) for index in batch.notes)
        assert all(reject.reason for reject in batch.rejects)
        if batch.plain:
            assert all(line.isascii() for line in batch.lines)


@every_decoder
@quick
@given(chunks=pieces)
@example(chunks=[])
@example(chunks=[b""])
@example(chunks=[b"\xef\xbb", b"\xbf#Fie", b"lds: date time\n"])
def test_any_bytes_end_as_records_rejects_or_a_payload_error(
    kind: str, decoder: Callable[[str], Decoder], chunks: list[bytes]
) -> None:
    joined = b"".join(chunks).removeprefix(BOM)
    count = joined.count(b"\n") + (not joined.endswith(b"\n") and joined != b"")

    batches, error = decoded(decoder(kind), Payload(Receipt("here", 1), ORIGIN, chunks))

    check(batches)
    if error is None and by_lines(kind, joined):
        assert accounted(batches) == count
    elif error is None:
        assert accounted(batches) or empty(joined)
    else:
        assert error.reason


@every_decoder
@quick
@given(datas=st.lists(pieces.map(b"".join), max_size=5))
def test_any_messages_end_as_records_rejects_or_a_payload_error(
    kind: str, decoder: Callable[[str], Decoder], datas: list[bytes]
) -> None:
    messages = [Message(data, str(number)) for number, data in enumerate(datas)]
    whole = [data for data in datas if data.startswith(GZIP)]  # refused as one
    lines = [line for data in datas if data not in whole for line in data.split(b"\n")]
    written = whole + [line for line in lines if line.strip()]

    batches, error = decoded(decoder(kind), Payload(Receipt("shard", 1), ORIGIN, messages=messages))

    check(batches)
    if error is None and by_lines(kind, b"".join(datas)):
        assert accounted(batches) >= len(written)
    elif error is None:
        assert accounted(batches) or all(map(empty, datas))


@every_decoder
def test_chunks_are_read_once_in_order_and_not_ahead(
    kind: str, decoder: Callable[[str], Decoder]
) -> None:
    read: list[int] = []

    def chunks() -> object:
        for number in range(3):
            read.append(number)
            yield b"x\ty\n"

    payload = Payload(Receipt("here", 1), ORIGIN, chunks())  # type: ignore[arg-type]

    decoded(decoder(kind), payload)

    assert read == sorted(set(read))


@every_decoder
def test_where_chunks_end_changes_nothing(kind: str, decoder: Callable[[str], Decoder]) -> None:
    content = b"".join(SNIPPETS[:9]) * 3

    whole = decoded(decoder(kind), Payload(Receipt("here", 1), ORIGIN, [content]))
    parts = [content[start : start + 7] for start in range(0, len(content), 7)]
    split = decoded(decoder(kind), Payload(Receipt("here", 1), ORIGIN, parts))

    assert rows_of(whole[0]) == rows_of(split[0])
    assert accounted(whole[0]) == accounted(split[0])


@every_decoder
def test_an_error_of_the_reading_comes_through(
    kind: str, decoder: Callable[[str], Decoder]
) -> None:
    def chunks() -> object:
        yield b"1768460400.123\t203.0.113.7\t200\n"
        raise PayloadError("truncated", "the rest is missing")

    payload = Payload(Receipt("here", 1), ORIGIN, chunks())  # type: ignore[arg-type]

    _, error = decoded(decoder(kind), payload)

    assert error is not None


def rows_of(batches: list[RecordBatch]) -> list[tuple[object, list[str]]]:
    return [(batch.layout, row) for batch in batches for row in batch.rows]
