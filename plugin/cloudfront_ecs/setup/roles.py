"""Roles with no more than is needed: one that writes, one that reads.

Whom they are given to is the cluster's own business, but for OpenSearch, where backend roles
(those of an IAM identity, for Amazon OpenSearch Service) can be named in the configuration.

Source: Elasticsearch reference, "Create or update roles"; OpenSearch documentation, "Security
API" (roles, role mappings).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.adapters import SetupStep
from cloudfront_ecs.resources import json_files
from cloudfront_ecs.setup.differences import covers, difference
from cloudfront_ecs.setup.templates import MADE_BY
from cloudfront_ecs.sinks.cluster import refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cloudfront_ecs.sinks.cluster import Cluster, Reply
    from cloudfront_ecs.sinks.elastic_options import RolesOptions

WRITER, READER = "cloudfront-ecs-writer", "cloudfront-ecs-reader"

_ROLES = {"elasticsearch": "/_security/role", "opensearch": "/_plugins/_security/api/roles"}
_ROLE_MAPPINGS = "/_plugins/_security/api/rolesmapping"


def bring(
    cluster: Cluster, product: str, options: RolesOptions, *, dry_run: bool
) -> Iterator[SetupStep]:
    """Make the roles of *cluster* the shipped ones, where they are ours, and map them.

    Raises:
        SinkUnavailableError: The server did not answer.
        SinkBlockedError: It refused a role.
    """
    for name, body in json_files(f"roles/{product}").items():
        reply = cluster.call("GET", f"{_ROLES[product]}/{name}")
        if not _manageable(reply):
            yield SetupStep("roles", "unavailable", (_why(reply),))
            return
        step = plan(name, body, _named(reply, name))
        if step.action in ("create", "update") and not dry_run:
            _expect(cluster.call("PUT", f"{_ROLES[product]}/{name}", msgspec.json.encode(body)))
        yield step
        given = {WRITER: options.writers, READER: options.readers}[name]
        if given and product == "opensearch" and step.action != "foreign":
            yield _mapped(cluster, name, given, dry_run=dry_run)


def plan(name: str, body: Mapping[str, Any], installed: Mapping[str, Any] | None) -> SetupStep:
    """Compare a role with what is installed under its name."""
    step = f"role {name}"
    if installed is None:
        return SetupStep(step, "create")
    if not is_ours(installed):
        reason = f"was not made by {MADE_BY}: delete or rename it to have ours"
        return SetupStep(step, "foreign", (reason,))
    if covers(installed, body):
        return SetupStep(step, "unchanged")
    theirs = {part: installed.get(part) for part in body}
    return SetupStep(step, "update", difference(theirs, body))


def is_ours(role: Mapping[str, Any]) -> bool:
    """Say whether a role was made by us: Elasticsearch keeps metadata, OpenSearch a text."""
    metadata = role.get("metadata") or {}
    description = str(role.get("description") or "")
    return metadata.get("made_by") == MADE_BY or description.startswith(f"Made by {MADE_BY}:")


def remove(cluster: Cluster, product: str, *, dry_run: bool) -> Iterator[SetupStep]:
    """Delete the roles that are ours, with their mappings."""
    for name in json_files(f"roles/{product}"):
        reply = cluster.call("GET", f"{_ROLES[product]}/{name}")
        role = _named(reply, name) if _manageable(reply) else None
        if role is None:
            continue
        if not is_ours(role):
            yield SetupStep(f"role {name}", "foreign", (f"was not made by {MADE_BY}",))
            continue
        if not dry_run:
            if product == "opensearch":
                _expect(cluster.call("DELETE", f"{_ROLE_MAPPINGS}/{name}"), absent=True)
            _expect(cluster.call("DELETE", f"{_ROLES[product]}/{name}"))
        yield SetupStep(f"role {name}", "remove")


def _mapped(
    cluster: Cluster, name: str, backend_roles: Sequence[str], *, dry_run: bool
) -> SetupStep:
    """Give an OpenSearch role to backend roles; others that have it keep it."""
    step = f"mapping of role {name}"
    mapping = _named(cluster.call("GET", f"{_ROLE_MAPPINGS}/{name}"), name) or {}
    present = list(mapping.get("backend_roles") or ())
    missing = [role for role in backend_roles if role not in present]
    if not missing:
        return SetupStep(step, "unchanged")
    if not dry_run:
        body = {
            "backend_roles": present + missing,
            "users": mapping.get("users") or [],
            "hosts": mapping.get("hosts") or [],
        }
        _expect(cluster.call("PUT", f"{_ROLE_MAPPINGS}/{name}", msgspec.json.encode(body)))
    action = "update" if mapping else "create"
    return SetupStep(step, action, tuple(f"+ {role}" for role in missing))


def _named(reply: Reply, name: str) -> dict[str, Any] | None:
    answer = reply.json() if reply.status == HTTPStatus.OK else None
    found = answer.get(name) if isinstance(answer, dict) else None
    return found if isinstance(found, dict) else None


def _manageable(reply: Reply) -> bool:
    """Say whether roles can be seen here: a role that is missing is answered in JSON."""
    if reply.status == HTTPStatus.NOT_FOUND:
        return isinstance(reply.json(), dict)
    return reply.status == HTTPStatus.OK


def _why(reply: Reply) -> str:
    if reply.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return "this account may not see roles: make them with one that may, or by hand"
    return "this server has no security, or keeps its roles elsewhere"


def _expect(reply: Reply, *, absent: bool = False) -> None:
    if reply.status in (HTTPStatus.OK, HTTPStatus.CREATED):
        return
    if not (absent and reply.status == HTTPStatus.NOT_FOUND):
        raise refused(reply, "change a role")
