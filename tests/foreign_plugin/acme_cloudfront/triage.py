"""A transform: tags failed requests and drops what a monitor asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from cloudfront_ecs import Document, option

if TYPE_CHECKING:
    from cloudfront_ecs import AdapterContext


@dataclass(frozen=True, slots=True, kw_only=True)
class TriageOptions:
    """Options of the ``acme_triage`` transform."""

    monitors: tuple[str, ...] = option((), doc="Addresses whose requests are dropped.")
    tag: str = option("acme-failed", doc="Tag of requests that failed.")


@dataclass(frozen=True, slots=True)
class Triage:
    """Turns each document into a plain dict and decides about it."""

    options: TriageOptions

    def apply(self, documents: list[Document]) -> list[Document]:
        """Return the documents that go on."""
        kept = []
        for document in documents:
            body = msgspec.to_builtins(document.body)
            if body.get("source", {}).get("ip") in self.options.monitors:
                continue
            if body["http"]["response"]["status_code"] >= 500:
                body["tags"] = [*body.get("tags", []), self.options.tag]
            document.body = body
            kept.append(document)
        return kept


def open_triage(options: TriageOptions, _: AdapterContext) -> Triage:
    """Open the transform."""
    return Triage(options)
