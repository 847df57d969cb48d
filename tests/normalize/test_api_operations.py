"""Every operation of CloudFront's API is known by its name, and its ids are read exactly."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from cloudfront_ecs.normalize.api.operations import CATEGORIES, operation
from normalize.api_events import (
    ACL,
    ARN,
    DISTRIBUTION,
    SMITH,
    STORE,
    TENANT,
    body,
    called,
)

_MODELS = botocore.session.Session()
CLOUDFRONT = _MODELS.get_service_model("cloudfront")
KEY_VALUE_STORE = _MODELS.get_service_model("cloudfront-keyvaluestore")
LOGS = _MODELS.get_service_model("logs")

DELIVERIES = [name for name in LOGS.operation_names if "Deliver" in name]
OPERATIONS = [*CLOUDFRONT.operation_names, *KEY_VALUE_STORE.operation_names, *DELIVERIES]

ID_OF_DISTRIBUTION = {
    "AssociateDistributionWebACL",
    "DeleteDistribution",
    "DeleteStreamingDistribution",
    "DisassociateDistributionWebACL",
    "GetDistribution",
    "GetDistributionConfig",
    "GetStreamingDistribution",
    "GetStreamingDistributionConfig",
    "UpdateDistribution",
    "UpdateDistributionWithStagingConfig",
    "UpdateStreamingDistribution",
}
"""Operations whose ``id`` is that of a distribution; checked against the API reference."""

EVENT = "aws.cloudfront.distribution_id"
RESOURCE = "aws.cloudfront.change.resource_id"


def member(name: str) -> str:
    """Return a member's name as CloudTrail writes it."""
    return name[:1].lower() + name[1:]


def test_the_model_has_the_operations_that_are_known_here() -> None:
    assert len(CLOUDFRONT.operation_names) >= 167
    assert len(DELIVERIES) >= 16


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_has_a_verb_and_a_category(name: str) -> None:
    found = operation(name)

    assert found.action == name
    assert found.verb is not None
    assert found.noun is not None
    assert found.noun.category in CATEGORIES


@pytest.mark.parametrize("name", CLOUDFRONT.operation_names)
def test_reading_is_access_and_changing_is_not(name: str) -> None:
    found = operation(name)

    reads = name.startswith(("Get", "List", "Describe"))
    assert (found.event_type == "access") == reads
    if CLOUDFRONT.operation_model(name).http["method"] == "DELETE":
        assert found.event_type == "deletion"


@pytest.mark.parametrize("name", CLOUDFRONT.operation_names)
def test_an_id_is_a_distribution_only_where_the_api_says_so(name: str) -> None:
    shape = CLOUDFRONT.operation_model(name).input_shape
    members = {} if shape is None else dict(shape.members)
    if "Id" not in members:
        return

    found = body(called(name, {"id": "EABCDEFGHIJKL1"}))

    assert (found.get(EVENT) == "EABCDEFGHIJKL1") == (name in ID_OF_DISTRIBUTION)


@pytest.mark.parametrize("name", CLOUDFRONT.operation_names)
def test_every_member_that_is_a_distribution_id_reaches_the_document(name: str) -> None:
    shape = CLOUDFRONT.operation_model(name).input_shape
    members = {} if shape is None else dict(shape.members)
    ids = [one for one in members if one.endswith("DistributionId") and "Staging" not in one]

    for one in ids:
        found = body(called(name, {member(one): DISTRIBUTION}))

        assert found[EVENT] == DISTRIBUTION


