"""Bulk requests, and what an answer means for each document.

Facts (Elasticsearch 9.1 and OpenSearch 2.19, asked on real nodes where they can be had):
a data stream takes only ``create``; the answer has one item for each action, in order;
full queues come back as item 429, a full disk as item 429 or 403
``cluster_block_exception``; a body above ``http.max_content_length`` as an empty 413.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from cloudfront_ecs.batches import Rejection, WriteResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudfront_ecs.batches import Document

# Always with the status: without it, an item that has no error would be left out and the
# positions would no longer be those of the actions.
BULK_PATH = (
    "/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason,"
    "items.*._index,items.*.failure_store"
)

DETAIL_LENGTH = 400
"""Characters of a server's reason that are kept."""

_CONFIGURATION_TYPES = frozenset(
    {"index_closed_exception", "invalid_index_name_exception", "security_exception"}
)
# Parsing errors quote the value they stumbled over, and a viewer can put any words into a URL:
# only the reasons of these types are the server's own words.
_ABOUT_REQUESTS = frozenset(
    {"illegal_argument_exception", "validation_exception", "action_request_validation_exception"}
)
_NO_IDS = "document id is not supported"
"""OpenSearch Serverless of a collection for time series."""

_CONFIGURATION_REASONS = (
    "only write ops with an op_type of create",  # a data stream, and another operation
    "no write index is defined",  # an alias
    _NO_IDS,
    "maximum shards open",  # "this cluster currently has [1000]/[1000] maximum shards open"
    "maximum normal shards open",
    "pipeline with id",  # "… does not exist"
    "unrecognized parameter",  # of the request, from a product or version we do not know
)
"""Pieces of the reasons of a 400 that no document is to blame for, in lower case."""


class Cause(msgspec.Struct):
    """``error`` of an item or of a whole answer."""

    type: str = "unknown"
    reason: str | None = None

    def __str__(self) -> str:
        """Return type and reason, cut short."""
        text = f"{self.type}: {self.reason}" if self.reason else self.type
        return text if len(text) <= DETAIL_LENGTH else text[: DETAIL_LENGTH - 1] + "…"

    @property
    def refuses_ids(self) -> bool:
        """Whether only documents without an id of ours are taken."""
        return _NO_IDS in (self.reason or "").lower()

    @property
    def is_configuration(self) -> bool:
        """Whether it would meet any document, until somebody changes the configuration."""
        if self.type in _CONFIGURATION_TYPES:
            return True
        reason = (self.reason or "").lower()
        known = any(piece in reason for piece in _CONFIGURATION_REASONS)
        return known and self.type in _ABOUT_REQUESTS


class Item(msgspec.Struct):
    """What the server says of one action."""

    status: int
    error: Cause | None = None
    index: str = msgspec.field(name="_index", default="")
    failure_store: str | None = None

    @property
    def cause(self) -> Cause:
        """The error, if there is none the status in its place."""
        return self.error or Cause(f"status {self.status}")


class Answer(msgspec.Struct):
    """The answer to a bulk request."""

    items: list[dict[str, Item]]


class ErrorAnswer(msgspec.Struct):
    """The answer to a request that was refused as a whole."""

    error: Cause


class End(Enum):
    """What becomes of a document, or of a whole request, after an answer."""

    STORED = auto()
    DUPLICATE = auto()
    RETRY = auto()
    REJECTED = auto()
    BLOCKED = auto()


def item_end(item: Item) -> End:  # noqa: PLR0911 - the table, one line for each case
    """Return what became of the document of *item*.

    What no line knows is retried: an ambiguous status never drops a document.
    """
    match item.status:
        case HTTPStatus.OK | HTTPStatus.CREATED if item.failure_store == "used":
            return End.REJECTED  # it lies in the failure store, where no search finds it
        case HTTPStatus.OK | HTTPStatus.CREATED:
            return End.STORED
        case HTTPStatus.CONFLICT:
            return End.DUPLICATE  # the id is ours: stored by an earlier attempt
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN | HTTPStatus.NOT_FOUND:
            return End.BLOCKED  # credentials, permissions, read-only index, no index
        case HTTPStatus.TOO_MANY_REQUESTS if item.cause.type == "cluster_block_exception":
            return End.BLOCKED  # the disk is full; Elasticsearch before 7.7 says 403
        case HTTPStatus.BAD_REQUEST if item.cause.is_configuration:
            return End.BLOCKED
        case HTTPStatus.BAD_REQUEST:
            return End.REJECTED  # the mapping cannot take it, and never will
        case _:
            return End.RETRY  # 429, 500, 503 and whatever else


