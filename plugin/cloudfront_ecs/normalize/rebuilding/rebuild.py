"""The way back: from a document and a layout to the texts of the columns.

What is rebuilt is the value of a column, spelt as CloudFront's documentation says that it
spells values.  So a column that CloudFront wrote comes back byte for byte, and any other
spelling (``%2f`` for ``%2F``, ``0007`` for ``7``, an empty text for ``-``) comes back as a
text that converts to the same document.  Three pairs of columns tell the same thing, and one
of each pair is taken from the other: date and time from a finer timestamp, the query of a
real-time record from its stem, ``c-ip-version`` from ``c-ip``.

Source of the spelling: CloudFront developer guide, "Standard log file fields": encoded are
bytes 0 to 32, 127 and above, and some punctuation, in capital hexadecimal.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.normalize.layouts import rows_by_column
from cloudfront_ecs.normalize.rebuilding.as_logged import FORWARDED_FOR, NOT_UTF8, unescaped
from cloudfront_ecs.normalize.rebuilding.rebuild_texts import (
    ABSENT,
    encoded,
    encoded_cut,
    encoded_old_agent,
    header_lines,
    name_lines,
    seconds_text,
    token_text,
)
from cloudfront_ecs.normalize.values.escapes import (
    ONCE_SINCE,
    encoded_once,
    old_agent,
    path,
    unquote_once,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudfront_ecs.batches import Layout
    from cloudfront_ecs.normalize.documents.ecs import EcsDocument

_QUOTED = ("content-id", "next-object-request", "next-range-request", "session-id")
"""CMCD keys whose values are strings, so in quotes (CTA-5004); others are tokens."""

_CUT = ("cs(Cookie)", "cs-cookie", "viewer-request-log-data", "viewer-response-log-data")
"""Columns that CloudFront cuts at 800 bytes, even in the middle of an escape."""

_BILLION = 1_000_000_000


def rebuilt(document: EcsDocument | Mapping[str, Any], layout: Layout) -> list[str]:
    """Return the columns of the record that *document* was made of.

    Args:
        document: As the normalizer made it, or as JSON gives it back.
        layout: The columns of the record, of one of the access logs.

    Returns:
        A text for each column, so that converting them gives the same document; fewer than
        the layout has where the record was cut short.

    Raises:
        ValueError: The layout is of a log whose records are no rows of an access log.
    """
    if layout.log not in ("standard", "realtime"):
        raise ValueError(f"records of {layout.log!r} logs cannot be rebuilt")
    record = _Record(document, layout)
    texts = [record.text(column) for column in layout.columns]
    return texts[: record.width(texts)]


class _Record:
    """The fields of a document, asked for column by column."""

    def __init__(self, document: EcsDocument | Mapping[str, Any], layout: Layout) -> None:
        self._fields = msgspec.to_builtins(document)
        self._layout = layout
        self._known = rows_by_column(layout.log)
        self._other: dict[str, str] = self.field("aws.cloudfront.other") or {}
        self._problems = self.field("error.message") or ""

    def field(self, name: str) -> Any:
        """Return the value of a field by its dotted name, or None."""
        value = self._fields
        for part in name.split("."):
            value = value.get(part)
            if value is None:
                return None
        return value

    def text(self, column: str) -> str:
        """Return the text of *column*."""
        kept = self._other.get(column)
        if kept is not None:
            return unescaped(kept) if f"{column}: {NOT_UTF8}" in self._problems else kept
        row = self._known.get(column)
        if row is None:
            return ABSENT
        special = _BY_COLUMN.get(column) or _BY_COLUMN.get(row.conversion)
        if special is not None:
            return special(self) or ABSENT
        value = self.field(row.targets[0][0])
        return ABSENT if value is None else self._spelt(column, row.conversion, value)

    def width(self, texts: list[str]) -> int:
        """Return how many of *texts* the record had: all, or those before its end."""
        for match in _ENDS_BEFORE.finditer(self._problems):
            missing = match[1].split(", ")
            width = len(texts) - len(missing)
            ends = list(self._layout.columns[width:]) == missing
            if ends and all(text == ABSENT for text in texts[width:]):
                return width
        return len(texts)

    def _spelt(self, column: str, conversion: str, value: Any) -> str:
        if column in _CUT:
            return encoded_cut(value)
        if conversion == "quoted":
            return token_text(value, quoted=column.removeprefix("cmcd-") in _QUOTED)
        return _BY_CONVERSION.get(conversion, str)(value)

    # When.

    def date(self) -> str:
        """Return the day of the end."""
        return str(self._fields["@timestamp"][:10])

    def clock(self) -> str:
        """Return the time of the end; a finer column has the digits after the second."""
        whole, _, fraction = self._fields["@timestamp"][11:-1].partition(".")
        finer = {"timestamp", "timestamp(ms)"}.intersection(self._layout.columns)
        return whole if finer or not fraction else f"{whole}.{fraction}"

    def epoch(self) -> str:
        """Return the end in seconds since 1970, with the digits that the log had."""
        seconds, fraction = self._moment()
        if not fraction or "timestamp(ms)" in self._layout.columns:
            return str(seconds)
        return f"{seconds}.{fraction}"

    def epoch_milliseconds(self) -> str | None:
        """Return the end in milliseconds, or None where a coarser column told the time."""
        seconds, fraction = self._moment()
        return f"{seconds}{fraction}" if len(fraction) == len("000") else None

    def _moment(self) -> tuple[int, str]:
        whole, _, fraction = self._fields["@timestamp"][:-1].partition(".")
        return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()), fraction

    # Who.

    def forwarded(self) -> str | None:
        """Return X-Forwarded-For."""
        text: str | None = self.field("aws.cloudfront.forwarded_for")
        if text is not None:
            return unescaped(text) if f"{FORWARDED_FOR}: {NOT_UTF8}" in self._problems else text
        return ",%20".join(self.field("network.forwarded_ip") or ())

    def host(self) -> str | None:
        """Return the Host header."""
        text: str | None = self.field("aws.cloudfront.host")
        if text is not None:
            return text
        name, port = self.field("url.domain"), self.field("url.port")
        return name if port is None else f"{name}:{port}"

    def agent(self) -> str | None:
        """Return the User-Agent header, encoded twice where its time did so."""
        text = self.field("user_agent.original")
        if text is None:
            return None
        times = {at: self.text(at) for at in ONCE_SINCE if at in self._layout.columns}
        if not encoded_once(times):
            twice = encoded_old_agent(text)
            if old_agent(twice) == text:
                return twice
        return encoded(text)

    # What.

    def stem(self) -> str | None:
        """Return the path of a standard log."""
        return self._split_target()[0]

    def target(self) -> str | None:
        """Return the path of a real-time log, with its query."""
        return self.field("url.original")  # type: ignore[no-any-return]

    def query(self) -> str | None:
        """Return the query."""
        return self._split_target()[1]

    def _split_target(self) -> tuple[str | None, str | None]:
        """Return path and query as logged: the parts of the target that read as the fields."""
        original, query = self.field("url.original"), self.field("url.query")
        if original is None or query is None:
            return original, None if query is None else encoded(query)
        wanted = self.field("url.path")
        for mark in re.finditer(r"\?", original):
            stem, rest = original[: mark.start()], original[mark.end() :]
            if unquote_once(rest) == query and path(stem)[0] == wanted:
                return stem, rest
        return original, encoded(query)

    # The answer.

    def media_type(self) -> str:
        """Return the content type."""
        short = self.field("aws.cloudfront.content_type")
        return encoded(self.field("aws.cloudfront.content_type_full") or short or "")

    def tls_version(self) -> str | None:
        """Return the TLS protocol with its version."""
        version, protocol = self.field("tls.version"), self.field("tls.version_protocol")
        return f"{protocol.upper()}v{version}" if version and protocol else None

    def headers(self) -> str | None:
        """Return the request headers in their order, cut at 800 bytes."""
        names = self.field("aws.cloudfront.request_header_names") or ()
        return header_lines(self.field("aws.cloudfront.request_headers") or {}, names)


_BY_COLUMN: Mapping[str, Callable[[_Record], str | None]] = {
    "date": _Record.date,
    "time": _Record.clock,
    "timestamp": _Record.epoch,
    "timestamp(ms)": _Record.epoch_milliseconds,
    "x-forwarded-for": _Record.forwarded,
    "host": _Record.host,
    "agent": _Record.agent,
    "path": _Record.stem,
    "target": _Record.target,
    "cs-uri-query": _Record.query,
    "media_type": _Record.media_type,
    "tls_version": _Record.tls_version,
    "headers": _Record.headers,
}
"""Columns and conversions that take more than one field, or more than its value."""

_BY_CONVERSION: Mapping[str, Callable[[Any], str]] = {
    "percent": encoded,
    "seconds": lambda value: seconds_text(Decimal(repr(value))),
    "duration": lambda value: seconds_text(Decimal(value) / _BILLION),
    "status": lambda value: f"{value:03d}",
    "http_version": lambda value: f"HTTP/{value}",
    "ip_version": lambda value: value.replace("ip", "IP"),
    "header_names": name_lines,
    "quoted_number": lambda value: f"{Decimal(repr(value)).normalize():f}",
    "flag": lambda value: "true" if value else "false",
}
"""How a value of one field is spelt; others as their text is."""

_ENDS_BEFORE = re.compile(r"(?:^|; )the row ends before ([^;]+)")
