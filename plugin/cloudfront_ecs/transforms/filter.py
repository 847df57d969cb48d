"""The ``filter`` transform: only documents that meet conditions go on, or only the others.

What is dropped counts as filtered: it has found its end, by the configuration's wish.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.adapters import TransformSpec
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.options import option
from cloudfront_ecs.transforms.conditions import compiled_condition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Document
    from cloudfront_ecs.transforms.conditions import Condition

_EXAMPLE = '{ field = "http.response.status_code", op = ">=", value = 400 }'


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterOptions:
    """Exactly one of the two is given."""

    keep: dict[str, Any] | None = option(
        None, doc="Condition that documents must meet to go on.", example=_EXAMPLE
    )
    drop: dict[str, Any] | None = option(
        None,
        doc="Condition that documents must not meet.",
        example='{ all = [{ field = "url.path", op = "starts_with", value = "/health" }] }',
    )

    def __post_init__(self) -> None:
        """Check the condition.

        Raises:
            ValueError: None is given, or both.
            ConfigError: The condition cannot be used.
        """
        if (self.keep is None) == (self.drop is None):
            raise ValueError("give either 'keep' or 'drop', with a condition")
        _condition(self)


class FilterTransform:
    """Drops documents by their fields."""

    def __init__(self, options: FilterOptions) -> None:
        """Compile the condition."""
        self._keeps = options.keep is not None
        self._condition = _condition(options)

    def apply(self, documents: list[Document]) -> list[Document]:
        """Return the documents that go on."""
        condition, keeps = self._condition, self._keeps
        return [document for document in documents if condition(document) is keeps]


def _condition(options: FilterOptions) -> Condition:
    if options.keep is not None:
        return compiled_condition(options.keep, "keep")
    return compiled_condition(options.drop, "drop")


def _open(options: FilterOptions, _: AdapterContext) -> FilterTransform:
    return FilterTransform(options)


@hookimpl
def transform_specs() -> Iterable[TransformSpec]:
    """Offer the ``filter`` transform."""
    summary = "Keep or drop documents by conditions on their fields."
    return [TransformSpec("filter", summary, FilterOptions, _open)]
