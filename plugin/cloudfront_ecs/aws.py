"""The way to AWS: credentials, region, role and endpoint become boto3 clients.

boto3 has no types; its clients leave this module as ``Any`` and are wrapped by the few
calls each adapter makes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.session import Session as BotocoreSession

from cloudfront_ecs.options import Secret, option


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsAccess:
    """Who we are to AWS, and where; what is absent comes from where AWS users keep it."""

    region: str | None = option(None, doc="AWS region; else from the environment or profile.")
    profile: str | None = option(None, doc="Named profile of the AWS configuration.")
    role_arn: str | None = option(None, doc="Role to assume, for another account's data.")
    external_id: Secret | None = option(None, doc="External id that the role asks for.")


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsOptions(AwsAccess):
    """How to reach AWS's services."""

    endpoint_url: str | None = option(None, doc="Endpoint of another server than AWS's own.")


def session(access: AwsAccess) -> boto3.Session:
    """Return a session with credentials that refresh, those of the role where one is named."""
    botocore = BotocoreSession(profile=access.profile)
    if access.role_arn:
        _assume_role(botocore, access)
    return boto3.Session(botocore_session=botocore, region_name=access.region)


def client(service: str, options: AwsOptions, **settings: Any) -> Any:
    """Return a boto3 client for *service*; *settings* go to botocore's ``Config``.

    An adapter that retries by itself passes ``retries={"total_max_attempts": 1}``.

    Clients may be used from several threads; refreshed credentials are botocore's work.
    """
    config = Config(
        user_agent_extra="cloudfront-ecs",
        retries=settings.pop("retries", {"mode": "standard", "max_attempts": 3}),
        connect_timeout=settings.pop("connect_timeout", 10),
        **settings,
    )
    return session(options).client(service, endpoint_url=options.endpoint_url, config=config)


def _assume_role(botocore: BotocoreSession, options: AwsAccess) -> None:
    """Make every client of the session use the role, with credentials that refresh."""
    extra: dict[str, str] = {"RoleSessionName": "cloudfront-ecs"}
    if options.external_id:
        extra["ExternalId"] = options.external_id.reveal()
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=botocore.create_client,
        source_credentials=botocore.get_credentials(),
        role_arn=options.role_arn,
        extra_args=extra,
    )
    # botocore has no public way to hand a session refreshable credentials.
    botocore._credentials = DeferredRefreshableCredentials(  # noqa: SLF001
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )
