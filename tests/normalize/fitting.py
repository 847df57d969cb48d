"""Whether a document fits the template of its dataset: declared fields, of their types.

Stricter than a search engine, which takes numbers as text and text as numbers: here a long
is a JSON integer, a keyword is a text, and nothing is null or empty.
"""

from __future__ import annotations

import json
import math
import re
from datetime import datetime
from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.resources import field_table
from cloudfront_ecs.setup.templates import DATASETS, declared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cloudfront_ecs.batches import Document

_LEAST, _MOST = -(2**63), 2**63 - 1
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)


@cache
def types_of(dataset: str) -> Mapping[str, str]:
    """Return the declared fields of a dataset with their types."""
    return declared(row for row in field_table() if DATASETS[dataset] in row.logs)


@cache
def _objects_of(dataset: str) -> frozenset[str]:
    """Return the names of all objects that hold declared fields."""
    parts = (name.split(".") for name in types_of(dataset))
    return frozenset(".".join(names[:end]) for names in parts for end in range(1, len(names)))


def json_of(document: Document) -> dict[str, Any]:
    """Return the body of a document as its JSON says.

    A document that was written as text from the beginning must be the same as the typed
    body it stands for, to the last digit.
    """
    text = getattr(document, "text", None)
    body = parsed(msgspec.json.encode(document.body))
    if text is not None:
        assert "\n" not in text
        assert json.dumps(parsed(text), sort_keys=True) == json.dumps(body, sort_keys=True)
    return body


def parsed(text: str | bytes) -> dict[str, Any]:
    """Return a JSON object; a name that stands there twice is refused, as search engines do."""
    found = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_refuse)
    assert isinstance(found, dict)
    return found


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    assert len(found) == len(pairs), "a name stands there twice"
    return found


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def misfits(body: Mapping[str, Any], dataset: str) -> list[str]:
    """Return what in the JSON *body* a strict template of *dataset* would not expect."""
    wrong = [
        f"{name}.dataset: is not {dataset}"
        for name in ("event", "data_stream")
        if body.get(name, {}).get("dataset") != dataset
    ]
    return [*_misfits(body, "", dataset), *wrong]


def _misfits(body: Mapping[str, Any], within: str, dataset: str) -> Iterator[str]:
    for key, value in body.items():
        name = f"{within}.{key}" if within else key
        if name in types_of(dataset):
            mapping_type = types_of(dataset)[name]
            for one in value if isinstance(value, list) else [value]:
                if not _FITS[mapping_type](one):
                    yield f"{name}: {one!r} is no {mapping_type}"
            if value == []:
                yield f"{name}: an empty list"
        elif name not in _objects_of(dataset):
            yield f"{name}: is not declared"
        elif not isinstance(value, dict) or not value:
            yield f"{name}: {value!r} is no object with fields"
        else:
            yield from _misfits(value, name, dataset)


def _is_text(value: object) -> bool:
    if not isinstance(value, str) or not value:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _is_long(value: object) -> bool:
    return type(value) is int and _LEAST <= value <= _MOST


def _is_byte(value: object) -> bool:
    return type(value) is int and -128 <= value < 128


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool)


def _is_address(value: object) -> bool:
    try:
        return isinstance(value, str) and str(ip_address(value)) != "" and "%" not in value
    except ValueError:
        return False


def _is_date(value: object) -> bool:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return False
    try:
        return datetime.fromisoformat(value[:19]).year > 0
    except ValueError:
        return False


def _is_flattened(value: object) -> bool:
    """Objects of texts, numbers and lists to any depth; empty ones may stand inside."""
    return isinstance(value, dict) and value != {} and _holds_values(value)


def _holds_values(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _holds_values(one) for key, one in value.items())
    if isinstance(value, list):
        return all(_holds_values(one) for one in value)
    return value is not None and (not isinstance(value, str) or value == "" or _is_text(value))


def _is_point(value: object) -> bool:
    if not isinstance(value, dict) or set(value) != {"lat", "lon"}:
        return False
    return all(_is_number(one) for one in value.values()) and abs(value["lat"]) <= 90


_FITS: dict[str, Callable[[object], bool]] = {
    "boolean": _is_boolean,
    "byte": _is_byte,
    "constant_keyword": _is_text,
    "date": _is_date,
    "double": _is_number,
    "flattened": _is_flattened,
    "float": _is_number,
    "geo_point": _is_point,
    "ip": _is_address,
    "keyword": _is_text,
    "long": _is_long,
    "match_only_text": _is_text,
    "wildcard": _is_text,
}
