"""Events of CloudWatch Logs in JSON: of a subscription, of the API, of a query.

A subscription sends ``{"messageType": "DATA_MESSAGE", "logGroup": …, "logEvents": […]}``, the
API answers ``{"events": […]}``, tools write an event a line or a list of them.  Firehose puts
objects one behind the other without a line end.
Source: CloudWatch Logs user guide, "Log group-level subscription filters"; API reference,
"GetLogEvents", "FilterLogEvents".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

_CONTROL = "CONTROL_MESSAGE"
"""What CloudWatch Logs sends to test a subscription."""

_DATA = "DATA_MESSAGE"
_LISTS = ("logEvents", "events")
_MESSAGES = ("message", "@message")
_TIMES = ("timestamp", "@timestamp")
_IDS = ("id", "eventId")
_GROUPS = ("logGroup", "logGroupName", "@log")
_STREAMS = ("logStream", "logStreamName", "@logStream")
"""Names that subscriptions, the API and queries (Logs Insights) use for the same things."""

_JSON = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
"""Numbers keep their digits."""

_BLANKS = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as CloudWatch Logs gives it.

    Attributes:
        line: What is kept of it: the whole line, or the event with its log group and stream.
        text: What was written, with the request id.
        time: When; milliseconds since 1970.
        id: CloudWatch's id, or ``#`` and its place where the line holds several.
        group: The log group.
        stream: The log stream.
        control: Whether it is a message about the subscription, not an event.
        problem: Why it is no event.
    """

    line: str
    text: str = ""
    time: str = ""
    id: str = ""
    group: str = ""
    stream: str = ""
    control: bool = False
    problem: str = ""


def entries(line: str) -> list[Entry] | None:
    """Return the events of a line of JSON; None where it is something else."""
    found: list[Entry] = []
    at = 0
    while at < len(line):
        try:
            value, end = _JSON.raw_decode(line, at)
            more = _entries_of(value, line, len(found))
        except (ValueError, RecursionError):
            more = None
        if more is None and not at:
            return None
        if more is None:
            found.append(Entry(line[at:], problem="not an event of CloudWatch Logs"))
            return found
        found += more
        blanks = _BLANKS.match(line, end)
        at = blanks.end() if blanks else end
    if len(found) == 1:
        [only] = found
        return [replace(only, line=line, id="" if only.id.startswith("#") else only.id)]
    return found


def _entries_of(value: Any, line: str, before: int) -> list[Entry] | None:
    """Return the events of an object, or of a list of them."""
    if isinstance(value, list):
        value = {"events": value}
    if not isinstance(value, dict):
        return None
    if value.get("messageType") == _CONTROL:
        return [Entry(line, control=True)]
    name = next((name for name in _LISTS if isinstance(value.get(name), list)), None)
    if name is None:
        entry = _entry_of(value, {}, before)
        return None if entry.problem or not entry.time else [entry]
    found = [_entry_of(event, value, before + i) for i, event in enumerate(value[name])]
    sure = value.get("messageType") == _DATA or any(entry.time for entry in found)
    return found if sure else None


def _entry_of(event: Any, around: dict[str, Any], place: int) -> Entry:
    own = event if isinstance(event, dict) else {}
    group = _text_of(own, _GROUPS) or _text_of(around, _GROUPS)
    stream = _text_of(own, _STREAMS) or _text_of(around, _STREAMS)
    kept: dict[str, Any] = {"messageType": _DATA, "logEvents": [event]}
    kept |= {"logGroup": group} if group else {}
    kept |= {"logStream": stream} if stream else {}
    line = json.dumps(kept)
    if not any(isinstance(own.get(name), str) for name in _MESSAGES):
        return Entry(line, problem="an event without a message")
    return Entry(
        line,
        _text_of(own, _MESSAGES).removesuffix("\n").removesuffix("\r"),
        _text_of(own, _TIMES),
        _text_of(own, _IDS) or f"#{place}",
        group[group.find("/") :] if "/" in group else group,  # a query gives account:group
        stream,
    )


def _text_of(value: dict[str, Any], names: tuple[str, ...]) -> str:
    found = (value[name] for name in names if isinstance(value.get(name), str))
    return next(found, "")
