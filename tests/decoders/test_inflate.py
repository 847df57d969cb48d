"""Gzip and zstd by their content: every member, every whole line, and a word about the rest."""

from __future__ import annotations

import gzip
import importlib
import random
import sys
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.batches import Message
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders import inflate as inflate_module
from cloudfront_ecs.decoders.auto import AutoDecoder, AutoOptions
from cloudfront_ecs.decoders.inflate import PIECE, inflate, inflated_messages
from cloudfront_ecs.decoders.realtime.decoder import RealtimeDecoder, RealtimeOptions
from cloudfront_ecs.decoders.standard import StandardDecoder, StandardOptions
from cloudfront_ecs.errors import PayloadError
from normalize.converting import VALUES, collect, convert, header, line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs.adapters import Decoder

zstd = importlib.import_module(
    "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
)
SKIPPABLE = b"\x5f\x2a\x4d\x18\x05\x00\x00\x00notes"

LINES = b"".join(b"line %d of a log\n" % number for number in range(20_000))
COLUMNS = ("date", "time", "c-ip", "cs-uri-stem")


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def inflated(data: bytes, size: int = 1 << 18) -> tuple[bytes, PayloadError | None]:
    found = b""
    try:
        for piece in inflate(pieces(data, size)):
            found += piece
    except PayloadError as error:
        return found, error
    return found, None


@given(st.binary(max_size=2000), st.integers(1, 64))
def test_what_is_not_gzip_passes_as_it_is(data: bytes, size: int) -> None:
    plain = data.removeprefix(b"\x1f\x8b")

    assert inflated(plain, size) == (plain, None)


@given(st.lists(st.binary(max_size=400), min_size=1, max_size=4), st.integers(1, 64))
def test_all_members_are_read_whatever_the_cut(parts: list[bytes], size: int) -> None:
    data = b"".join(gzip.compress(part) for part in parts)

    assert inflated(data, size) == (b"".join(parts), None)


@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
def test_zeros_after_a_member_are_padding(size: int) -> None:
    data = gzip.compress(b"a\n") + b"\0" * 600 + gzip.compress(b"b\n") + b"\0" * 3

    assert inflated(data, size) == (b"a\nb\n", None)


def test_empty_chunks_are_not_the_end() -> None:
    data = gzip.compress(LINES)
    chunks = [b"", data[:1], b"", b"", data[1:500], b"", data[500:]]

    assert b"".join(inflate(chunks)) == LINES


@pytest.mark.parametrize("level", [1, 6, 9])
@pytest.mark.parametrize("beyond", [-259, -258, -1, 0, 1, 9, 258])
def test_content_that_ends_near_the_edge_of_a_piece_is_whole(level: int, beyond: int) -> None:
    content = b"a" * (2 * PIECE + beyond)

    assert inflated(gzip.compress(content, level)) == (content, None)


def test_pieces_stay_small_however_well_the_content_was_compressed() -> None:
    data = gzip.compress(b"\0" * 50_000_000)
    tracemalloc.start()

    longest = max(map(len, inflate([data])))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert longest <= PIECE
    assert peak < 2 * 2**20


