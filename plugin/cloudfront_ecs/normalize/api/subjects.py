"""What a call is about: the distribution, the tenant, the resource, wherever its id stands.

The member ``id`` means another thing in each operation, so every place is named here.
CloudTrail writes the API's member names with a small first letter: ``aRN``, ``webACLId``.
Source: CloudFront API reference 2020-05-31; CloudWatch Logs API reference.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from cloudfront_ecs.normalize.api.parts import list_at, object_at, part, text_at, texts_at, unique

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs.normalize.api.operations import Operation
    from cloudfront_ecs.normalize.api.parts import Json

_ARN = re.compile(r"arn:aws[a-z-]*:cloudfront::\d*:(?:streaming-)?distribution/([A-Z0-9]{8,20})")
_TENANT_ARN = re.compile(r"arn:aws[a-z-]*:cloudfront::\d*:distribution-tenant/(\w+)")
_IN_A_NAME = re.compile(r"(?<![A-Za-z0-9])(E[A-Z0-9]{12,14})(?![A-Za-z0-9])")
_TENANT = re.compile(r"dt_\w+")

_ID_IS_DISTRIBUTION = frozenset({"Distribution", "DistributionWebACL", "StreamingDistribution"})
_ID_IS_TENANT = frozenset({"DistributionTenant", "DistributionTenantWebACL"})
_DISTRIBUTION_PLACES = (
    ("distributionId",),
    ("targetDistributionId",),
    ("primaryDistributionId",),
    ("targetResource", "distributionId"),
    ("domainControlValidationResource", "distributionId"),
    ("associationFilter", "distributionId"),
)
_ARN_PLACES = ("resource", "resourceArn", "resourceARN")
_OWN_PLACES = ("id", "name", "identifier", "aRN", "arn", "kvsARN", "resource", "resourceArn",
               "domain", "alias")  # fmt: skip
_NAMED_BY_DISTRIBUTION = frozenset({"MonitoringSubscription"})


class Subject(NamedTuple):
    """What a call is about.

    Attributes:
        distribution: The id of the distribution.
        tenant: The id of the distribution tenant.
        resource: The id or name of the resource itself: the policy, the function, …
    """

    distribution: str | None
    tenant: str | None
    resource: str | None


def subject(operation: Operation, request: Json, response: Json, event: Json) -> Subject:
    """Return what a call is about.

    Args:
        operation: What the event's name says.
        request: ``requestParameters``.
        response: ``responseElements``.
        event: The whole event.
    """
    distribution = next(_distributions(operation, request, response, event), None)
    tenant = next(_tenants(operation, request, response, event), None)
    if operation.kind in _NAMED_BY_DISTRIBUTION:
        return Subject(distribution, tenant, distribution)
    return Subject(distribution, tenant, _resource(operation, request, response))


def _distributions(
    operation: Operation, request: Json, response: Json, event: Json
) -> Iterator[str]:
    if operation.kind in _ID_IS_DISTRIBUTION:
        yield from _some(text_at(request, "id"))
    for place in _DISTRIBUTION_PLACES:
        yield from _some(text_at(request, *place))
    for name in _ARN_PLACES:
        yield from _ARN.findall(text_at(request, name) or "")
    for name in ("distribution", "streamingDistribution"):
        yield from _some(text_at(response, name, "id"))
    yield from _some(text_at(response, "distributionTenant", "distributionId"))
    if operation.kind == "DistributionWebACL":
        yield from _some(text_at(response, "id"))
    moved = text_at(response, "resourceId")  # UpdateDomainAssociation
    if moved and not _TENANT.fullmatch(moved):
        yield moved
    if operation.kind.startswith("Delivery"):
        yield from _delivered(request, response)
    for resource in list_at(event, "resources"):
        yield from _ARN.findall(text_at(resource, "ARN") or text_at(resource, "arn") or "")
    # A call that was denied has no parameters, but its message names what it was for.
    yield from _ARN.findall(text_at(event, "errorMessage") or "")


def _delivered(request: Json, response: Json) -> Iterator[str]:
    """Yield the distributions that a log delivery call names."""
    for arn in texts_at(response, "deliverySource", "resourceArns"):
        yield from _ARN.findall(arn)
    for place in ("name", "deliverySourceName", "deliveryDestinationName"):
        yield from _IN_A_NAME.findall(text_at(request, place) or "")
    yield from _IN_A_NAME.findall(text_at(response, "delivery", "deliverySourceName") or "")


def _tenants(operation: Operation, request: Json, response: Json, event: Json) -> Iterator[str]:
    if operation.kind in _ID_IS_TENANT:
        yield from _some(text_at(request, "id"))
        identifier = text_at(request, "identifier") or ""  # an id, a name or an ARN
        yield from _TENANT_ARN.findall(identifier)
        if _TENANT.fullmatch(identifier):
            yield identifier
        yield from _some(text_at(response, "id"))
    yield from _some(text_at(request, "distributionTenantId"))
    if operation.kind == "InvalidationForDistributionTenant":
        yield from _some(text_at(request, "id"))
    for place in ("targetResource", "domainControlValidationResource"):
        yield from _some(text_at(request, place, "distributionTenantId"))
    for name in _ARN_PLACES:
        yield from _TENANT_ARN.findall(text_at(request, name) or "")
    yield from _some(text_at(response, "distributionTenant", "id"))
    moved = text_at(response, "resourceId") or ""
    if _TENANT.fullmatch(moved):
        yield moved
    for resource in list_at(event, "resources"):
        yield from _TENANT_ARN.findall(text_at(resource, "ARN") or "")
    yield from _TENANT_ARN.findall(text_at(event, "errorMessage") or "")


def _resource(operation: Operation, request: Json, response: Json) -> str | None:
    """Return the id or name of what the noun stands for."""
    made = next((found for value in response.values() if (found := _id_or_name(value))), None)
    if operation.kind.startswith("Invalidation"):
        asked = text_at(request, "id") if "distributionId" in request else None
        if "distributionTenantId" in request:
            asked = text_at(request, "id")
        return text_at(response, "invalidation", "id") or asked
    if operation.kind == "Key":
        return text_at(request, "kvsARN")
    if operation.verb is not None and operation.verb.event_type == "creation" and made:
        return made
    for name in _OWN_PLACES:
        if found := text_at(request, name):
            return found
    by_place = next(
        (text_at(request, *place) for place in _DISTRIBUTION_PLACES if part(request, *place)), None
    )
    configured = (
        text_at(value, "name")
        for name, value in request.items()
        if name.endswith("Config") and isinstance(value, dict)
    )
    return made or next(filter(None, configured), None) or by_place


def _id_or_name(value: object) -> str | None:
    return text_at(value, "id") or text_at(value, "name") if isinstance(value, dict) else None


def _some(value: str | None) -> Iterator[str]:
    if value:
        yield value


def hosts(request: Json, response: Json) -> list[str]:
    """Return the names of the hosts that a call is about, at most 100."""
    config = object_at(request, "distributionConfig") or object_at(
        request, "distributionConfigWithTags", "distributionConfig"
    )
    found = [
        text_at(response, "distribution", "domainName"),
        text_at(response, "streamingDistribution", "domainName"),
        text_at(response, "connectionGroup", "routingEndpoint"),
        text_at(request, "alias"),
        text_at(request, "domain"),
        *texts_at(config, "aliases"),
        *texts_at(request, "streamingDistributionConfig", "aliases"),
        *(text_at(item, "domain") for item in list_at(request, "domains")),
        *origin_hosts(config),
    ]
    return unique(found)[:_MOST_HOSTS]


_MOST_HOSTS = 100


def origin_hosts(config: Json) -> list[str]:
    """Return the domain names of a distribution's origins."""
    return unique(text_at(origin, "domainName") for origin in list_at(config, "origins"))
