"""Record batches become documents: the fast way where it goes, the careful way where not."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from cloudfront_ecs.normalize import convert, ecs
from cloudfront_ecs.normalize.as_logged import NOT_UTF8, keep_as_logged
from cloudfront_ecs.normalize.builders import BUILDERS
from cloudfront_ecs.normalize.compile import compiled
from cloudfront_ecs.normalize.identity import RecordKeys
from cloudfront_ecs.normalize.json_rows import quotable_rows
from cloudfront_ecs.normalize.json_text import written
from cloudfront_ecs.normalize.layouts import rows_by_column
from cloudfront_ecs.normalize.normalized import NormalizedBatch, refused
from cloudfront_ecs.normalize.payload_constants import constants
from cloudfront_ecs.resources import ACCESS_LOGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudfront_ecs.batches import Document, Layout, Origin, RecordBatch, RejectedLine
    from cloudfront_ecs.normalize.compile import Compiled
    from cloudfront_ecs.normalize.payload_constants import Constants
    from cloudfront_ecs.normalize.plan import Completion

log = logging.getLogger(__name__)

_LONGEST_QUOTE = 64
MOST_UNREADABLE = 2
"""Real-time records with more unreadable columns are of another layout than configured."""

_TIMES = ("date", "time", "timestamp", "timestamp(ms)", "eventTimestamp")
_Partly = tuple[str, str, str, str]
_UNREADABLE: list[str] = []
"""Stands for a row that the fast path must not see; no layout is so narrow."""


class Normalizer:
    """Turns the records of one payload into documents."""

    def __init__(
        self,
        origin: Origin,
        *,
        original: bool = False,
        tags: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        completions: tuple[Completion, ...] = (),
    ) -> None:
        """Prepare what all records of *origin* share.

        Args:
            origin: Where the records come from.
            original: Whether ``event.original`` keeps the line.
            tags: Put into ``tags`` of every document.
            labels: Put into ``labels`` of every document.
            completions: What completes parts of documents of rows (not those of builders).
        """
        self._tags, self._labels = tags, labels
        self._completions = completions
        self._origin = origin
        self._original = original
        self._keys = RecordKeys(origin)
        self._created = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._constants: dict[str, Constants] = {}
        self._texts: dict[int, tuple[str, ...]] = {}

    def normalize(self, batch: RecordBatch) -> NormalizedBatch:
        """Return the documents of *batch*.

        A value that cannot be read costs its own field and is named in ``error.message``;
        a record without a time becomes a reject.
        """
        builder = BUILDERS.get(batch.layout.log)
        if builder is not None:
            shared = self._shared(batch.layout.log)
            return builder(batch, self._keys.of(batch), shared, original=self._original)
        try:
            conversion = self._conversion(batch)
        except convert.UndatedError as error:
            return NormalizedBatch([], [_refusal(batch, i, error) for i in range(len(batch.rows))])
        keys = self._keys.of(batch)
        page = _Page(batch, keys, self._shared(batch.layout.log), conversion)
        documents, failed = self._documents(page)
        if not failed and not batch.notes:
            # Nothing was refused, so no place is empty.
            return NormalizedBatch(documents, [], range(len(documents)))  # type: ignore[arg-type]
        width = len(batch.layout.columns)
        fitter = batch.fitter
        misfits = [
            index
            for index in failed
            if len(batch.rows[index]) != width or (fitter and fitter.doubts(batch, index))
        ]
        if misfits:
            return NormalizedBatch([], [], (), misfits)
        rejects: list[RejectedLine] = []
        for index, partly in failed.items():
            row = _Row(batch, index, keys[index], partly)
            self._convert_carefully(conversion, row, documents, rejects)
        for index, note in batch.notes.items():
            document = documents[index]
            if document is not None:
                _add_error(document, note)
        made = {i: document for i, document in enumerate(documents) if document is not None}
        return NormalizedBatch(list(made.values()), rejects, list(made))

    def _conversion(self, batch: RecordBatch) -> Compiled:
        return compiled(
            batch.layout,
            messages=batch.positions is not None,
            original=self._original,
            completions=self._completions,
        )

    def _documents(self, page: _Page) -> tuple[list[Document | None], dict[int, _Partly | None]]:
        """Return the documents of a page, and which records could not be converted.

        Usual records are written as text at once; the others are made of objects first.
        """
        batch = page.batch
        unusual: list[int] = []
        documents: list[Document | None]
        if batch.layout.log in ACCESS_LOGS:
            writing = written(
                batch.layout,
                messages=batch.positions is not None,
                original=self._original,
                completions=self._completions,
            )
            if id(writing) not in self._texts:
                self._texts[id(writing)] = writing.constants(page.shared)
            documents = writing.run(
                quotable_rows(batch),
                batch.lines,
                page.keys,
                batch.positions,
                self._texts[id(writing)],
                page.shared,
                page,
                lambda index, _: unusual.append(index),
            )
        else:
            unusual = [*range(len(batch.lines))]
            documents = [None] * len(unusual)
        # Kept as texts: an error would keep all lines alive, in a cycle.
        failed: dict[int, _Partly | None] = {}
        for index in unusual:
            document, error = page.document(index)
            documents[index] = document
            if error is not None:
                failed[index] = _partly_read(error)
        return documents, failed

    def _shared(self, name: str) -> Constants:
        if name not in self._constants:
            dataset = f"cloudfront.{name}"
            self._constants[name] = constants(
                self._origin, dataset, self._created, self._tags, self._labels
            )
        return self._constants[name]

    def _convert_carefully(
        self,
        conversion: Compiled,
        row: _Row,
        documents: list[Document | None],
        rejects: list[RejectedLine],
    ) -> None:
        """Convert one record without the columns that cannot be read."""
        batch, index = row.batch, row.index
        texts, problems = row.readable()
        unreadable = [problem.column for problem in problems if problem.misshapen]
        if batch.layout.log == "realtime" and len(unreadable) > MOST_UNREADABLE:
            names = ", ".join(unreadable)
            detail = f"{len(unreadable)} columns cannot be read, so the layout is another: {names}"
            rejects.append(refused(batch, index, "layout", detail))
            return
        failed: list[Exception] = []
        [document] = conversion.run(
            [texts],
            [batch.lines[index]],
            [row.key],
            [batch.positions[index] if batch.positions else ""],
            self._shared(batch.layout.log),
            lambda _, error: failed.append(error),
        )
        if document is None and row.partly is not None:
            again = msgspec.structs.replace(row, partly=None)
            self._convert_carefully(conversion, again, documents, rejects)
            return
        if document is None:
            rejects.append(_refusal(batch, index, failed.pop(), problems))
            return
        documents[index] = document
        if self._original and not batch.plain:
            _keep_original(document, batch.lines[index])
        keep_as_logged(document, {problem.column: problem.whole for problem in problems})
        named = [str(problem) for problem in problems if problem.reason]
        if named:
            _add_error(document, "; ".join(named))


@dataclass(frozen=True, slots=True)
class _Page:
    """The records of a batch, and how typed documents are made of them.

    Attributes:
        batch: The records.
        keys: The ends of their ids.
        shared: What all documents of the payload have in common.
        conversion: Makes documents of typed objects.
    """

    batch: RecordBatch
    keys: Sequence[str]
    shared: Constants
    conversion: Compiled

    def body(self, index: int) -> object:
        """Return the typed body of the record at *index*, see ``batches.Page``."""
        document, error = self.document(index)
        if document is None:
            raise RuntimeError("a record that was written cannot be read") from error
        return document.opened

    def document(self, index: int) -> tuple[Document | None, Exception | None]:
        """Return the document of the record at *index*, or why it could not be converted."""
        row = self.batch.rows[index]
        errors: list[Exception] = []
        [document] = self.conversion.run(
            [row if self.batch.plain or "".join(row).isascii() else _UNREADABLE],
            [self.batch.lines[index]],
            [self.keys[index]],
            [self.batch.positions[index] if self.batch.positions else ""],
            self.shared,
            lambda _, error: errors.append(error),
        )
        return document, errors[0] if errors else None


class _Row(msgspec.Struct, frozen=True):
    """A record that the fast path could not convert.

    Attributes:
        batch: Where it stands.
        index: Its place there.
        key: The end of its id.
        partly: The one column that was read in part: its whole text, the readable part, the
            rest, and why; None where any column may be the culprit.
    """

    batch: RecordBatch
    index: int
    key: str
    partly: _Partly | None

    def readable(self) -> tuple[list[str], list[_Problem]]:
        """Return the columns with what is unreadable made absent, and what was wrong."""
        row = self.batch.rows[self.index]
        if self.partly is None or not self.batch.plain or row.count(self.partly[0]) != 1:
            return _readable(self.batch.layout, row)
        whole, part, rest, reason = self.partly
        column = self.batch.layout.columns[row.index(whole)]
        texts = [part if text == whole else text for text in row]
        return texts, [_Problem(column, reason, whole, rest)]


def _partly_read(error: Exception) -> _Partly | None:
    if isinstance(error, convert.PartlyReadError):
        return error.whole, error.readable, error.unreadable, str(error)
    return None


@dataclass(frozen=True, slots=True)
class _Problem:
    """A column that cannot be read.

    Attributes:
        column: CloudFront's name of it.
        reason: Why, without the value: dead letters name no content.  Empty where the value
            was read, but its text is worth keeping.
        whole: The column's text; documents keep it.
        value: What could not be read; documents name it.
        misshapen: Whether it cannot be a value of this column at all.
    """

    column: str
    reason: str
    whole: str
    value: str = ""
    misshapen: bool = False

    def __str__(self) -> str:
        return f"{self.column}: {self.reason}" + (f" ({_quote(self.value)})" if self.value else "")


def _readable(layout: Layout, row: Sequence[str]) -> tuple[list[str], list[_Problem]]:
    """Return the row with every unreadable column made absent, and what was wrong."""
    known = rows_by_column(layout.log)
    readable = list(row)
    problems: list[_Problem] = []
    for index, (column, value) in enumerate(zip(layout.columns, row, strict=True)):
        try:
            value.encode("utf-8")
            if column in known:
                getattr(convert, known[column].conversion)(value)
        except UnicodeEncodeError:
            readable[index] = "-"
            problems.append(_Problem(column, NOT_UTF8, value))
        except convert.PartlyReadError as error:
            readable[index] = error.readable
            problems.append(_Problem(column, str(error), value, error.unreadable))
        except ValueError as error:
            readable[index] = "-"
            problems.append(_Problem(column, str(error), value, value, misshapen=True))
    return readable, problems


def _quote(value: str) -> str:
    shown = value if len(value) <= _LONGEST_QUOTE else value[: _LONGEST_QUOTE - 1] + "…"
    return repr(shown)


def _add_error(document: Document, message: str) -> None:
    """Name in the document what could not be read."""
    body = document.body
    assert isinstance(body, ecs.EcsDocument)
    before = body.error or ecs.Error()
    text = f"{before.message}; {message}" if before.message else message
    body.error = msgspec.structs.replace(before, message=text)
    if body.event:
        body.event = msgspec.structs.replace(body.event, kind="pipeline_error")


def _keep_original(document: Document, line: str) -> None:
    """Put a line that is not UTF-8 into ``event.original`` with its bytes escaped."""
    body = document.body
    assert isinstance(body, ecs.EcsDocument)
    if body.event:
        text = line.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        body.event = msgspec.structs.replace(body.event, original=text)


def _refusal(
    batch: RecordBatch, index: int, error: Exception, problems: Sequence[_Problem] = ()
) -> RejectedLine:
    """Return the record refused for *error*, most often because it has no time."""
    if not isinstance(error, convert.UndatedError):
        log.error("a record could not be converted: %s", type(error).__name__)
        log.debug("the conversion failed", exc_info=error)
        return refused(batch, index, "conversion", type(error).__name__)
    times = [problem for problem in problems if problem.column in _TIMES]
    why = "; ".join(f"{problem.column}: {problem.reason}" for problem in times)
    return refused(batch, index, "timestamp", f"a document needs a time ({why or error})")
