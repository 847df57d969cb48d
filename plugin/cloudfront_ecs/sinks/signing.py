"""Requests signed for Amazon OpenSearch Service (``es``) and OpenSearch Serverless (``aoss``).

Signed is what is sent: the compressed body, and the query in the spelling of the signature.
Only the headers that a signature needs are part of it, so that a proxy may change the others.

Source: AWS, "Create a signed AWS API request"; OpenSearch Serverless wants
``x-amz-content-sha256`` with every request and refuses a signed ``content-length``.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from boto3 import Session
from botocore.awsrequest import AWSRequest
from elastic_transport import HttpHeaders, Urllib3HttpNode

from cloudfront_ecs.aws import AwsAccess, credentials
from cloudfront_ecs.aws_signing import RenewedCredentials, ServerClock, sign

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from elastic_transport import NodeConfig
    from elastic_transport._node import NodeApiResponse
    from elastic_transport.client_utils import DefaultType


_REGION = re.compile(r"\.(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.(?:es|aoss)\.")


_CLEARLY_OFF = timedelta(minutes=4)
"""A difference of clocks that explains a refusal; AWS allows 5 minutes."""


class Signer:
    """Signs requests with credentials that may change from one request to the next."""

    def __init__(self, access: AwsAccess, service: str, region: str) -> None:
        """Sign for *service*, ``es`` or ``aoss``, in the *region* of the domain or collection."""
        self._service = service
        self._region = region
        self._clock = ServerClock()
        self._credentials = RenewedCredentials(partial(credentials, access, self._clock))
        self._generation = 0

    def headers(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the headers that make *url* a signed request.

        Raises:
            BotoCoreError: There are no credentials, or they cannot be refreshed.
        """
        request = AWSRequest(method, url, data=body or b"")
        if "content-type" in headers:
            request.headers["content-type"] = headers["content-type"]
        request.headers["x-amz-content-sha256"] = sha256(body or b"").hexdigest()
        self._generation = self._credentials.generation
        sign(request, self._credentials, self._clock, self._service, self._region)
        return {name.lower(): value for name, value in request.headers.items()}

    def refused(self, date: str | None) -> None:
        """Look for other credentials, and compare clocks: the next request may be taken.

        Args:
            date: The ``Date`` header of the refusal.
        """
        if not self._clock.heed(date, _CLEARLY_OFF):
            self._credentials.renew(self._generation)


class SignedNode(Urllib3HttpNode):
    """A node whose requests are signed on every attempt, by a ``Signer`` of its class."""

    signer: Signer

    def __init__(self, config: NodeConfig) -> None:
        """Prepare the connection."""
        super().__init__(config)
        default = {"http": 80, "https": 443}[config.scheme]
        port = "" if config.port == default else f":{config.port}"
        host = f"[{config.host}]" if ":" in config.host else config.host
        self._origin = f"{config.scheme}://{host}{port}{config.path_prefix}"

    def perform_request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: DefaultType | float | None = None,
    ) -> NodeApiResponse:
        """Sign one request and send it."""
        path, _, query = target.partition("?")
        if query:
            target = f"{path}?{signed_query(query)}"
        merged = dict(headers or {})
        merged |= self.signer.headers(method, self._origin + target, body, merged)
        return super().perform_request(method, target, body, HttpHeaders(merged), request_timeout)


def signed_query(query: str) -> str:
    """Return *query* in the order and the spelling in which it is signed."""
    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    encoded = ((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def signer_of(access: AwsAccess, service: str, hosts: Sequence[str]) -> Signer:
    """Return what signs; without a region, that of the host's name serves.

    Raises:
        ValueError: Nothing tells the region.
        BotoCoreError: The profile is not there.
    """
    found = (_REGION.search(host) for host in hosts)
    region = access.region or next((match["region"] for match in found if match), None)
    region = region or Session(profile_name=access.profile).region_name
    if region is None:
        raise ValueError("no region is known (set 'region', or AWS_REGION)")
    return Signer(access, service, region)


def signed_node(signer: Signer) -> type[SignedNode]:
    """Return a class of nodes that sign with *signer*."""
    return type("SignedNode", (SignedNode,), {"signer": signer})
