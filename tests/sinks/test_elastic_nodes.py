"""The ``elastic`` sink on real nodes: the answers that the outcome table is about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.batches import Document
from cloudfront_ecs.errors import SinkBlockedError
from cloudfront_ecs.setup.templates import DATASETS
from cloudfront_ecs.sinks.bulk import (
    BULK_PATH,
    End,
    RequestEnd,
    item_end,
    parse_answer,
    request_end,
)
from cloudfront_ecs.sinks.elastic import ElasticOptions, ElasticSink, check, open_sink
from sinks.search_nodes import CONTEXT, clear, fields_of, full_body, install_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers.search_node import SearchNode

pytestmark = pytest.mark.integration


@pytest.fixture(name="node", params=["opensearch", "elasticsearch"])
def _node(request: pytest.FixtureRequest) -> SearchNode:
    node: SearchNode = request.getfixturevalue(request.param)
    install_on(node)
    return node


@pytest.fixture(name="namespace")
def _namespace(unique: Callable[[str], str]) -> str:
    return unique("n").replace("-", "")


@pytest.fixture(name="sink")
def _sink(node: SearchNode, namespace: str) -> Iterator[ElasticSink]:
    sink = open_sink(ElasticOptions(hosts=(node.url,), namespace=namespace), CONTEXT)
    yield sink
    sink.close()


def document(name: str, **fields: Any) -> Document:
    body = {"@timestamp": "2026-11-20T10:00:00Z", **fields}
    return Document(name, "cloudfront.standard", 0, body)


def found(node: SearchNode, stream: str, query: dict[str, Any]) -> list[dict[str, Any]]:
    node.call("POST", f"/{stream}/_refresh")
    answer = node.call("POST", f"/{stream}/_search", {"query": query, "size": 100})
    assert answer.status == 200, answer.body
    return [hit["_source"] for hit in answer.body["hits"]["hits"]]


def test_documents_are_created_once_under_their_ids(
    node: SearchNode, sink: ElasticSink, namespace: str
) -> None:
    first = sink.write([document("a"), document("b")])
    second = sink.write([document("a"), document("c")])

    assert (first.stored, first.duplicates) == (2, 0)
    assert (second.stored, second.duplicates) == (1, 1)
    assert len(found(node, f"logs-cloudfront.standard-{namespace}", {"match_all": {}})) == 3


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_field_of_the_table_is_taken_and_searchable(
    node: SearchNode, sink: ElasticSink, namespace: str, dataset: str
) -> None:
    body = full_body(dataset, namespace)

    result = sink.write([Document("a", dataset, 0, body)])

    assert not result.rejected
    exist = [
        {"exists": {"field": name}}
        for name, mapping_type in fields_of(dataset)
        if name != "event.original" and mapping_type != "flattened"
    ]
    sources = found(node, f"logs-{dataset}-{namespace}", {"bool": {"filter": exist}})
    assert sources == [body]


def test_parts_of_flattened_objects_are_found(
    node: SearchNode, sink: ElasticSink, namespace: str
) -> None:
    headers = {"accept": "*/*", "cookie": ["a=b", "c=d"]}
    body = {
        "@timestamp": "2026-11-20T10:00:00Z",
        "aws": {"cloudfront": {"request_headers": headers}},
    }
    sink.write([Document("a", "cloudfront.realtime", 0, body)])

    term = {"term": {"aws.cloudfront.request_headers.cookie": "c=d"}}

    assert len(found(node, f"logs-cloudfront.realtime-{namespace}", term)) == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"undeclared": 1}, "strict_dynamic_mapping_exception", id="undeclared"),
        pytest.param({"url": {"undeclared": 1}}, "strict_dynamic_mapping", id="deep-undeclared"),
        pytest.param({"source": {"ip": "nobody"}}, "parsing_exception", id="no-address"),
        pytest.param({"@timestamp": "yesterday"}, "parsing_exception", id="no-date"),
    ],
)
def test_a_document_that_does_not_fit_is_rejected_alone(
    sink: ElasticSink, fields: dict[str, Any], reason: str
) -> None:
    result = sink.write([document("a"), document("b", **fields), document("c")])

    assert result.stored == 2
    (rejection,) = result.rejected
    assert (rejection.document.id, rejection.status) == ("b", 400)
    assert reason in rejection.detail


def test_long_texts_are_kept(node: SearchNode, sink: ElasticSink, namespace: str) -> None:
    text = "/" + "x" * 40_000
    url = {"original": text, "full": text, "path": text, "query": text}
    sink.write([document("a", url=url, event={"original": text}, error={"message": text})])

    (source,) = found(node, f"logs-cloudfront.standard-{namespace}", {"match_all": {}})

    assert source["url"] == url
    assert source["event"] == {"original": text}


@pytest.mark.parametrize("block", ["write", "read_only_allow_delete"])
def test_a_read_only_index_blocks_until_it_is_released(
    node: SearchNode, sink: ElasticSink, namespace: str, block: str
) -> None:
    stream = f"logs-cloudfront.standard-{namespace}"
    sink.write([document("a")])
    node.call("PUT", f"/{stream}/_settings", {f"index.blocks.{block}": True})
    with pytest.raises(SinkBlockedError, match="cluster_block_exception"):
        sink.write([document("b")])

    node.call("PUT", f"/{stream}/_settings", {f"index.blocks.{block}": None})

    assert sink.write([document("b")]).stored == 1


def test_an_index_that_may_not_be_made_blocks(opensearch: SearchNode, namespace: str) -> None:
    install_on(opensearch)
    sink = open_sink(ElasticOptions(hosts=(opensearch.url,), namespace=namespace), CONTEXT)
    name = "action.auto_create_index"
    opensearch.call("PUT", "/_cluster/settings", {"persistent": {name: f"-*{namespace},+*"}})
    try:
        with pytest.raises(SinkBlockedError, match="404 index_not_found_exception"):
            sink.write([document("a")])
    finally:
        opensearch.call("PUT", "/_cluster/settings", {"persistent": {name: None}})

    assert sink.write([document("a")]).stored == 1
    sink.close()


def test_another_operation_than_create_is_a_matter_of_configuration(
    node: SearchNode, sink: ElasticSink, namespace: str
) -> None:
    sink.write([document("a")])
    action = {"index": {"_index": f"logs-cloudfront.standard-{namespace}", "_id": "b"}}

    answer = node.call("POST", "/_bulk", [action, {"@timestamp": "2026-11-20T10:00:00Z"}])

    assert answer.body["items"][0]["index"]["status"] == 400
    assert item_end(parse_answer(_json(answer.body), 1)[0]) is End.BLOCKED


def test_a_request_it_cannot_parse_is_told_from_a_parameter_it_does_not_know(
    node: SearchNode,
) -> None:
    malformed = node.call("POST", BULK_PATH, ["no object", {}])
    parameter = node.call("POST", "/_bulk?unknown=1", [{"create": {"_index": "a"}}, {}])

    ends = [request_end(answer.status, _json(answer.body)) for answer in (malformed, parameter)]
    assert ends == [RequestEnd.MALFORMED, RequestEnd.BLOCKED]


def test_a_document_above_the_nodes_limit_is_rejected_and_the_others_stored(
    node: SearchNode, namespace: str
) -> None:
    options = ElasticOptions(hosts=(node.url,), namespace=namespace, bulk_bytes=2**28)
    sink = open_sink(options, CONTEXT)
    huge = document("b", event={"original": "x" * 110_000_000})

    result = sink.write([document("a"), huge, document("c")])

    sink.close()
    assert result.stored == 2
    assert [(one.document.id, one.status) for one in result.rejected] == [("b", 413)]


def test_without_templates_nothing_is_written_and_check_says_so(
    opensearch: SearchNode, namespace: str
) -> None:
    clear(opensearch)
    options = ElasticOptions(hosts=(opensearch.url,), namespace=namespace)
    sink = open_sink(options, CONTEXT)

    with pytest.raises(SinkBlockedError, match="run 'cloudfront-ecs setup'"):
        sink.write([document("a")])

    assert "no index template logs-cloudfront.standard, logs-cloud" in check(options, CONTEXT)
    assert opensearch.call("HEAD", f"/logs-cloudfront.standard-{namespace}").status == 404
    install_on(opensearch)
    assert sink.write([document("a")]).stored == 1
    sink.close()


def test_check_names_the_product(node: SearchNode) -> None:
    sentence = check(ElasticOptions(hosts=(node.url,)), CONTEXT)

    names = {"opensearch": "OpenSearch 2.19.4 at", "elasticsearch": "Elasticsearch at"}
    assert sentence.startswith(names[node.product.name])
    assert sentence.endswith("index templates are there")


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
