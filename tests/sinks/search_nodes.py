"""Templates on the real nodes, and documents that fill every declared field."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.resources import field_table
from cloudfront_ecs.setup.install import apply, shipped
from cloudfront_ecs.setup.templates import DATASETS, declared
from cloudfront_ecs.sinks.cluster import Cluster
from cloudfront_ecs.sinks.elastic import ElasticOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs.adapters import SetupStep
    from cloudfront_ecs.setup.templates import Template
    from servers.search_node import SearchNode

CONTEXT = AdapterContext("search")

# The integration-test zip of Elasticsearch lacks the x-pack modules that bring these types.
MISSING_TYPES = {
    "constant_keyword": {"type": "keyword"},
    "match_only_text": {"type": "text"},
    "wildcard": {"type": "keyword", "ignore_above": 8191},
}

VALUES: dict[str, Any] = {
    "boolean": True,
    "byte": 1,
    "date": "2026-11-20T10:00:00.123456Z",
    "double": 0.001,
    "flattened": {"accept": "*/*", "cookie": ["a=b", "c=d"], "x.y": "z"},
    "float": 1.5,
    "geo_point": {"lat": 50.1, "lon": 8.7},
    "ip": "2001:db8::1",
    "keyword": "text",
    "long": 2**40,
    "match_only_text": "some words",
    "wildcard": "/some/path?with=query",
}
"""A value for each type of the field table."""


def templates_for(node: SearchNode) -> tuple[Template, ...]:
    """Return the shipped templates, with types that *node* lacks replaced."""
    templates = shipped(node.product.name)
    if node.product.name == "opensearch":
        return templates
    return tuple(dataclasses.replace(one, body=_replaced(one.body)) for one in templates)


def _replaced(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("type"), str) and value["type"] in MISSING_TYPES:
        parts = {key: part for key, part in value.items() if key in ("fields", "index")}
        return {**_replaced(parts), **MISSING_TYPES[value["type"]]}
    return {key: _replaced(part) for key, part in value.items()}


def install_on(node: SearchNode, *, dry_run: bool = False) -> list[SetupStep]:
    """Bring the templates onto *node*."""
    cluster = Cluster(ElasticOptions(hosts=(node.url,)), "search")
    try:
        return list(apply(cluster, templates_for(node), dry_run=dry_run))
    finally:
        cluster.close()


def clear(node: SearchNode) -> None:
    """Delete our data streams and templates; Elasticsearch's zip cannot delete the former."""
    node.call("DELETE", "/_data_stream/logs-cloudfront.*")
    for template in reversed(templates_for(node)):
        node.call("DELETE", template.path)


def full_body(dataset: str, namespace: str) -> dict[str, Any]:
    """Return a body with a value for every field that *dataset* declares."""
    body: dict[str, Any] = {}
    for name, mapping_type in fields_of(dataset):
        *parents, leaf = name.split(".")
        level = body
        for parent in parents:
            level = level.setdefault(parent, {})
        level[leaf] = VALUES.get(mapping_type)
    body["data_stream"] = {"type": "logs", "dataset": dataset, "namespace": namespace}
    return body


def fields_of(dataset: str) -> Iterator[tuple[str, str]]:
    """Yield every field of *dataset* with its type."""
    rows = [row for row in field_table() if DATASETS[dataset] in row.logs]
    yield from declared(rows).items()
