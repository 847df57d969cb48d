"""An event as it is read once: its members, what it means, and what cannot be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.normalize.api.flattened import flattened
from cloudfront_ecs.normalize.api.identities import Caller, caller, unknown_parts
from cloudfront_ecs.normalize.api.operations import Operation, operation
from cloudfront_ecs.normalize.api.parts import flag_at, list_at, object_at, text_at, unique
from cloudfront_ecs.normalize.api.subjects import Subject, subject
from cloudfront_ecs.normalize.documents import ecs
from cloudfront_ecs.normalize.documents.cloudtrail_fields import CloudTrail, Flattened, Resources
from cloudfront_ecs.normalize.values import convert

if TYPE_CHECKING:
    from cloudfront_ecs.normalize.api.parts import Json

_TEXTS = (
    "eventVersion", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress",
    "userAgent", "errorCode", "errorMessage", "requestID", "eventID", "eventType",
    "eventCategory", "apiVersion", "recipientAccountId", "sharedEventID", "vpcEndpointId",
)  # fmt: skip
_FLAGS = ("readOnly", "managementEvent", "sessionCredentialFromConsole")
_OBJECTS = ("userIdentity", "tlsDetails")
_FREE = ("requestParameters", "responseElements", "additionalEventData", "serviceEventDetails")
KNOWN = frozenset((*_TEXTS, *_FLAGS, *_OBJECTS, *_FREE, "resources"))
"""Members that have fields of their own; others go to ``aws.cloudtrail.flattened.other``."""

_TLS = frozenset({"tlsVersion", "cipherSuite", "clientProvidedHostHeader"})


@dataclass(slots=True)
class Call:
    """One event.

    Attributes:
        event: All of it.
        identity: ``userIdentity``.
        request: ``requestParameters``.
        response: ``responseElements``.
        operation: What the name says.
        subject: What it is about.
        caller: Who called.
        problems: Members that cannot be read, each with its reason.
    """

    event: Json
    identity: Json
    request: Json
    response: Json
    operation: Operation
    subject: Subject
    caller: Caller
    problems: list[str] = field(default_factory=list[str])

    @classmethod
    def of(cls, event: object) -> Call:
        """Read an event.

        Raises:
            TypeError: It is no object.
        """
        if not isinstance(event, dict):
            raise TypeError("no CloudTrail event")
        request, response = (object_at(event, name) for name in _FREE[:2])
        identity = object_at(event, "userIdentity")
        named = operation(text_at(event, "eventName") or "")
        about = subject(named, request, response, event)
        return cls(
            event, identity, request, response, named, about, caller(identity), _problems(event)
        )

    def text(self, name: str) -> str | None:
        """Return a member that is a text."""
        return text_at(self.event, name)

    def flag(self, name: str) -> bool | None:
        """Return a member that is true or false."""
        return flag_at(self.event, name)

    @property
    def failure(self) -> str | None:
        """The API's error code or, without one, its message; None where the call succeeded."""
        return self.text("errorCode") or self.text("errorMessage")

    @property
    def server_name(self) -> str | None:
        """The host that the caller asked."""
        return text_at(self.event, "tlsDetails", "clientProvidedHostHeader")

    def tls(self) -> ecs.Tls | None:
        """Return ``tls``."""
        given = text_at(self.event, "tlsDetails", "tlsVersion")
        version = protocol = None
        try:
            version, protocol = convert.tls_version(given or "-")
        except ValueError as error:
            self.problems.append(f"tlsDetails.tlsVersion: {error}")
        cipher = text_at(self.event, "tlsDetails", "cipherSuite")
        client = ecs.TlsClient(server_name=self.server_name) if self.server_name else None
        if version or cipher or client:
            established = True if version or cipher else None
            return ecs.Tls(established, version, protocol, cipher, client=client)
        return None


def _problems(event: Json) -> list[str]:
    """Return what is there and is of another kind than CloudTrail says."""
    found = [
        f"{name}: not a text" for name in _TEXTS if isinstance(event.get(name), (dict, list, bool))
    ]
    found += [
        f"{name}: neither true nor false"
        for name in _FLAGS
        if event.get(name) not in (None, "") and flag_at(event, name) is None
    ]
    found += [
        f"{name}: not an object"
        for name in _OBJECTS
        if event.get(name) is not None and not isinstance(event[name], dict)
    ]
    return found


def cloudtrail(call: Call) -> CloudTrail:
    """Return ``aws.cloudtrail``."""
    return CloudTrail(
        event_version=call.text("eventVersion"),
        event_type=call.text("eventType"),
        event_category=call.text("eventCategory"),
        request_id=call.text("requestID"),
        shared_event_id=call.text("sharedEventID"),
        api_version=call.text("apiVersion"),
        error_code=call.text("errorCode"),
        error_message=call.text("errorMessage"),
        read_only=call.flag("readOnly"),
        management_event=call.flag("managementEvent"),
        session_credential_from_console=call.flag("sessionCredentialFromConsole"),
        recipient_account_id=call.text("recipientAccountId"),
        vpc_endpoint_id=call.text("vpcEndpointId"),
        user_identity=call.caller.identity,
        resources=_resources(call.event),
        flattened=_flattened(call.event),
    )


def _resources(event: Json) -> Resources | None:
    given = list_at(event, "resources")
    arns = unique(text_at(item, "ARN") or text_at(item, "arn") for item in given)
    accounts = unique(text_at(item, "accountId") for item in given)
    kinds = unique(text_at(item, "type") for item in given)
    found = Resources(arns or None, accounts or None, kinds or None)
    return found if found != Resources() else None


def _flattened(event: Json) -> Flattened | None:
    other: dict[str, Any] = {
        name: value for name, value in event.items() if name not in KNOWN and value is not None
    }
    if more := unknown_parts(object_at(event, "userIdentity")):
        other["userIdentity"] = more
    tls = object_at(event, "tlsDetails")
    if more := {name: value for name, value in tls.items() if name not in _TLS}:
        other["tlsDetails"] = more
    found = Flattened(
        request_parameters=flattened(event.get("requestParameters")),
        response_elements=flattened(event.get("responseElements")),
        additional_eventdata=flattened(event.get("additionalEventData")),
        service_event_details=flattened(event.get("serviceEventDetails")),
        other=flattened(other or None),
    )
    return found if found != Flattened() else None