@pytest.mark.parametrize(
    ("name", "request_parameters", "response", "distribution", "resource"),
    [
        pytest.param(
            "CreateDistribution",
            {"distributionConfig": {}},
            {"distribution": {"id": DISTRIBUTION, "aRN": ARN}, "location": "https://example.com"},
            DISTRIBUTION,
            DISTRIBUTION,
            id="only-in-the-answer",
        ),
        pytest.param(
            "CopyDistribution",
            {"primaryDistributionId": DISTRIBUTION},
            {"distribution": {"id": "ESTAGING00001"}},
            DISTRIBUTION,
            "ESTAGING00001",
            id="copy",
        ),
        pytest.param(
            "TagResource", {"resource": ARN}, None, DISTRIBUTION, ARN, id="arn-of-distribution"
        ),
        pytest.param("TagResource", {"resource": STORE}, None, None, STORE, id="arn-of-store"),
        pytest.param(
            "CreateInvalidation",
            {"distributionId": DISTRIBUTION},
            {"invalidation": {"id": "I2EXAMPLE"}},
            DISTRIBUTION,
            "I2EXAMPLE",
            id="invalidation",
        ),
        pytest.param(
            "GetInvalidation",
            {"distributionId": DISTRIBUTION, "id": "I2EXAMPLE"},
            None,
            DISTRIBUTION,
            "I2EXAMPLE",
            id="one-invalidation",
        ),
        pytest.param(
            "UpdateDomainAssociation",
            {"domain": "a.example.com", "targetResource": {"distributionId": DISTRIBUTION}},
            {"domain": "a.example.com", "resourceId": DISTRIBUTION},
            DISTRIBUTION,
            "a.example.com",
            id="domain",
        ),
        pytest.param(
            "UpdateDomainAssociation",
            {"domain": "a.example.com", "targetResource": {"distributionTenantId": TENANT}},
            {"domain": "a.example.com", "resourceId": TENANT},
            None,
            "a.example.com",
            id="domain-of-a-tenant",
        ),
        pytest.param(
            "CreateMonitoringSubscription",
            {"distributionId": DISTRIBUTION},
            None,
            DISTRIBUTION,
            DISTRIBUTION,
            id="monitoring",
        ),
        pytest.param("UpdateFunction", {"name": "rewrite"}, None, None, "rewrite", id="function"),
        pytest.param(
            "CreateKeyGroup",
            {"keyGroupConfig": {"name": "signers"}},
            {"keyGroup": {"id": "k-1", "keyGroupConfig": {"name": "signers"}}},
            None,
            "k-1",
            id="made",
        ),
        pytest.param(
            "DeleteCachePolicy", {"id": "EABCDEFGHIJKL1"}, None, None, "EABCDEFGHIJKL1", id="policy"
        ),
        pytest.param("PutKey", {"kvsARN": STORE, "key": "k"}, None, None, STORE, id="key"),
        pytest.param(
            "ListDistributionTenants",
            {"associationFilter": {"distributionId": DISTRIBUTION}},
            None,
            DISTRIBUTION,
            DISTRIBUTION,
            id="association-filter",
        ),
        pytest.param("ListDistributions", None, None, None, None, id="no-parameters"),
    ],
)
def test_ids_are_found_where_each_operation_has_them(
    name: str,
    request_parameters: Any,
    response: Any,
    distribution: str | None,
    resource: str | None,
) -> None:
    found = body(called(name, request_parameters, response))

    assert found.get(EVENT) == distribution
    assert found.get(RESOURCE) == resource


@pytest.mark.parametrize(
    ("name", "request_parameters", "response"),
    [
        pytest.param("UpdateDistributionTenant", {"id": TENANT}, None, id="id"),
        pytest.param("DisassociateDistributionTenantWebACL", {"id": TENANT}, None, id="web-acl"),
        pytest.param("CreateInvalidationForDistributionTenant", {"id": TENANT}, None, id="purge"),
        pytest.param(
            "GetInvalidationForDistributionTenant",
            {"distributionTenantId": TENANT, "id": "I2EXAMPLE"},
            None,
            id="one-purge",
        ),
        pytest.param("GetDistributionTenant", {"identifier": TENANT}, None, id="identifier"),
        pytest.param(
            "CreateDistributionTenant",
            {"distributionId": DISTRIBUTION, "name": "shop"},
            {"distributionTenant": {"id": TENANT, "distributionId": DISTRIBUTION}},
            id="answer",
        ),
        pytest.param(
            "TagResource",
            {"resource": f"arn:aws:cloudfront::111122223333:distribution-tenant/{TENANT}"},
            None,
            id="arn",
        ),
    ],
)
def test_tenants_are_told_from_distributions(
    name: str, request_parameters: Any, response: Any
) -> None:
    found = body(called(name, request_parameters, response))

    assert found["aws.cloudfront.distribution_tenant_id"] == TENANT
    assert found.get(EVENT) in (None, DISTRIBUTION)


