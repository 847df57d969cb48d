"""The way to AWS: credentials, region, role and endpoint become boto3 clients.

boto3 has no types; its clients leave this module as ``Any`` and are wrapped by the few
calls each adapter makes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials
from botocore.loaders import create_loader
from botocore.session import Session as BotocoreSession

from cloudfront_ecs.aws_signing import RenewedCredentials, ServerClock, Signing
from cloudfront_ecs.options import Secret, option


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsAccess:
    """Who we are to AWS, and where; what is absent comes from where AWS users keep it."""

    region: str | None = option(None, doc="AWS region; else from the environment or profile.")
    profile: str | None = option(None, doc="Named profile of the AWS configuration.")
    role_arn: str | None = option(None, doc="Role to assume, for another account's data.")
    external_id: Secret | None = option(None, doc="External id that the role asks for.")
    session_seconds: int = option(
        3600,
        doc="Seconds for which the role is assumed at a time; the role must allow it.",
        least=1800,  # botocore renews a session in its last 15 minutes, at each request
        most=43_200,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsOptions(AwsAccess):
    """How to reach AWS's services."""

    endpoint_url: str | None = option(None, doc="Endpoint of another server than AWS's own.")


def client(service: str, options: AwsOptions, **settings: Any) -> Any:
    """Return a boto3 client for *service*; *settings* go to botocore's ``Config``.

    An adapter that retries by itself passes ``retries={"total_max_attempts": 1}``.  Refused
    credentials and a wrong clock are mended beside that (``aws_signing``).

    Clients may be used from several threads.
    """
    clock = ServerClock()
    settings.setdefault("endpoint_url", options.endpoint_url)
    held = RenewedCredentials(partial(credentials, options, clock))
    return _client(service, options, Signing(held, clock), **settings)


def _client(
    service: str,
    access: AwsAccess,
    signing: Signing,
    *,
    endpoint_url: str | None = None,
    **settings: Any,
) -> Any:
    config = Config(
        user_agent_extra="cloudfront-ecs",
        retries=settings.pop("retries", {"mode": "standard", "max_attempts": 3}),
        connect_timeout=settings.pop("connect_timeout", 10),
        **settings,
    )
    botocore = _session(access)
    # botocore has no public way to hand a session credentials that change.
    botocore._credentials = signing.credentials  # noqa: SLF001
    session = boto3.Session(botocore_session=botocore, region_name=access.region)
    made = session.client(service, endpoint_url=endpoint_url, config=config)
    signing.attach(made)
    return made


def _session(access: AwsAccess) -> BotocoreSession:
    """Return a new session, since one reads files only once; what it knows of AWS is shared.

    Descriptions of services and endpoints take some 7 MB in each session that loads them.
    """
    made = BotocoreSession(profile=access.profile)
    made.register_component("data_loader", _loader(made.get_config_variable("data_path")))
    return made


@cache
def _loader(data_path: str | None) -> Any:
    return create_loader(data_path)


def credentials(access: AwsAccess, clock: ServerClock) -> Any:
    """Look for credentials where AWS users keep them, as if for the first time.

    Args:
        access: Whose credentials.
        clock: What those of a role end by.

    Returns:
        Credentials of botocore, those of the role where one is named; None if there are none.
    """
    if not access.role_arn:
        return _own_credentials(access)
    return DeferredRefreshableCredentials(
        method="assume-role",
        refresh_using=partial(_assumed, access, clock),
        time_fetcher=clock.now,
    )


def _own_credentials(access: AwsAccess) -> Any:
    """Return what the profile, the environment or the machine has, or None."""
    # A session reads the files of the profile once, so each search takes a new one.
    return _session(access).get_credentials()


def _assumed(access: AwsAccess, clock: ServerClock) -> dict[str, str]:
    """Assume the role of *access* and return its keys as botocore's refreshing takes them."""
    own = RenewedCredentials(partial(_own_credentials, access))
    sts = _client("sts", access, Signing(own, clock))
    request: dict[str, Any] = {
        "RoleArn": access.role_arn,
        "RoleSessionName": "cloudfront-ecs",
        "DurationSeconds": access.session_seconds,
    }
    if access.external_id:
        request["ExternalId"] = access.external_id.reveal()
    try:
        keys = sts.assume_role(**request)["Credentials"]
    finally:
        sts.close()
    return {
        "access_key": keys["AccessKeyId"],
        "secret_key": keys["SecretAccessKey"],
        "token": keys["SessionToken"],
        "expiry_time": keys["Expiration"].isoformat(),
    }
