"""Lifecycle policies: when data streams roll over, and when old indices are deleted.

Elasticsearch calls them ILM, OpenSearch ISM; each is one policy for all datasets.  Without a
retention nothing is ever deleted.  Where a server has neither (Elasticsearch Serverless, a
distribution without the plugin), streams grow in one index and ``setup`` says so.

Source: Elasticsearch reference, "Create or update lifecycle policy"; OpenSearch documentation,
"Index State Management" (policies, ``ism_template``, optimistic locking of updates).
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.adapters import SetupStep
from cloudfront_ecs.setup.differences import covers, difference
from cloudfront_ecs.setup.templates import MADE_BY, PRIORITY
from cloudfront_ecs.sinks.cluster import refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudfront_ecs.sinks.cluster import Cluster, Reply
    from cloudfront_ecs.sinks.elastic_options import LifecycleOptions

POLICY = "logs-cloudfront"
_PATTERN = "logs-cloudfront.*"
_DESCRIPTION = f"Made by {MADE_BY}: rollover and retention of CloudFront data streams."
_PATHS = {
    "elasticsearch": f"/_ilm/policy/{POLICY}",
    "opensearch": f"/_plugins/_ism/policies/{POLICY}",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What a server has under the policy's name.

    Attributes:
        available: It knows lifecycle policies at all.
        policy: The policy, or None where there is none.
        version: What an update must name so that nobody else's change is lost.
    """

    available: bool
    policy: Mapping[str, Any] | None = None
    version: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether we may change it."""
        meta = (self.policy or {}).get("_meta") or {}
        made_by = meta.get("made_by") == MADE_BY
        return made_by or (self.policy or {}).get("description") == _DESCRIPTION


def policy(product: str, options: LifecycleOptions) -> dict[str, Any]:
    """Return the policy of *product* for *options*."""
    return _ilm(options) if product == "elasticsearch" else _ism(options)


def _ilm(options: LifecycleOptions) -> dict[str, Any]:
    rollover = {"max_age": options.rollover_age, "max_primary_shard_size": options.rollover_size}
    phases: dict[str, Any] = {"hot": {"actions": {"rollover": rollover}}}
    if options.delete_after is not None:
        phases["delete"] = {"min_age": options.delete_after, "actions": {"delete": {}}}
    meta = {"made_by": MADE_BY, "description": _DESCRIPTION}
    return {"policy": {"_meta": meta, "phases": phases}}


def _ism(options: LifecycleOptions) -> dict[str, Any]:
    rollover = {
        "min_index_age": options.rollover_age,
        "min_primary_shard_size": options.rollover_size,
    }
    states: list[dict[str, Any]] = [
        {"name": "written", "actions": [{"rollover": rollover}], "transitions": []}
    ]
    if options.delete_after is not None:
        aged = {"state_name": "deleted", "conditions": {"min_rollover_age": options.delete_after}}
        states[0]["transitions"] = [aged]
        states.append({"name": "deleted", "actions": [{"delete": {}}], "transitions": []})
    return {
        "policy": {
            "description": _DESCRIPTION,
            "default_state": "written",
            "states": states,
            "ism_template": [{"index_patterns": [_PATTERN], "priority": PRIORITY}],
        }
    }


def find(cluster: Cluster, product: str) -> Found:
    """Ask for the policy.

    Raises:
        SinkUnavailableError: The server did not answer.
        SinkBlockedError: It does not let us look.
    """
    reply = cluster.call("GET", _PATHS[product])
    answer = reply.json()
    answer = answer if isinstance(answer, dict) else {}
    if reply.status == HTTPStatus.OK and product == "elasticsearch":
        return Found(available=True, policy=answer.get(POLICY, {}).get("policy"))
    if reply.status == HTTPStatus.OK:
        version = f"?if_seq_no={answer['_seq_no']}&if_primary_term={answer['_primary_term']}"
        return Found(available=True, policy=answer.get("policy"), version=version)
    if reply.status == HTTPStatus.NOT_FOUND and isinstance(answer.get("error"), dict):
        return Found(available=True)
    if reply.status in _WITHOUT_POLICIES:
        return Found(available=False)
    raise refused(reply, f"show the lifecycle policy {POLICY}")


_WITHOUT_POLICIES = (
    HTTPStatus.BAD_REQUEST,  # "no handler found for uri"
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.GONE,  # Serverless
)


def bring(
    cluster: Cluster, product: str, found: Found, options: LifecycleOptions, *, dry_run: bool
) -> SetupStep:
    """Make the policy of *cluster* what *options* say, if it is ours."""
    name = f"lifecycle policy {POLICY}"
    if not found.available:
        why = "this server has no lifecycle policies: roll data streams over by other means"
        return SetupStep(name, "unavailable", (why,))
    body = policy(product, options)
    if found.policy is not None and not found.is_ours:
        reason = f"was not made by {MADE_BY}: delete or rename it to have ours"
        return SetupStep(name, "foreign", (reason,))
    if found.policy is not None and covers(found.policy, body["policy"]):
        return SetupStep(name, "unchanged")
    if not dry_run:
        _expect(cluster.call("PUT", _PATHS[product] + found.version, msgspec.json.encode(body)))
    if found.policy is None:
        return SetupStep(name, "create")
    return SetupStep(name, "update", difference(found.policy, body["policy"]))


def remove(cluster: Cluster, product: str, *, dry_run: bool) -> SetupStep | None:
    """Delete the policy if it is ours; None where there is none."""
    found = find(cluster, product)
    if found.policy is None:
        return None
    name = f"lifecycle policy {POLICY}"
    if not found.is_ours:
        return SetupStep(name, "foreign", (f"was not made by {MADE_BY}",))
    if not dry_run:
        _expect(cluster.call("DELETE", _PATHS[product]))
    return SetupStep(name, "remove")


def _expect(reply: Reply) -> None:
    if reply.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
        raise refused(reply, f"change the lifecycle policy {POLICY}")