class RequestEnd(Enum):
    """What an answer means for the request as a whole."""

    ANSWERED = auto()
    TOO_LARGE = auto()
    MALFORMED = auto()
    BLOCKED = auto()
    UNKNOWN = auto()


def request_end(status: int, body: bytes) -> RequestEnd:
    """Return what a status means for a bulk request as a whole."""
    match status:
        case HTTPStatus.OK:
            return RequestEnd.ANSWERED
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return RequestEnd.TOO_LARGE
        case HTTPStatus.BAD_REQUEST if is_parse_error(body):
            return RequestEnd.MALFORMED
        case HTTPStatus.REQUEST_TIMEOUT | HTTPStatus.TOO_MANY_REQUESTS:
            return RequestEnd.UNKNOWN
        case _ if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return RequestEnd.BLOCKED  # 401, 403, 404, 405, 406, 415, a redirect
        case _:
            return RequestEnd.UNKNOWN  # 5xx, and statuses that a bulk request never has


def error_of(body: bytes) -> Cause | None:
    """Return the error that a whole answer states, or None where it states none."""
    try:
        return msgspec.json.decode(body, type=ErrorAnswer).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def is_parse_error(body: bytes) -> bool:
    """Say whether a 400 is the server's own word on what was sent.

    A proxy, or a TLS port spoken to in plain HTTP, answers 400 to any request; searching
    for the guilty document would then reject them all.
    """
    cause = error_of(body)
    return cause is not None and not cause.is_configuration


def parse_answer(body: bytes, expected: int) -> list[Item]:
    """Return the items of a bulk answer, by position.

    Raises:
        ValueError: It is no bulk answer, was cut, or its items are not *expected* many:
            then nobody knows what was stored.
    """
    try:
        answer = msgspec.json.decode(body, type=Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Not chained and not quoted: it may hold the content of documents.
        raise ValueError("the answer is no bulk answer") from None
    items = [item for action in answer.items for item in action.values()]
    if len(items) != expected or len(answer.items) != expected:
        raise ValueError(f"{expected} documents were sent, {len(answer.items)} answers came back")
    return items


class Prepared(NamedTuple):
    """A document, and its two lines of a bulk request."""

    document: Document
    lines: bytes


def requests(prepared: Sequence[Prepared], most: int) -> Iterator[Sequence[Prepared]]:
    """Split *prepared* into requests of at most *most* bytes; a larger one stands alone."""
    start = size = 0
    for index, one in enumerate(prepared):
        if index > start and size + len(one.lines) > most:
            yield prepared[start:index]
            start, size = index, 0
        size += len(one.lines)
    if start < len(prepared):
        yield prepared[start:]


@dataclass(slots=True)
class Tally:
    """What became of the documents of one write so far.  Each is counted once.

    Attributes:
        blocked: The item of a document that cannot be taken until somebody acts; the
            document is in *retry*.
    """

    stored: int = 0
    duplicates: int = 0
    retry: list[Document] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    blocked: Item | None = None

    @property
    def settled(self) -> int:
        """How many documents have met their end."""
        return self.stored + self.duplicates + len(self.rejected)

    def add(self, documents: Sequence[Prepared], items: Sequence[Item]) -> None:
        """Count each document as its item says."""
        for (document, _), item in zip(documents, items, strict=True):
            match item_end(item):
                case End.STORED:
                    self.stored += 1
                case End.DUPLICATE:
                    self.duplicates += 1
                case End.RETRY:
                    self.retry.append(document)
                case End.BLOCKED:
                    self.retry.append(document)
                    self.blocked = item
                case End.REJECTED:
                    kept = item.failure_store == "used"
                    detail = "kept in the failure store" if kept else str(item.cause)
                    self.rejected.append(Rejection(document, detail, item.status))

    def result(self) -> WriteResult:
        """Return the account of the write."""
        return WriteResult(
            stored=self.stored,
            duplicates=self.duplicates,
            retry=tuple(self.retry),
            rejected=tuple(self.rejected),
        )
