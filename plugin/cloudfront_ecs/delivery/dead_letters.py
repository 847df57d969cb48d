"""The dead-letter store: what nobody could use, with its reason, its place and its bytes."""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from cloudfront_ecs.delivery.appending import append_lines, cut_torn_line, held, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cloudfront_ecs.batches import Layout, Origin, RejectedLine

FOLDER = "dead_letters"
_NAME = re.compile(r"(.+)-\d{4}-\d\d-\d\d\.ndjson", re.DOTALL)

MODE = 0o600
"""Dead letters hold log lines: addresses, cookies, queries."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused line or payload.

    Attributes:
        rejected: The bytes and the reason.
        origin: Where they were read.
        attempts: How often they were tried.
        layout: The columns that were to explain the line, where there were any.
        sink: The sink that refused the document, if a sink did.
        as_sent: The bytes are the document as it was sent, not the line.
    """

    rejected: RejectedLine
    origin: Origin
    attempts: int = 1
    layout: Layout | None = None
    sink: str | None = None
    as_sent: bool = False

    def line(self) -> bytes:
        """Return the letter as one line of JSON."""
        letter: dict[str, Any] = {
            "reason": self.rejected.reason,
            "detail": self.rejected.detail,
            "source": place_of(self.origin, self.rejected),
            "identity": list(self.origin.identity),
            "raw": base64.b64encode(self.rejected.raw).decode("ascii"),
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "attempts": self.attempts,
        }
        if self.origin.content_identity:
            letter["content_identity"] = True
        if self.rejected.length is not None:
            letter["length"] = self.rejected.length
        if self.sink is not None:
            letter["sink"] = self.sink
        if self.as_sent:
            letter["raw_is"] = "document"
        if self.layout is not None and self.layout.columns:
            letter["layout"] = told_layout(self.layout)
        if self.rejected.values is not None:
            letter["values"] = self.rejected.values
        if self.rejected.note:
            letter["note"] = self.rejected.note
        if about := _about(self.origin, letter["source"]):
            letter["origin"] = about
        return json_of(letter)


def json_of(letter: dict[str, Any]) -> bytes:
    """Return a letter as a line of its file."""
    return json.dumps(letter, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def told_layout(layout: Layout) -> dict[str, Any]:
    """Return a layout as letters tell it.

    ``named_by`` is there where the source itself named the columns, in a place that is not
    part of the line: then they count when the line is read again.
    """
    told: dict[str, Any] = {"log": layout.log, "columns": layout.columns}
    return told | ({"named_by": layout.named_by} if layout.named_by else {})


def _about(origin: Origin, source: dict[str, Any]) -> dict[str, str]:
    """Return what documents tell of their origin and ``source`` does not.

    The place stands there where it is no path of a file, or another one.
    """
    told = {
        "place": origin.place if "file" in source and origin.place != origin.file_path else None,
        "distribution_id": origin.distribution_id,
        "account_id": origin.account_id,
        "region": origin.region,
        "bucket_arn": origin.s3.bucket.arn if origin.s3 and origin.s3.bucket else None,
    }
    return {name: text for name, text in told.items() if text}


def place_of(origin: Origin, rejected: RejectedLine) -> dict[str, Any]:
    """Return where a refused line stood, in the terms of its source.

    With ``identity`` beside it this is all that the id of a document is made of.
    """
    place: dict[str, Any] = {}
    if origin.s3 is not None and origin.s3.bucket is not None and origin.s3.object is not None:
        place = {"bucket": origin.s3.bucket.name, "key": origin.s3.object.key}
    elif origin.kinesis is not None:
        place = {"stream": origin.kinesis.stream, "shard": origin.kinesis.shard_id}
    else:
        place = {"file": origin.file_path or origin.place}
    if rejected.line is not None:
        place["line"] = rejected.line
    if rejected.position is not None:
        place["sequence_number"] = rejected.position
    return place


class DeadLetters:
    """Appends dead letters to a file for each pipeline and day; durable when it returns."""

    def __init__(self, state: Path, pipeline: str) -> None:
        """Write below *state*; nothing is made before the first letter."""
        self._folder = state / FOLDER
        self._name = quote(pipeline, safe="")  # a name from the configuration is no path

    def add(self, letters: Iterable[DeadLetter]) -> None:
        """Store *letters*; once this returns they survive a crash.

        A half-written line is cut away, so that a full disk leaves whole letters only.

        Raises:
            OSError: They could not be written.
        """
        content = b"".join(letter.line() for letter in letters)
        if not content:
            return
        made = not self._folder.exists()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        day = datetime.now(UTC).strftime("%Y-%m-%d")
        path = self._folder / f"{self._name}-{day}.ndjson"
        with held(path, MODE) as descriptor:  # a replay takes letters out
            made = made or os.fstat(descriptor).st_size == 0
            cut_torn_line(descriptor)
            append_lines(descriptor, content)
        if made:
            sync_folder(self._folder)


def letter_files(state: Path) -> dict[str, list[Path]]:
    """Return the files of dead letters below *state* by pipeline, the oldest first."""
    found: dict[str, list[Path]] = {}
    for path in sorted((state / FOLDER).glob("*.ndjson")):
        if match := _NAME.fullmatch(path.name):
            found.setdefault(unquote(match[1]), []).append(path)
    return found
