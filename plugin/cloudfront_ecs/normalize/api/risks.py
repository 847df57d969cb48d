"""What a responder looks for first: calls that weaken, detach or replace something.

A call holds the new configuration only, never the one before it.  So a tag of the first kind
says what the call did, whatever was before; one of the second kind says how things are after
it, and whether they were otherwise before is for the reader to look up.  Calls that failed
changed nothing and get no tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cloudfront_ecs.normalize.api.configurations import behaviors, configuration
from cloudfront_ecs.normalize.api.parts import (
    flag_at,
    list_at,
    number_at,
    object_at,
    part,
    text_at,
    texts_at,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cloudfront_ecs.normalize.api.operations import Operation
    from cloudfront_ecs.normalize.api.parts import Json


class Risk(NamedTuple):
    """A tag.

    Attributes:
        certain: ``call`` for what the call did, ``after`` for how things are after it.
        meaning: One sentence for the README.
    """

    certain: str
    meaning: str


RISKS: Mapping[str, Risk] = {
    "risk:logging_detached": Risk(
        "call", "a real-time configuration, a log delivery or its source or destination was deleted"
    ),
    "risk:monitoring_removed": Risk("call", "the additional metrics were switched off"),
    "risk:waf_disassociated": Risk(
        "call", "a web ACL was taken off a distribution or a tenant, or disabled for a tenant"
    ),
    "risk:distribution_disabled": Risk("call", "a distribution was changed and is disabled"),
    "risk:distribution_deleted": Risk("call", "a distribution was deleted"),
    "risk:tenant_disabled": Risk(
        "call", "a tenant or connection group was changed and is disabled"
    ),
    "risk:tenant_deleted": Risk("call", "a tenant or connection group was deleted"),
    "risk:staging_promoted": Risk(
        "call", "a staging distribution's configuration replaced the primary one's"
    ),
    "risk:origin_changed": Risk(
        "call", "a VPC origin, an origin access control or identity was changed or deleted"
    ),
    "risk:function_changed": Risk("call", "a function's code was changed, published or deleted"),
    "risk:key_value_changed": Risk(
        "call", "keys of a key-value store were set or deleted, or the store was"
    ),
    "risk:signing_keys_changed": Risk(
        "call", "a key group or public key was created, changed or deleted: who can sign URLs"
    ),
    "risk:domain_moved": Risk(
        "call", "an alias or domain was moved to this distribution or tenant"
    ),
    "risk:resource_policy_changed": Risk("call", "sharing with other accounts was set or ended"),
    "risk:encryption_removed": Risk("call", "field-level encryption was deleted"),
    "risk:trust_store_changed": Risk(
        "call",
        "a trust store for mutual TLS was changed or deleted: whom viewers' certificates"
        " must come from",
    ),
    "risk:cache_flushed": Risk("call", "everything was invalidated (`/*`)"),
    "risk:viewer_protocol_relaxed": Risk(
        "after", "a cache behavior takes plain HTTP (`allow-all`)"
    ),
    "risk:tls_minimum_lowered": Risk(
        "after",
        "viewers may use TLS below 1.2 (not for CloudFront's own certificate,"
        " which leaves no choice)",
    ),
    "risk:viewer_mtls_relaxed": Risk(
        "after", "viewers' certificates are optional or not checked (`optional`, `passthrough`)"
    ),
    "risk:origin_protocol_relaxed": Risk("after", "an origin is asked over plain HTTP only"),
    "risk:origin_set": Risk(
        "after", "the call gives the origins, the same or others: `aws.cloudfront.change.origins`"
    ),
    "risk:waf_absent": Risk("after", "the distribution has no web ACL"),
    "risk:legacy_logging_off": Risk(
        "after", "no standard logging (legacy); v2 and real-time logs are not part of the call"
    ),
    "risk:geo_restriction_absent": Risk("after", "no country is restricted"),
    "risk:signed_urls_absent": Risk("after", "no cache behavior asks for signed URLs or cookies"),
    "risk:realtime_fields_reduced": Risk(
        "after", "the real-time configuration lacks a field that tells who asked for what, when"
    ),
    "risk:realtime_sampling_reduced": Risk(
        "after", "the real-time configuration logs fewer than all requests"
    ),
    "risk:delivery_fields_reduced": Risk(
        "after", "the log delivery lacks a field that tells who asked for what, when"
    ),
}
"""Every tag."""

NEEDED_FIELDS = {
    "realtime": ("timestamp", "c-ip", "sc-status", "cs-method", "cs-host", "cs-uri-stem",
                 "cs-user-agent", "x-edge-request-id"),
    "delivery": ("date", "time", "c-ip", "sc-status", "cs-method", "x-host-header",
                 "cs-uri-stem", "cs(User-Agent)", "x-edge-request-id"),
}  # fmt: skip
"""Columns without which nobody can tell who asked for what, and when."""

_BY_ACTION = {
    "DeleteRealtimeLogConfig": "risk:logging_detached",
    "DeleteDelivery": "risk:logging_detached",
    "DeleteDeliverySource": "risk:logging_detached",
    "DeleteDeliveryDestination": "risk:logging_detached",
    "DeleteMonitoringSubscription": "risk:monitoring_removed",
    "DisassociateDistributionWebACL": "risk:waf_disassociated",
    "DisassociateDistributionTenantWebACL": "risk:waf_disassociated",
    "DeleteDistribution": "risk:distribution_deleted",
    "DeleteStreamingDistribution": "risk:distribution_deleted",
    "DeleteDistributionTenant": "risk:tenant_deleted",
    "DeleteConnectionGroup": "risk:tenant_deleted",
    "UpdateDistributionWithStagingConfig": "risk:staging_promoted",
    "AssociateAlias": "risk:domain_moved",
    "UpdateDomainAssociation": "risk:domain_moved",
    "PutResourcePolicy": "risk:resource_policy_changed",
    "DeleteResourcePolicy": "risk:resource_policy_changed",
    "DeleteFieldLevelEncryptionConfig": "risk:encryption_removed",
    "DeleteFieldLevelEncryptionProfile": "risk:encryption_removed",
    "UpdateTrustStore": "risk:trust_store_changed",
    "DeleteTrustStore": "risk:trust_store_changed",
    "DeleteKeyValueStore": "risk:key_value_changed",
}
_BY_KIND = {
    ("change", "VpcOrigin"): "risk:origin_changed",
    ("deletion", "VpcOrigin"): "risk:origin_changed",
    ("change", "OriginAccessControl"): "risk:origin_changed",
    ("deletion", "OriginAccessControl"): "risk:origin_changed",
    ("change", "CloudFrontOriginAccessIdentity"): "risk:origin_changed",
    ("deletion", "CloudFrontOriginAccessIdentity"): "risk:origin_changed",
    ("change", "Function"): "risk:function_changed",
    ("deletion", "Function"): "risk:function_changed",
    ("change", "ConnectionFunction"): "risk:function_changed",
    ("deletion", "ConnectionFunction"): "risk:function_changed",
    ("change", "Key"): "risk:key_value_changed",
    ("deletion", "Key"): "risk:key_value_changed",
    ("creation", "KeyGroup"): "risk:signing_keys_changed",
    ("change", "KeyGroup"): "risk:signing_keys_changed",
    ("deletion", "KeyGroup"): "risk:signing_keys_changed",
    ("creation", "PublicKey"): "risk:signing_keys_changed",
    ("change", "PublicKey"): "risk:signing_keys_changed",
    ("deletion", "PublicKey"): "risk:signing_keys_changed",
}
_WEAK_TLS = ("SSLv3", "TLSv1", "TLSv1_2016", "TLSv1.1_2016")


def risks(operation: Operation, request: Json) -> list[str]:
    """Return the tags of a call that succeeded."""
    if not operation.changes:
        return []
    event_type = operation.event_type or ""
    found = [
        _BY_ACTION.get(operation.action),
        _BY_KIND.get((event_type, operation.kind)),
        *_of_request(operation, request, updated=event_type == "change"),
    ]
    return list(dict.fromkeys(tag for tag in found if tag))


def _of_request(operation: Operation, request: Json, *, updated: bool) -> Iterator[str]:
    kind = operation.kind
    if kind == "Distribution":
        yield from _of_distribution(configuration(request), updated=updated)
    elif kind == "StreamingDistribution":
        if updated and flag_at(request, "streamingDistributionConfig", "enabled") is False:
            yield "risk:distribution_disabled"
    elif kind in ("DistributionTenant", "ConnectionGroup"):
        yield from _of_tenant(request, updated=updated)
    elif kind.startswith("Invalidation"):
        if "/*" in texts_at(request, "invalidationBatch", "paths"):
            yield "risk:cache_flushed"
    else:
        yield from _of_logging(operation, request, updated=updated)


def _of_tenant(request: Json, *, updated: bool) -> Iterator[str]:
    if updated and flag_at(request, "enabled") is False:
        yield "risk:tenant_disabled"
    if text_at(request, "customizations", "webAcl", "action") == "disable":
        yield "risk:waf_disassociated"


def _of_logging(operation: Operation, request: Json, *, updated: bool) -> Iterator[str]:
    if operation.kind == "RealtimeLogConfig" and updated:
        rate = number_at(request, "samplingRate")
        if rate is not None and rate < _ALL:
            yield "risk:realtime_sampling_reduced"
        if _lacks(request, "fields", NEEDED_FIELDS["realtime"]):
            yield "risk:realtime_fields_reduced"
    if operation.kind == "DeliveryConfiguration" and _lacks(
        request, "recordFields", NEEDED_FIELDS["delivery"]
    ):
        yield "risk:delivery_fields_reduced"


_ALL = 100


def _lacks(request: Json, name: str, needed: tuple[str, ...]) -> bool:
    given = texts_at(request, name)
    return bool(given) and not set(needed) <= set(given)


def _of_distribution(config: Json, *, updated: bool) -> Iterator[str]:
    if updated and flag_at(config, "enabled") is False:
        yield "risk:distribution_disabled"
    if "allow-all" in [text_at(item, "viewerProtocolPolicy") for item in behaviors(config)]:
        yield "risk:viewer_protocol_relaxed"
    certificate = object_at(config, "viewerCertificate")
    if (
        text_at(certificate, "minimumProtocolVersion") in _WEAK_TLS
        and flag_at(certificate, "cloudFrontDefaultCertificate") is not True
    ):
        yield "risk:tls_minimum_lowered"
    if text_at(config, "viewerMtlsConfig", "mode") in ("optional", "passthrough"):
        yield "risk:viewer_mtls_relaxed"
    origins = list_at(config, "origins")
    if "http-only" in [
        text_at(origin, "customOriginConfig", "originProtocolPolicy") for origin in origins
    ]:
        yield "risk:origin_protocol_relaxed"
    if updated and origins:
        yield "risk:origin_set"
    yield from _absent(config)


def _absent(config: Json) -> Iterator[str]:
    """Yield what a configuration says is not there."""
    if part(config, "webACLId") == "":
        yield "risk:waf_absent"
    if flag_at(config, "logging", "enabled") is False:
        yield "risk:legacy_logging_off"
    if text_at(config, "restrictions", "geoRestriction", "restrictionType") == "none":
        yield "risk:geo_restriction_absent"
    signed = [
        flag_at(behavior, kind, "enabled")
        for behavior in behaviors(config)
        for kind in ("trustedSigners", "trustedKeyGroups")
    ]
    if False in signed and True not in signed:
        yield "risk:signed_urls_absent"
