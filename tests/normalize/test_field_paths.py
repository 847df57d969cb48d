"""Fields are read and replaced by name, in typed bodies and in plain ones."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from cloudfront_ecs.normalize.documents.ecs import EcsDocument
from cloudfront_ecs.normalize.documents.field_paths import (
    field_type,
    field_types,
    path_of,
    put,
    value_at,
)
from normalize.converting import flat, standard


def as_dict(body: object) -> Any:
    return json.loads(msgspec.json.encode(body))


@pytest.fixture(name="body", params=["typed", "plain"])
def _body(request: pytest.FixtureRequest) -> Any:
    [document] = standard({}).documents
    return document.body if request.param == "typed" else as_dict(document.body)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("@timestamp", "2026-01-15T20:01:07Z"),
        ("source.ip", "192.0.2.10"),
        ("http.response.status_code", 200),
        ("source.as.number", None),
        ("event.type", ["access", "error"]),
        ("aws.cloudfront.other.x", None),
        ("no.such.field", None),
        ("source.ip.more", None),
    ],
)
def test_a_value_is_found_by_its_name(body: Any, name: str, value: object) -> None:
    assert value_at(body, path_of(name)) == value


def test_every_field_of_the_table_can_be_asked_for_and_filled() -> None:
    for name in field_types():
        if name != "@timestamp":
            body = EcsDocument("2026-01-15T20:01:07Z")
            assert value_at(body, path_of(name)) is None

            put(body, path_of(name), "x")

            assert value_at(body, path_of(name)) == "x", name


def test_a_replaced_value_leaves_all_others(body: Any) -> None:
    before = as_dict(body)

    put(body, path_of("source.as.number"), 64500)

    before["source"]["as"] = {"number": 64500}
    assert as_dict(body) == before


def test_objects_that_are_left_empty_go_too(body: Any) -> None:
    put(body, path_of("labels"), {"a.b": "x"})
    assert value_at(body, path_of("labels.a.b")) == "x"

    put(body, path_of("labels.a.b"), None)
    put(body, path_of("user_agent.original"), None)

    assert not {"labels", "user_agent"} & set(as_dict(body))


def test_shared_objects_are_replaced_and_never_changed() -> None:
    first, second = standard({}, {}).documents
    assert first.body.tls is second.body.tls
    before = flat(second)

    put(first.body, path_of("tls.version"), "x")

    assert flat(second) == before


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sorce.ip", "did you mean 'source.ip'?"),
        ("status_code", "did you mean 'http.response.status_code'?"),
        ("zzz", "see the list of fields in the README"),
    ],
)
def test_an_unknown_field_is_named_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match="unknown field") as caught:
        field_type(name)

    assert hint in str(caught.value)


def test_what_lies_in_a_flattened_field_is_text() -> None:
    assert field_type("aws.cloudfront.request_headers.x-a.b") == "keyword"
