"""Standard logs: the latest header says what the columns are."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.batches import Message
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.standard import MOST_COLUMNS, StandardDecoder, StandardOptions
from cloudfront_ecs.normalize.layouts import legacy_columns
from normalize.converting import collect, convert, header, line

THREE = ("date", "time", "c-ip")
COLUMNS = legacy_columns()


def shape(data: bytes, size: int) -> tuple[list[str], list[tuple[str, int | None, bytes]], int]:
    """Return ids, rejects and skipped lines when the data come in pieces of *size*."""
    outcome = convert([data[i : i + size] for i in range(0, len(data), size)])
    rejects = sorted((r.reason, r.line, r.raw) for r in outcome.rejects)
    return sorted(document.id for document in outcome.documents), rejects, outcome.skipped


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_where_the_bytes_are_cut_changes_nothing(size: int) -> None:
    good, bad = line(COLUMNS), b"a\tb\n"
    data = b"".join(
        [bad, good, bad, header(THREE), line(THREE), bad, b"#Fields: a a\n", good, b"# x\n", good]
    )
    data = b"\xef\xbb\xbf" + good + data + header(COLUMNS) + good + b"{}\n" + good.rstrip(b"\n")

    assert shape(data, size) == shape(data, len(data))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("#Fields: date time c-ip", id="as-documented"),
        pytest.param("#Fields:date time c-ip", id="no-blank"),
        pytest.param("#Fields: date\ttime\tc-ip", id="tabs"),
        pytest.param("#Fields:   date  time   c-ip  ", id="many-blanks"),
        pytest.param("#fields: date time c-ip", id="lower-case"),
        pytest.param("# Fields: date time c-ip", id="blank-after-the-sign"),
        pytest.param("#Fields: date time\u200b c-ip", id="zero-width-space"),
    ],
)
def test_a_header_names_the_columns(text: str) -> None:
    outcome = convert(text.encode() + b"\n" + line(THREE))

    [body] = outcome.bodies
    assert body["source.ip"] == "192.0.2.10"
    assert outcome.skipped == 1


def test_a_header_of_very_many_columns_is_refused_at_once() -> None:
    names = b" ".join(b"c%d" % i for i in range(120_000))
    began = time.process_time()

    outcome = convert(b"#Fields: " + names + b"\n")

    assert time.process_time() - began < 10
    assert outcome.reasons == ["header"]


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        pytest.param(b"#Fields:", "#Fields names no columns", id="none"),
        pytest.param(b"#Fields", "#Fields names no columns", id="nothing"),
        pytest.param(b"#Fields: a b a", "#Fields names a twice", id="repeated"),
        pytest.param(
            b"#Fields: date time \xff",
            "#Fields names a column in bytes that are no text",
            id="bytes",
        ),
        pytest.param(
            b"#Fields:" + b"".join(b" c%d" % i for i in range(MOST_COLUMNS + 1)),
            "#Fields names 513 columns, at most 512 are read",
            id="too-many",
        ),
    ],
)
def test_a_header_that_cannot_be_used_is_refused_with_the_lines_that_follow(
    text: bytes, detail: str
) -> None:
    data = text + b"\n" + line(COLUMNS) + b"#Version: 1.0\n" + line(COLUMNS)

    outcome = convert(data + header(THREE) + line(THREE))

    assert [(r.reason, r.line) for r in outcome.rejects] == [
        ("header", 1),
        ("layout", 2),
        ("layout", 4),
    ]
    assert outcome.rejects[0].detail == detail
    assert len(outcome.documents) == 1
    assert outcome.skipped == 2


def test_comments_that_only_look_like_a_header_change_nothing() -> None:
    data = header(THREE) + b"#FieldsOfGold: a b\n#Remark\n#\n" + line(THREE)

    outcome = convert(data)

    assert (len(outcome.documents), outcome.skipped) == (1, 4)


def test_the_option_fields_gives_the_columns_of_files_without_a_header() -> None:
    decoder = StandardDecoder(StandardOptions(fields=THREE))

    outcome = convert(
        line(THREE) + line(COLUMNS) + header(COLUMNS) + line(COLUMNS), decoder=decoder
    )

    assert len(outcome.documents) == 2
    assert outcome.reasons == ["columns"]


@pytest.mark.parametrize("width", [18, 19, 24, 26, 33])
def test_a_legacy_file_without_a_header_is_known_by_its_shape(width: int) -> None:
    outcome = convert(line(COLUMNS[:width]) * 2)

    assert len(outcome.documents) == 2
    assert outcome.rejects == []


def test_a_width_that_no_legacy_file_had_is_not_guessed_at() -> None:
    outcome = convert(line(COLUMNS[:25]))

    assert outcome.reasons == ["layout"]


def test_shifted_columns_are_not_taken_for_a_legacy_file() -> None:
    shifted = line(COLUMNS).rstrip(b"\n").split(b"\t")

    outcome = convert(b"\t".join([*shifted[:4], *shifted[5:], b"-"]) + b"\n")

    assert outcome.reasons == ["layout"]


@pytest.mark.parametrize(
    "column", ["date", "time", "c-ip", "sc-status", "cs-protocol", "x-edge-result-type"]
)
def test_a_short_row_whose_anchors_do_not_fit_is_refused(column: str) -> None:
    row = line(COLUMNS[:31], {column: "no such value"})

    outcome = convert(header(COLUMNS) + row)

    assert outcome.reasons == ["columns"]
    assert outcome.rejects[0].detail == "33 columns expected, 31 found"


def test_a_short_row_of_a_header_with_columns_of_another_log_is_judged_by_the_others() -> None:
    columns = [*COLUMNS[:20], "s-ip", "x-new"]
    texts = line(COLUMNS[:20]).rstrip(b"\n")

    outcome = convert(header(columns) + texts + b"\t203.0.113.20\n")

    [body] = outcome.bodies
    assert body["aws.cloudfront.other"] == {"s-ip": "203.0.113.20"}
    assert body["error.message"] == "the row ends before x-new"


def test_blank_lines_are_skipped_also_where_there_is_one_column() -> None:
    outcome = convert(b"#Fields: timestamp(ms)\n\n1768507267148\n\r\n")

    assert (len(outcome.documents), outcome.skipped, outcome.rejects) == (1, 3, [])


def test_messages_are_read_one_by_one_and_named_by_their_position() -> None:
    messages = [
        Message(header(THREE) + line(THREE), "49"),
        Message(line(THREE).rstrip(b"\n"), "50"),
        Message(line(THREE) + b"no record\n", "51"),
    ]
    payload = Payload(Receipt("shard", 0), Origin("stream", ("stream", "shard")), messages=messages)

    outcome = collect(Conversion(StandardDecoder(StandardOptions()), ()), payload)

    assert len({document.id for document in outcome.documents}) == 3
    assert [(r.reason, r.position, r.line) for r in outcome.rejects] == [("columns", "51", 2)]
    assert outcome.bodies[1]["event.id"] == outcome.documents[1].id


def test_an_unknown_column_is_named_with_the_nearest_known_one() -> None:
    with pytest.raises(
        ValueError, match=r"unknown column 'cs-uri-stm' \(did you mean 'cs-uri-stem'"
    ):
        StandardOptions(fields=("date", "time", "cs-uri-stm"))


LINES = st.sampled_from(
    [
        header(THREE),
        header(COLUMNS),
        line(THREE),
        line(COLUMNS),
        line(COLUMNS[:20]),
        line(COLUMNS, {"sc-status": "\udcff", "time": "-"}),
        b"#Fields:\n",
        b"#Version: 1.0\r\n",
        b"\n",
        b" \n",
        b"{}\n",
        b"\t\n",
        b"\xff\xfe\t\x00\n",
        b"x" * 3000 + b"\n",
    ]
)


@given(st.lists(LINES, max_size=12), st.integers(1, 5000))
def test_every_line_is_a_document_a_reject_or_skipped(lines: list[bytes], size: int) -> None:
    data = b"".join(lines)
    decoder = StandardDecoder(StandardOptions(max_line_bytes=2000))
    chunks = [data[i : i + size] for i in range(0, len(data), size)]

    outcome = convert(chunks, decoder=decoder)

    ended = len(outcome.documents) + len(outcome.rejects)
    assert ended == outcome.read
    assert ended + outcome.skipped == len(lines)
    for reject in outcome.rejects:
        assert reject.line is not None
        whole = lines[reject.line - 1].rstrip(b"\r\n")
        assert reject.raw == whole
    assert len({document.id for document in outcome.documents}) == len(outcome.documents)
