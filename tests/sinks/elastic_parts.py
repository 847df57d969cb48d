"""What the tests of the ``elastic`` sink share."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.batches import Document
from cloudfront_ecs.normalize.documents.ecs import DataStream, EcsDocument, Url
from cloudfront_ecs.options import parse
from cloudfront_ecs.sinks.elastic import ElasticOptions, ElasticSink, open_sink

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTEXT = AdapterContext("search")


@contextmanager
def elastic_sink(*hosts: str, **table: Any) -> Iterator[ElasticSink]:
    problems: list[str] = []
    options = parse(ElasticOptions, {"hosts": list(hosts), **table}, "sinks.search", problems)
    assert not problems
    with closing(open_sink(options, CONTEXT)) as sink:
        yield sink


def document(name: str, size: int = 1, **body: Any) -> Document:
    stream = DataStream(type="logs", dataset="cloudfront.standard", namespace="default")
    access = EcsDocument(
        timestamp="2026-11-20T10:00:00Z",
        data_stream=stream,
        url=Url(original=body.pop("text", "x" * size)),
    )
    return Document(name, "cloudfront.standard", 0, access)


def documents(count: int, size: int = 1) -> list[Document]:
    return [document(f"id-{number}", size) for number in range(count)]
