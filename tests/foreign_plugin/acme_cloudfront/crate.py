"""A sink: appends JSON to a file."""

# ruff: noqa: RUF009 - option() declares a field, as dataclasses.field() does

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs import Secret, WriteResult, option
from cloudfront_ecs.errors import SinkBlockedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudfront_ecs import AdapterContext, Document


@dataclass(frozen=True, slots=True, kw_only=True)
class LidOptions:
    """A table inside the options."""

    seal: bool = option(default=False, doc="Write the id of each document beside it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CrateOptions:
    """Options of the ``acme_crate`` sink."""

    path: str = option(doc="File to append to.", example='"/srv/crate.jsonl"')
    key: Secret | None = option(None, doc="Key of the crate.")
    lid: LidOptions = option(LidOptions(), doc="The lid.")


@dataclass(slots=True)
class Crate:
    """Appends each batch with one write."""

    options: CrateOptions
    ids: set[str] = field(default_factory=set)

    def write(self, documents: Sequence[Document]) -> WriteResult:
        """Append what is new."""
        new = [document for document in documents if document.id not in self.ids]
        text = "".join(json.dumps(self._line(document)) + "\n" for document in new)
        try:
            with Path(self.options.path).open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise SinkBlockedError(f"{self.options.path}: {error.strerror}") from error
        self.ids.update(document.id for document in new)
        return WriteResult(stored=len(new), duplicates=len(documents) - len(new))

    def close(self) -> None:
        """Do nothing: the file is closed after every write."""

    def _line(self, document: Document) -> Any:
        body = msgspec.to_builtins(document.body)
        return {"seal": document.id, "body": body} if self.options.lid.seal else body


def open_crate(options: CrateOptions, _: AdapterContext) -> Crate:
    """Open the sink."""
    return Crate(options)
