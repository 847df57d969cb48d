"""The values that travel: payloads in, records, documents, and how each one ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cloudfront_ecs.normalize.documents.aws_fields import AwsS3, Kinesis


@dataclass(frozen=True, slots=True)
class Receipt:
    """A source's claim ticket for one payload.

    Attributes:
        partition: The shard or object the payload belongs to.
        sequence: Its place among the payloads of that partition; the source counts.
        token: Whatever the source needs to settle or release it; nobody else looks.
    """

    partition: str
    sequence: int
    token: object = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the bytes of a payload come from: identity for ids, provenance for documents.

    Attributes:
        place: A name for people, such as ``s3://bucket/key``; goes into dead letters.
        identity: What makes the source bytes the same bytes on every machine and every
            attempt (bucket, key and version; stream, creation time and shard).
        content_identity: The bytes have no name of their own (standard input), so every
            line's content takes part in its id.
        distribution_id: The distribution, where the place names it.
        account_id: The AWS account that owns the place, where it is known.
        region: The AWS region of the place, where it is known.
        file_path: The path of a local file.
        s3: The object, for ``aws.s3.*``.
        kinesis: The shard, for ``aws.kinesis.*``; each message adds its sequence number.
    """

    place: str
    identity: tuple[str, ...]
    content_identity: bool = False
    distribution_id: str | None = None
    account_id: str | None = None
    region: str | None = None
    file_path: str | None = None
    s3: AwsS3 | None = None
    kinesis: Kinesis | None = None


class Message(NamedTuple):
    """One Kinesis record: whole lines, and the position it was read from.

    Attributes:
        data: The bytes as they were put, decompressed.
        position: The sequence number within the shard, in decimal; behind a colon the index
            of the user record, where it was packed into the record with others.
        arrived: When the stream took it, epoch seconds, or None.
    """

    data: bytes
    position: str
    arrived: float | None = None


