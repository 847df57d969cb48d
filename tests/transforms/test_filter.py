"""The filter transform keeps or drops documents by conditions on their fields."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cloudfront_ecs.batches import Document
from transforms.transforming import applied, documents, opened, problems_of

STATUS = "http.response.status_code"


def kept(keep: dict[str, Any], values: dict[str, str] | None = None) -> bool:
    return bool(opened("filter", keep=keep).apply(documents(values or {})))


@pytest.mark.parametrize(
    ("field", "op", "value", "meets"),
    [
        (STATUS, "==", 200, True),
        (STATUS, "==", 404, False),
        (STATUS, "!=", 404, True),
        (STATUS, ">=", 200, True),
        (STATUS, ">", 200, False),
        (STATUS, "<", 200.5, True),
        (STATUS, "<=", 199, False),
        (STATUS, "in", [200, 206], True),
        (STATUS, "not_in", [200, 206], False),
        (STATUS, "exists", True, True),
        (STATUS, "exists", False, False),
        ("http.request.method", "==", "GET", True),
        ("url.path", "starts_with", "/index", True),
        ("url.path", "ends_with", ".html", True),
        ("url.path", "contains", "dex", True),
        ("url.path", "matches", r"^/\w+\.html$", True),
        ("url.path", "matches", r"^\w+$", False),
        ("event.type", "==", "error", True),
        ("event.type", "!=", "error", False),
        ("source.ip", "cidr", "192.0.2.0/24", True),
        ("source.ip", "cidr", ["198.51.100.0/24", "2001:db8::/32"], False),
        ("source.ip", "==", "192.0.2.10", True),
        ("network.forwarded_ip", "cidr", "198.51.100.2", True),
        ("tls.established", "==", True, True),
        ("@timestamp", ">", "2026-01-15T20:01:07Z", True),
        ("@timestamp", "<", "2026-01-15T21:01:07.148+01:00", False),
        ("@timestamp", "==", "2026-01-15T21:01:07.1480+01:00", True),
        ("@timestamp", ">=", datetime(2026, 1, 16, tzinfo=UTC), False),
        ("aws.cloudfront.request_headers.accept", "==", "*/*", True),
        ("aws.cloudfront.request_headers", "exists", True, True),
        ("event.dataset", "==", "cloudfront.realtime", True),
        ("aws.cloudfront.time_to_first_byte", "<", 0.05, True),
    ],
)
def test_an_operator_compares_a_field_by_its_type(
    field: str, op: str, value: Any, *, meets: bool
) -> None:
    assert kept({"field": field, "op": op, "value": value}) is meets


def test_equality_is_the_operator_where_none_is_given() -> None:
    assert kept({"field": "http.request.method", "value": "GET"})


@pytest.mark.parametrize(("op", "meets"), [("==", False), ("!=", True), ("not_in", True)])
def test_an_absent_field_meets_only_opposites(op: str, *, meets: bool) -> None:
    value = ["x"] if op == "not_in" else "x"

    assert kept({"field": "url.query", "op": op, "value": value}, {"cs-uri-query": "-"}) is meets


def test_groups_nest() -> None:
    failed = {"field": STATUS, "op": ">=", "value": 400}
    slow = {"field": "event.duration", "op": ">", "value": 1_000_000_000}
    probe = {"field": "url.path", "op": "starts_with", "value": "/health"}
    condition = {"all": [{"any": [failed, slow]}, {"not": probe}]}

    assert kept(condition, {"sc-status": "404"})
    assert kept(condition, {"time-taken": "1.5"})
    assert not kept(condition)
    assert not kept(condition, {"sc-status": "404", "cs-uri-stem": "/health"})


def test_drop_is_the_opposite_of_keep() -> None:
    condition = {"field": STATUS, "op": "<", "value": 400}

    found = applied(opened("filter", drop=condition), {"sc-status": "200"}, {"sc-status": "503"})

    assert [document[STATUS] for document in found] == [503]


def test_a_body_of_a_plugin_is_looked_into_likewise() -> None:
    stranger = Document("a" * 30, "cloudfront.other", 0, {"http": {"response": {"status_code": 9}}})
    transform = opened("filter", keep={"field": STATUS, "op": "<", "value": 10})

    assert transform.apply([stranger]) == [stranger]


def test_a_filter_leaves_documents_as_they_are() -> None:
    given = documents({})
    before = [document.text for document in given]

    opened("filter", keep={"field": STATUS, "op": "exists"}).apply(given)

    assert [document.text for document in given] == before


@pytest.mark.parametrize(
    ("keep", "problem"),
    [
        ({"field": "http.respnse.status_code", "value": 1},
         "unknown field 'http.respnse.status_code' (did you mean 'http.response.status_code'?)"),
        ({"field": STATUS, "op": "start_with", "value": 1},
         "keep.op: unknown operator 'start_with' (did you mean 'starts_with'?)"),
        ({"field": STATUS, "op": ">", "value": "400"},
         f"keep.value: expected a number, got text (field {STATUS!r} has the type long)"),
        ({"field": "url.path", "op": ">", "value": 1},
         "keep.value: '>' compares numbers and times (field 'url.path' has the type wildcard)"),
        ({"field": STATUS, "op": "in", "value": 400},
         f"keep.value: expected a list of values, got int (field {STATUS!r} has the type long)"),
        ({"field": "source.ip", "op": "cidr", "value": "192.0.2.0/40"}, "does not appear to be"),
        ({"field": "url.path", "op": "matches", "value": "("}, "not a regular expression"),
        ({"field": STATUS}, "keep: 'value' is missing"),
        ({"feld": STATUS}, "keep: unknown option 'feld' (did you mean 'field'?)"),
        ({"any": []}, "keep.any: expected a list of conditions, got an empty list"),
        ({"any": [{"field": "x", "value": 1}]}, "keep.any[0].field: unknown field 'x'"),
        ({"any": [], "all": []}, "keep: 'any' must stand alone"),
        ({"all": ["x"]}, "keep.all[0]: expected a table, got text"),
        ({"field": "@timestamp", "op": ">", "value": "yesterday"}, "not a time in RFC 3339"),
    ],
)  # fmt: skip
def test_a_wrong_condition_is_named_with_its_place(keep: dict[str, Any], problem: str) -> None:
    [found] = problems_of("filter", keep=keep)

    assert found.startswith("transforms.here: keep")
    assert problem in found


@pytest.mark.parametrize("options", [{}, {"keep": {"field": STATUS}, "drop": {"field": STATUS}}])
def test_either_keep_or_drop_is_given(options: dict[str, Any]) -> None:
    assert problems_of("filter", **options) == [
        "transforms.here: give either 'keep' or 'drop', with a condition"
    ]


def test_several_problems_are_told_at_once() -> None:
    wrong = [{"field": "x", "value": 1}, {"field": STATUS, "op": "~", "value": 1}]

    assert len(problems_of("filter", keep={"any": wrong})) == 2
