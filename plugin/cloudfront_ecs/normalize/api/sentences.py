"""A call in one plain sentence, for ``event.reason``: who did what, and what the call tells.

A call that changes something gives the new state; the sentence never says what was before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudfront_ecs.normalize.api.configurations import acl_name, configuration, described, some
from cloudfront_ecs.normalize.api.parts import (
    flag_at,
    list_at,
    number_at,
    object_at,
    text_at,
    texts_at,
    unique,
)
from cloudfront_ecs.normalize.api.risks import NEEDED_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudfront_ecs.normalize.api.operations import Operation
    from cloudfront_ecs.normalize.api.parts import Json
    from cloudfront_ecs.normalize.api.subjects import Subject

LONGEST_SENTENCE = 1000
"""Characters; a keyword above 1,024 would not be searchable."""

_LONGEST_NAME = 120


def sentence(
    shown: str, operation: Operation, subject: Subject, request: Json, failure: str | None
) -> str | None:
    """Return the sentence of a call that changes something, or None for one that does not.

    Args:
        shown: Who called.
        operation: What the event's name says.
        subject: What the call is about.
        request: ``requestParameters``.
        failure: The API's error code, where the call failed.
    """
    verb = operation.verb
    if verb is None or not operation.changes:
        return None
    thing = _thing(operation, subject)
    if failure:
        return _cut(f"{shown} tried to {verb.infinitive} {thing}: {failure}")
    told = [fact for fact in _TOLD.get(operation.kind, _nothing)(request) if fact]
    text = f"{shown} {verb.past} {thing}"
    if told:
        now = "now " if operation.kind == "Distribution" and verb.past == "changed" else ""
        text += f": {now}{', '.join(told)}"
    return _cut(text)


def _thing(operation: Operation, subject: Subject) -> str:
    """Return what the call is about: ``function rewrite``, ``alias a.example.com of …``."""
    kind = operation.kind
    name = operation.noun.name if operation.noun else kind
    which = subject.resource
    if kind in ("Distribution", "StreamingDistribution", "DistributionWebACL"):
        which = subject.distribution or which
    elif kind in ("DistributionTenant", "DistributionTenantWebACL"):
        which = subject.tenant or which
    text = f"{name} {_short(which, kind)}" if which else name
    if subject.distribution and subject.distribution not in text:
        return f"{text} of distribution {subject.distribution}"
    if subject.tenant and subject.tenant not in text:
        return f"{text} of tenant {subject.tenant}"
    return text


def _short(name: str, kind: str) -> str:
    """Return a name fit for a sentence; of an ARN its end."""
    if name.startswith("arn:"):
        name = name.split(":", 5)[-1]
        name = name if kind.startswith("Resource") else name.rpartition("/")[2]
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SENTENCE else text[: LONGEST_SENTENCE - 1] + "…"


def _nothing(_: Json) -> list[str | None]:
    return []


def _distribution(request: Json) -> list[str | None]:
    told: list[str | None] = [*described(configuration(request))]
    if staging := text_at(request, "stagingDistributionId"):
        told.append(f"the configuration of {staging}")
    if flag_at(request, "staging"):
        told.append("for staging")
    return told


def _invalidation(request: Json) -> list[str | None]:
    paths = texts_at(request, "invalidationBatch", "paths")
    return [f"{len(paths)} path{'s' * (len(paths) != 1)}: {some(paths)}"] if paths else []


def _web_acl(request: Json) -> list[str | None]:
    given = text_at(request, "webACLArn")
    return [acl_name(given)] if given else []


def _tenant(request: Json) -> list[str | None]:
    domains = unique(text_at(item, "domain") for item in list_at(request, "domains"))
    action = text_at(request, "customizations", "webAcl", "action")
    return [
        _enabled(request),
        f"domains {some(domains)}" if domains else None,
        "web ACL disabled" if action == "disable" else "own web ACL" if action else None,
    ]


def _enabled(request: Json) -> str | None:
    return {True: "enabled", False: "disabled", None: None}[flag_at(request, "enabled")]


def _function(request: Json) -> list[str | None]:
    config = object_at(request, "functionConfig") or object_at(request, "connectionFunctionConfig")
    runtime = text_at(config, "runtime")
    stores = list_at(config, "keyValueStoreAssociations")
    return [
        f"runtime {runtime}" if runtime else None,
        f"{len(stores)} key-value store{'s' * (len(stores) != 1)}" if stores else None,
    ]


def _keys(request: Json) -> list[str | None]:
    given = text_at(request, "key")
    put = unique(text_at(item, "key") for item in list_at(request, "puts"))
    deleted = unique(text_at(item, "key") for item in list_at(request, "deletes"))
    return [
        given,
        f"set {some(put)}" if put else None,
        f"deleted {some(deleted)}" if deleted else None,
    ]


def _realtime(request: Json) -> list[str | None]:
    rate, fields = number_at(request, "samplingRate"), texts_at(request, "fields")
    missing = [name for name in NEEDED_FIELDS["realtime"] if name not in fields]
    return [
        f"{rate} percent of the requests" if rate is not None else None,
        f"{len(fields)} fields" if fields else None,
        f"without {some(missing)}" if fields and missing else None,
    ]


def _delivery(request: Json) -> list[str | None]:
    fields = texts_at(request, "recordFields")
    missing = [name for name in NEEDED_FIELDS["delivery"] if name not in fields]
    source, kind = text_at(request, "deliverySourceName"), text_at(request, "logType")
    target = text_at(request, "deliveryDestinationArn")
    return [
        kind,
        f"from {source}" if source else None,
        f"to {target}" if target else None,
        f"{len(fields)} fields" if fields else None,
        f"without {some(missing)}" if fields and missing else None,
    ]


def _tags(request: Json) -> list[str | None]:
    keys = unique(text_at(item, "key") for item in list_at(request, "tags"))
    keys = keys or texts_at(request, "tagKeys")
    return [f"tags {some(keys)}"] if keys else []


def _key_group(request: Json) -> list[str | None]:
    keys = texts_at(request, "keyGroupConfig")
    return [f"{len(keys)} key{'s' * (len(keys) != 1)}"] if keys else []


def _origin_access(request: Json) -> list[str | None]:
    behavior = text_at(request, "originAccessControlConfig", "signingBehavior")
    return [f"signing {behavior}"] if behavior else []


def _vpc_origin(request: Json) -> list[str | None]:
    target = text_at(request, "vpcOriginEndpointConfig", "arn")
    return [f"endpoint {target}"] if target else []


def _monitoring(request: Json) -> list[str | None]:
    place = ("monitoringSubscription", "realtimeMetricsSubscriptionConfig")
    state = text_at(request, *place, "realtimeMetricsSubscriptionStatus")
    return [f"additional metrics {state.lower()}"] if state else []


def _staging_traffic(request: Json) -> list[str | None]:
    config = object_at(request, "continuousDeploymentPolicyConfig")
    weight = text_at(config, "trafficConfig", "singleWeightConfig", "weight")
    names = texts_at(config, "stagingDistributionDnsNames")
    return [
        _enabled(config),
        f"weight {weight}" if weight else None,
        f"staging {some(names)}" if names else None,
    ]


_TOLD: Mapping[str, Callable[[Json], list[str | None]]] = {
    "Distribution": _distribution,
    "Invalidation": _invalidation,
    "InvalidationForDistributionTenant": _invalidation,
    "DistributionWebACL": _web_acl,
    "DistributionTenantWebACL": _web_acl,
    "DistributionTenant": _tenant,
    "ConnectionGroup": _tenant,
    "Function": _function,
    "ConnectionFunction": _function,
    "Key": _keys,
    "RealtimeLogConfig": _realtime,
    "Delivery": _delivery,
    "DeliveryConfiguration": _delivery,
    "DeliverySource": _delivery,
    "Resource": _tags,
    "KeyGroup": _key_group,
    "OriginAccessControl": _origin_access,
    "VpcOrigin": _vpc_origin,
    "MonitoringSubscription": _monitoring,
    "ContinuousDeploymentPolicy": _staging_traffic,
}
"""What a request tells about each noun."""
