"""Notices: what the body of a queue message says about new objects.

Read are S3's own event records, EventBridge's ``Object Created``, CloudTrail's SNS message,
each of them plain or in an SNS envelope.  Records of other events and test messages name
nothing and are done with.

Facts that decide how keys are read:

- S3 event records: the key is form-encoded (space ``+``, ``=`` ``%3D``, ``+`` ``%2B``) and is
  decoded exactly once.
- EventBridge: the encoding is not documented; the key is believed plain and taken as it is.
  CloudFront's own part of a key has no ``+`` and no ``%``, so only a prefix could tell; were it
  encoded after all, the object would be dead-lettered as ``missing``, never passed over.
- CloudTrail's message: plain keys.

Source: S3 user guide, "Event message structure" (compare the major version only) and
"EventBridge event message structure"; CloudTrail user guide, "Configuring SNS notifications".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import msgspec

from cloudfront_ecs.errors import PayloadError
from cloudfront_ecs.sources.s3_objects import StoredObject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MAJOR = "2"
_VALIDATION = "CloudTrail validation message."  # what CloudTrail sends to a new topic, not JSON


@dataclass(frozen=True, slots=True)
class Notice:
    """What one message names.

    Attributes:
        objects: The new objects, without repeats; those without logs are left out.
        unreadable: Set when other parts of the same message could not be understood.
    """

    objects: tuple[StoredObject, ...] = ()
    unreadable: PayloadError | None = None


class _Unreadable(Exception):  # noqa: N818 - never leaves this module
    """What is wrong with a message, or with one record of it."""


def read_notice(body: str) -> Notice:
    """Return the objects that the message *body* names.

    Raises:
        PayloadError: ``notice``: nothing in the message could be understood.
    """
    raw = body.encode("utf-8", "surrogatepass")
    found: list[StoredObject] = []
    problems: list[str] = []
    try:
        for part in _parts(_unwrapped(body)):
            try:
                found += part if isinstance(part, list) else _created(part)
            except _Unreadable as problem:
                problems.append(str(problem))
    except _Unreadable as problem:
        problems.append(str(problem))
    error = PayloadError("notice", "; ".join(problems), raw) if problems else None
    if error and not found:
        raise error
    return Notice(tuple(item for item in dict.fromkeys(found) if item.holds_logs), error)


def _unwrapped(body: str) -> Mapping[str, Any] | None:
    """Return the JSON object in *body*, taken out of its SNS envelope if it has one.

    None stands for a message that is done with as soon as it is read.
    """
    message = _decoded(body, "message")
    if message is None:
        return None
    kind = message.get("Type")
    if kind is None or "TopicArn" not in message:
        return message
    if kind == "Notification":
        return _decoded(message.get("Message"), "SNS message")
    if kind == "UnsubscribeConfirmation":
        return None
    raise _Unreadable(
        f"SNS {kind} of {message['TopicArn']!r} (to confirm it, open the SubscribeURL in it)"
    )


def _decoded(text: object, what: str) -> Mapping[str, Any] | None:
    if text == _VALIDATION:
        return None
    if not isinstance(text, str):
        raise _Unreadable(f"{what}: expected text, got {type(text).__name__}")
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _Unreadable(f"{what}: is not JSON") from error
    if not isinstance(value, dict):
        raise _Unreadable(f"{what}: expected a JSON object, got {type(value).__name__}")
    return value


def _parts(message: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any] | list[StoredObject]]:
    """Yield the records of a message, or the objects where it has another shape."""
    if message is None or message.get("Event") == "s3:TestEvent":
        return
    if "Records" in message:
        if not isinstance(message["Records"], list):
            raise _Unreadable("Records: expected a list")
        yield from message["Records"]
    elif message.get("source") == "aws.s3":
        yield _from_eventbridge(message)
    elif "s3Bucket" in message:
        yield _from_cloudtrail(message)
    else:
        raise _Unreadable("neither an S3, EventBridge nor CloudTrail notice")


def _created(record: Any) -> list[StoredObject]:
    """Return the object of one S3 event record; none for other events."""
    version = str(_member(record, "eventVersion", _MAJOR))
    if version.partition(".")[0] != _MAJOR:
        raise _Unreadable(f"eventVersion {version!r} is not known (known: {_MAJOR}.x)")
    event = _member(record, "eventName", None)
    if not isinstance(event, str):
        raise _Unreadable("eventName is missing")
    if not event.removeprefix("s3:").startswith("ObjectCreated:"):
        return []
    s3 = _member(record, "s3", {})
    stored = _member(s3, "object", {})
    try:
        key = unquote_plus(_text(stored, "key"), errors="strict")
    except UnicodeDecodeError as error:
        raise _Unreadable("object.key is not UTF-8 once decoded") from error
    return [
        StoredObject(
            _text(_member(s3, "bucket", {}), "name"),
            key,
            _version(stored.get("versionId")),
            _etag(stored.get("eTag")),
            _size(stored.get("size")),
        )
    ]


def _from_eventbridge(message: Mapping[str, Any]) -> list[StoredObject]:
    kind = str(message.get("detail-type"))
    if kind != "Object Created":
        if kind.startswith("Object "):
            return []
        raise _Unreadable(f"detail-type {kind!r} of aws.s3 is not known")
    detail = _member(message, "detail", {})
    stored = _member(detail, "object", {})
    return [
        StoredObject(
            _text(_member(detail, "bucket", {}), "name"),
            _text(stored, "key"),
            _version(stored.get("version-id")),
            _etag(stored.get("etag", stored.get("eTag"))),
            _size(stored.get("size")),
        )
    ]


def _from_cloudtrail(message: Mapping[str, Any]) -> list[StoredObject]:
    keys = message.get("s3ObjectKey")
    if not isinstance(keys, list):
        raise _Unreadable("s3ObjectKey: expected a list")
    bucket = _text(message, "s3Bucket")
    return [StoredObject(bucket, _text({"s3ObjectKey": key}, "s3ObjectKey")) for key in keys]


def _member(value: Any, name: str, default: Any) -> Any:
    if not isinstance(value, dict):
        raise _Unreadable(f"expected a JSON object around {name}, got {type(value).__name__}")
    return value.get(name, default)


def _text(value: Any, name: str) -> str:
    text = _member(value, name, None)
    if not isinstance(text, str) or not text:
        raise _Unreadable(f"{name}: expected text, got {type(text).__name__}")
    return text


def _version(value: Any) -> str | None:
    # "null" is the version of objects in a bucket without versioning.
    return value if isinstance(value, str) and value not in {"", "null"} else None


def _etag(value: Any) -> str | None:
    return value.strip('"') or None if isinstance(value, str) else None


def _size(value: Any) -> int | None:
    return value if isinstance(value, int) else None