@pytest.mark.parametrize("size", [1, 777, 1 << 20])
def test_a_truncated_file_gives_all_that_can_be_read(size: int) -> None:
    data = gzip.compress(LINES)
    for end in (2, 9, 10, 11, 500, len(data) // 2, len(data) - 9, len(data) - 8, len(data) - 1):
        readable = zlib.decompressobj(31).decompress(data[:end])

        found, error = inflated(data[:end], size)

        assert error is not None
        assert error.reason == "truncated"
        assert LINES.startswith(found)
        assert len(readable) - len(found) <= 258


def test_a_truncated_file_becomes_whole_lines_and_one_reject_with_the_rest() -> None:
    lines = [line(COLUMNS, {"cs-uri-stem": f"/{number}"}) for number in range(5000)]
    data = gzip.compress(header(COLUMNS) + b"".join(lines))

    outcome = convert(data[: len(data) // 2])

    [reject] = outcome.rejects
    made = len(outcome.documents)
    assert 1000 < made < 4900
    assert reject.reason == "truncated"
    assert lines[made].startswith(reject.raw)
    assert VALUES["c-ip"] not in reject.detail
    assert outcome.read == made + 1


def test_garbage_after_the_last_member_costs_no_line() -> None:
    content = header(COLUMNS) + line(COLUMNS) + line(COLUMNS).rstrip(b"\n")

    outcome = convert(gzip.compress(content) + b"garbage")

    [reject] = outcome.rejects
    assert len(outcome.documents) == 2
    assert (reject.reason, reject.raw) == ("not_gzip", b"garbage")


@pytest.mark.parametrize("tail", [b"\x1f", b"\x1fx", b"x", b"\0x"])
def test_the_shortest_garbage_is_noticed(tail: bytes) -> None:
    found, error = inflated(gzip.compress(b"a\n") + tail, 1)

    assert found == b"a\n"
    assert error is not None
    assert error.reason == "not_gzip"


def test_damaged_bytes_end_the_file_with_a_reject() -> None:
    rng = random.Random(7)
    content = header(COLUMNS) + b"".join(
        line(COLUMNS, {"cs-uri-stem": f"/{rng.random()}"}) for _ in range(20_000)
    )
    data = bytearray(gzip.compress(content))
    middle = len(data) // 2
    data[middle : middle + 200] = b"\xff" * 200

    outcome = convert(pieces(bytes(data), 4096))

    assert outcome.documents
    assert outcome.reasons[-1] == "not_gzip"
    assert outcome.rejects[-1].raw


def test_a_wrong_checksum_is_noticed_after_the_last_line() -> None:
    data = bytearray(gzip.compress(b"a\nb\n"))
    data[-8] ^= 1

    _, error = inflated(bytes(data))

    assert error is not None
    assert error.reason == "not_gzip"


def test_a_member_cut_off_after_a_whole_one_is_truncated() -> None:
    found, error = inflated(gzip.compress(b"a\n") + gzip.compress(LINES)[:500], 33)

    assert found.startswith(b"a\nline 0")
    assert error is not None
    assert error.reason == "truncated"


@given(st.binary(max_size=300), st.integers(1, 300), st.integers(0, 255))
def test_any_damage_is_named_and_nothing_else_raises(
    content: bytes, place: int, value: int
) -> None:
    data = bytearray(gzip.compress(content))
    data[2 + place % (len(data) - 2)] = value

    _, error = inflated(bytes(data))

    assert error is None or error.reason in ("not_gzip", "truncated")


SOME = ("timestamp", "c-ip", "sc-status")


@pytest.mark.parametrize(
    "decoder",
    [
        pytest.param(RealtimeDecoder(RealtimeOptions(fields=SOME)), id="realtime"),
        pytest.param(AutoDecoder(AutoOptions(fields=SOME)), id="auto"),
        pytest.param(StandardDecoder(StandardOptions(fields=SOME)), id="standard"),
    ],
)
def test_compressed_messages_are_read_and_damaged_ones_refused_alone(decoder: Decoder) -> None:
    packed = gzip.compress(line(SOME) * 2)
    datas = [line(SOME), packed, packed[:-9], b"\x1f\x8bnonsense", line(SOME)]
    messages = [Message(data, str(index)) for index, data in enumerate(datas)]
    payload = Payload(Receipt("shard", 0), Origin("stream", ("stream",)), messages=messages)

    outcome = collect(Conversion(decoder, ()), payload)

    assert len({document.id for document in outcome.documents}) == 4
    assert [(r.reason, r.position, r.raw) for r in outcome.rejects] == [
        ("truncated", "2", packed[:-9]),
        ("not_gzip", "3", b"\x1f\x8bnonsense"),
    ]


def test_a_compressed_message_may_not_become_too_large() -> None:
    bomb = Message(gzip.compress(b"\0" * 50_000_000), "7")
    tracemalloc.start()

    readable, [reject] = inflated_messages([bomb, Message(b"a", "8")], most=1_000_000)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert readable == [Message(b"a", "8")]
    assert (reject.reason, reject.position, reject.raw) == ("too_long", "7", bomb.data[: 1 << 16])
    assert peak < 3_000_000


@given(st.lists(st.binary(max_size=400), min_size=1, max_size=4), st.integers(1, 64))
def test_all_zstd_frames_are_read_whatever_the_cut(parts: list[bytes], size: int) -> None:
    data = b"".join(zstd.compress(part) for part in parts)

    assert inflated(data, size) == (b"".join(parts), None)


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(SKIPPABLE + zstd.compress(b"a\n"), id="before"),
        pytest.param(zstd.compress(b"a\n") + SKIPPABLE, id="after"),
        pytest.param(SKIPPABLE * 2 + zstd.compress(b"a\n") + SKIPPABLE, id="around"),
    ],
)
def test_skippable_frames_hold_no_content(data: bytes, size: int) -> None:
    assert inflated(data, size) == (b"a\n", None)


@pytest.mark.parametrize("beyond", [-1, 0, 1, 131_072])
def test_zstd_content_that_ends_near_the_edge_of_a_piece_is_whole(beyond: int) -> None:
    content = b"a" * (4 * PIECE + beyond)

    assert inflated(zstd.compress(content)) == (content, None)


def test_pieces_of_zstd_stay_small_however_well_the_content_was_compressed() -> None:
    data = zstd.compress(b"\0" * 50_000_000)
    tracemalloc.start()

    longest = max(map(len, inflate([data])))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert longest <= PIECE
    assert peak < 2 * 2**20


@pytest.mark.parametrize("size", [1, 777, 1 << 20])
def test_truncated_zstd_gives_all_that_can_be_read(size: int) -> None:
    data = zstd.compress(LINES)
    for end in (4, 5, 6, 500, len(data) // 2, len(data) - 1):
        readable = zstd.ZstdDecompressor().decompress(data[:end])

        found, error = inflated(data[:end], size)

        assert error is not None
        assert (error.reason, found) == ("truncated", readable)


def test_three_bytes_of_zstd_are_a_text() -> None:
    assert inflated(zstd.compress(LINES)[:3], 1) == (b"\x28\xb5\x2f", None)


@pytest.mark.parametrize("tail", [b"x", b"\x28\xb5\x2f", b"\0\0\0\0\0", b"<html>"])
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_garbage_after_the_last_frame_costs_no_line(tail: bytes, size: int) -> None:
    content = header(COLUMNS) + line(COLUMNS) + line(COLUMNS).rstrip(b"\n")

    outcome = convert(pieces(zstd.compress(content) + tail, size))

    [reject] = outcome.rejects
    assert len(outcome.documents) == 2
    assert reject.reason == "not_zstd"
    assert tail.startswith(reject.raw)
    assert reject.raw


@given(st.binary(max_size=300), st.integers(0, 300), st.integers(0, 255))
def test_any_damage_of_zstd_is_named_and_nothing_else_raises(
    content: bytes, place: int, value: int
) -> None:
    data = bytearray(zstd.compress(content))
    data[4 + place % (len(data) - 4)] = value

    _, error = inflated(bytes(data))

    assert error is None or error.reason in ("not_zstd", "truncated")


def test_a_wrong_checksum_of_zstd_is_noticed() -> None:
    options = {zstd.CompressionParameter.checksum_flag: True}
    data = bytearray(zstd.compress(b"a\nb\n", options=options))
    data[-1] ^= 1

    _, error = inflated(bytes(data))

    assert error is not None
    assert error.reason == "not_zstd"


def test_messages_of_zstd_are_read_and_damaged_ones_refused_alone() -> None:
    packed = zstd.compress(b"a\nb\n" * 100)
    datas = [b"a", packed, packed[:-3], packed[:4] + b"nonsense"]

    readable, rejects = inflated_messages([Message(d, str(i)) for i, d in enumerate(datas)])

    assert [message.data for message in readable] == [b"a", b"a\nb\n" * 100]
    assert [(r.reason, r.position) for r in rejects] == [("truncated", "2"), ("not_zstd", "3")]


@pytest.fixture(name="without_zstd")
def _without_zstd(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let imports of zstd fail, as where the extra is not installed."""
    inflate_module._zstd.cache_clear()
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    yield
    inflate_module._zstd.cache_clear()


@pytest.mark.usefixtures("without_zstd")
def test_without_zstd_the_reject_says_what_to_install() -> None:
    data = zstd.compress(header(COLUMNS) + line(COLUMNS))

    outcome = convert(data)
    _, [refused] = inflated_messages([Message(data, "1")])

    [reject] = outcome.rejects
    for found in (reject, refused):
        assert (found.reason, found.raw) == ("no_zstd", data)
        assert "pip install 'cloudfront-ecs[zstd]'" in found.detail


@pytest.mark.parametrize(("chunk", "passed"), [(b"\x1f", 0), (b"a", 1), (b"\n", 1), (b"(", 0)])
def test_text_waits_for_nothing_that_could_tell_more(chunk: bytes, passed: int) -> None:
    def chunks() -> Iterator[bytes]:
        yield chunk
        raise TimeoutError

    found: list[bytes] = []
    with pytest.raises(TimeoutError):
        found.extend(inflate(chunks()))

    assert len(found) == passed
