"""The golden set on real nodes with strict templates: nothing refused, nothing ignored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs import Origin
from cloudfront_ecs.resources import field_table
from cloudfront_ecs.setup.templates import DATASETS
from cloudfront_ecs.sinks.elastic import ElasticOptions, open_sink
from integration.cloud import found
from normalize.converting import convert, header
from normalize.fitting import json_of
from normalize.golden import LOGS, name_of, outcome_of
from sinks.search_nodes import CONTEXT, install_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudfront_ecs.batches import Document
    from servers.search_node import SearchNode

pytestmark = pytest.mark.integration

TEXTS = [
    row.column
    for row in field_table()
    if "standard" in row.logs
    and row.conversion in ("text", "percent", "agent", "path", "host", "media_type")
]
"""Columns that take any text."""

LONG = "x" * 40_000
"""Longer than any term of an index may be."""


class Indexed:
    """The golden set in the data streams of one namespace.

    Attributes:
        node: Where it is.
        documents: What was written, by dataset.
        rejected: What the node refused: the golden log and the node's words.
    """

    def __init__(self, node: SearchNode, namespace: str) -> None:
        self.node, self.namespace = node, namespace
        self.documents: dict[str, list[Document]] = {}
        self.rejected: list[tuple[str, str]] = []
        sink = open_sink(ElasticOptions(hosts=(node.url,), namespace=namespace), CONTEXT)
        for log in LOGS:
            documents = outcome_of(log, Origin(name_of(log), (name_of(log),))).documents
            result = sink.write(documents)
            assert not result.retry
            assert result.total == len(documents)
            self.rejected += [(name_of(log), one.detail) for one in result.rejected]
            for document in documents:
                self.documents.setdefault(document.dataset, []).append(document)
        sink.close()
        node.call("POST", "/logs-cloudfront.*/_refresh")

    def stream(self, dataset: str) -> str:
        return f"logs-{dataset}-{self.namespace}"

    def ignored(self, dataset: str) -> list[dict[str, Any]]:
        query = {"query": {"exists": {"field": "_ignored"}}, "size": 100}
        answer = self.node.call("POST", f"/{self.stream(dataset)}/_search", query)
        assert answer.status == 200, answer.body
        return [hit.get("_ignored") for hit in answer.body["hits"]["hits"]]


@pytest.fixture(name="indexed", scope="module", params=["opensearch", "elasticsearch"])
def _indexed(request: pytest.FixtureRequest) -> Iterator[Indexed]:
    node: SearchNode = request.getfixturevalue(request.param)
    install_on(node)
    indexed = Indexed(node, "golden")
    yield indexed
    for dataset in indexed.documents:
        node.call("DELETE", f"/_data_stream/{indexed.stream(dataset)}")
    node.call("DELETE", "/_data_stream/logs-cloudfront.standard-long")


def test_no_golden_document_is_refused(indexed: Indexed) -> None:
    assert indexed.rejected == []


def test_every_dataset_has_golden_documents(indexed: Indexed) -> None:
    assert set(indexed.documents) == set(DATASETS)


def test_no_field_of_a_golden_document_is_ignored(indexed: Indexed) -> None:
    assert {dataset: indexed.ignored(dataset) for dataset in indexed.documents} == {
        dataset: [] for dataset in indexed.documents
    }


def test_the_node_gives_every_golden_document_back_as_it_was(indexed: Indexed) -> None:
    for dataset, documents in indexed.documents.items():
        stored = {
            hit["_id"]: hit["_source"] for hit in found(indexed.node, indexed.stream(dataset))
        }
        expected = {document.id: in_namespace(indexed, json_of(document)) for document in documents}

        assert set(stored) == set(expected)
        for name, body in expected.items():
            assert json.dumps(stored[name], sort_keys=True) == json.dumps(body, sort_keys=True)


def test_the_templates_are_strict(indexed: Indexed, unique: Callable[[str], str]) -> None:
    surprise = {"@timestamp": "2026-01-15T20:01:07Z", unique("surprise").replace("-", "_"): 1}

    answer = indexed.node.call(
        "POST", f"/{indexed.stream('cloudfront.standard')}/_doc?op_type=create", surprise
    )

    assert answer.status == 400
    assert "strict_dynamic_mapping_exception" in json.dumps(answer.body)


def in_namespace(indexed: Indexed, body: dict[str, Any]) -> dict[str, Any]:
    body["data_stream"]["namespace"] = indexed.namespace
    return body


def test_a_text_longer_than_a_term_is_no_reason_to_refuse_a_document(indexed: Indexed) -> None:
    data = b"".join(
        header(("date", "time", column)) + f"2026-01-15\t20:01:07\t{LONG}\n".encode()
        for column in TEXTS
    )
    documents = convert(data).documents
    sink = open_sink(ElasticOptions(hosts=(indexed.node.url,), namespace="long"), CONTEXT)

    result = sink.write(documents)
    sink.close()

    assert [one.detail for one in result.rejected] == []
    assert result.stored == len(TEXTS)
