"""Requests signed for Amazon OpenSearch Service (``es``) and OpenSearch Serverless (``aoss``).

Signed is what is sent: the compressed body, and the query in the spelling of the signature.
Only the headers that a signature needs are part of it, so that a proxy may change the others.

Source: AWS, "Create a signed AWS API request"; OpenSearch Serverless wants
``x-amz-content-sha256`` with every request and refuses a signed ``content-length``.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from elastic_transport import Urllib3HttpNode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from elastic_transport import HttpHeaders, NodeApiResponse, NodeConfig
    from elastic_transport.client_utils import DefaultType


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs requests with credentials that may change from one request to the next.

    Attributes:
        credentials: botocore's, asked anew for each request; they refresh by themselves.
        service: ``es`` or ``aoss``.
        region: That of the domain or collection.
    """

    credentials: Any
    service: str
    region: str

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
        frozen = self.credentials.get_frozen_credentials()
        SigV4Auth(frozen, self.service, self.region).add_auth(request)
        return {name.lower(): value for name, value in request.headers.items()}


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
        return super().perform_request(method, target, body, merged, request_timeout)


def signed_query(query: str) -> str:
    """Return *query* in the order and the spelling in which it is signed."""
    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    encoded = ((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def signed_node(signer: Signer) -> type[SignedNode]:
    """Return a class of nodes that sign with *signer*."""
    return type("SignedNode", (SignedNode,), {"signer": signer})
