"""Answers to GetRecords, read in one go.

botocore takes an answer apart value by value, which costs more than all else that reading a
record needs.  Where it knows the event ``before-parse``, msgspec reads the records in its place.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

_JSON = "application/x-amz-json"


class _Record(TypedDict):
    Data: bytes  # msgspec undoes the base64
    SequenceNumber: str
    ApproximateArrivalTimestamp: NotRequired[float | None]


class _Answer(TypedDict):
    Records: list[_Record]
    NextShardIterator: NotRequired[str | None]
    MillisBehindLatest: NotRequired[int | None]


_DECODER = msgspec.json.Decoder(_Answer)


def read_quickly(client: Any) -> None:
    """Have the records that *client* gets read by msgspec; times are epoch seconds then."""
    client.meta.events.register("before-parse.kinesis.GetRecords", _read)


def _read(
    response_dict: MutableMapping[str, Any],
    customized_response_dict: MutableMapping[str, Any],
    **_: Any,
) -> None:
    """Take the body away from botocore; what cannot be read is left to it and its errors."""
    headers: Mapping[str, str] = response_dict["headers"]
    if response_dict["status_code"] != HTTPStatus.OK:
        return
    if not headers.get("content-type", "").startswith(_JSON):
        return
    try:
        answer = _DECODER.decode(response_dict["body"])
    except msgspec.MsgspecError:
        return
    customized_response_dict.update(answer)
    response_dict["body"] = b"{}"
