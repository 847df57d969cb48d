"""Real-time records through one transform, as a configuration describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.decoders.realtime.decoder import RealtimeDecoder, RealtimeOptions
from cloudfront_ecs.normalize.layouts import realtime_columns
from cloudfront_ecs.options import parse
from cloudfront_ecs.plugins import load_plugins
from normalize.converting import convert, flat, line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudfront_ecs.adapters import Transform
    from cloudfront_ecs.batches import Document


def opened(kind: str, **options: Any) -> Transform:
    """Open a transform as a configuration would."""
    assert problems_of(kind, **options) == []
    spec = load_plugins().transforms[kind]
    return spec.open(parse(spec.options, options, kind, []), AdapterContext("here"))


def problems_of(kind: str, **options: Any) -> list[str]:
    """Return what is wrong with options."""
    problems: list[str] = []
    parse(load_plugins().transforms[kind].options, options, "transforms.here", problems)
    return problems


def documents(*values: Mapping[str, str], original: bool = False) -> list[Document]:
    """Return a document for each record, valid but for what is given."""
    columns = realtime_columns()
    data = b"".join(line(columns, one) for one in values)
    decoder = RealtimeDecoder(RealtimeOptions(fields=columns))
    outcome = convert(data, decoder=decoder, original=original)
    assert outcome.rejects == []
    return outcome.documents


def applied(transform: Transform, *values: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the flat documents that a transform lets through."""
    return [flat(document) for document in transform.apply(documents(*values))]


def as_json(document: Document) -> str:
    """Return a document as JSON."""
    return msgspec.json.encode(document.body).decode()
