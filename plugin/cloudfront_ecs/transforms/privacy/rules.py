"""What the configuration may ask of ``privacy``, and what of it no template would take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cloudfront_ecs.errors import nearest
from cloudfront_ecs.normalize.documents.field_paths import field_type
from cloudfront_ecs.options import Secret, option

if TYPE_CHECKING:
    from collections.abc import Mapping

VIEWER_ADDRESSES = (
    "source.ip", "source.address", "client.ip", "client.address", "network.forwarded_ip",
    "aws.cloudfront.forwarded_for",
)  # fmt: skip
SERVER_ADDRESSES = ("destination.ip", "server.ip", "observer.ip")
ADDRESSES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(VIEWER_ADDRESSES, VIEWER_ADDRESSES),
    **dict.fromkeys(SERVER_ADDRESSES, SERVER_ADDRESSES),
    "related.ip": (*VIEWER_ADDRESSES, *SERVER_ADDRESSES),
}
"""Fields with addresses, each with all that a rule about it is about."""

TEXT_ADDRESSES = ("source.address", "client.address")
"""Where the address may stand as something else than an address."""

COOKIES = "aws.cloudfront.cookies"
HEADERS = "aws.cloudfront.request_headers"
QUERY = "url.query"
NAMED = (COOKIES, QUERY, HEADERS)
"""Fields whose parts have names."""

URLS = ("url.original", "url.full", "http.request.referrer")
"""Texts that hold a query."""

NEXT_OBJECT = "aws.cloudfront.cmcd.next_object_request"

KEPT = frozenset(
    {
        "@timestamp", "ecs.version", "event.id", "event.kind", "event.dataset", "event.module",
        "data_stream.type", "data_stream.dataset", "data_stream.namespace",
    }
)  # fmt: skip
"""Without these no document can be stored or found again."""

_TEXT_TYPES = ("keyword", "wildcard", "match_only_text", "flattened")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyRule:
    """One field and what becomes of it."""

    field: str = option(doc="Field of the document.", example="source.ip")
    action: Literal["drop", "mask", "hash", "truncate", "redact"] = option(
        doc="drop: taken out. mask: REDACTED in its place. hash: HMAC-SHA256 with the key, in "
        "hexadecimal. truncate: addresses to /24 and /48. redact: the values of the names."
    )
    names: tuple[str, ...] = option(
        (),
        doc="Names of cookies, query parameters or headers, * for any characters, in any case.",
    )

    def __post_init__(self) -> None:
        """Check that the action fits the field.

        Raises:
            ValueError: It does not; the text says what does.
        """
        try:
            kind = field_type(self.field)
        except ValueError as error:
            raise ValueError(f"field: {error}") from None
        if self.field in KEPT:
            raise ValueError(f"field: {self.field!r} cannot be changed: documents need it")
        if self.names and self.field not in NAMED:
            hint = nearest(self.field, NAMED)
            raise ValueError(f"names: {self.field!r} has no named parts{hint}")
        if self.action == "redact" and not self.names:
            hint = 'give names, ["*"] for all' if self.field in NAMED else "use mask or drop"
            raise ValueError(f"action: 'redact' needs names ({hint})")
        if self.action == "truncate" and self.field not in ADDRESSES:
            raise ValueError(f"action: 'truncate' is for addresses, and {self.field!r} has none")
        if self.action in ("mask", "hash"):
            _require_text(self.field, kind, self.action)


def _require_text(field: str, kind: str, action: str) -> None:
    """Refuse to put a text where the template wants something else."""
    if field in ADDRESSES and field not in TEXT_ADDRESSES:
        raise ValueError(
            f"action: cannot {action} {field!r}, it takes addresses only "
            f"(truncate or drop it; or {action} 'source.address', which then stands alone)"
        )
    if kind not in _TEXT_TYPES:
        raise ValueError(
            f"action: cannot {action} {field!r}, its type is {kind} and takes no text (drop it)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyOptions:
    """The rules, in the order in which they are applied."""

    rules: tuple[PrivacyRule, ...] = option(
        doc="Tables with field, action (drop, mask, hash, truncate, redact) and, for cookies, "
        "query parameters and headers, names.",
        least=1,
        example='[{ field = "source.ip", action = "truncate" }]',
    )
    key: Secret | None = option(
        None, doc="Key of hash; who has it can look for the hash of a known value."
    )

    def __post_init__(self) -> None:
        """Check that what is to be hashed has a key.

        Raises:
            ValueError: It has none.
        """
        hashing = [i for i, rule in enumerate(self.rules) if rule.action == "hash"]
        if hashing and not (self.key and self.key.reveal()):
            raise ValueError(f"rules[{hashing[0]}].action: 'hash' needs the option 'key'")
