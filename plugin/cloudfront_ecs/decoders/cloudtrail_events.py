"""Which JSON records are CloudTrail events of CloudFront, and what they are wrapped in.

Shapes: CloudTrail user guide ("record contents", "digest file structure", "Insights events",
"aggregated events"); EventBridge's ``AWS API Call via CloudTrail``; CloudWatch Logs'
subscription records; the answer of ``aws cloudtrail lookup-events``.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from cloudfront_ecs.normalize.api.operations import operation

_OWN = re.compile(r"(?:cloudfront|edgekeyvaluestore)\.amazonaws\.com(?:\.cn)?")
_LOGS = re.compile(r"logs\.amazonaws\.com(?:\.cn)?")
_CATEGORIES = ("Management", "Data", "")
"""Others are ``Insight``, ``NetworkActivity`` and ``Aggregated``."""

_CONTROL = "CWL CONTROL MESSAGE"
_VIA_CLOUDTRAIL = " via CloudTrail"
_MARKS = re.compile(
    rb"arn:aws[a-z-]*:cloudfront:"
    rb'|"service"\s*:\s*"cloudfront"'
    rb'|"(?:invokedBy|sourceIPAddress)"\s*:\s*"cloudfront\.amazonaws'
    rb"|\{DistributionId\}|/CloudFront/"
    rb'|"x-edge-(?:location|request-id|result-type)"|"cs\(Host\)"'
)
"""What in a delivery call says that CloudFront's logs are delivered."""

_NAMES = re.compile(r"(?i:cloudfront)|(?<![A-Za-z0-9])E[A-Z0-9]{12,14}(?![A-Za-z0-9])")
"""A name that holds CloudFront's or the id of a distribution."""


class Unwrapped(NamedTuple):
    """What one record is.

    Attributes:
        event: The bytes of an event of CloudFront, or None.
        filtered: Whether it is another service's or of another kind.
        refused: Why it is no event at all, or empty.
    """

    event: bytes | None = None
    filtered: bool = False
    refused: str = ""


_NOTHING = msgspec.Raw(b"null")


class _Record(msgspec.Struct, rename="camel"):
    """As much of a record as says what it is."""

    event_source: Any = None
    event_name: Any = None
    event_version: Any = None
    event_category: Any = None
    request_parameters: msgspec.Raw = _NOTHING
    detail_type: Any = msgspec.field(name="detail-type", default=None)
    detail: msgspec.Raw = _NOTHING
    message: Any = None
    message_type: Any = None
    cloud_trail_event: Any = msgspec.field(name="CloudTrailEvent", default=None)
    digest: Any = msgspec.field(name="digestS3Object", default=None)


class _Names(msgspec.Struct, rename="camel"):
    """The names in a delivery call's parameters."""

    name: Any = None
    delivery_source_name: Any = None
    delivery_destination_name: Any = None


_RECORDS = msgspec.json.Decoder(_Record)
_FOREIGN = Unwrapped(filtered=True)
_NO_RECORD = Unwrapped()
_DEEPEST = 3


def unwrapped(data: bytes, *, all_deliveries: bool, depth: int = 0) -> Unwrapped:
    """Return the CloudFront event in a record.

    Args:
        data: The record, one JSON value.
        all_deliveries: Whether CloudWatch Logs delivery calls count that do not say whose
            logs they deliver.
        depth: In how many wrappers the record was found.
    """
    record = _record(data)
    if isinstance(record, str):
        return Unwrapped(refused=record)
    if isinstance(record.event_name, str) or record.event_version is not None:
        return _judged(data, record, all_deliveries=all_deliveries)
    inner = _inner(record)
    if isinstance(inner, Unwrapped):
        return inner
    if depth >= _DEEPEST:
        return Unwrapped(refused="JSON is nested too deep")
    return unwrapped(inner, all_deliveries=all_deliveries, depth=depth + 1)


def _record(data: bytes) -> _Record | str:
    """Return a record, or why it is none; the reason names a place, never content."""
    try:
        return _RECORDS.decode(data)
    except RecursionError:
        return "JSON is nested too deep"
    except UnicodeDecodeError:
        return "JSON holds bytes that are not UTF-8"
    except msgspec.ValidationError:
        return "no CloudTrail event"
    except msgspec.DecodeError as error:
        return str(error)


def _inner(record: _Record) -> bytes | Unwrapped:
    """Return what a wrapper holds, or what is to be done with a record that is none."""
    if isinstance(record.detail_type, str):
        if record.detail == _NOTHING or not record.detail_type.endswith(_VIA_CLOUDTRAIL):
            return _FOREIGN
        return bytes(record.detail)
    text = record.cloud_trail_event or record.message
    if isinstance(text, str):
        return _NO_RECORD if text.startswith(_CONTROL) else text.encode()
    if isinstance(record.event_source, str):  # such as the notices of S3
        return _FOREIGN
    if record.digest is not None or record.message_type is not None:
        return _NO_RECORD
    return Unwrapped(refused="no CloudTrail event")


def _judged(data: bytes, record: _Record, *, all_deliveries: bool) -> Unwrapped:
    if (record.event_category or "") not in _CATEGORIES or not isinstance(record.event_name, str):
        return _FOREIGN
    source = record.event_source
    if source in (None, ""):  # 2014
        known = operation(record.event_name)
        return Unwrapped(data) if known.verb and known.noun else _FOREIGN
    if not isinstance(source, str):
        return _FOREIGN
    if _OWN.fullmatch(source):
        return Unwrapped(data)
    if _LOGS.fullmatch(source) and "Deliver" in record.event_name:
        ours = _MARKS.search(data) is not None or _named(record, all_deliveries=all_deliveries)
        return Unwrapped(data) if ours else _FOREIGN
    return _FOREIGN


def _named(record: _Record, *, all_deliveries: bool) -> bool:
    """Return whether a delivery call's names are CloudFront's, or whether none are given."""
    try:
        names = msgspec.json.decode(record.request_parameters, type=_Names)
    except UnicodeDecodeError:
        return True  # what cannot be read may name CloudFront
    except msgspec.MsgspecError:
        return False
    given = [name for name in msgspec.structs.astuple(names) if isinstance(name, str)]
    return any(map(_NAMES.search, given)) or (all_deliveries and not given)
