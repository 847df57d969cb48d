"""The field table is the truth: documents, conversions and ECS agree with it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from cloudfront_ecs.normalize.documents import ecs
from cloudfront_ecs.normalize.layouts import legacy_columns, realtime_columns, rows_by_column
from cloudfront_ecs.normalize.values import convert
from cloudfront_ecs.resources import field_table
from normalize.converting import VALUES, realtime, standard

ECS = Path(__file__).parent.parent / "data" / "ecs-9.4.csv"
OTHER_TYPES = {
    # Its values are namespaces chosen by whoever runs a sink, so an index may hold several.
    "data_stream.namespace": ("keyword", "constant_keyword"),
    # ECS says only that it is an object of keywords; flattened keeps the number of fields small.
    "labels": ("flattened", "object"),
}
"""Fields that we map otherwise than ECS does: our type, ECS's type."""

STANDARD = tuple(
    column for column in rows_by_column("standard") if column not in ("timestamp", "timestamp(ms)")
)
TARGETS = [
    pytest.param(log, row.column, name, id=f"{log}-{row.column}-{name}")
    for log in ("standard", "realtime")
    for row in rows_by_column(log).values()
    if log == "standard" or row.realtime
    for name, _ in row.targets
]


def test_every_leaf_of_the_document_stands_in_the_table() -> None:
    table = {name for row in field_table() for name, _ in row.targets}

    assert set(leaves(ecs.EcsDocument)) == table


def test_every_field_has_one_type() -> None:
    types: dict[str, set[str]] = {}
    for row in field_table():
        for name, mapping_type in row.targets:
            types.setdefault(name, set()).add(mapping_type)

    assert {name: found for name, found in types.items() if len(found) > 1} == {}


def test_every_field_outside_aws_is_one_of_ecs_with_its_type() -> None:
    with ECS.open(encoding="utf-8") as file:
        known = {row["field"]: row["type"] for row in csv.DictReader(file)}
    ours = {
        name: mapping_type
        for row in field_table()
        for name, mapping_type in row.targets
        if not name.startswith("aws.")
    }

    expected = known | {name: types[0] for name, types in OTHER_TYPES.items()}

    assert ours == expected
    assert {name: known[name] for name in OTHER_TYPES} == {
        name: types[1] for name, types in OTHER_TYPES.items()
    }


def test_every_column_has_a_conversion_that_exists() -> None:
    conversions = {row.conversion for row in field_table() if not row.column.startswith("(")}

    assert {name for name in conversions if not callable(getattr(convert, name, None))} == set()


def test_every_conversion_takes_what_is_absent_for_nothing() -> None:
    for row in field_table():
        if not row.column.startswith("("):
            value = getattr(convert, row.conversion)("-")
            assert value is None or set(value) <= {None, False}, row.column


def test_real_time_records_have_71_columns_in_the_order_of_aws() -> None:
    columns = realtime_columns()

    assert len(columns) == 71
    assert [row.realtime for row in map(rows_by_column("realtime").get, columns) if row] == [
        *range(1, 72)
    ]
    assert columns[:5] == ("timestamp", "c-ip", "s-ip", "time-to-first-byte", "sc-status")
    assert columns[40:47] == (
        "cs-headers-count",
        "primary-distribution-id",
        "primary-distribution-dns-name",
        "origin-fbl",
        "origin-lbl",
        "asn",
        "cmcd-encoded-bitrate",
    )
    assert columns[63:67] == ("cmcd-version", "r-host", "sr-reason", "x-edge-mqcs")
    assert columns[-2:] == ("viewer-request-log-data", "viewer-response-log-data")


def test_legacy_files_have_33_columns_in_their_order() -> None:
    assert " ".join(legacy_columns()) == (
        "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status "
        "cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type "
        "x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for "
        "ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status "
        "fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type "
        "sc-content-type sc-content-len sc-range-start sc-range-end"
    )


def test_every_column_of_the_table_has_an_example_here() -> None:
    columns = {row.column for row in field_table() if not row.column.startswith("(")}

    assert columns == set(VALUES)


@pytest.mark.parametrize(("log", "column", "name"), TARGETS)
def test_a_column_reaches_each_of_its_fields(log: str, column: str, name: str) -> None:
    columns = realtime_columns() if log == "realtime" else STANDARD
    if column not in columns:
        columns = (*columns, column)
    outcome = realtime({}, columns=columns) if log == "realtime" else standard({}, columns=columns)

    assert not outcome.rejects
    assert name in outcome.bodies[0]


@pytest.mark.parametrize("log", ["standard", "realtime"])
def test_a_column_alone_reaches_a_field(log: str) -> None:
    clock = ["timestamp"] if log == "realtime" else ["date", "time"]
    convert_lines = realtime if log == "realtime" else standard
    for row in rows_by_column(log).values():
        if (log == "realtime" and not row.realtime) or row.column in clock:
            continue
        columns = [*clock, row.column]

        [with_it] = convert_lines({}, columns=columns).bodies
        [without] = convert_lines({row.column: "-"}, columns=columns).bodies

        found = {name for name, value in with_it.items() if without.get(name) != value}
        assert found & {name for name, _ in row.targets}, row.column


def leaves(struct: type[Any], prefix: str = "") -> list[str]:
    found = []
    hints = get_type_hints(struct)
    for item in msgspec.structs.fields(struct):
        hint = hints[item.name]
        nested = [t for t in (hint, *get_args(hint)) if isinstance(t, type)]
        objects = [t for t in nested if issubclass(t, msgspec.Struct)]
        path = f"{prefix}{item.encode_name}"
        found += leaves(objects[0], f"{path}.") if objects else [path]
    return found
