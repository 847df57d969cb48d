"""Each risk tag has a call that sets it and a near miss that does not."""

from __future__ import annotations

from typing import Any

import pytest

from cloudfront_ecs.normalize.api.risks import NEEDED_FIELDS, RISKS
from normalize.api_events import ACL, DISTRIBUTION, STORE, TENANT, body, called

LOGS = {"eventSource": "logs.amazonaws.com"}
KEYS = {"eventSource": "edgekeyvaluestore.amazonaws.com"}


def update(**config: Any) -> Any:
    """Return an update of a distribution that gives *config*."""
    return called("UpdateDistribution", {"id": DISTRIBUTION, "distributionConfig": config})


def create(**config: Any) -> Any:
    """Return the creation of a distribution with *config*."""
    return called("CreateDistribution", {"distributionConfig": config})


def realtime(name: str = "UpdateRealtimeLogConfig", **request: Any) -> Any:
    """Return a call about a real-time configuration."""
    return called(name, {"name": "edge", **request})


def origin(policy: str) -> dict[str, Any]:
    """Return origins of which one is asked by *policy*."""
    one = {"id": "o", "domainName": "o.example.com",
           "customOriginConfig": {"originProtocolPolicy": policy}}  # fmt: skip
    return {"quantity": 1, "items": [one]}


def behavior(**members: Any) -> dict[str, Any]:
    """Return one more cache behavior."""
    return {"quantity": 1, "items": [{"pathPattern": "/a/*", **members}]}


REALTIME, DELIVERY = list(NEEDED_FIELDS["realtime"]), list(NEEDED_FIELDS["delivery"])
FLUSH = {"distributionId": DISTRIBUTION, "invalidationBatch": {"paths": {"items": ["/*"]}}}
PART = {"distributionId": DISTRIBUTION, "invalidationBatch": {"paths": {"items": ["/a/*"]}}}

