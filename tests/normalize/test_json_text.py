"""Documents written as text are the typed documents, byte for byte; few take another way."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudfront_ecs.decoders.json_lines import JsonDecoder, JsonOptions
from cloudfront_ecs.encoding import json_line, json_lines
from cloudfront_ecs.normalize.layouts import legacy_columns, realtime_columns
from normalize.converting import VALUES, convert, header, line, realtime, standard

TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=12)


def test_usual_records_are_written_and_never_opened() -> None:
    for outcome in (standard({}, {}), realtime({}, {}, columns=realtime_columns())):
        assert [document.opened for document in outcome.documents] == [None, None]
        assert all(document.text for document in outcome.documents)


@pytest.mark.parametrize("column", legacy_columns())
@given(value=TEXT)
def test_any_text_in_a_column_is_written_as_the_typed_document_has_it(
    column: str, value: str
) -> None:
    outcome = standard({column: value.replace("\t", "")})

    for document in outcome.documents:
        assert json_line(document) == msgspec.json.encode(document.body)


@given(st.sets(st.sampled_from(realtime_columns())))
def test_any_choice_of_columns_is_written_as_the_typed_document_has_it(chosen: set[str]) -> None:
    columns = [name for name in realtime_columns() if name in {*chosen, "timestamp", "c-ip"}]

    for document in realtime({}, columns=columns).documents:
        assert json_line(document) == msgspec.json.encode(document.body)


def test_the_text_is_gone_once_the_body_may_have_been_changed() -> None:
    [document] = standard({}).documents

    document.body.tags = ["changed"]

    assert document.text is None
    assert json.loads(json_line(document))["tags"] == ["changed"]


def test_documents_of_both_kinds_are_lines_together() -> None:
    documents = standard({}, {}).documents
    before = json_lines(documents)

    assert documents[1].body

    assert documents[1].text is None
    assert json_lines(documents) == before


@pytest.mark.few_records
def test_few_records_with_columns_nobody_knows_keep_them() -> None:
    records = [
        {"date": "2026-01-15", "time": "20:01:07", "sc-status": "200", f"x-{n}": f"v{n}"}
        for n in range(5)
    ]
    data = "".join(json.dumps(record) + "\n" for record in records).encode()

    bodies = convert(data, decoder=JsonDecoder(JsonOptions())).bodies

    assert [body["aws.cloudfront.other"] for body in bodies] == [
        {f"x-{n}": f"v{n}"} for n in range(5)
    ]


@pytest.mark.few_records
def test_few_and_many_records_become_the_same_documents() -> None:
    columns = (*legacy_columns(), "x-new")
    values = VALUES | {"x-new": "value"}
    few = convert(header(columns) + line(columns, values))
    many = convert(header(columns) + line(columns, values) * 20)

    assert few.documents[0].text is None
    assert many.documents[0].text is not None
    assert few.bodies[0] | {"event.id": ""} == many.bodies[0] | {"event.id": ""}


def test_an_unknown_column_too_long_for_a_search_engine_is_named() -> None:
    columns = ("date", "time", "x-new")

    [body] = convert(header(columns) + line(columns, VALUES | {"x-new": "x" * 40_000})).bodies

    assert not [name for name in body if name.startswith("aws.")]
    assert body["error.message"].startswith("x-new: longer than 32000 bytes")
