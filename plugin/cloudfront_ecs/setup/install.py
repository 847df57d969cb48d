"""Puts the templates into a cluster: compares first, changes only what is ours.

Facts (Elasticsearch 9.1 and OpenSearch 2.19): templates come back as they were sent, but
settings as texts under ``index``, and with additions (``data_stream`` gets its defaults,
dates of creation on newer versions).  So both sides are normalized before they are compared.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.adapters import SetupStep
from cloudfront_ecs.errors import SinkBlockedError
from cloudfront_ecs.resources import json_files
from cloudfront_ecs.setup import lifecycle, roles
from cloudfront_ecs.setup.differences import difference
from cloudfront_ecs.setup.streams import extend_streams
from cloudfront_ecs.setup.templates import MADE_BY, SETTINGS, Template
from cloudfront_ecs.setup.verification import verify
from cloudfront_ecs.sinks.cluster import Cluster, refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.sinks.elastic_options import ElasticOptions

_COMPARED = ("index_patterns", "composed_of", "priority", "data_stream", "template", "_meta")
"""The parts of a template that we send; a server adds others of its own."""


def install(
    options: ElasticOptions,
    context: AdapterContext,
    dry_run: bool,  # noqa: FBT001 - as in SinkSpec
) -> Iterator[SetupStep]:
    """Install the shipped templates and yield what was done, or would be; see ``SinkSpec``."""
    cluster = Cluster(options, context.name)
    try:
        kind = cluster.product().kind
        found = lifecycle.find(cluster, kind)
        yield lifecycle.bring(cluster, kind, found, options.lifecycle, dry_run=dry_run)
        templates = shipped(kind)
        if kind == "elasticsearch" and found.available:
            templates = tuple(map(_with_lifecycle, templates))
        yield from apply(cluster, templates, dry_run=dry_run)
        yield from roles.bring(cluster, kind, options.roles, dry_run=dry_run)
        if not dry_run:
            yield from verify(cluster)
    finally:
        cluster.close()


def is_ours(body: dict[str, Any]) -> bool:
    """Say whether a template was made by us."""
    return (body.get("_meta") or {}).get("made_by") == MADE_BY


def _with_lifecycle(template: Template) -> Template:
    """Name the lifecycle policy; OpenSearch's policy names the streams instead."""
    if template.name != SETTINGS:
        return template
    body = copy.deepcopy(dict(template.body))
    body["template"]["settings"]["index"]["lifecycle"] = {"name": lifecycle.POLICY}
    return replace(template, body=body)


def shipped(product: str) -> tuple[Template, ...]:
    """Return the shipped templates of *product*, those that others are composed of first."""
    return tuple(
        Template(kind, name, body)
        for kind in ("component_template", "index_template")
        for name, body in json_files(f"{kind}s/{product}").items()
    )


def apply(cluster: Cluster, templates: Iterable[Template], *, dry_run: bool) -> Iterator[SetupStep]:
    """Bring *templates* into the cluster, one at a time, and yield the step for each.

    Raises:
        SinkUnavailableError: The cluster did not answer.
        SinkBlockedError: It refused a template, or to show it.
    """
    ours: list[Template] = []
    for template in templates:
        step = plan(template, installed(cluster, template))
        if step.action in ("create", "update") and not dry_run:
            _put(cluster, template)
        if step.action != "foreign":
            ours.append(template)
        yield step
    yield from extend_streams(cluster, ours, dry_run=dry_run)


def plan(template: Template, found: dict[str, Any] | None) -> SetupStep:
    """Compare a template with what is installed under its name."""
    name = template.title
    if found is None:
        return SetupStep(name, "create")
    if not is_ours(found):
        reason = f"was not made by {MADE_BY}: delete or rename it to have ours"
        return SetupStep(name, "foreign", (reason,))
    lines = difference(normalized(found), normalized(template.body))
    return SetupStep(name, "update" if lines else "unchanged", lines)


def normalized(body: Any) -> dict[str, Any]:
    """Return the parts of a template that we send, as both sides would write them."""
    parts = {key: body[key] for key in _COMPARED if key in body}
    if "data_stream" in parts:
        parts["data_stream"] = {}
    template = dict(parts.get("template") or {})
    if "settings" in template:
        template["settings"] = _flat_settings(template["settings"])
    parts["template"] = {key: value for key, value in template.items() if value}
    result: dict[str, Any] = _texts({key: value for key, value in parts.items() if value != []})
    return result


def _flat_settings(settings: Any) -> dict[str, Any]:
    """Return settings with dotted names, all of them under ``index``."""
    flat: dict[str, Any] = {}
    open_levels: list[tuple[str, Any]] = [("", settings)]
    while open_levels:
        name, value = open_levels.pop()
        if isinstance(value, dict):
            open_levels += [(f"{name}.{key}".lstrip("."), part) for key, part in value.items()]
        else:
            flat[name if name.startswith("index.") else f"index.{name}"] = value
    return flat


def _texts(value: Any) -> Any:
    """Return *value* with numbers and booleans as texts, as servers give settings back."""
    if isinstance(value, dict):
        return {key: _texts(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_texts(part) for part in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def installed(cluster: Cluster, template: Template) -> dict[str, Any] | None:
    """Return what the cluster has under the name of *template*."""
    reply = cluster.call("GET", template.path)
    if reply.status == HTTPStatus.NOT_FOUND:
        return None
    answer = reply.json()
    if reply.status != HTTPStatus.OK or not isinstance(answer, dict):
        raise refused(reply, f"show {template.kind} {template.name}")
    for found in answer.get(f"{template.kind}s", []):
        if found["name"] == template.name:
            body: dict[str, Any] = found[template.kind]
            return body
    return None


def _put(cluster: Cluster, template: Template) -> None:
    reply = cluster.call("PUT", template.path, msgspec.json.encode(template.body))
    if reply.status == HTTPStatus.OK:
        return
    if reply.status == HTTPStatus.BAD_REQUEST:
        raise SinkBlockedError(
            f"{reply.place}: refuses {template.kind} {template.name}: "
            f"{reply.body.decode('utf-8', 'replace')[:1000]}"
        )
    raise refused(reply, f"install {template.kind} {template.name}")
