"""Brings fields that a new version declares into data streams that already exist.

A template only shapes indices to come.  The index a data stream writes into at the moment
keeps its strict mapping until the next rollover, and would refuse every document with a new
field.  Fields are only added: a type that has changed waits for the rollover.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.adapters import SetupStep
from cloudfront_ecs.setup.templates import DATASETS, mappings_name
from cloudfront_ecs.sinks.cluster import refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cloudfront_ecs.setup.templates import Template
    from cloudfront_ecs.sinks.cluster import Cluster

# .ds-NAME-000001 (OpenSearch), .ds-NAME-2026.11.20-000001 (Elasticsearch)
_BACKING_INDEX = re.compile(
    r"\.ds-(?P<stream>.+?)-(\d{4}\.\d\d\.\d\d-)?(?P<generation>\d{6,})", re.ASCII
)


def extend_streams(
    cluster: Cluster, templates: Sequence[Template], *, dry_run: bool
) -> Iterator[SetupStep]:
    """Add what *templates* declare to the write index of every data stream of ours."""
    shipped = {template.name: template.body for template in templates}
    for dataset in DATASETS:
        component = shipped.get(mappings_name(dataset))
        if component is None:
            continue
        declared = component["template"]["mappings"]["properties"]
        for stream, mapping in _write_mappings(cluster, f"logs-{dataset}-*").items():
            missing = missing_properties(declared, mapping.get("properties", {}))
            name = f"mappings of data stream {stream}"
            if not missing:
                yield SetupStep(name, "unchanged")
                continue
            if not dry_run:
                _put(cluster, stream, missing)
            added = tuple(f"+ {field} {kind}" for field, kind in _leaves(missing))
            yield SetupStep(name, "update", added)


def missing_properties(declared: Mapping[str, Any], present: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of *declared* that *present* has no field for."""
    missing = {}
    for name, mapping in declared.items():
        if name not in present:
            missing[name] = mapping
        elif "properties" in mapping and "properties" in present[name]:
            inner = missing_properties(mapping["properties"], present[name]["properties"])
            if inner:
                missing[name] = {"properties": inner}
    return missing


def _write_mappings(cluster: Cluster, pattern: str) -> dict[str, dict[str, Any]]:
    """Return the mapping of the newest index of each data stream."""
    reply = cluster.call("GET", f"/{pattern}/_mapping")
    if reply.status == HTTPStatus.NOT_FOUND:
        return {}
    answer = reply.json()
    if reply.status != HTTPStatus.OK or not isinstance(answer, dict):
        raise refused(reply, f"show the mappings of {pattern}")
    newest: dict[str, tuple[int, dict[str, Any]]] = {}
    for index, about in answer.items():
        parts = _BACKING_INDEX.fullmatch(index)
        if parts is None:
            continue
        generation = int(parts["generation"])
        if generation > newest.get(parts["stream"], (0, {}))[0]:
            newest[parts["stream"]] = generation, about["mappings"]
    return {stream: mapping for stream, (_, mapping) in sorted(newest.items())}


def _leaves(properties: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, mapping in sorted(properties.items()):
        if "properties" in mapping:
            yield from _leaves(mapping["properties"], f"{above}{name}.")
        else:
            yield f"{above}{name}", mapping["type"]


def _put(cluster: Cluster, stream: str, properties: Mapping[str, Any]) -> None:
    path = f"/{stream}/_mapping?write_index_only=true"
    reply = cluster.call("PUT", path, msgspec.json.encode({"properties": properties}))
    if reply.status != HTTPStatus.OK:
        raise refused(reply, f"add fields to {stream}")
