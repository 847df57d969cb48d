"""What privacy rules have done to one document, as far as its other texts must follow."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.batches import Layout
from cloudfront_ecs.normalize.documents.ecs import EcsDocument
from cloudfront_ecs.normalize.documents.field_paths import field_types, path_of, put, value_at
from cloudfront_ecs.normalize.rebuilding.rebuild import rebuilt
from cloudfront_ecs.normalize.values.escapes import unquote_once
from cloudfront_ecs.resources import ACCESS_LOGS, field_table
from cloudfront_ecs.transforms.privacy.rules import COOKIES, HEADERS, NEXT_OBJECT, QUERY, URLS
from cloudfront_ecs.transforms.privacy.text import (
    LEAST_SECRET,
    REDACTED,
    changed_addresses,
    decoded,
    swept,
)

if TYPE_CHECKING:
    from cloudfront_ecs.normalize.documents.field_paths import Path
    from cloudfront_ecs.transforms.privacy.text import Change

Edit = Callable[[str], str]
"""Changes a text, encoded or not, and leaves its other bytes."""

OTHER = path_of("aws.cloudfront.other")
MESSAGE = path_of("error.message")
ORIGINAL = path_of("event.original")


@dataclass(slots=True)
class Work:
    """What other texts of a document must no longer hold.

    Attributes:
        before: The document as it was.
        secrets: Values that were removed, decoded, each with what stands in their place.
        addresses: Addresses that were removed, likewise.
        cells: Columns of the line, each decoded, that become absent.
        located: Groups of texts; of each group one must be a column of the line, or the
            line cannot be cleaned.
        columns: Columns whose values were removed.
        query_edits: What is done to every URL and query.
        cookie_edits: What is done to every Cookie header.
    """

    before: Any
    secrets: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    cells: set[str] = field(default_factory=set)
    located: list[set[str]] = field(default_factory=list)
    columns: set[str] = field(default_factory=set)
    query_edits: list[Edit] = field(default_factory=list)
    cookie_edits: list[Edit] = field(default_factory=list)

    def noting(self, change: Change) -> Change:
        """Return *change*, which also notes what it removes."""

        def noted(value: str) -> str | None:
            new = change(value)
            self.note(value, new)
            return new

        return noted

    def note(self, value: str, new: str | None) -> None:
        """Remember a removed value, to look for it in other texts."""
        plain = decoded(value)
        if len(plain) >= LEAST_SECRET and plain != REDACTED:
            self.secrets.setdefault(plain, REDACTED if new is None else new)

    def cleaned(self, text: str) -> str:
        """Return a text without removed addresses and values."""
        if self.addresses:
            text = changed_addresses(text, self.addresses)
        return swept(text, self.secrets) if self.secrets else text

    def forget_unread(self, body: Any) -> None:
        """Remove what columns hold that could not be read: nobody knows what it is."""
        other = value_at(body, OTHER)
        message = value_at(body, MESSAGE)
        for column in self.columns:
            if isinstance(other, dict) and column in other:
                self.note(other[column], None)
                self.cells |= {other[column], unquote_once(other[column])}
                put(body, (*OTHER, column), None)
            if isinstance(message, str) and f"{column}: " in message:
                message = _without_quote(message, column)
                put(body, MESSAGE, message)

    def sweep(self, body: Any) -> None:
        """Let every text of the document follow that may repeat what others hold."""
        if not self.secrets and not self.addresses:
            return
        for path in _free_texts():
            value = value_at(body, path)
            if value is not None:
                new = self._cleaned_value(value)
                if new is not value and new != value:
                    put(body, path, new)

    def _cleaned_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.cleaned(value)
        if isinstance(value, list):
            return [self._cleaned_value(item) for item in value]
        if isinstance(value, dict):
            return {key: self._cleaned_value(item) for key, item in value.items()}
        return value

    def columns_checked(self, headers: dict[str, Any]) -> None:
        """Ask that the line's column of request headers be found, since they have changed."""
        self.located.append({headers_key(headers)})

    def column_texts(self, columns: frozenset[str]) -> set[str]:
        """Return the texts from which the line's values of *columns* were read."""
        log = _log_of(self.before)
        if log is None or not isinstance(self.before, EcsDocument):
            return set()
        known = {row.column for row in field_table() if log in row.logs}
        texts = {
            rebuilt(self.before, Layout(log, (column,)))[0] for column in columns if column in known
        }
        return {each for text in texts if text != "-" for each in (text, unquote_once(text))}


