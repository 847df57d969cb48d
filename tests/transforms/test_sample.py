"""The sample transform lets a share of the documents go on, the same ones every time."""

from __future__ import annotations

from typing import Any

import pytest

from cloudfront_ecs.batches import Document
from normalize.converting import flat
from transforms.transforming import applied, documents, opened, problems_of

WEIGHT = "aws.cloudfront.sampling_weight"


def strangers(count: int) -> list[Document]:
    return [Document(f"{n:030}", "cloudfront.other", 0, {"n": n}) for n in range(count)]


def chosen(rate: float) -> set[str]:
    given = strangers(4000)
    return {document.id for document in opened("sample", rate=rate).apply(given)}


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_the_share_is_what_was_asked_for(rate: float) -> None:
    assert abs(len(chosen(rate)) / 4000 - rate) < 0.02


def test_what_a_low_rate_chooses_a_higher_one_does_too() -> None:
    assert chosen(0.01) < chosen(0.1) < chosen(0.5) < chosen(1.0)


def test_a_choice_is_the_same_every_time() -> None:
    assert chosen(0.3) == chosen(0.3)


def test_documents_with_the_same_value_go_on_together() -> None:
    transform = opened("sample", rate=0.5, by="source.ip")
    addresses = [f"192.0.2.{n % 40}" for n in range(200)]

    found = applied(transform, *({"c-ip": address} for address in addresses))

    kept = [document["source.ip"] for document in found]
    assert 0 < len(set(kept)) < 40
    assert len(kept) == 5 * len(set(kept))


def test_a_weight_tells_how_many_requests_a_document_stands_for() -> None:
    [document] = documents({})

    opened("sample", rate=0.999999, by="source.ip").apply([document])
    once = flat(document)[WEIGHT]

    assert once == pytest.approx(1.000001)


def test_weights_multiply() -> None:
    given = documents(*({"x-edge-request-id": f"id-{n}"} for n in range(300)))
    first, second = opened("sample", rate=0.5), opened("sample", rate=0.25, by="http.request.id")

    left = second.apply(first.apply(given))

    assert {flat(document)[WEIGHT] for document in left} == {8.0}


def test_no_weight_is_set_where_none_is_wanted() -> None:
    found = applied(opened("sample", rate=0.9, weight=False), *[{}] * 20)

    assert not any(WEIGHT in document for document in found)


def test_excluded_documents_all_go_on_with_their_own_weight() -> None:
    failed = {"field": "http.response.status_code", "op": ">=", "value": 500}
    transform = opened("sample", rate=0.0, exclude=failed)

    found = applied(transform, {"sc-status": "200"}, {"sc-status": "503"})

    assert [document["http.response.status_code"] for document in found] == [503]
    assert WEIGHT not in found[0]


def test_choosing_by_id_does_not_look_into_documents() -> None:
    given = documents({}, {})
    before = [document.text for document in given]

    opened("sample", rate=1.0).apply(given)

    assert [document.text for document in given] == before


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"rate": 1.5}, "transforms.here.rate: 1.5 is above the largest allowed value 1"),
        ({}, "transforms.here: option 'rate' is missing"),
        ({"rate": 0.1, "by": "http.request.idd"}, "by: unknown field 'http.request.idd'"),
        ({"rate": 0.1, "by": "labels"}, "by: 'labels' has no single value"),
        ({"rate": 0.1, "exclude": {"field": "x"}}, "exclude.field: unknown field 'x'"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], problem: str) -> None:
    [found] = problems_of("sample", **options)

    assert problem in found
