"""Whoever calls is found under one name, whatever kind of identity CloudTrail gives."""

from __future__ import annotations

from typing import Any

import pytest

from normalize.api_events import SMITH, body, event

ACCOUNT = "111122223333"
ROLE = {
    "type": "AssumedRole",
    "principalId": "AROAEXAMPLE0000000001:jane@example.com",
    "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Admin/jane@example.com",
    "accountId": ACCOUNT,
    "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
    "sessionContext": {
        "sessionIssuer": {
            "type": "Role",
            "principalId": "AROAEXAMPLE0000000001",
            "arn": f"arn:aws:iam::{ACCOUNT}:role/Admin",
            "accountId": ACCOUNT,
            "userName": "Admin",
        },
        "attributes": {"creationDate": "2026-01-15T19:00:00Z", "mfaAuthenticated": "true"},
    },
}

IDENTITIES = [
    pytest.param(
        SMITH,
        {"user.name": "smith", "user.id": "AIDAEXAMPLE0000000001"},
        ["smith", "AIDAEXAMPLE0000000001"],
        id="iam-user",
    ),
    pytest.param(
        {"type": "Root", "principalId": ACCOUNT, "accountId": ACCOUNT,
         "arn": f"arn:aws:iam::{ACCOUNT}:root"},
        {"user.name": "root", "user.id": ACCOUNT},
        ["root", ACCOUNT],
        id="root",
    ),
    pytest.param(
        {"type": "Root", "principalId": ACCOUNT, "userName": "our-alias"},
        {"user.name": "our-alias", "user.id": ACCOUNT},
        ["our-alias", ACCOUNT],
        id="root-with-alias",
    ),
    pytest.param(
        ROLE,
        {"user.name": "Admin", "user.id": "AROAEXAMPLE0000000001"},
        ["Admin", "AROAEXAMPLE0000000001", "jane@example.com"],
        id="assumed-role",
    ),
    pytest.param(
        {name: value for name, value in ROLE.items() if name != "sessionContext"},
        {"user.name": "Admin", "user.id": "AROAEXAMPLE0000000001"},
        ["Admin", "AROAEXAMPLE0000000001", "jane@example.com"],
        id="assumed-role-without-issuer",
    ),
    pytest.param(
        {**ROLE, "onBehalfOf": {
            "userId": "544894e8-80c1-707f-60e3-3ba6510dfac1",
            "identityStoreArn": f"arn:aws:identitystore::{ACCOUNT}:identitystore/d-906762"}},
        {"user.name": "Admin",
         "aws.cloudtrail.user_identity.on_behalf_of.user_id":
         "544894e8-80c1-707f-60e3-3ba6510dfac1"},
        ["Admin", "AROAEXAMPLE0000000001", "jane@example.com",
         "544894e8-80c1-707f-60e3-3ba6510dfac1"],
        id="role-on-behalf-of-identity-center",
    ),
    pytest.param(
        {"type": "IdentityCenterUser", "accountId": ACCOUNT, "credentialId": "c-1",
         "onBehalfOf": {"userId": "544894e8-80c1-707f-60e3-3ba6510dfac1",
                        "identityStoreArn":
                        f"arn:aws:identitystore::{ACCOUNT}:identitystore/d-906762"}},
        {"user.id": "544894e8-80c1-707f-60e3-3ba6510dfac1",
         "aws.cloudtrail.user_identity.credential_id": "c-1"},
        ["544894e8-80c1-707f-60e3-3ba6510dfac1"],
        id="identity-center",
    ),
    pytest.param(
        {"type": "FederatedUser", "principalId": f"{ACCOUNT}:jane", "accountId": ACCOUNT,
         "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/jane",
         "sessionContext": {"sessionIssuer": {"type": "IAMUser", "userName": "broker"}}},
        {"user.name": "jane", "user.id": f"{ACCOUNT}:jane",
         "aws.cloudtrail.user_identity.session_context.session_issuer.user_name": "broker"},
        ["jane", f"{ACCOUNT}:jane"],
        id="federated",
    ),
    pytest.param(
        {"type": "SAMLUser", "principalId": "namequalifier:jane", "userName": "jane",
         "identityProvider": "https://idp.example.com/saml"},
        {"user.name": "jane", "user.domain": "https://idp.example.com/saml"},
        ["jane", "namequalifier:jane"],
        id="saml",
    ),
    pytest.param(
        {"type": "WebIdentityUser", "principalId": "accounts.example.com:app:17",
         "userName": "17", "identityProvider": "accounts.example.com"},
        {"user.name": "17", "user.id": "accounts.example.com:app:17",
         "user.domain": "accounts.example.com"},
        ["17", "accounts.example.com:app:17"],
        id="web-identity",
    ),
    pytest.param(
        {"type": "AWSService", "invokedBy": "cloudformation.amazonaws.com"},
        {"user.name": "cloudformation.amazonaws.com",
         "related.hosts": ["cloudformation.amazonaws.com"]},
        ["cloudformation.amazonaws.com"],
        id="service",
    ),
    pytest.param(
        {"type": "AWSAccount", "principalId": "AIDAOTHER", "accountId": "444455556666"},
        {"user.id": "AIDAOTHER", "aws.cloudtrail.user_identity.account_id": "444455556666"},
        ["AIDAOTHER"],
        id="other-account",
    ),
    pytest.param(
        {"type": "AWSAccount", "accountId": "444455556666"},
        {"user.id": "444455556666"},
        ["444455556666"],
        id="other-account-without-principal",
    ),
    pytest.param(
        {"type": "Unknown", "userName": "somebody"},
        {"user.name": "somebody"},
        ["somebody"],
        id="unknown",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("identity", "fields", "related"), IDENTITIES)
def test_an_identity_has_one_name_and_all_its_ids(
    identity: dict[str, Any], fields: dict[str, Any], related: list[str]
) -> None:
    found = body(event("GetDistribution", userIdentity=identity))

    assert found.items() >= fields.items()
    assert found["related.user"] == related
    assert found["aws.cloudtrail.user_identity.type"] == identity["type"]


@pytest.mark.parametrize("identity", [None, {}, {"type": None}])
def test_no_identity_is_no_user(identity: Any) -> None:
    found = body(event(userIdentity=identity))

    assert not [name for name in found if name.startswith(("user.", "related.user"))]
    assert found["event.reason"].startswith("somebody changed")


@pytest.mark.parametrize(
    ("identity", "shown"),
    [
        (SMITH, "smith"),
        (ROLE, "Admin (jane@example.com)"),
        ({"type": "AWSService", "invokedBy": "cloudformation.amazonaws.com"},
         "cloudformation.amazonaws.com"),
        ({**ROLE, "invokedBy": "cloudformation.amazonaws.com"},
         "Admin (jane@example.com) through cloudformation.amazonaws.com"),
        ({"type": "AWSAccount", "principalId": "AIDAOTHER", "accountId": "444455556666"},
         "account 444455556666"),
    ],
)  # fmt: skip
def test_a_sentence_names_the_person_behind_a_role(identity: Any, shown: str) -> None:
    assert body(event(userIdentity=identity))["event.reason"] == f"{shown} changed distribution"


def test_the_session_of_a_role_is_kept() -> None:
    session = "aws.cloudtrail.user_identity.session_context"

    found = body(event(userIdentity=ROLE))

    assert found[f"{session}.mfa_authenticated"] is True
    assert found[f"{session}.creation_date"] == "2026-01-15T19:00:00Z"
    assert found[f"{session}.session_issuer.arn"] == f"arn:aws:iam::{ACCOUNT}:role/Admin"
    assert found["aws.cloudtrail.user_identity.access_key_id"] == "ASIAIOSFODNN7EXAMPLE"


def test_a_call_into_another_account_names_both() -> None:
    found = body(event(userIdentity=ROLE, recipientAccountId="444455556666"))

    assert found["cloud.account.id"] == "444455556666"
    assert found["aws.cloudtrail.recipient_account_id"] == "444455556666"
    assert found["aws.cloudtrail.user_identity.account_id"] == ACCOUNT


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ("192.0.2.10", {"source.ip": "192.0.2.10", "client.ip": "192.0.2.10",
                        "related.ip": ["192.0.2.10"], "network.type": "ipv4"}),
        ("2001:db8:0:0::1", {"source.ip": "2001:db8::1", "source.address": "2001:db8:0:0::1",
                             "network.type": "ipv6"}),
        ("cloudformation.amazonaws.com", {"source.domain": "cloudformation.amazonaws.com",
                                          "client.domain": "cloudformation.amazonaws.com",
                                          "source.address": "cloudformation.amazonaws.com",
                                          "related.hosts": ["cloudformation.amazonaws.com"]}),
        ("AWS Internal", {"source.address": "AWS Internal"}),
    ],
)  # fmt: skip
def test_a_service_as_caller_is_a_domain_and_never_an_address(
    given: str, fields: dict[str, Any]
) -> None:
    found = body(event("GetDistribution", sourceIPAddress=given))

    where = ("source.", "client.", "related.ip", "related.hosts", "network.")
    assert {name: found[name] for name in found if name.startswith(where)}.items() >= fields.items()
    assert ("source.ip" in found) == ("source.ip" in fields)
    assert ("source.domain" in found) == ("source.domain" in fields)


def test_newer_members_of_an_identity_are_kept() -> None:
    identity = {**SMITH, "inScopeOf": {"sourceArn": "arn:aws:x"}, "sessionContext": {
        "webIdFederationData": {"federatedProvider": "p"}, "ec2RoleDelivery": "2.0"}}  # fmt: skip

    found = body(event(userIdentity=identity))

    other = "aws.cloudtrail.flattened.other.userIdentity"
    assert found[f"{other}.inScopeOf.sourceArn"] == "arn:aws:x"
    assert found[f"{other}.sessionContext.webIdFederationData.federatedProvider"] == "p"
    assert found[f"{other}.sessionContext.ec2RoleDelivery"] == "2.0"
