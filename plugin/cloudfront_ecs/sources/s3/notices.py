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

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import msgspec

from cloudfront_ecs.errors import PayloadError
from cloudfront_ecs.sources.s3.objects import StoredObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_MAJOR = "2"
_VALIDATION = "CloudTrail validation message."  # what CloudTrail sends to a new topic, not JSON


@dataclass(frozen=True, slots=True)
class Notice:
    """What one message names.

    Attributes:
        objects: The new objects, without repeats; those without logs are left out.
        unreadable: Set when other parts of the same message could not be understood.
        sequencers: Where the notice has them, each object's place among the writes of its key.
        skipped: How many parts ask for nothing: ``other_event`` (an object removed, restored,
            …), ``no_log`` (a key that holds none), ``no_event`` (a message that tells of no
            object, such as S3's test event).
    """

    objects: tuple[StoredObject, ...] = ()
    unreadable: PayloadError | None = None
    sequencers: Mapping[StoredObject, str] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Named:
    """What has been found in a message so far."""

    sequencers: dict[StoredObject, str] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)

    def add(self, stored: StoredObject, sequencer: object = None) -> None:
        """Add an object, once; of two writes that look the same the later one counts."""
        if not stored.holds_logs:
            self.skipped["no_log"] += 1
            return
        told = sequencer if isinstance(sequencer, str) else ""
        self.sequencers[stored] = max(told, self.sequencers.get(stored, ""))


class _Unreadable(Exception):  # noqa: N818 - never leaves this module
    """What is wrong with a message, or with one record of it."""


def read_notice(body: str) -> Notice:
    """Return the objects that the message *body* names.

    Raises:
        PayloadError: ``notice``: nothing in the message could be understood.
    """
    raw = body.encode("utf-8", "surrogatepass")
    named = _Named()
    problems: list[str] = []
    try:
        for read, part in _parts(_unwrapped(body), named):
            try:
                read(part, named)
            except _Unreadable as problem:
                problems.append(str(problem))
    except _Unreadable as problem:
        problems.append(str(problem))
    error = PayloadError("notice", "; ".join(problems), raw) if problems else None
    if error and not named.sequencers and not named.skipped:
        raise error
    return Notice(tuple(named.sequencers), error, named.sequencers, named.skipped)


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


def _parts(
    message: Mapping[str, Any] | None, named: _Named
) -> Iterator[tuple[Callable[[Any, _Named], None], Any]]:
    """Yield the parts of a message, each with what reads it."""
    if message is None or message.get("Event") == "s3:TestEvent" or message.get("Records") == []:
        named.skipped["no_event"] += 1
    elif "Records" in message:
        if not isinstance(message["Records"], list):
            raise _Unreadable("Records: expected a list")
        yield from ((_created, record) for record in message["Records"])
    elif message.get("source") == "aws.s3":
        yield _from_eventbridge, message
    elif "s3Bucket" in message:
        yield from _from_cloudtrail(message)
    else:
        raise _Unreadable("neither an S3, EventBridge nor CloudTrail notice")


def _created(record: Any, named: _Named) -> None:
    """Read one S3 event record."""
    version = str(_member(record, "eventVersion", _MAJOR))
    if version.partition(".")[0] != _MAJOR:
        raise _Unreadable(f"eventVersion {version!r} is not known (known: {_MAJOR}.x)")
    event = _member(record, "eventName", None)
    if not isinstance(event, str):
        raise _Unreadable("eventName is missing")
    if not event.removeprefix("s3:").startswith("ObjectCreated:"):
        named.skipped["other_event"] += 1
        return
    s3 = _member(record, "s3", {})
    stored = _member(s3, "object", {})
    try:
        key = unquote_plus(_text(stored, "key"), errors="strict")
    except UnicodeDecodeError as error:
        raise _Unreadable("object.key is not UTF-8 once decoded") from error
    made = StoredObject(
        _text(_member(s3, "bucket", {}), "name"),
        key,
        _version(stored.get("versionId")),
        _etag(stored.get("eTag")),
        _size(stored.get("size")),
    )
    named.add(made, stored.get("sequencer"))


def _from_eventbridge(message: Mapping[str, Any], named: _Named) -> None:
    kind = str(message.get("detail-type"))
    if kind != "Object Created":
        if not kind.startswith("Object "):
            raise _Unreadable(f"detail-type {kind!r} of aws.s3 is not known")
        named.skipped["other_event"] += 1
        return
    detail = _member(message, "detail", {})
    stored = _member(detail, "object", {})
    made = StoredObject(
        _text(_member(detail, "bucket", {}), "name"),
        _text(stored, "key"),
        _version(stored.get("version-id")),
        _etag(stored.get("etag", stored.get("eTag"))),
        _size(stored.get("size")),
    )
    named.add(made, stored.get("sequencer"))


def _from_cloudtrail(
    message: Mapping[str, Any],
) -> Iterator[tuple[Callable[[Any, _Named], None], Any]]:
    keys = message.get("s3ObjectKey")
    if not isinstance(keys, list):
        raise _Unreadable("s3ObjectKey: expected a list")
    bucket = _text(message, "s3Bucket")

    def read(key: Any, named: _Named) -> None:
        named.add(StoredObject(bucket, _text({"s3ObjectKey": key}, "s3ObjectKey")))

    yield from ((read, key) for key in keys)


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
