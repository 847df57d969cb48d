"""Every golden document fits its template; and the check itself notices what does not."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from normalize.converting import standard
from normalize.fitting import json_of, misfits
from normalize.golden import LOGS, name_of, outcome_of

if TYPE_CHECKING:
    from pathlib import Path


def body_of_one() -> dict[str, Any]:
    [document] = standard({}).documents
    return json_of(document)


@pytest.mark.parametrize("log", [pytest.param(log, id=name_of(log)) for log in LOGS])
def test_a_golden_document_fits_the_template_of_its_dataset(log: Path) -> None:
    for document in outcome_of(log).documents:
        assert misfits(json_of(document), document.dataset) == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("http.response.status_code", "200"),
        ("http.response.status_code", 200.0),
        ("http.response.status_code", True),
        ("http.response.status_code", 2**63),
        ("http.response.status_code", None),
        ("aws.cloudfront.time_to_first_byte", "0.1"),
        ("tls.established", "true"),
        ("source.ip", "192.0.2.999"),
        ("source.ip", "fe80::1%eth0"),
        ("@timestamp", "2026-01-15 20:01:07"),
        ("@timestamp", "2026-02-30T20:01:07Z"),
        ("http.request.method", ""),
        ("http.request.method", 7),
        ("http.request.method", "\udcff"),
        ("related.ip", []),
        ("related.ip", ["192.0.2.1", "-"]),
        ("aws.cloudfront.other", "text"),
        ("aws.cloudfront.surprise", "x"),
        ("surprise", "x"),
        ("http", "x"),
        ("http.response", {}),
        ("event.dataset", "cloudfront.realtime"),
    ],
)
def test_what_does_not_fit_is_noticed(place: str, value: object) -> None:
    body = copy.deepcopy(body_of_one())
    *parents, leaf = place.split(".")
    level = body
    for parent in parents:
        level = level[parent]
    level[leaf] = value

    assert misfits(body_of_one(), "cloudfront.standard") == []
    assert len(misfits(body, "cloudfront.standard")) == 1
