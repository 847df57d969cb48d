"""Edits of single fields, as privacy rules need them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudfront_ecs.normalize.documents.field_paths import path_of, put, value_at
from cloudfront_ecs.transforms.privacy.rules import HEADERS
from cloudfront_ecs.transforms.privacy.work import OTHER, Work, columns_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudfront_ecs.transforms.privacy.text import Change
    from cloudfront_ecs.transforms.privacy.work import Edit


def follow(body: Any, path: tuple[str, ...], value: Any, new: Any) -> None:
    """Let a field that holds the same value hold the new one."""
    held = value_at(body, path)
    if isinstance(held, list):
        kept = [new if _is_same(item, value) else item for item in held]
        put(body, path, list(dict.fromkeys(item for item in kept if item is not None)) or None)
    elif held is not None and held == value and type(held) is type(value):
        put(body, path, new)


def _is_same(item: Any, value: Any) -> bool:
    """Say whether an item of a list is *value*, or the host *value* with its port."""
    return bool(item == value or (isinstance(value, str) and str(item).startswith(f"{value}:")))


def changed(value: Any, change: Change) -> Any:
    """Return a value with each of its texts changed; None where nothing is left."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        parts = [changed(item, change) for item in value]
        return list(dict.fromkeys(part for part in parts if part is not None)) or None
    if isinstance(value, dict):
        pairs = {key: changed(item, change) for key, item in value.items()}
        return {key: item for key, item in pairs.items() if item is not None} or None
    return None  # numbers and truth values: only drop is allowed


def texts_in(value: Any) -> list[str]:
    """Return every text of a value."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for item in value for text in texts_in(item)] if isinstance(value, list) else []


def forget_unread_headers(body: Any, work: Work) -> None:
    """Remove the text of headers that are not all readable; one might be one of those."""
    columns = columns_of(frozenset([HEADERS]))
    if columns.intersection(value_at(body, OTHER) or ()):
        work.columns |= columns


def edit_field(body: Any, name: str, edit: Edit) -> bool:
    """Edit the text of a field by its name; say whether that changed it."""
    return edit_at(body, path_of(name), edit)


def edit_at(body: Any, path: tuple[str, ...], edit: Edit) -> bool:
    """Edit the text of a field; say whether that changed it."""
    text = value_at(body, path)
    if not isinstance(text, str):
        return False
    new = edit(text)
    if new == text:
        return False
    put(body, path, new or None)
    return True


def edit_headers(body: Any, edit: Callable[[str, str], str | None]) -> bool:
    """Edit each value of the request headers; say whether that changed any."""
    before = value_at(body, path_of(HEADERS))
    if not isinstance(before, dict):
        return False
    after: dict[str, Any] = {}
    for name, value in before.items():
        if isinstance(value, list):
            several = [new for text in value if (new := edit(name, text))]
            if several:
                after[name] = several
        elif new := edit(name, value):
            after[name] = new
    if after == before:
        return False
    put(body, path_of(HEADERS), after or None)
    return True
