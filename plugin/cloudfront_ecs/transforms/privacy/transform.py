"""The ``privacy`` transform: takes out, hides, hashes or shortens what must not travel.

A rule is about one field, and every copy of its value follows: other fields read from the
same column, request headers, URLs, error messages, ``event.original``; raw, decoded and
percent-encoded.  What other transforms made of a value before (``user_agent.name``,
``source.geo.*``) stays: these are fields of their own, for rules of their own.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.adapters import TransformSpec
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.normalize.documents.ecs import EcsDocument
from cloudfront_ecs.normalize.documents.field_paths import put, value_at
from cloudfront_ecs.transforms.privacy.effects import effect_of
from cloudfront_ecs.transforms.privacy.lines import cleaned_line
from cloudfront_ecs.transforms.privacy.rules import PrivacyOptions
from cloudfront_ecs.transforms.privacy.work import ORIGINAL, Work

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Document


class PrivacyTransform:
    """Applies rules to every document.

    Attributes:
        conceals: What has passed here must not be seen again as it was read, so a document
            that a sink refuses becomes a dead letter as it was sent.
    """

    conceals = True

    def __init__(self, options: PrivacyOptions) -> None:
        """Prepare the rules."""
        self._effects = [effect_of(rule, options.key) for rule in options.rules]

    def apply(self, documents: list[Document]) -> list[Document]:
        """Change the documents; none is dropped."""
        for document in documents:
            body = document.body
            if isinstance(body, (EcsDocument, dict)):
                self._clean(body)
        return documents

    def _clean(self, body: Any) -> None:
        work = Work(copy.copy(body))
        for effect in self._effects:
            effect(body, work)
        work.forget_unread(body)
        work.sweep(body)
        line = value_at(body, ORIGINAL)
        if isinstance(line, str):
            cleaned = cleaned_line(line, body, work)
            if cleaned != line:
                put(body, ORIGINAL, cleaned)


def _open(options: PrivacyOptions, _: AdapterContext) -> PrivacyTransform:
    return PrivacyTransform(options)


@hookimpl
def transform_specs() -> Iterable[TransformSpec]:
    """Offer the ``privacy`` transform."""
    summary = "Drop, mask, hash, truncate or redact values, with all their copies."
    return [TransformSpec("privacy", summary, PrivacyOptions, _open)]
