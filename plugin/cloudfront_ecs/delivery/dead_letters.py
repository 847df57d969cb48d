"""The dead-letter store: what nobody could use, with its reason, its place and its bytes."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cloudfront_ecs.delivery.appending import append_lines, cut_torn_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cloudfront_ecs.batches import Layout, Origin, RejectedLine

FOLDER = "dead_letters"
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
            letter["layout"] = {"log": self.layout.log, "columns": self.layout.columns}
        return json.dumps(letter, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


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
        made = made or not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        try:
            cut_torn_line(descriptor)
            append_lines(descriptor, content)
        finally:
            os.close(descriptor)
        if made:
            _sync_folder(self._folder)


def _sync_folder(folder: Path) -> None:
    """Make a new file's name as durable as its content."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
