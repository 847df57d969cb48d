"""JSON of any shape as an object that both products take as one flattened field.

Elasticsearch (``flattened``) refuses more than 20 levels and NUL in a name; OpenSearch
(``flat_object``) cuts nothing, and Lucene refuses a term above 32,766 bytes, path and value
together.  Blank texts and empty lists stay; ``null`` is absent.
"""

from __future__ import annotations

from typing import Any

import msgspec

LONGEST_VALUE = 5_000
"""Characters of one value; more end in an ellipsis.

A term with the longest names stays below the limit."""

LONGEST_NAME = 256
"""Characters of one name."""

DEEPEST = 12
"""Levels of objects and lists; what lies deeper is kept as JSON text."""


def flattened(value: object) -> dict[str, Any] | None:
    """Return a JSON object with texts for values, or None where there is nothing.

    What is no object (a text, a list) stands under ``value``.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        value = {"value": value}
    return _object(value, 1) or None


def _object(value: dict[str, Any], level: int) -> dict[str, Any]:
    return {_name(name): _value(inner, level) for name, inner in value.items() if inner is not None}


def _value(value: object, level: int) -> object:
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, (dict, list)):
        if level >= DEEPEST:
            return _cut(msgspec.json.encode(value).decode())
        if isinstance(value, dict):
            return _object(value, level + 1)
        return [_value(item, level + 1) for item in value if item is not None]
    if isinstance(value, bool):
        return "true" if value else "false"
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _name(name: str) -> str:
    name = name.replace("\0", "\ufffd")
    return (name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…") or "_"
