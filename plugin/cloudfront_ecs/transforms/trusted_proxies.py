"""The ``trusted_proxies`` transform: the client's address from X-Forwarded-For.

The header is text of whoever sent it; only what a trusted proxy has added at its end is
worth anything.  So the peer must be trusted, and the list is read from its end: the first
address that is not trusted is the client.  ``source`` stays the peer of CloudFront.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import msgspec

from cloudfront_ecs.adapters import TransformSpec
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.normalize.documents.ecs import EcsDocument, Endpoint, Related
from cloudfront_ecs.normalize.documents.field_paths import seen
from cloudfront_ecs.normalize.memo import Memo
from cloudfront_ecs.normalize.values import convert
from cloudfront_ecs.options import option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedProxiesOptions:
    """Whose word counts."""

    networks: tuple[str, ...] = option(
        doc="Addresses and networks of proxies whose X-Forwarded-For is believed.",
        least=1, example='["192.0.2.0/24", "2001:db8::/32"]',
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Check the networks.

        Raises:
            ValueError: One is no network.
        """
        for index, network in enumerate(self.networks):
            try:
                ip_network(network)
            except ValueError as error:
                raise ValueError(f"networks[{index}]: {error}") from None


class TrustedProxies:
    """Puts the address that trusted proxies name into ``client``."""

    def __init__(self, options: TrustedProxiesOptions) -> None:
        """Prepare the networks."""
        self._networks = tuple(map(ip_network, options.networks))
        self._trusted = Memo(self._is_trusted)

    def apply(self, documents: list[Document]) -> list[Document]:
        """Complete the documents whose peer is trusted and names another address."""
        for document in documents:
            body = seen(document)
            if not isinstance(body, EcsDocument) or body.source is None:
                continue
            peer = body.source.ip
            if peer is None or not self._trusted[peer]:
                continue
            found = self._client(_hops(body))
            if found is not None and found != peer:
                _put_client(document.body, found)
        return documents

    def _client(self, hops: list[str | None]) -> str | None:
        """Return the last address that is not trusted, or the farthest that is known."""
        farthest = None
        for hop in reversed(hops):
            if hop is None:  # no address: nothing before it has been vouched for
                return farthest
            farthest = hop
            if not self._trusted[hop]:
                return hop
        return farthest

    def _is_trusted(self, address: str) -> bool:
        parsed = ip_address(address)
        mapped = getattr(parsed, "ipv4_mapped", None) or parsed
        return any(mapped in network for network in self._networks)


def _hops(body: EcsDocument) -> list[str | None]:
    """Return every address of X-Forwarded-For in order, None for what is no address.

    ``network.forwarded_ip`` has no repeats; where the header had some, its text is kept.
    """
    cloudfront = body.aws.cloudfront if body.aws else None
    text = cloudfront.forwarded_for if cloudfront else None
    if text is None:
        return list(body.network.forwarded_ip or ()) if body.network else []
    return [convert.forwarded_address(part) for part in convert.forwarded_parts(text)[::2] if part]


def _put_client(body: EcsDocument, address: str) -> None:
    """Give the document another client; what was known of the peer says nothing of it."""
    sent = body.client.bytes if body.client else None
    body.client = Endpoint(address=address, ip=address, bytes=sent)
    related = body.related or Related()
    if address not in (related.ip or ()):
        body.related = msgspec.structs.replace(related, ip=[*(related.ip or ()), address])


def _open(options: TrustedProxiesOptions, _: AdapterContext) -> TrustedProxies:
    return TrustedProxies(options)


@hookimpl
def transform_specs() -> Iterable[TransformSpec]:
    """Offer the ``trusted_proxies`` transform."""
    summary = "Find the client behind your own proxies in X-Forwarded-For."
    return [TransformSpec("trusted_proxies", summary, TrustedProxiesOptions, _open)]