@pytest.mark.parametrize(
    ("name", "request_parameters", "response"),
    [
        pytest.param(
            "PutDeliverySource",
            {"name": "edge", "resourceArn": ARN, "logType": "ACCESS_LOGS"},
            {"deliverySource": {"name": "edge", "service": "cloudfront", "resourceArns": [ARN]}},
            id="source",
        ),
        pytest.param(
            "CreateDelivery",
            {"deliverySourceName": f"edge-{DISTRIBUTION}"},
            None,
            id="named-source",
        ),
    ],
)
def test_a_log_delivery_names_its_distribution(
    name: str, request_parameters: Any, response: Any
) -> None:
    found = body(called(name, request_parameters, response, eventSource="logs.amazonaws.com"))

    assert found[EVENT] == DISTRIBUTION
    assert found["aws.cloudfront.change.category"] == "logging"
    assert found["event.provider"] == "logs.amazonaws.com"


@pytest.mark.parametrize(
    ("name", "action", "types", "categories"),
    [
        ("UpdateDistribution2014_01_31", "UpdateDistribution", ["change"], ["configuration"]),
        ("CreateDistributionWithTags", None, ["creation"], ["configuration"]),
        ("DeleteFunction", None, ["deletion"], ["configuration"]),
        ("CreateInvalidation", None, ["change"], ["configuration"]),
        ("TagResource", None, ["change"], ["configuration"]),
        ("PublishFunction", None, ["change"], ["configuration"]),
        ("ListDistributions", None, ["access"], []),
        ("DescribeFunction", None, ["access"], []),
        ("TestFunction", None, ["info"], []),
        ("VerifyDnsConfiguration", None, ["info"], []),
        ("PutKeys", None, ["change"], ["configuration"]),
    ],
)
def test_an_action_has_its_type_and_category(
    name: str, action: str | None, types: list[str], categories: list[str]
) -> None:
    found = body(called(name))

    assert found["event.action"] == (action or name)
    assert found["event.type"] == types
    assert found["event.category"] == ["api", *categories]


@pytest.mark.parametrize(
    ("read_only", "types"), [(True, ["access"]), (False, ["change"]), (None, ["info"])]
)
def test_an_operation_of_the_future_goes_by_what_cloudtrail_says(
    read_only: bool | None,  # noqa: FBT001 - a case of the table
    types: list[str],
) -> None:
    found = body(called("RefreshEdgeDreams", {"id": DISTRIBUTION}, readOnly=read_only))

    assert found["event.action"] == "RefreshEdgeDreams"
    assert found["event.type"] == types
    assert EVENT not in found
    assert "aws.cloudfront.change.category" not in found


