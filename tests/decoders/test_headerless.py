"""Standard logs without a header, and with another delimiter than the tab."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudfront_ecs.decoders.auto import AutoDecoder, AutoOptions
from cloudfront_ecs.decoders.headerless import UNCLEAR
from cloudfront_ecs.decoders.standard import StandardDecoder, StandardOptions
from cloudfront_ecs.normalize.layouts import legacy_columns
from normalize.converting import VALUES, Outcome, convert, header, line

COLUMNS = legacy_columns()
TENANT = (*COLUMNS, "distribution-tenant-id", "connection-id")
PLACE = (*COLUMNS, "c-country", "cache-behavior-path-pattern")
ID = "k6WGMNkEzR5BEM_SaF47gjtX9zBDO2m349OY2an0QPEaUum1ZOLrow=="
FEW = ("date", "time", "c-ip", "sc-status", "cs-uri-stem", "cs(User-Agent)")
FIELDS = ("aws.cloudfront.distribution_tenant_id", "aws.cloudfront.connection_id",
          "source.geo.country_iso_code", "aws.cloudfront.cache_behavior_path_pattern")  # fmt: skip


def row(*extra: str) -> bytes:
    """Return a row of the 33 columns and some more values."""
    return line(COLUMNS).rstrip(b"\n") + "".join(f"\t{value}" for value in extra).encode() + b"\n"


def told(outcome: Outcome) -> list[list[object]]:
    """Return what became of the columns after the 33."""
    return [[body.get(field) for field in FIELDS] for body in outcome.bodies]


def delimited(columns: tuple[str, ...], delimiter: str, **values: str) -> bytes:
    texts = VALUES | values
    return (delimiter.join(texts[column] for column in columns) + "\n").encode()


def read(data: bytes, delimiter: str, fields: tuple[str, ...] = ()) -> Outcome:
    decoder = StandardDecoder(StandardOptions(fields=fields, delimiter=delimiter))
    return convert(data, decoder=decoder)


@pytest.mark.parametrize(
    ("extra", "found"),
    [
        pytest.param(["-"], [None, None, None, None], id="34-absent"),
        pytest.param(["dt_1aB"], ["dt_1aB", None, None, None], id="34-tenant"),
        pytest.param(["-", "-"], [None, None, None, None], id="35-absent"),
        pytest.param(["dt_1aB", "-"], ["dt_1aB", None, None, None], id="35-tenant"),
        pytest.param(["dt_1aB", ID], ["dt_1aB", ID, None, None], id="35-tenant-and-connection"),
        pytest.param(["-", ID], [None, ID, None, None], id="35-connection"),
        pytest.param(["DE", "*"], [None, None, "DE", "*"], id="v2-country-and-pattern"),
        pytest.param(["DE", "-"], [None, None, "DE", None], id="v2-country"),
        pytest.param(["-", "/images/*"], [None, None, None, "/images/*"], id="v2-pattern"),
        pytest.param([""], [None, None, None, None], id="trailing-tab"),
        pytest.param(["dt_1aB", ""], ["dt_1aB", None, None, None], id="34-trailing-tab"),
    ],
)
def test_columns_after_the_33_are_known_by_their_shape(
    extra: list[str], found: list[object]
) -> None:
    outcome = convert(row(*extra))

    assert outcome.rejects == []
    assert told(outcome) == [found]
    assert "error.message" not in outcome.bodies[0]


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param(["DE"], id="country-alone"),
        pytest.param(["something"], id="34"),
        pytest.param(["-", "images"], id="neither-connection-nor-pattern"),
        pytest.param(["-", "a"], id="too-short"),
        pytest.param(["something", "else"], id="35"),
        pytest.param(["de", "*"], id="no-country"),
    ],
)
def test_what_cannot_be_told_is_refused_and_not_guessed(extra: list[str]) -> None:
    after_a_known_row = convert(row("dt_1aB", ID) + row(*extra) + row())
    alone = convert(row(*extra))

    assert alone.reasons == ["layout"]
    assert len(after_a_known_row.documents) == 2
    [reject] = after_a_known_row.rejects
    assert (reject.reason, reject.line, reject.detail) == ("layout", 2, UNCLEAR)


def test_each_row_is_judged_by_itself() -> None:
    extras = [["dt_1aB", ID], ["DE", "*"], [], ["-", "-"], ["US", "/a/*"], ["-", ID]]

    outcome = convert(b"\n".join(row(*extra).rstrip(b"\n") for extra in extras))

    assert outcome.rejects == []
    assert told(outcome) == [
        ["dt_1aB", ID, None, None],
        [None, None, "DE", "*"],
        [None] * 4,
        [None] * 4,
        [None, None, "US", "/a/*"],
        [None, ID, None, None],
    ]


@pytest.mark.parametrize("columns", [TENANT, PLACE, TENANT[:34]])
def test_a_header_or_the_option_says_it_without_doubt(columns: tuple[str, ...]) -> None:
    with_header = convert(header(columns) + line(columns)).bodies
    with_option = convert(line(columns), columns).bodies

    assert with_header[0].pop("event.id") != with_option[0].pop("event.id")
    assert with_header == with_option
    assert "error.message" not in with_header[0]


@pytest.mark.parametrize("width", [17, 20, 25, 32, 36])
def test_widths_that_no_file_had_are_refused(width: int) -> None:
    columns = (*TENANT, "asn")[:width]

    assert convert(line(columns)).reasons == ["layout"]


@pytest.mark.parametrize("delimiter", ["|", ",", ";", " ", "\t\t", "||", "<->", "¦", "#|#|#", "🙂"])
def test_any_delimiter_of_one_to_five_characters_is_understood(delimiter: str) -> None:
    [expected] = convert(header(FEW) + line(FEW)).bodies
    expected.pop("event.id")
    data = delimited(FEW, delimiter)

    plain = read(data, delimiter, FEW)
    w3c = read(header(FEW) + data, delimiter)

    for outcome in (plain, w3c):
        assert outcome.rejects == []
        [body] = outcome.bodies
        body.pop("event.id")
        assert body == expected


def test_the_names_of_a_header_may_have_the_delimiter_too() -> None:
    outcome = read(b"#Fields: " + ",".join(FEW).encode() + b"\n" + delimited(FEW, ","), ",")

    assert len(outcome.documents) == 1


def test_one_column_whose_name_holds_the_delimiter_is_one_column() -> None:
    outcome = read(b"#Fields: timestamp(ms)\n1768507267148\n", "(")

    assert len(outcome.documents) == 1


def test_a_legacy_width_is_known_with_any_delimiter() -> None:
    outcome = read(delimited(COLUMNS, "|") + delimited(TENANT, "|", **{"connection-id": ID}), "|")

    assert len(outcome.documents) == 2


@pytest.mark.parametrize("added", ["|", "|x", "|x|y"])
def test_a_value_that_holds_the_delimiter_makes_a_row_that_is_refused(added: str) -> None:
    data = delimited(FEW, "|", **{"cs(User-Agent)": f"a{added}"})

    outcome = read(data + delimited(FEW, "|"), "|", FEW)

    if added == "|":  # harmless at the end of a row
        assert len(outcome.documents) == 2
    else:
        assert [(r.reason, r.line) for r in outcome.rejects] == [("columns", 1)]
        assert len(outcome.documents) == 1


def test_rows_of_another_delimiter_than_configured_are_refused() -> None:
    assert read(delimited(FEW, ","), "|", FEW).reasons == ["columns"]


def test_short_rows_are_prefixes_whatever_the_delimiter() -> None:
    short = delimited(COLUMNS[:31], "|")

    [body] = read(header(COLUMNS) + short, "|").bodies

    assert body["error.message"] == "the row ends before sc-range-start, sc-range-end"


@pytest.mark.parametrize("options", [StandardOptions, AutoOptions])
@pytest.mark.parametrize(
    ("delimiter", "problem"),
    [
        pytest.param("", "1 to 5 characters needed, got 0", id="none"),
        pytest.param("123456", "1 to 5 characters needed, got 6", id="too-long"),
        pytest.param("\n", "a line end cannot stand between two values", id="line-end"),
        pytest.param("|\r", "a line end cannot stand between two values", id="return"),
    ],
)
def test_a_delimiter_that_cannot_be_is_refused(
    options: type[StandardOptions | AutoOptions], delimiter: str, problem: str
) -> None:
    with pytest.raises(ValueError, match=f"delimiter: {problem}"):
        options(delimiter=delimiter)


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=5),
    st.lists(st.sampled_from(FEW), min_size=2, unique=True),
)
def test_any_delimiter_that_no_value_holds_gives_the_documents_of_a_tab(
    delimiter: str, chosen: list[str]
) -> None:
    columns = ("timestamp(ms)", *chosen)
    values = [VALUES[column] for column in columns]
    text = delimiter.join(values)
    if text.split(delimiter) != values or text.startswith("#"):
        return

    found = convert(
        text.encode(), decoder=AutoDecoder(AutoOptions(fields=columns, delimiter=delimiter))
    )

    expected = read("\t".join(values).encode(), "\t", columns).bodies
    assert found.bodies == expected