@dataclass(slots=True)
class Payload:
    """The bytes of one object, or of a run of Kinesis records, and the receipt for them.

    Exactly one of *chunks* and *messages* is used.  *chunks* is read once, lazily and in
    order; the pieces belong to one byte stream, as stored (the pipeline inflates gzip
    before a decoder sees them).

    Raises (while *chunks* is iterated):
        SourceError: Reading broke off; the payload goes back to the source.
        PayloadError: The rest can never be read; it becomes one dead letter.
    """

    receipt: Receipt
    origin: Origin
    chunks: Iterable[bytes] = ()
    messages: Sequence[Message] | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns a record has, in order, and by whose meaning.

    Attributes:
        log: One of ``resources.LOGS``; the same column name can mean another thing in
            another one (``x-host-header``, ``cs-uri-stem``).
        columns: CloudFront's names, as AWS spells them.
        sampling_rate: Percent of the requests that a real-time configuration logs, 1 to
            100, or None where it is not known.
        named_by: What in the source names the columns: ``header`` (a ``#Fields`` line) or
            ``parquet`` (the file's schema).  None where they were configured, or are told
            by the records themselves.
    """

    log: str
    columns: tuple[str, ...]
    sampling_rate: int | None = None
    named_by: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """Bytes that became no document, and why.

    Attributes:
        reason: One word, listed in the README.
        detail: What was expected and what was found; no content of the line.
        raw: The bytes without line end (at most the first 64 KiB where *length* is set).
        line: The line number in the object from 1; for messages the number in the message,
            or None in its first line.
        position: The sequence number of the message it came in, for streams.
        length: The true length in bytes of a line too long to keep.
        values: The columns of the record, where lines before it tell some of them.
        note: What the decoder noticed about the row.
    """

    reason: str
    detail: str
    raw: bytes
    line: int | None = None
    position: str | None = None
    length: int | None = None
    values: tuple[str, ...] | None = None
    note: str = ""


@dataclass(slots=True)
class RecordBatch:
    """Consecutive log lines of one layout, split into columns, still text.

    Attributes:
        layout: The columns of every row.
        rows: One list of column texts for each record.  One of another width than the
            layout's is judged when it is converted: read as a prefix, or refused.
            Bytes that are not UTF-8 stand as surrogate escapes.
        lines: The records as they were read, without line end, same order as *rows*.
        numbers: The position of each record in its payload: the line number from 1, or
            for messages the index of the line within its message.
        positions: For messages, the sequence number of each record.
        notes: What the decoder noticed about a row, by index; goes to ``error.message``.
        rejects: Lines met on the way that fit no layout.
        skipped: Lines that are no records (headers, blank lines).
        filtered: Records that are none of ours by rule (another service's events).
        plain: Whether all text is ASCII, which lets conversion take its fast path.
        fitter: Who judges rows that do not fit, where the layout itself is in doubt.
    """

    layout: Layout
    rows: Sequence[list[str]]
    lines: list[str]
    numbers: Sequence[int]
    positions: Sequence[str] | None = None
    notes: Mapping[int, str] = field(default_factory=dict)
    rejects: Sequence[RejectedLine] = ()
    skipped: int = 0
    filtered: int = 0
    plain: bool = True
    fitter: RowFitter | None = None

    def place(self, index: int) -> tuple[int | None, str | None]:
        """Return the line and the position of a record, as a ``RejectedLine`` has them."""
        number = self.numbers[index]
        if self.positions is None:
            return number, None
        return number + 1 if number else None, self.positions[index]


class RowFitter(Protocol):
    """Knows other layouts that the rows of a batch may have."""

    def doubts(self, batch: RecordBatch, index: int) -> bool:
        """Say whether a row that could not be converted may be of another layout."""

    def refitted(self, batch: RecordBatch) -> Iterator[RecordBatch]:
        """Yield the records of *batch* again, each judged by itself, without a fitter."""


class Page(Protocol):
    """The records that some documents were written from, for those who want to look inside."""

    def body(self, index: int) -> object:
        """Return the typed body of the record at *index*."""


class Document(msgspec.Struct, gc=False):
    """One ECS body, its id and where it goes.

    A body that nobody looks into never comes into being: such a document is its JSON text
    from the beginning.  Whoever asks for ``body`` may change it, so the text is gone then.

    Attributes:
        id: 30 characters, the same for the same source bytes on every attempt.
        dataset: ``cloudfront.standard``, ``cloudfront.realtime``, …
        time_ns: The time of the document, nanoseconds since 1970 (``@timestamp``).
        opened: The body, see ``body``, or None where only the text is there.
        text: The body as JSON on one line, or None where it has been opened.
    """

    id: str
    dataset: str
    time_ns: int
    opened: object = None
    text: str | None = None
    page: Page | None = None
    index: int = 0

    @property
    def body(self) -> Any:
        """A Struct of ``cloudfront_ecs.normalize.documents.ecs``, or a plain dict."""
        page = self.page
        if self.text is not None and page is not None:
            self.opened = page.body(self.index)  # first: another sink's thread may look
            self.text = self.page = None
        return self.opened

    @body.setter
    def body(self, body: object) -> None:
        self.opened, self.text, self.page = body, None, None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A document that a sink will never take.

    Attributes:
        document: The document.
        detail: The sink's own words: status and error type, no content.
        status: The protocol's status code, where it has one.
    """

    document: Document
    detail: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What one sink did with the documents it was given.  Each is in exactly one part.

    Attributes:
        stored: How many documents the sink stored.
        duplicates: How many it already held under the same id.
        acked: How many the next hop acknowledged without saying that they are stored.
        retry: Documents worth offering again.
        rejected: Documents that will fail every time.
    """

    stored: int = 0
    duplicates: int = 0
    acked: int = 0
    retry: tuple[Document, ...] = ()
    rejected: tuple[Rejection, ...] = ()

    @property
    def total(self) -> int:
        """How many documents are accounted for."""
        ended = self.stored + self.duplicates + self.acked
        return ended + len(self.retry) + len(self.rejected)


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of one batch in every sink of its pipeline.

    Attributes:
        pipeline: The pipeline's name.
        documents: How many documents the batch held.
        seconds: From the first write to the last sink's answer.
        outcomes: For each sink, how many documents ended how (``stored``, ``duplicate``,
            ``acked``, ``dead_lettered``).
        newest_ns: The newest ``@timestamp`` of the batch, nanoseconds since 1970.
        sink_seconds: For each sink, from the moment the batch was handed over to its answer.
    """

    pipeline: str
    documents: int
    seconds: float
    outcomes: Mapping[str, Mapping[str, int]]
    newest_ns: int = 0
    sink_seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class RunSummary:
    """What one run of one pipeline read and where it went.

    The equation that must hold for every sink, at every moment:
    ``read = stored + duplicate + acked + dead_lettered + filtered + in_flight``.

    Attributes:
        pipeline: The pipeline's name.
        read: Records read, refused ones included, headers and blank lines not.
        skipped: Headers and blank lines.
        dead_lettered: Records refused before any sink saw them.
        filtered: Records dropped by explicit configuration.
        in_flight: For each sink, how many documents have no known end there yet; what is
            left when a run is stopped goes back to the source.
        reasons: How many dead letters of each reason, rejections by sinks included.
        passed_over: What the source did not read because it holds no log or asks for nothing,
            by why; only where the source counts it, and only when the run has ended.
        sinks: For each sink, how many documents ended how.
        seconds: How long the run took.
        error: Why the run ended, when it failed.
    """

    pipeline: str
    read: int = 0
    skipped: int = 0
    dead_lettered: int = 0
    filtered: int = 0
    in_flight: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    passed_over: Counter[str] = field(default_factory=Counter)
    sinks: dict[str, Counter[str]] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None

    def imbalance(self, sink: str) -> int:
        """Return how many records are unaccounted for in *sink*; 0 when all is well."""
        ended = sum(self.sinks[sink].values())
        return self.read - self.dead_lettered - self.filtered - self.in_flight[sink] - ended
