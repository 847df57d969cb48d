"""``aws.cloudtrail.*`` and what a call means for CloudFront, as typed objects.

Names as in Elastic's integration for CloudTrail where it has one.
"""

from __future__ import annotations

from typing import Any

from cloudfront_ecs.normalize.documents.object import Object


class SessionIssuer(Object, frozen=True):
    """``…session_context.session_issuer``: the role or user that a session stands for."""

    type: str | None = None
    principal_id: str | None = None
    arn: str | None = None
    account_id: str | None = None
    user_name: str | None = None


class SessionContext(Object, frozen=True):
    """``…user_identity.session_context``: how temporary credentials came about."""

    mfa_authenticated: bool | None = None
    creation_date: str | None = None
    source_identity: str | None = None
    session_issuer: SessionIssuer | None = None


class OnBehalfOf(Object, frozen=True):
    """``…user_identity.on_behalf_of``: the user of IAM Identity Center."""

    user_id: str | None = None
    identity_store_arn: str | None = None


class UserIdentity(Object, frozen=True):
    """``aws.cloudtrail.user_identity``: who called, as CloudTrail says it."""

    type: str | None = None
    principal_id: str | None = None
    arn: str | None = None
    account_id: str | None = None
    access_key_id: str | None = None
    user_name: str | None = None
    invoked_by: str | None = None
    identity_provider: str | None = None
    credential_id: str | None = None
    on_behalf_of: OnBehalfOf | None = None
    session_context: SessionContext | None = None


class Resources(Object, frozen=True):
    """``aws.cloudtrail.resources``: what the call touched, each part a list."""

    arn: list[str] | None = None
    account_id: list[str] | None = None
    type: list[str] | None = None


class Flattened(Object, frozen=True):
    """``aws.cloudtrail.flattened``: what differs from call to call, all values as texts."""

    request_parameters: dict[str, Any] | None = None
    response_elements: dict[str, Any] | None = None
    additional_eventdata: dict[str, Any] | None = None
    service_event_details: dict[str, Any] | None = None
    other: dict[str, Any] | None = None


class CloudTrail(Object, frozen=True):
    """``aws.cloudtrail``."""

    event_version: str | None = None
    event_type: str | None = None
    event_category: str | None = None
    request_id: str | None = None
    shared_event_id: str | None = None
    api_version: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    read_only: bool | None = None
    management_event: bool | None = None
    session_credential_from_console: bool | None = None
    recipient_account_id: str | None = None
    vpc_endpoint_id: str | None = None
    user_identity: UserIdentity | None = None
    resources: Resources | None = None
    flattened: Flattened | None = None


class Change(Object, frozen=True):
    """``aws.cloudfront.change``: what an API call is about."""

    category: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    origins: list[str] | None = None


class Invalidation(Object, frozen=True):
    """``aws.cloudfront.invalidation``."""

    id: str | None = None
    paths: list[str] | None = None
    count: int | None = None