CASES = [
    ("risk:logging_detached", called("DeleteRealtimeLogConfig", {"name": "edge"}),
     called("CreateRealtimeLogConfig", {"name": "edge"})),
    ("risk:logging_detached", called("DeleteDeliverySource", {"name": "cloudfront-1"}, **LOGS),
     called("DeleteDeliverySource", {"name": "cloudfront-1"}, errorCode="AccessDenied", **LOGS)),
    ("risk:monitoring_removed",
     called("DeleteMonitoringSubscription", {"distributionId": DISTRIBUTION}),
     called("GetMonitoringSubscription", {"distributionId": DISTRIBUTION})),
    ("risk:waf_disassociated", called("DisassociateDistributionWebACL", {"id": DISTRIBUTION}),
     called("AssociateDistributionWebACL", {"id": DISTRIBUTION, "webACLArn": ACL})),
    ("risk:waf_disassociated", called("DisassociateDistributionTenantWebACL", {"id": TENANT}),
     called("AssociateDistributionTenantWebACL", {"id": TENANT, "webACLArn": ACL})),
    ("risk:waf_disassociated",
     called("UpdateDistributionTenant", {"id": TENANT, "customizations":
                                         {"webAcl": {"action": "disable"}}}),
     called("UpdateDistributionTenant", {"id": TENANT, "customizations":
                                         {"webAcl": {"action": "override", "arn": ACL}}})),
    ("risk:distribution_disabled", update(enabled=False), update(enabled=True)),
    ("risk:distribution_disabled", update(enabled=False), create(enabled=False)),
    ("risk:distribution_disabled",
     called("UpdateStreamingDistribution", {"streamingDistributionConfig": {"enabled": False}}),
     called("UpdateStreamingDistribution", {"streamingDistributionConfig": {}})),
    ("risk:distribution_deleted", called("DeleteDistribution", {"id": DISTRIBUTION}),
     called("DeleteDistribution", {"id": DISTRIBUTION}, errorCode="DistributionNotDisabled")),
    ("risk:tenant_disabled", called("UpdateDistributionTenant", {"id": TENANT, "enabled": False}),
     called("UpdateDistributionTenant", {"id": TENANT, "enabled": True})),
    ("risk:tenant_deleted", called("DeleteDistributionTenant", {"id": TENANT}),
     called("GetDistributionTenant", {"identifier": TENANT})),
    ("risk:staging_promoted", called("UpdateDistributionWithStagingConfig", {"id": DISTRIBUTION}),
     called("UpdateDistribution", {"id": DISTRIBUTION})),
    ("risk:origin_changed", called("UpdateVpcOrigin", {"id": "vo_1"}),
     called("CreateVpcOrigin", {})),
    ("risk:origin_changed", called("DeleteOriginAccessControl", {"id": "E1"}),
     called("GetOriginAccessControl", {"id": "E1"})),
    ("risk:function_changed", called("UpdateFunction", {"name": "rewrite"}),
     called("TestFunction", {"name": "rewrite"})),
    ("risk:function_changed", called("PublishFunction", {"name": "rewrite"}),
     called("CreateFunction", {"name": "rewrite"})),
    ("risk:function_changed", called("DeleteConnectionFunction", {"id": "f"}),
     called("DescribeConnectionFunction", {"identifier": "f"})),
    ("risk:key_value_changed", called("PutKey", {"kvsARN": STORE, "key": "k"}, **KEYS),
     called("GetKey", {"kvsARN": STORE, "key": "k"}, **KEYS)),
    ("risk:key_value_changed", called("UpdateKeys", {"kvsARN": STORE}, **KEYS),
     called("ListKeys", {"kvsARN": STORE}, **KEYS)),
    ("risk:key_value_changed", called("DeleteKeys", {"kvsARN": STORE, "key": "k"}, **KEYS),
     called("DescribeKeyValueStore", {"kvsARN": STORE}, **KEYS)),
    ("risk:key_value_changed", called("DeleteKeyValueStore", {"name": "store"}),
     called("UpdateKeyValueStore", {"name": "store", "comment": "c"})),
    ("risk:signing_keys_changed", called("UpdateKeyGroup", {"id": "k"}),
     called("GetKeyGroup", {"id": "k"})),
    ("risk:signing_keys_changed", called("CreatePublicKey", {}), called("ListPublicKeys", {})),
    ("risk:domain_moved",
     called("AssociateAlias", {"targetDistributionId": DISTRIBUTION, "alias": "a.example.com"}),
     called("ListConflictingAliases", {"distributionId": DISTRIBUTION, "alias": "a.example.com"})),
    ("risk:resource_policy_changed", called("PutResourcePolicy", {"resourceArn": STORE}),
     called("GetResourcePolicy", {"resourceArn": STORE})),
    ("risk:encryption_removed", called("DeleteFieldLevelEncryptionConfig", {"id": "F"}),
     called("UpdateFieldLevelEncryptionConfig", {"id": "F"})),
    ("risk:trust_store_changed", called("UpdateTrustStore", {"id": "ts_1"}),
     called("CreateTrustStore", {"name": "ts"})),
    ("risk:cache_flushed", called("CreateInvalidation", FLUSH), called("CreateInvalidation", PART)),
    ("risk:viewer_protocol_relaxed",
     update(defaultCacheBehavior={"viewerProtocolPolicy": "allow-all"}),
     update(defaultCacheBehavior={"viewerProtocolPolicy": "redirect-to-https"})),
    ("risk:viewer_protocol_relaxed",
     create(cacheBehaviors=behavior(viewerProtocolPolicy="allow-all")),
     create(cacheBehaviors=behavior(viewerProtocolPolicy="https-only"))),
    ("risk:tls_minimum_lowered",
     update(viewerCertificate={"minimumProtocolVersion": "TLSv1.1_2016"}),
     update(viewerCertificate={"minimumProtocolVersion": "TLSv1.2_2021"})),
    ("risk:tls_minimum_lowered",
     update(viewerCertificate={"minimumProtocolVersion": "TLSv1"}),
     update(viewerCertificate={"minimumProtocolVersion": "TLSv1",
                               "cloudFrontDefaultCertificate": True})),
    ("risk:viewer_mtls_relaxed", update(viewerMtlsConfig={"mode": "optional"}),
     update(viewerMtlsConfig={"mode": "required"})),
    ("risk:origin_protocol_relaxed", update(origins=origin("http-only")),
     update(origins=origin("https-only"))),
    ("risk:origin_set", update(origins=origin("https-only")), create(origins=origin("https-only"))),
    ("risk:waf_absent", update(webACLId=""), update(webACLId=ACL)),
    ("risk:waf_absent", create(webACLId=""), create()),
    ("risk:legacy_logging_off", update(logging={"enabled": False}), update(logging={})),
    ("risk:legacy_logging_off", update(logging={"enabled": False, "bucket": ""}),
     update(logging={"enabled": True, "bucket": "logs"})),
    ("risk:geo_restriction_absent",
     update(restrictions={"geoRestriction": {"restrictionType": "none"}}),
     update(restrictions={"geoRestriction": {"restrictionType": "whitelist", "items": ["DE"]}})),
    ("risk:signed_urls_absent",
     update(defaultCacheBehavior={"trustedKeyGroups": {"enabled": False},
                                  "trustedSigners": {"enabled": False}}),
     update(defaultCacheBehavior={"trustedKeyGroups": {"enabled": False}},
            cacheBehaviors=behavior(trustedKeyGroups={"enabled": True}))),
    ("risk:realtime_fields_reduced", realtime(fields=REALTIME[1:]), realtime(fields=REALTIME)),
    ("risk:realtime_fields_reduced", realtime(fields=REALTIME[1:]),
     realtime("CreateRealtimeLogConfig", fields=REALTIME[1:])),
    ("risk:realtime_sampling_reduced", realtime(samplingRate=99), realtime(samplingRate=100)),
    ("risk:delivery_fields_reduced",
     called("UpdateDeliveryConfiguration", {"id": "d", "recordFields": [*DELIVERY[:-1], "cs(Host)"]},
            **LOGS),
     called("UpdateDeliveryConfiguration", {"id": "d", "recordFields": DELIVERY}, **LOGS)),
]  # fmt: skip


def named(index: int) -> str:
    """Return a case's name for reports."""
    return f"{index}-{CASES[index][0].removeprefix('risk:')}"


def tags(one: Any) -> list[str]:
    """Return the tags of an event's document."""
    found: list[str] = body(one).get("tags", [])
    return found


@pytest.mark.parametrize("index", range(len(CASES)), ids=named)
def test_a_tag_is_set_by_its_call_and_not_by_a_near_miss(index: int) -> None:
    tag, risky, near_miss = CASES[index]

    assert tag in tags(risky)
    assert tag not in tags(near_miss)


def test_every_tag_has_a_case_and_every_case_a_tag_that_is_described() -> None:
    assert {tag for tag, _, _ in CASES} == set(RISKS)


@pytest.mark.parametrize("index", range(len(CASES)), ids=named)
def test_a_call_that_failed_has_no_tag(index: int) -> None:
    _, risky, _ = CASES[index]

    assert tags({**risky, "errorCode": "AccessDenied"}) == []
    assert tags({**risky, "errorMessage": "no"}) == []


def test_an_update_says_only_what_is_certain_of_the_new_configuration() -> None:
    assert tags(update(comment="nothing else")) == []
