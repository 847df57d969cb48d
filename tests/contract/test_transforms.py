"""What every transform promises; see ``cloudfront_ecs.adapters.Transform``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs import Document, Origin, Payload, Receipt
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.realtime.decoder import RealtimeDecoder, RealtimeOptions
from cloudfront_ecs.normalize.layouts import realtime_columns
from contract.configured import closed_port, kinds, opened

if TYPE_CHECKING:
    from pathlib import Path

ROWS: list[dict[str, str]] = [
    {},
    {"c-ip": "203.0.113.7", "sc-status": "200", "cs-user-agent": "curl/8.5.0"},
    {"c-ip": "2001:db8::7", "sc-status": "000", "cs-user-agent": "-"},
    {"c-ip": "198.51.100.9", "x-forwarded-for": "192.0.2.1,%20198.51.100.2", "sc-status": "503"},
    {"cs-uri-stem": "/a%2520b", "cs-uri-query": "token=x&y=1", "cs-cookie": "session=1;%20a=b"},
    {"cs-user-agent": "Mozilla/5.0%20(%C3%A9)", "cs-referer": "https://example.com/?token=x"},
]

every_transform = pytest.mark.parametrize("kind", kinds("transform"))


@pytest.fixture(name="documents")
def _documents() -> list[Document]:
    columns = realtime_columns()
    rows = [{"timestamp": f"{1_768_460_400 + n}.123", **row} for n, row in enumerate(ROWS)]
    content = "".join("\t".join(row.get(column, "-") for column in columns) + "\n" for row in rows)
    conversion = Conversion(RealtimeDecoder(RealtimeOptions(fields=columns)), [], original=True)
    payload = Payload(Receipt("here", 1), Origin("here", ("here",)), [content.encode()])
    documents = [document for part in conversion.convert(payload) for document in part.documents]
    assert len(documents) == len(ROWS)
    return documents


@every_transform
def test_what_comes_back_is_a_part_of_what_was_given(
    kind: str, tmp_path: Path, documents: list[Document]
) -> None:
    transform = opened("transform", kind, tmp_path, closed_port())
    given = list(documents)
    ids = {id(document): document.id for document in given}

    returned = transform.apply(documents)

    assert all(id(document) in ids for document in returned)
    assert len({id(document) for document in returned}) == len(returned)
    assert all(document.id == ids[id(document)] for document in returned)


@every_transform
def test_order_stays(kind: str, tmp_path: Path, documents: list[Document]) -> None:
    transform = opened("transform", kind, tmp_path, closed_port())
    places = {id(document): place for place, document in enumerate(documents)}

    returned = [places[id(document)] for document in transform.apply(list(documents))]

    assert returned == sorted(returned)


@every_transform
def test_no_documents_become_no_documents(kind: str, tmp_path: Path) -> None:
    assert opened("transform", kind, tmp_path, closed_port()).apply([]) == []


@every_transform
def test_a_body_of_another_kind_is_left_in_peace(kind: str, tmp_path: Path) -> None:
    stranger = Document("0" * 30, "cloudfront.other", 0, {"message": "x"})

    returned = opened("transform", kind, tmp_path, closed_port()).apply([stranger])

    assert returned in ([stranger], [])


@every_transform
def test_ids_and_times_stay(kind: str, tmp_path: Path, documents: list[Document]) -> None:
    transform = opened("transform", kind, tmp_path, closed_port())
    before = {document.id: (document.dataset, document.time_ns) for document in documents}

    returned = transform.apply(documents)

    assert all(before[each.id] == (each.dataset, each.time_ns) for each in returned)
