"""Options of the ``elastic`` sink."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from cloudfront_ecs import aws
from cloudfront_ecs.options import Secret, option

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_NAMESPACE = "default"
"""The namespace that documents carry when they come to a sink."""

_FORBIDDEN_IN_NAMESPACE = frozenset('\\/*?"<>| ,#:-')
"""What the names of data streams cannot hold; the hyphen separates their parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """How the nodes are trusted, and how we show who we are."""

    ca: str | None = option(None, doc="File with the certificates to trust; default: the system's.")
    cert: str | None = option(None, doc="Client certificate, with its key unless 'key' is given.")
    key: str | None = option(None, doc="Key of the client certificate.")
    verify: bool = option(default=True, doc="Check the nodes' certificates and names.")
    fingerprint: str | None = option(
        None, doc="SHA-256 of the nodes' or their authority's certificate, checked instead."
    )

    def __post_init__(self) -> None:
        """Refuse what cannot work together."""
        if self.key and not self.cert:
            raise ValueError("'key' is given without 'cert'")


_AGE = re.compile(r"[1-9]\d*(?:d|h|m)", re.ASCII)
_SIZE = re.compile(r"[1-9]\d*(?:mb|gb|tb)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleOptions:
    """When a data stream begins a new index, and when an old one is deleted."""

    rollover_age: str = option("30d", doc="Age at which an index is full.", example="1d")
    rollover_size: str = option("50gb", doc="Size of a primary shard at which it is full.")
    delete_after: str | None = option(
        None, doc="Age after the rollover at which an index is deleted; none: never.", example="90d"
    )

    def __post_init__(self) -> None:
        """Refuse what neither product understands.

        Raises:
            ValueError: An age or size is not written as both products write it.
        """
        for name in ("rollover_age", "delete_after"):
            age = getattr(self, name)
            if age is not None and not _AGE.fullmatch(age):
                raise ValueError(f"{name}: {age!r} is no age (write '30d', '12h' or '90m')")
        if not _SIZE.fullmatch(self.rollover_size):
            raise ValueError(f"rollover_size: {self.rollover_size!r} is no size (write '50gb')")


@dataclass(frozen=True, slots=True, kw_only=True)
class RolesOptions:
    """Who gets the roles that ``setup`` makes, on OpenSearch."""

    writers: tuple[str, ...] = option(
        (), doc="Backend roles, such as ARNs of IAM roles, that may write."
    )
    readers: tuple[str, ...] = option((), doc="Backend roles that may read.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticOptions:
    """Options of the ``elastic`` sink."""

    hosts: tuple[str, ...] = option(
        doc="URLs of the nodes; another one is used while one is down.",
        least=1,
        example='["https://localhost:9200"]',
    )
    username: str | None = option(None, doc="User, for basic authentication.")
    password: Secret | None = option(None, doc="Password of the user.")
    api_key: Secret | None = option(None, doc="API key of Elasticsearch, encoded or as id:key.")
    bearer_token: Secret | None = option(None, doc="Token, sent as it is.")
    aws_sigv4: Literal["es", "aoss"] | None = option(
        None, doc="Sign requests: es for OpenSearch Service, aoss for OpenSearch Serverless."
    )
    aws: aws.AwsAccess = option(aws.AwsAccess(), doc="Whose credentials sign, and where.")
    namespace: str = option(
        DEFAULT_NAMESPACE, doc="Last part of the data streams' names, logs-<dataset>-<namespace>."
    )
    id: Literal["position", "auto"] = option(
        "position",
        doc="Where _id comes from: the place of the line (what is written again is there "
        "already), or the server (what is written again is there twice).",
    )
    tls: TlsOptions = option(TlsOptions(), doc="Certificates.")
    compress: bool = option(default=True, doc="Send bodies as gzip.")
    bulk_bytes: int = option(
        5 * 2**20, doc="Largest bulk request, in bytes before gzip.", least=1024, most=2**30
    )
    lifecycle: LifecycleOptions = option(
        LifecycleOptions(), doc="Rollover and retention; 'setup' makes a policy of it."
    )
    roles: RolesOptions = option(RolesOptions(), doc="Who gets the roles that 'setup' makes.")
    timeout: float = option(60.0, doc="Seconds to wait for an answer.", least=0.1)

    def __post_init__(self) -> None:
        """Refuse values that cannot work, or not together."""
        ways = {
            "username": self.username is not None or self.password is not None,
            "api_key": self.api_key is not None,
            "bearer_token": self.bearer_token is not None,
            "aws_sigv4": self.aws_sigv4 is not None,
        }
        given = [name for name, is_given in ways.items() if is_given]
        if len(given) > 1:
            raise ValueError(f"only one of {' and '.join(map(repr, given))} can be used")
        if (self.username is None) != (self.password is None):
            raise ValueError("'username' and 'password' belong together")
        if self.aws != aws.AwsAccess() and self.aws_sigv4 is None:
            raise ValueError("'aws' is given without 'aws_sigv4'")
        if not self.namespace or self.namespace != self.namespace.lower():
            raise ValueError(f"'namespace' {self.namespace!r} must be lower case and not empty")
        if _FORBIDDEN_IN_NAMESPACE & set(self.namespace):
            raise ValueError(f"'namespace' {self.namespace!r} may not hold any of \\/*?\"<>| ,#:-")
        _check_hosts(self.hosts)
        if self.tls != TlsOptions() and not any(url.startswith("https:") for url in self.hosts):
            raise ValueError("'tls' is given, but no host is reached by https")


def _check_hosts(hosts: Sequence[str]) -> None:
    for index, url in enumerate(hosts):
        try:
            parts = urlsplit(url)
            is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
            parts.port  # noqa: B018 - raises where it is no number
        except ValueError:
            is_url = False
        # Without repr: whatever stands before the @ is a secret.
        if "@" in url:
            raise ValueError(f"hosts[{index}]: credentials belong into 'username' and 'password'")
        if not is_url:
            raise ValueError(f"hosts[{index}]: {url!r} is no URL (write 'https://host:9200')")
    if len({urlsplit(url)[:3] for url in hosts}) < len(hosts):
        raise ValueError("'hosts' names a node twice")
