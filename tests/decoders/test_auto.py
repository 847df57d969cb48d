"""The content decides: standard, real-time, or foreign."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.batches import Message
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.auto import AutoDecoder, AutoOptions
from cloudfront_ecs.normalize.layouts import legacy_columns
from normalize.converting import collect, convert, header, line

STANDARD = ("date", "time", "c-ip", "sc-status")
REALTIME = ("timestamp", "c-ip", "s-ip", "sc-status")
NO_LAYOUT_ENDS = ("foreign", "truncated", "not_gzip")


def test_a_header_means_a_standard_log_even_where_real_time_columns_are_given() -> None:
    [body] = convert(header(STANDARD) + line(STANDARD), REALTIME).bodies

    assert body["event.dataset"] == "cloudfront.standard"


def test_seconds_at_the_beginning_mean_real_time_records() -> None:
    [body] = convert(b"\n" + line(REALTIME), REALTIME).bodies

    assert body["event.dataset"] == "cloudfront.realtime"


def test_real_time_records_without_columns_are_refused_line_by_line() -> None:
    outcome = convert(line(REALTIME) * 2 + b"\n" + line(REALTIME))

    assert [(r.reason, r.line) for r in outcome.rejects] == [
        ("layout", 1),
        ("layout", 2),
        ("layout", 4),
    ]
    assert "fields" in outcome.rejects[0].detail
    assert outcome.skipped == 1


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        pytest.param(b'{"date":"2026-01-15"}\n', "JSON", id="json-lines"),
        pytest.param(b'\n[{"date":"2026-01-15"}]', "JSON", id="a-json-list"),
        pytest.param(b"PAR1\x15\x04\x15", "this content", id="parquet"),
        pytest.param(bytes(range(11, 256)) * 4, "this content", id="noise"),
        pytest.param("Fuß\tnote\n".encode(), "this content", id="text"),
        pytest.param(b"<html>\n", "this content", id="html"),
        pytest.param("#Fields: date time\n".encode("utf-16"), "this content", id="utf-16"),
    ],
)
def test_content_that_is_no_log_is_foreign(data: bytes, kind: str) -> None:
    outcome = convert(data)

    [reject] = outcome.rejects
    assert (reject.reason, reject.detail) == (
        "foreign",
        f"{kind} is no log that this version reads",
    )
    assert reject.raw
    assert (outcome.documents, outcome.read) == ([], 1)


@pytest.mark.parametrize(
    "data", [b"", b"\xef\xbb\xbf", gzip.compress(b""), b"\n\n\n"], ids=["no", "bom", "gz", "blank"]
)
def test_nothing_in_is_nothing_out(data: bytes) -> None:
    outcome = convert(data)

    assert (outcome.documents, outcome.rejects) == ([], [])
    assert outcome.skipped == data.count(b"\n")


def test_gzip_is_known_by_its_bytes() -> None:
    data = header(STANDARD) + line(STANDARD)

    assert convert(gzip.compress(data)).bodies == convert(data).bodies


def test_gzip_in_mid_file_is_only_noise_in_a_line() -> None:
    data = header(STANDARD) + line(STANDARD) + gzip.compress(line(STANDARD), mtime=0) + b"\n"

    outcome = convert(data + line(STANDARD))

    assert len(outcome.documents) == 2
    assert set(outcome.reasons) == {"columns"}


def test_messages_with_a_header_explain_themselves() -> None:
    messages = [Message(header(STANDARD) + line(STANDARD), "1"), Message(line(REALTIME), "2")]

    outcome = collect(*conversion(messages))

    assert len(outcome.documents) == 1
    assert [(r.reason, r.position) for r in outcome.rejects] == [("timestamp", "2")]


def test_messages_that_nothing_explains_are_refused_by_position() -> None:
    outcome = collect(*conversion([Message(line(REALTIME), "1"), Message(b"a\nb", "2")]))

    assert [(r.reason, r.position, r.line) for r in outcome.rejects] == [
        ("layout", "1", None),
        ("layout", "2", None),
        ("layout", "2", None),
    ]


def conversion(messages: list[Message]) -> tuple[Conversion, Payload]:
    origin = Origin("stream", ("stream",))
    return (
        Conversion(AutoDecoder(AutoOptions()), ()),
        Payload(Receipt("shard", 0), origin, messages=messages),
    )


def test_the_longest_line_holds_for_every_format() -> None:
    decoder = AutoDecoder(AutoOptions(fields=REALTIME, max_line_bytes=1024))
    messages = [Message(b"x" * 2000, "1")]
    payload = Payload(Receipt("shard", 0), Origin("stream", ("stream",)), messages=messages)

    assert convert(header(STANDARD) + b"x" * 2000, decoder=decoder).reasons == ["too_long"]
    assert convert(line(REALTIME) + b"x" * 2000, decoder=decoder).reasons == ["too_long"]
    assert collect(Conversion(decoder, ()), payload).reasons == ["too_long"]


def test_columns_that_no_log_has_are_refused() -> None:
    with pytest.raises(ValueError, match=r"fields: unknown column 'c-ipp' \(did you mean 'c-ip'"):
        AutoOptions(fields=("c-ipp",))


PARTS = st.sampled_from(
    [
        header(STANDARD),
        line(STANDARD),
        line(REALTIME),
        line(legacy_columns()),
        b"#Fields: a b\n",
        b"\x1f\x8b",
        b"{",
        b"\t",
        b"\n",
        b"\r",
        b"\xff",
        b"2026-01-15\t",
        b"1768507267.148",
    ]
)


@settings(max_examples=300)
@given(
    st.one_of(st.binary(max_size=200), st.lists(PARTS, max_size=15).map(b"".join)),
    st.integers(1, 400),
    st.sampled_from([(), REALTIME, STANDARD]),
)
def test_any_bytes_are_accounted_for_without_an_exception(
    data: bytes, size: int, fields: tuple[str, ...]
) -> None:
    outcome = convert([data[i : i + size] for i in range(0, len(data), size)], fields)

    text = data.removeprefix(b"\xef\xbb\xbf")
    lines = text.count(b"\n") + (1 if text and not text.endswith(b"\n") else 0)
    ended = len(outcome.documents) + len(outcome.rejects)
    assert ended == outcome.read
    if outcome.reasons and outcome.reasons[-1] in NO_LAYOUT_ENDS and data[:1] != b"#":
        assert ended + outcome.skipped <= max(lines, 1)
    else:
        assert ended + outcome.skipped == lines
