"""The careful way: a record is converted without the columns that cannot be read.

Each of these costs its own field, is named in ``error.message`` and kept as it was logged.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from cloudfront_ecs.batches import Layout, RejectedLine
from cloudfront_ecs.decoders.realtime.shapes import SHAPES, another_layout
from cloudfront_ecs.normalize.documents import ecs
from cloudfront_ecs.normalize.layouts import rows_by_column
from cloudfront_ecs.normalize.normalized import refused
from cloudfront_ecs.normalize.rebuilding.as_logged import NOT_UTF8, keep_as_logged
from cloudfront_ecs.normalize.values import convert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudfront_ecs.batches import Document, RecordBatch
    from cloudfront_ecs.normalize.pages import Failure, Page, Partly

log = logging.getLogger(__name__)

MOST_UNREADABLE = 2
"""Real-time records with more unreadable columns are of another layout than configured.

Only columns with values of CloudFront's own count, see ``layout_shapes``.
"""

_LONGEST_QUOTE = 64
_TIMES = ("date", "time", "timestamp", "timestamp(ms)", "eventTimestamp")


def converted_carefully(
    page: Page, index: int, partly: Partly | None, *, original: bool
) -> Document | RejectedLine:
    """Return the document of a record without what cannot be read, or the record refused.

    Args:
        page: The records.
        index: Which of them.
        partly: The one column that was read in part, if it is known.
        original: Whether ``event.original`` keeps the line.
    """
    batch = page.batch
    texts, problems = _readable_of(batch, index, partly)
    unreadable = [p.column for p in problems if p.misshapen and p.column in SHAPES]
    if batch.layout.log == "realtime" and len(unreadable) > MOST_UNREADABLE:
        return refused(batch, index, "layout", another_layout(unreadable))
    document, failure = page.document_of(index, texts)
    if document is None and partly is not None:
        return converted_carefully(page, index, None, original=original)
    if document is None:
        assert failure is not None
        return refusal(batch, index, failure, problems)
    if original and not batch.plain:
        _keep_original(document, batch.lines[index])
    keep_as_logged(document, {problem.column: problem.whole for problem in problems})
    _name(problems, document)
    return document


def add_unknown(document: Document, columns: Sequence[str], row: Sequence[str]) -> None:
    """Put the columns of *row* that the table does not know into their document."""
    log_name = document.dataset.removeprefix("cloudfront.")
    known = rows_by_column(log_name)
    texts = {
        column: text
        for column, text in zip(columns, row, strict=True)
        if column not in known and not convert.absent(text)
    }
    keep_as_logged(document, texts)
    _, problems = _readable(Layout(log_name, tuple(texts)), [*texts.values()])
    _name(problems, document)


def _readable_of(
    batch: RecordBatch, index: int, partly: Partly | None
) -> tuple[list[str], list[_Problem]]:
    """Return the columns with what is unreadable made absent, and what was wrong."""
    row = batch.rows[index]
    if partly is None or not batch.plain or row.count(partly[0]) != 1:
        return _readable(batch.layout, row)
    whole, part, rest, reason = partly
    column = batch.layout.columns[row.index(whole)]
    texts = [part if text == whole else text for text in row]
    return texts, [_Problem(column, reason, whole, rest)]


def _name(problems: Sequence[_Problem], document: Document) -> None:
    named = [str(problem) for problem in problems if problem.reason]
    if named:
        add_error(document, "; ".join(named))


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
            conversion = known[column].conversion if column in known else "unknown"
            getattr(convert, conversion)(value)
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


def add_error(document: Document, message: str) -> None:
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


def refusal(
    batch: RecordBatch, index: int, failure: Failure, problems: Sequence[_Problem] = ()
) -> RejectedLine:
    """Return the record refused for *failure*, most often because it has no time."""
    if not failure.undated:
        log.error("a record could not be converted: %s", failure.error)
        return refused(batch, index, "conversion", failure.error)
    times = [problem for problem in problems if problem.column in _TIMES]
    why = "; ".join(f"{problem.column}: {problem.reason}" for problem in times)
    detail = f"a document needs a time ({why or failure.undated})"
    return refused(batch, index, "timestamp", detail)
