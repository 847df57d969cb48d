"""The ``sample`` transform: a share of the documents goes on, chosen by a field's value.

The choice is made by a hash, not by chance: the same value is always chosen or never, on
every machine and every attempt, and what is chosen at one rate is also chosen at every
higher rate.  What is dropped counts as filtered.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.adapters import TransformSpec
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.normalize.documents.field_paths import field_type, path_of, put, seen, value_at
from cloudfront_ecs.options import option
from cloudfront_ecs.transforms.conditions import compiled_condition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Document

WEIGHT = path_of("aws.cloudfront.sampling_weight")
_HASH_BYTES = 8
_ALL = 1 << (8 * _HASH_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOptions:
    """Which share goes on, chosen by what."""

    rate: float = option(
        doc="Share of the documents that go on, 0 to 1: 0.1 is one of ten.",
        least=0, most=1, example="0.1",
    )  # fmt: skip
    by: str = option(
        "event.id",
        doc="Field that decides: documents with the same value go on together or not at all. "
        "A document without it is chosen by its id.",
        example="aws.cloudfront.cmcd.session_id",
    )
    exclude: dict[str, Any] | None = option(
        None,
        doc="Condition, as of filter; documents that meet it all go on.",
        example='{ field = "http.response.status_code", op = ">=", value = 500 }',
    )
    weight: bool = option(
        default=True,
        doc="Multiply aws.cloudfront.sampling_weight, the requests that a document stands for, "
        "by 1 / rate.",
    )

    def __post_init__(self) -> None:
        """Check names.

        Raises:
            ValueError: The field does not exist.
            ConfigError: The condition cannot be used.
        """
        try:
            kind = field_type(self.by)
        except ValueError as error:
            raise ValueError(f"by: {error}") from None
        if kind in ("flattened", "geo_point"):
            raise ValueError(f"by: {self.by!r} has no single value")
        if self.exclude is not None:
            compiled_condition(self.exclude, "exclude")


class SampleTransform:
    """Drops all but a share of the documents."""

    def __init__(self, options: SampleOptions) -> None:
        """Prepare the choice."""
        self._below = round(options.rate * _ALL)
        self._factor = 1 / options.rate if options.rate else 0.0
        self._weighs = options.weight and 0 < options.rate < 1
        self._path = None if options.by == "event.id" else path_of(options.by)
        self._exclude = compiled_condition(options.exclude, "exclude") if options.exclude else None

    def apply(self, documents: list[Document]) -> list[Document]:
        """Return the documents that were chosen, with their weight."""
        chosen = []
        for document in documents:
            if self._exclude is not None and self._exclude(document):
                chosen.append(document)
            elif self._chosen(document):
                if self._weighs:
                    self._weigh(document)
                chosen.append(document)
        return chosen

    def _chosen(self, document: Document) -> bool:
        value = None if self._path is None else value_at(seen(document), self._path)
        text = document.id if value is None else repr(value)
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES).digest()
        return int.from_bytes(digest, "big") < self._below

    def _weigh(self, document: Document) -> None:
        body = document.body
        if not isinstance(body, dict):
            before = value_at(body, WEIGHT)
            put(body, WEIGHT, round((1.0 if before is None else before) * self._factor, 6))


def _open(options: SampleOptions, _: AdapterContext) -> SampleTransform:
    return SampleTransform(options)


@hookimpl
def transform_specs() -> Iterable[TransformSpec]:
    """Offer the ``sample`` transform."""
    summary = "Let a share of the documents go on, the same ones every time."
    return [TransformSpec("sample", summary, SampleOptions, _open)]
