"""Fields of a document by their dotted names: looked up, put in, taken out.

Nested objects are frozen and shared between documents, so what changes is replaced from the
leaf up to the document; nothing is changed in place but the document itself.  Bodies may
also be plain dicts, which adapters of others make; these are copied on the way.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.errors import nearest
from cloudfront_ecs.normalize.documents.ecs import EcsDocument
from cloudfront_ecs.resources import field_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudfront_ecs.batches import Document

Path = tuple[str, ...]
"""A field's name, split at its dots; where a flattened field begins, the rest is one part."""


@cache
def field_types() -> Mapping[str, str]:
    """Return every field of the table with its mapping type."""
    return {name: kind for row in field_table() for name, kind in row.targets}


def field_type(name: str) -> str:
    """Return the mapping type of a field; one inside a flattened field is a keyword.

    Raises:
        ValueError: No document has such a field; the text names the nearest that exists.
    """
    types = field_types()
    if name in types:
        return types[name]
    if types.get(_flattened_parent(name) or "") == "flattened":
        return "keyword"
    raise ValueError(f"unknown field {name!r}{_near(name)}")


@cache
def path_of(name: str) -> Path:
    """Return the path of a field, for ``value_at`` and ``put``."""
    parent = _flattened_parent(name)
    if parent is None:
        return tuple(name.split("."))
    return (*parent.split("."), name[len(parent) + 1 :])


def value_at(body: object, path: Path) -> Any:
    """Return the value of a field, or None where the document has none."""
    value: Any = body
    if type(body) is EcsDocument:
        attributes, path = _known_part(path)
        for name in attributes:
            value = getattr(value, name)
            if value is None:
                return None
    for part in path:
        if value is None:
            return None
        value = _member(value, part)
    return value


def put(body: Any, path: Path, value: object) -> None:
    """Give a field another value; None takes it out, and objects it leaves empty with it."""
    first, *rest = path
    owner: Any = type(body)
    replaced = _replaced(_member(body, first), _struct_of(owner, first), rest, value)
    if isinstance(body, dict):
        if replaced is None:
            body.pop(first, None)
        else:
            body[first] = replaced
    else:
        setattr(body, _attribute(type(body), first), replaced)


def seen(document: Document) -> Any:
    """Return the body of a document for looking only: what is text already stays text."""
    page = document.page
    if document.text is not None and page is not None:
        return page.body(document.index)
    return document.body


def _replaced(value: Any, kind: type[Any] | None, path: list[str], leaf: object) -> Any:
    """Return *value* with the field at *path* replaced, or None where nothing is left."""
    if not path:
        return leaf
    if value is None:
        if leaf is None:
            return None
        value = kind() if kind is not None else {}
    if not isinstance(value, (dict, msgspec.Struct)):
        return value  # a plain value of another plugin's, where we have objects
    first, *rest = path
    owner: Any = type(value)
    inner = _replaced(_member(value, first), _struct_of(owner, first), rest, leaf)
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key != first}
        if inner is not None:
            kept = {key: inner if key == first else item for key, item in value.items()}
            kept.setdefault(first, inner)
        return kept or None
    attribute = _attribute(type(value), first)
    value = msgspec.structs.replace(value, **{attribute: inner})
    return None if inner is None and value == type(value)() else value


def _member(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, msgspec.Struct):
        return getattr(value, _attribute(type(value), part), None)
    return None


@cache
def _attributes(kind: type[msgspec.Struct]) -> Mapping[str, str]:
    return {item.encode_name: item.name for item in msgspec.structs.fields(kind)}


def _attribute(kind: type[msgspec.Struct], part: str) -> str:
    return _attributes(kind).get(part, part)


@cache
def _known_part(path: Path) -> tuple[Path, Path]:
    """Return the attributes that lead through a typed body, and what of *path* is left."""
    kind: Any = EcsDocument
    for at, part in enumerate(path):
        if kind is None or part not in _attributes(kind):
            return _attributes_along(path[:at]), path[at:]
        kind = _struct_of(kind, part)
    return _attributes_along(path), ()


def _attributes_along(path: Path) -> Path:
    kind: Any = EcsDocument
    found: list[str] = []
    for part in path:
        found.append(_attribute(kind, part))
        kind = _struct_of(kind, part)
    return tuple(found)


@cache
def _struct_of(kind: Any, part: str) -> type[Any] | None:
    """Return the class of the objects that stand in a field, where it holds objects."""
    if not issubclass(kind, msgspec.Struct):
        return None
    for item in msgspec.structs.fields(kind):
        if item.encode_name == part:
            for each in getattr(item.type, "__args__", (item.type,)):
                if isinstance(each, type) and issubclass(each, msgspec.Struct):
                    return each
    return None


@cache
def _flattened_parent(name: str) -> str | None:
    """Return the flattened field that *name* lies in, if it lies in one."""
    types, parts = field_types(), name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        parent = ".".join(parts[:end])
        if types.get(parent) == "flattened":
            return parent
    return None


def _near(name: str) -> str:
    """Return the nearest field; not the list of all of them, which nobody would read."""
    hint = nearest(name, field_types())
    if hint.startswith(" (did"):
        return hint
    last = name.rpartition(".")[2]
    same = sorted(field for field in field_types() if field.rpartition(".")[2] == last)
    return f" (did you mean {same[0]!r}?)" if same else " (see the list of fields in the README)"
