"""The oracle: knows every line that was issued and what must have become of it.

It learns of a line before the line is put anywhere, so nothing can be found that it does not know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cloudfront_ecs.demo.request import Request

_MARK = re.compile(r"serial=(\d{9})(?!\d)")
_ID = re.compile(r"SERIAL-(\d{9})-")


def marked(request: Request, serial: int) -> Request:
    """Return *request* with *serial* in its query and in its id."""
    query = f"{request.query}&serial={serial:09d}" if request.query else f"serial={serial:09d}"
    return request._replace(query=query, id=f"SERIAL-{serial:09d}-{request.id[-16:]}")


def digest(line: bytes) -> bytes:
    """Return the hash of a line."""
    return blake2b(line, digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must become of one line.

    Attributes:
        digest: The hash of the line as it was put.
        refused: It has too few columns, so it is a dead letter and nothing else.
        fields: The values that its document must have, by field, reckoned from the request and
            not from the line.
    """

    digest: bytes
    refused: bool
    fields: Mapping[str, Any]


@dataclass(slots=True)
class Oracle:
    """Every line that was issued, by serial.

    Attributes:
        issued: What must become of each.
        refusals: How many of them must become dead letters.
    """

    issued: dict[int, Expectation] = field(default_factory=dict[int, Expectation])
    refusals: int = 0

    def expect(self, serial: int, request: Request, line: bytes, *, refused: bool) -> None:
        """Take note of a line that is about to be put."""
        if serial in self.issued:
            raise ValueError(f"serial {serial} was issued before")
        self.issued[serial] = Expectation(digest(line), refused, _fields_of(request))
        self.refusals += refused

    def documents(self) -> Iterator[int]:
        """Yield the serials that must be found in every sink."""
        return (serial for serial, line in self.issued.items() if not line.refused)

    def refused(self) -> Iterator[int]:
        """Yield the serials that must be found among the dead letters."""
        return (serial for serial, line in self.issued.items() if line.refused)

    def judge_document(self, body: Mapping[str, Any]) -> tuple[int | None, str | None]:
        """Return the serial of a stored document, and what is wrong with it."""
        found = _ID.match(str(value_of(body, "http.request.id")))
        if found is None:
            return None, "has no serial in http.request.id"
        serial = int(found[1])
        expected = self.issued.get(serial)
        if expected is None:
            return serial, "was never issued"
        if expected.refused:
            return serial, "has too few columns to be a document"
        original = value_of(body, "event.original")
        if not isinstance(original, str) or digest(original.encode()) != expected.digest:
            return serial, "has another event.original than was put"
        for name, wanted in expected.fields.items():
            value = value_of(body, name)
            if value != wanted:
                return serial, f"has {name} {value!r}, not {wanted!r}"
        return serial, None

    def judge_letter(self, raw: bytes, reason: str) -> tuple[int | None, str | None]:
        """Return the serial of a dead letter, and what is wrong with it."""
        found = _MARK.search(raw.decode("latin-1"))
        if found is None:
            return None, "has no serial in its bytes"
        serial = int(found[1])
        expected = self.issued.get(serial)
        if expected is None:
            return serial, "was never issued"
        if digest(raw) != expected.digest:
            return serial, "has other bytes than were put"
        if not expected.refused or reason != "columns":
            return serial, f"is a dead letter because of {reason!r}"
        return serial, None


def value_of(body: Mapping[str, Any], name: str) -> Any:
    """Return a field by its dotted name, however deep it lies; None where there is none."""
    value: Any = body
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _fields_of(request: Request) -> dict[str, Any]:
    return {
        "url.query": request.query,
        "http.request.method": request.method,
        "http.request.id": request.id,
        "source.address": request.viewer.address,
        "source.port": request.port,
        "http.request.bytes": request.received,
        "http.response.bytes": request.sent,
    }
