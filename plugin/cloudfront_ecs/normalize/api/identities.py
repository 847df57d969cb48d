"""Who called: CloudTrail's ``userIdentity`` in all its types becomes ``user.*``.

Source: CloudTrail user guide, "CloudTrail userIdentity element".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cloudfront_ecs.normalize.api.parts import flag_at, object_at, part, text_at, unique
from cloudfront_ecs.normalize.documents import ecs
from cloudfront_ecs.normalize.documents.cloudtrail_fields import (
    OnBehalfOf,
    SessionContext,
    SessionIssuer,
    UserIdentity,
)
from cloudfront_ecs.normalize.values import convert

if TYPE_CHECKING:
    from cloudfront_ecs.normalize.api.parts import Json


class Caller(NamedTuple):
    """Who called.

    Attributes:
        user: ``user``.
        identity: ``aws.cloudtrail.user_identity``.
        related: Every name and id by which to find this caller.
        shown: How a sentence names the caller.
    """

    user: ecs.User | None
    identity: UserIdentity | None
    related: list[str]
    shown: str


def caller(identity: Json) -> Caller:
    """Return who called, from the event's ``userIdentity``."""
    name, identifier = _name(identity), _identifier(identity)
    session = _session_name(identity)
    on_behalf = text_at(identity, "onBehalfOf", "userId")
    source_identity = text_at(identity, "sessionContext", "sourceIdentity")
    related = unique(
        (name, identifier, session, text_at(identity, "userName"), on_behalf, source_identity)
    )
    provider = text_at(identity, "identityProvider")
    user = ecs.User(id=identifier, name=name, domain=provider)
    return Caller(
        user=user if name or identifier or provider else None,
        identity=_identity(identity),
        related=related,
        shown=_shown(identity, name or identifier, session),
    )


def _name(identity: Json) -> str | None:
    """Return the name of the user, of the role, or of the service."""
    kind, arn = text_at(identity, "type"), text_at(identity, "arn") or ""
    name = text_at(identity, "userName")
    resource = arn.split(":", 5)[-1].split("/")
    match kind:
        case "Root":
            return name or "root"
        case "AssumedRole" | "Role":
            issuer = text_at(identity, "sessionContext", "sessionIssuer", "userName")
            role = resource[1] if resource[0] == "assumed-role" and len(resource) > 1 else None
            return issuer or name or role or (resource[-1] if resource[0] == "role" else None)
        case "FederatedUser":
            return name or (resource[-1] if resource[0] == "federated-user" else None)
        case "AWSService":
            return name or text_at(identity, "invokedBy")
        case _:
            return name or (resource[-1] if resource[0] == "user" else None)


def _identifier(identity: Json) -> str | None:
    """Return the id that stays: the role's or user's own, not that of one session."""
    principal = text_at(identity, "principalId")
    kind = text_at(identity, "type")
    if kind in ("AssumedRole", "Role"):
        issuer = text_at(identity, "sessionContext", "sessionIssuer", "principalId")
        return issuer or (principal.partition(":")[0] if principal else None)
    if kind == "IdentityCenterUser":
        return text_at(identity, "onBehalfOf", "userId") or principal
    return principal or (text_at(identity, "accountId") if kind == "AWSAccount" else None)


def _session_name(identity: Json) -> str | None:
    """Return the name of an assumed role's session, often that of a person."""
    if text_at(identity, "type") != "AssumedRole":
        return None
    arn = (text_at(identity, "arn") or "").split(":assumed-role/")[-1]
    session = arn.partition("/")[2]
    return session or (text_at(identity, "principalId") or "").partition(":")[2] or None


def _shown(identity: Json, name: str | None, session: str | None) -> str:
    account = text_at(identity, "accountId")
    shown = name or (f"account {account}" if account else "somebody")
    if text_at(identity, "type") == "AWSAccount" and account:
        shown = f"account {account}"
    if session:
        shown += f" ({session})"
    service = text_at(identity, "invokedBy")
    return f"{shown} through {service}" if service and service != name else shown


def _identity(identity: Json) -> UserIdentity | None:
    found = UserIdentity(
        type=text_at(identity, "type"),
        principal_id=text_at(identity, "principalId"),
        arn=text_at(identity, "arn"),
        account_id=text_at(identity, "accountId"),
        access_key_id=text_at(identity, "accessKeyId"),
        user_name=text_at(identity, "userName"),
        invoked_by=text_at(identity, "invokedBy"),
        identity_provider=text_at(identity, "identityProvider"),
        credential_id=text_at(identity, "credentialId"),
        on_behalf_of=_on_behalf_of(object_at(identity, "onBehalfOf")),
        session_context=_session(object_at(identity, "sessionContext")),
    )
    return found if found != UserIdentity() else None


def _on_behalf_of(value: Json) -> OnBehalfOf | None:
    found = OnBehalfOf(text_at(value, "userId"), text_at(value, "identityStoreArn"))
    return found if found != OnBehalfOf() else None


def _session(value: Json) -> SessionContext | None:
    issuer = object_at(value, "sessionIssuer")
    issued = SessionIssuer(
        type=text_at(issuer, "type"),
        principal_id=text_at(issuer, "principalId"),
        arn=text_at(issuer, "arn"),
        account_id=text_at(issuer, "accountId"),
        user_name=text_at(issuer, "userName"),
    )
    found = SessionContext(
        mfa_authenticated=flag_at(value, "attributes", "mfaAuthenticated"),
        creation_date=date_at(value, "attributes", "creationDate"),
        source_identity=text_at(value, "sourceIdentity"),
        session_issuer=issued if issued != SessionIssuer() else None,
    )
    return found if found != SessionContext() else None


def date_at(value: object, *path: str) -> str | None:
    """Return the moment at *path* if it is one."""
    text = text_at(value, *path)
    try:
        return convert.moment(text.removesuffix("Z"))[0] if text and text.endswith("Z") else None
    except ValueError:
        return None


KNOWN = frozenset(
    {
        "type", "principalId", "arn", "accountId", "accessKeyId", "userName", "invokedBy",
        "identityProvider", "credentialId", "onBehalfOf", "sessionContext",
    }
)  # fmt: skip
"""Members of ``userIdentity`` that have fields of their own."""

KNOWN_SESSION = frozenset({"attributes", "sessionIssuer", "sourceIdentity"})
"""Members of ``sessionContext`` that have fields of their own."""


def unknown_parts(identity: Json) -> Json:
    """Return what is left of ``userIdentity``: newer members than this version knows."""
    left = {name: value for name, value in identity.items() if name not in KNOWN}
    session = part(identity, "sessionContext")
    if isinstance(session, dict):
        more = {name: value for name, value in session.items() if name not in KNOWN_SESSION}
        left |= {"sessionContext": more} if any(more.values()) else {}
    return left