@pytest.mark.parametrize(
    ("one", "text"),
    [
        pytest.param(
            called("DeleteDistribution", {"id": DISTRIBUTION, "ifMatch": "E1"}),
            f"smith deleted distribution {DISTRIBUTION}",
            id="deleted",
        ),
        pytest.param(
            called("DeleteDistribution", {"id": DISTRIBUTION}, errorCode="DistributionNotDisabled"),
            f"smith tried to delete distribution {DISTRIBUTION}: DistributionNotDisabled",
            id="failed",
        ),
        pytest.param(
            called("AssociateDistributionWebACL", {"id": DISTRIBUTION, "webACLArn": ACL}),
            f"smith associated web ACL of distribution {DISTRIBUTION}: edge-acl",
            id="web-acl",
        ),
        pytest.param(
            called("AssociateAlias", {"targetDistributionId": DISTRIBUTION, "alias": "a.example"}),
            f"smith associated alias a.example of distribution {DISTRIBUTION}",
            id="alias",
        ),
        pytest.param(
            called("UpdateKeys", {"kvsARN": STORE, "puts": [{"key": "a"}, {"key": "b"}],
                                  "deletes": [{"key": "c"}]}),
            "smith changed keys of key-value store 0a1b2c3d-0000-4000-8000-00000000000a: "
            "set a, b, deleted c",
            id="keys",
        ),
        pytest.param(
            called("UpdateRealtimeLogConfig", {"name": "edge", "samplingRate": 5,
                                               "fields": ["timestamp", "c-ip"]}),
            "smith changed real-time log configuration edge: 5 percent of the requests, 2 fields, "
            "without sc-status, cs-method, cs-host and 3 more",
            id="real-time",
        ),
        pytest.param(
            called("TagResource", {"resource": ARN, "tags": {"items": [{"key": "team"}]}}),
            f"smith tagged resource distribution/{DISTRIBUTION}: tags team",
            id="tags",
        ),
        pytest.param(
            called("UpdateDistributionTenant", {"id": TENANT, "enabled": False}),
            f"smith changed distribution tenant {TENANT}: disabled",
            id="tenant",
        ),
        pytest.param(
            called("CreateInvalidation", {"distributionId": DISTRIBUTION, "invalidationBatch": {
                "paths": {"quantity": 1, "items": ["/*"]}}}),
            f"smith created invalidation of distribution {DISTRIBUTION}: 1 path: /*",
            id="invalidation",
        ),
        pytest.param(
            called("UpdateDistribution", {"id": DISTRIBUTION, "distributionConfig": {
                "enabled": True,
                "webACLId": "",
                "logging": {"enabled": True},
                "restrictions": {"geoRestriction": {
                    "restrictionType": "blacklist", "quantity": 1, "items": ["XX"]}},
                "defaultCacheBehavior": {"viewerProtocolPolicy": "https-only",
                    "realtimeLogConfigArn":
                    "arn:aws:cloudfront::111122223333:realtime-log-config/edge"}}}),
            f"smith changed distribution {DISTRIBUTION}: now enabled, viewer protocol https-only, "
            "no web ACL, standard logging (legacy), real-time logs edge, no countries XX",
            id="configuration",
        ),
        pytest.param(
            called("UpdateFunction", {"name": "rewrite", "functionConfig":
                                      {"runtime": "cloudfront-js-2.0"}},
                   userIdentity={**SMITH, "invokedBy": "cloudformation.amazonaws.com"}),
            "smith through cloudformation.amazonaws.com changed function rewrite: "
            "runtime cloudfront-js-2.0",
            id="through-a-service",
        ),
    ],
)  # fmt: skip
def test_a_change_is_told_in_one_sentence(one: Any, text: str) -> None:
    assert body(one)["event.reason"] == text


@pytest.mark.parametrize("name", ["GetDistribution", "ListFunctions", "TestFunction"])
def test_what_changes_nothing_has_no_sentence(name: str) -> None:
    assert "event.reason" not in body(called(name, {"id": DISTRIBUTION}))


def test_invalidated_paths_are_counted() -> None:
    paths = [f"/images/{number}.jpg" for number in range(40)]
    batch = {"callerReference": "x", "paths": {"quantity": 40, "items": paths}}

    found = body(
        called(
            "CreateInvalidation",
            {"distributionId": DISTRIBUTION, "invalidationBatch": batch},
            {"invalidation": {"id": "I2EXAMPLE"}},
        )
    )

    assert found["aws.cloudfront.invalidation.paths"] == paths
    assert found["aws.cloudfront.invalidation.count"] == 40
    assert found["aws.cloudfront.invalidation.id"] == "I2EXAMPLE"
    assert found["event.reason"].endswith(
        "40 paths: /images/0.jpg, /images/1.jpg, /images/2.jpg and 37 more"
    )


def test_a_denied_call_names_its_distribution_in_its_message_only() -> None:
    message = f"User: smith is not authorized to perform: … on resource: {ARN} because …"

    found = body(called("UpdateDistribution", errorCode="AccessDenied", errorMessage=message))

    assert found[EVENT] == DISTRIBUTION
    assert (
        found["event.reason"] == f"smith tried to change distribution {DISTRIBUTION}: AccessDenied"
    )
