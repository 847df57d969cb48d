"""Takes away what ``setup`` has made and nothing else: no document, nothing of others."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from cloudfront_ecs.adapters import SetupStep
from cloudfront_ecs.setup import lifecycle, roles
from cloudfront_ecs.setup.install import installed, is_ours, shipped
from cloudfront_ecs.setup.templates import MADE_BY
from cloudfront_ecs.sinks.cluster import Cluster, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.setup.templates import Template
    from cloudfront_ecs.sinks.elastic_options import ElasticOptions

_NEEDED = "data streams still need it: delete them first, with their documents"


def remove(
    options: ElasticOptions,
    context: AdapterContext,
    dry_run: bool,  # noqa: FBT001 - as in SinkSpec
) -> Iterator[SetupStep]:
    """Remove templates, lifecycle policy and roles, those that need others first."""
    cluster = Cluster(options, context.name)
    try:
        product = cluster.product().kind
        for template in reversed(shipped(product)):
            step = _removed(cluster, template, dry_run=dry_run)
            yield from (step,) if step else ()
        policy = lifecycle.remove(cluster, product, dry_run=dry_run)
        yield from (policy,) if policy else ()
        yield from roles.remove(cluster, product, dry_run=dry_run)
    finally:
        cluster.close()


def _removed(cluster: Cluster, template: Template, *, dry_run: bool) -> SetupStep | None:
    body = installed(cluster, template)
    if body is None:
        return None
    if not is_ours(body):
        return SetupStep(template.title, "foreign", (f"was not made by {MADE_BY}",))
    if not dry_run:
        reply = cluster.call("DELETE", template.path)
        if reply.status == HTTPStatus.BAD_REQUEST:
            return SetupStep(template.title, "kept", (_NEEDED,))
        if reply.status not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
            raise refused(reply, f"delete {template.title}")
    return SetupStep(template.title, "remove")
