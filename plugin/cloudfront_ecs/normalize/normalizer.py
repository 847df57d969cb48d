"""Record batches become documents: the fast way where it goes, the careful way where not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cloudfront_ecs.batches import RejectedLine
from cloudfront_ecs.normalize.builders import BUILDERS
from cloudfront_ecs.normalize.careful import (
    add_error,
    add_unknown,
    converted_carefully,
    refusal,
)
from cloudfront_ecs.normalize.compiling.compile import compiled
from cloudfront_ecs.normalize.compiling.json_rows import quotable_rows
from cloudfront_ecs.normalize.compiling.json_text import written
from cloudfront_ecs.normalize.compiling.payload_constants import constants
from cloudfront_ecs.normalize.identity import RecordKeys
from cloudfront_ecs.normalize.layouts import rows_by_column
from cloudfront_ecs.normalize.normalized import NormalizedBatch
from cloudfront_ecs.normalize.pages import Page, failure_of
from cloudfront_ecs.normalize.values import convert
from cloudfront_ecs.resources import ACCESS_LOGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudfront_ecs.batches import Document, Layout, Origin, RecordBatch
    from cloudfront_ecs.normalize.compiling.compile import Compiled
    from cloudfront_ecs.normalize.compiling.payload_constants import Constants
    from cloudfront_ecs.normalize.compiling.plan import Completion
    from cloudfront_ecs.normalize.pages import Failure

WRITTEN_FROM = 16
"""Records of a batch from which on a function that writes text is worth its making."""


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
        self._texts: dict[Layout, tuple[str, ...]] = {}

    def normalize(self, batch: RecordBatch) -> NormalizedBatch:
        """Return the documents of *batch*.

        A value that cannot be read costs its own field and is named in ``error.message``;
        a record without a time becomes a reject.
        """
        builder = BUILDERS.get(batch.layout.log)
        if builder is not None:
            shared = self._shared(batch.layout.log)
            return builder(batch, self._keys.of(batch), shared, original=self._original)
        known = rows_by_column(batch.layout.log).keys()
        if len(batch.lines) < WRITTEN_FROM and not known >= set(batch.layout.columns):
            return self._normalize_apart(batch)
        try:
            conversion = self._conversion(batch)
        except convert.UndatedError as error:
            failure = failure_of(error)
            rejects = [refusal(batch, index, failure) for index in range(len(batch.rows))]
            return NormalizedBatch([], rejects)
        keys = self._keys.of(batch)
        page = Page(batch, keys, self._shared(batch.layout.log), conversion)
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
        rejects = []
        for index, failure in failed.items():
            made = converted_carefully(page, index, failure.partly, original=self._original)
            if isinstance(made, RejectedLine):
                rejects.append(made)
            else:
                documents[index] = made
        for index, note in batch.notes.items():
            document = documents[index]
            if document is not None:
                add_error(document, note)
        there = {i: document for i, document in enumerate(documents) if document is not None}
        return NormalizedBatch(list(there.values()), rejects, list(there))

    def _normalize_apart(self, batch: RecordBatch) -> NormalizedBatch:
        """Normalize a few records with columns that nobody knows: these are added at the end.

        Names in JSON may be different in every record, and a function for each would take
        longer to make than it would ever save.
        """
        rows = [*batch.rows]
        width = len(batch.layout.columns)
        misfits = [index for index, row in enumerate(rows) if len(row) != width]
        if misfits:
            return NormalizedBatch([], [], (), misfits)
        known = rows_by_column(batch.layout.log)
        kept = [i for i, column in enumerate(batch.layout.columns) if column in known]
        layout = replace(batch.layout, columns=tuple(batch.layout.columns[index] for index in kept))
        made = self.normalize(
            replace(batch, layout=layout, rows=[[row[index] for index in kept] for row in rows])
        )
        for document, index in zip(made.documents, made.indexes, strict=True):
            add_unknown(document, batch.layout.columns, rows[index])
        return made

    def _conversion(self, batch: RecordBatch) -> Compiled:
        return compiled(
            batch.layout,
            messages=batch.positions is not None,
            original=self._original,
            completions=self._completions,
        )

    def _documents(self, page: Page) -> tuple[list[Document | None], dict[int, Failure]]:
        """Return the documents of a page, and which records could not be converted.

        Usual records are written as text at once; the others are made of objects first.
        """
        batch = page.batch
        if batch.layout.log not in ACCESS_LOGS or len(batch.lines) < WRITTEN_FROM:
            return page.documents()
        writing = written(
            batch.layout,
            messages=batch.positions is not None,
            original=self._original,
            completions=self._completions,
        )
        if batch.layout not in self._texts:
            self._texts[batch.layout] = writing.constants(page.shared)
        unusual: list[int] = []
        documents = writing.run(
            quotable_rows(batch),
            batch.lines,
            page.keys,
            batch.positions,
            self._texts[batch.layout],
            page.shared,
            page,
            lambda index, _: unusual.append(index),
        )
        failed: dict[int, Failure] = {}
        for index in unusual:
            document, failure = page.document(index)
            documents[index] = document
            if failure is not None:
                failed[index] = failure
        return documents, failed

    def _shared(self, name: str) -> Constants:
        if name not in self._constants:
            dataset = f"cloudfront.{name}"
            self._constants[name] = constants(
                self._origin, dataset, self._created, self._tags, self._labels
            )
        return self._constants[name]
