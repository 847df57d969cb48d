"""Proof that a prepared cluster takes documents: one for each dataset, written and found again.

They go into a namespace of their own, and their data streams are deleted afterwards.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.adapters import SetupStep
from cloudfront_ecs.setup.templates import DATASETS, ECS_VERSION
from cloudfront_ecs.sinks.bulk import Answer, error_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs.sinks.cluster import Cluster, Reply

NAMESPACE = "cloudfront_ecs_setup"
"""Nobody's documents lie here."""


def verify(cluster: Cluster) -> Iterator[SetupStep]:
    """Write and find a document of each dataset; a step for each says whether it went well.

    Raises:
        SinkUnavailableError: The server did not answer.
    """
    for dataset in DATASETS:
        stream = f"logs-{dataset}-{NAMESPACE}"
        problem = _written(cluster, dataset, stream)
        left = _deleted(cluster, stream)
        name = f"document of {dataset}, written and found"
        if problem:
            yield SetupStep(name, "failed", (problem,))
        elif left:
            yield SetupStep(name, "kept", (f"{stream} could not be deleted: {left}",))
        else:
            yield SetupStep(name, "verified")


def _written(cluster: Cluster, dataset: str, stream: str) -> str | None:
    """Write a document and look for it; return what went wrong."""
    name = uuid.uuid4().hex
    action = {"create": {"_index": stream, "_id": name}}
    lines = b"\n".join([*map(msgspec.json.encode, (action, _document(dataset, name))), b""])
    reply = cluster.call("POST", "/_bulk?refresh=true", lines, content_type="application/x-ndjson")
    problem = _refusal(reply)
    if problem:
        return problem
    query = {"query": {"term": {"event.id": name}}, "size": 1}
    reply = cluster.call("POST", f"/{stream}/_search", msgspec.json.encode(query))
    if reply.status != HTTPStatus.OK:
        return f"looking for it was answered {reply.status} {error_of(reply.body) or ''}".rstrip()
    hits = (reply.json() or {}).get("hits", {}).get("hits", [])
    return None if [hit["_id"] for hit in hits] == [name] else "it was stored and is not found"


def _refusal(reply: Reply) -> str | None:
    if reply.status != HTTPStatus.OK:
        return f"answered {reply.status} {error_of(reply.body) or ''}".rstrip()
    try:
        [item] = msgspec.json.decode(reply.body, type=Answer).items
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return "the answer is no bulk answer"
    result = item["create"]
    if result.failure_store == "used":
        return "it went into the failure store"
    return None if result.status == HTTPStatus.CREATED else f"{result.status} {result.cause}"


def _deleted(cluster: Cluster, stream: str) -> str | None:
    """Delete a data stream; return what stands against it."""
    reply = cluster.call("DELETE", f"/_data_stream/{stream}")
    if reply.status in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
        return None
    return f"answered {reply.status} {error_of(reply.body) or ''}".rstrip()


def _document(dataset: str, name: str) -> dict[str, Any]:
    return {
        "@timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "data_stream": {"type": "logs", "dataset": dataset, "namespace": NAMESPACE},
        "ecs": {"version": ECS_VERSION},
        "event": {"id": name, "kind": "event", "module": "cloudfront", "dataset": dataset},
        "tags": ["cloudfront-ecs-setup"],
    }
