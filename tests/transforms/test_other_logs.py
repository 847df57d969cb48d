"""Transforms meet documents of every log; they change what they know and leave the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from cloudfront_ecs.decoders.auto import AutoDecoder, AutoOptions
from normalize.converting import convert, header, legacy_columns, line
from normalize.golden import LOGS, name_of, outcome_of
from transforms.places import CITIES, write_database
from transforms.transforming import opened

if TYPE_CHECKING:
    from pathlib import Path

KEY = "a key of the test"
ALL_KINDS: dict[str, dict[str, Any]] = {
    "trusted_proxies": {"networks": ["192.0.2.0/24", "203.0.113.0/24", "198.51.100.0/24"]},
    "geoip": {"database": "places"},
    "filter": {"keep": {"field": "event.id", "op": "exists"}},
    "sample": {"rate": 0.999999, "by": "source.ip"},
    "privacy": {
        "key": KEY,
        "rules": [
            {"field": "source.ip", "action": "truncate"},
            {"field": "destination.ip", "action": "drop"},
            {"field": "aws.cloudfront.cookies", "action": "redact", "names": ["*"]},
            {"field": "url.query", "action": "redact", "names": ["*"]},
            {"field": "aws.cloudfront.request_headers", "action": "mask"},
            {"field": "user_agent.original", "action": "hash"},
            {"field": "url.domain", "action": "hash"},
            {"field": "http.request.referrer", "action": "drop"},
            {"field": "http.response.status_code", "action": "drop"},
        ],
    },
}


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("log", LOGS, ids=name_of)
def test_every_golden_document_passes_every_transform(kind: str, log: Path, tmp_path: Path) -> None:
    options = dict(ALL_KINDS[kind])
    if kind == "geoip":
        options["database"] = write_database(tmp_path / "places.mmdb", CITIES)
    documents = outcome_of(log).documents

    left = opened(kind, **options).apply(list(documents))

    assert [document.id for document in left] == [document.id for document in documents]
    for document in left:
        assert json.loads(msgspec.json.encode(document.body))["event"]["id"] == document.id


RULES = ALL_KINDS["privacy"]["rules"]
PLANTED = {
    "c-ip": "203.0.113.77",
    "x-forwarded-for": "198.51.100.77,%20203.0.113.77",
    "cs(Cookie)": "a=canary-1;%20b=canary-2",
    "cs-uri-query": "q=canary-3&r=%2541canary-4",
    "cs(Referer)": "https://canary-5.example.com/?q=canary-6",
    "cs(User-Agent)": "canary-7/1%20(x)",
    "x-host-header": "CANARY-8.example.com",
}


def test_a_standard_log_leaks_nothing() -> None:
    columns = legacy_columns()
    content = header(columns) + line(columns, PLANTED)

    assert_clean(content)


@pytest.mark.parametrize("log", ["json", "w3c"])
def test_a_standard_log_of_v2_leaks_nothing(log: str) -> None:
    columns = ("timestamp(ms)", *(column for column in legacy_columns()))
    texts = line(columns, PLANTED).decode().rstrip("\n").split("\t")
    record = json.dumps(dict(zip(columns, texts, strict=True))).encode() + b"\n"

    assert_clean(record if log == "json" else header(columns) + line(columns, PLANTED))


def assert_clean(content: bytes) -> None:
    [document] = convert(content, decoder=AutoDecoder(AutoOptions()), original=True).documents
    whole = msgspec.json.encode(document.body).decode()
    assert whole.lower().count("canary-") >= 12

    opened("privacy", rules=RULES, key=KEY).apply([document])

    left = msgspec.json.encode(document.body).decode()
    assert "canary" not in left.lower()
    assert "203.0.113.77" not in left
    assert "198.51.100.77" not in left
    assert "203.0.113.0" in document.body.event.original