def _log_of(body: Any) -> str | None:
    dataset = value_at(body, ("event", "dataset"))
    log = str(dataset).removeprefix("cloudfront.")
    return log if log in ACCESS_LOGS else None


def _without_quote(message: str, column: str) -> str:
    """Return an error message without the value that it quotes of a column.

    A value may look like the end of a quote, so all goes up to the last one.
    """
    expression = rf"({re.escape(column)}: [^('\"]*?) \((['\"]).*\2\)"
    return re.sub(expression, r"\1", message, flags=re.DOTALL)


@cache
def columns_of(fields: frozenset[str]) -> frozenset[str]:
    """Return the columns from which any of *fields* is read."""
    if fields == {"aws.cloudfront.request_header_names"}:
        return frozenset(["cs-header-names"])  # the headers themselves are another field
    return frozenset(
        row.column
        for row in field_table()
        if not row.column.startswith("(") and fields.intersection(name for name, _ in row.targets)
    )


_REPEATING = (
    COOKIES, "url.query", "http.request.referrer", "user_agent.original", "message",
    "aws.cloudfront.forwarded_for", "aws.cloudfront.host", "aws.cloudfront.request_accept",
    "aws.cloudfront.request_accept_encoding", "aws.cloudfront.function.viewer_request_log",
    "aws.cloudfront.function.viewer_response_log", "aws.cloudfront.connection_log_custom_data",
    "aws.cloudfront.cmcd.content_id", "aws.cloudfront.cmcd.session_id", "event.reason",
)  # fmt: skip
FREE_TYPES = ("wildcard", "flattened", "match_only_text")


@cache
def _free_texts() -> tuple[Path, ...]:
    """Return the fields whose texts come from the viewer, or quote others."""
    types = field_types()
    names = [
        name
        for name, kind in types.items()
        if (kind in FREE_TYPES or name in _REPEATING) and name != "labels"
    ]
    return tuple(map(path_of, names))


@cache
def free_names() -> frozenset[str]:
    """Return the names of those fields."""
    return frozenset(".".join(path) for path in _free_texts())


def changed_texts(before: Any, after: Any) -> dict[str, str | None]:
    """Return every text of *before* that is another one in *after*, with what it became."""
    found: dict[str, str | None] = {}
    _compare(before, after, found)
    return found


def _compare(before: Any, after: Any, found: dict[str, str | None]) -> None:
    if before is after:  # what nobody changed is the same object still
        return
    if isinstance(before, str):
        if before != after:
            found.setdefault(before, after if isinstance(after, str) else None)
    elif isinstance(before, msgspec.Struct):
        for name in before.__struct_fields__:
            _compare(getattr(before, name), getattr(after, name, None), found)
    elif isinstance(before, dict):
        for name, value in before.items():
            _compare(value, after.get(name) if isinstance(after, dict) else None, found)


def cookie_texts(body: Any) -> frozenset[str]:
    """Return the texts that the line's column of cookies may have."""
    held = [value_at(body, path_of(COOKIES))]
    held += [value_at(body, (*OTHER, column)) for column in columns_of(frozenset([COOKIES]))]
    return frozenset(text for text in held if isinstance(text, str))


def url_texts(body: Any) -> frozenset[str]:
    """Return the texts that the line's columns of URLs and queries may have."""
    held = [value_at(body, path_of(name)) for name in (QUERY, *URLS, NEXT_OBJECT)]
    held += (value_at(body, OTHER) or {}).values()
    return frozenset(text for text in held if isinstance(text, str))


def headers_key(headers: dict[str, Any]) -> str:
    """Return a text by which changed headers are found again."""
    return f"headers {id(headers)}"


def headers_of(body: Any) -> dict[str, Any] | None:
    """Return the request headers of a document."""
    found = value_at(body, path_of(HEADERS))
    return found if isinstance(found, dict) else None
