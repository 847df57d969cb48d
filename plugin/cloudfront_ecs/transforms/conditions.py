"""Conditions on fields, as the configuration writes them, for ``filter`` and ``sample``.

A condition is a table: ``{ field, op, value }``, or ``{ any = [...] }``, ``{ all = [...] }``,
``{ not = {...} }`` of other conditions.  Field names and the types of values are checked
against the field table before anything runs.  A field with several values (``event.type``)
meets a condition when one of them does.  A field that a document lacks meets none, so
``!=`` and ``not_in``, which are the opposites of ``==`` and ``in``, hold for it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.errors import ConfigError, nearest
from cloudfront_ecs.normalize.documents.field_paths import field_type, path_of, seen, value_at
from cloudfront_ecs.options import toml_type
from cloudfront_ecs.transforms.condition_values import NUMBERS, comparable, text, unlike

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudfront_ecs.batches import Document

Condition = Callable[["Document"], bool]
"""Says of a document whether it meets what was asked."""

_Test = Callable[[Any], bool]
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
_TEXT: Mapping[str, Callable[[str, str], bool]] = {
    "contains": operator.contains, "starts_with": str.startswith, "ends_with": str.endswith,
}  # fmt: skip
OPERATORS = (
    "==", "!=", *_ORDER, "in", "not_in", *_TEXT, "matches", "cidr", "exists",
)  # fmt: skip

_KEYS = {"field", "op", "value"}
_GROUPS = ("any", "all", "not")


def compiled_condition(table: object, place: str) -> Condition:
    """Return the check that *table* describes.

    Raises:
        ConfigError: With a line for each problem, beginning with *place*.
    """
    problems: list[str] = []
    condition = _condition(table, place, problems)
    if condition is None or problems:
        raise ConfigError("\n".join(problems))
    return condition


def _condition(table: object, place: str, problems: list[str]) -> Condition | None:
    if not isinstance(table, dict):
        problems.append(f"{place}: expected a table, got {toml_type(table)}")
        return None
    groups = [name for name in _GROUPS if name in table]
    if len(groups) > 1 or (groups and len(table) > 1):
        others = ", ".join(repr(name) for name in table)
        problems.append(f"{place}: {groups[0]!r} must stand alone in its table (found {others})")
        return None
    if groups:
        return _group(groups[0], table[groups[0]], f"{place}.{groups[0]}", problems)
    unknown = [name for name in table if name not in _KEYS]
    known = [*_KEYS, *_GROUPS]
    problems += [f"{place}: unknown option {name!r}{nearest(name, known)}" for name in unknown]
    if unknown:
        return None
    if "field" not in table:
        problems.append(f"{place}: 'field' is missing (or one of any, all, not)")
        return None
    return _comparison(table, place, problems)


def _group(name: str, inner: object, place: str, problems: list[str]) -> Condition | None:
    if name == "not":
        opposite = _condition(inner, place, problems)
        return None if opposite is None else lambda document: not opposite(document)
    if not isinstance(inner, list) or not inner:
        found = "an empty list" if inner == [] else toml_type(inner)
        problems.append(f"{place}: expected a list of conditions, got {found}")
        return None
    parts = [_condition(item, f"{place}[{i}]", problems) for i, item in enumerate(inner)]
    known = tuple(part for part in parts if part is not None)
    if name == "any":
        return lambda document: any(part(document) for part in known)
    return lambda document: all(part(document) for part in known)


def _comparison(table: Mapping[str, Any], place: str, problems: list[str]) -> Condition | None:
    name, op = table["field"], table.get("op", "==")
    if not isinstance(name, str):
        problems.append(f"{place}.field: expected text, got {toml_type(name)}")
        return None
    try:
        kind = field_type(name)
    except ValueError as error:
        problems.append(f"{place}.field: {error}")
        return None
    if op not in OPERATORS:
        problems.append(f"{place}.op: unknown operator {op!r}{nearest(str(op), OPERATORS)}")
        return None
    if op != "exists" and "value" not in table:
        problems.append(f"{place}: 'value' is missing")
        return None
    try:
        test, opposite = _test(op, kind, table.get("value", True))
    except ValueError as error:
        problems.append(f"{place}.value: {error} (field {name!r} has the type {kind})")
        return None
    return _checked(name, test, opposite=opposite)


def _checked(name: str, test: _Test, *, opposite: bool) -> Condition:
    """Return the condition that asks *test* of each value of the field *name*."""
    of_document = _WITHOUT_BODY.get(name)
    path = path_of(name)

    def condition(document: Document) -> bool:
        value = of_document(document) if of_document else value_at(seen(document), path)
        if value is None:
            return opposite
        if isinstance(value, list):
            return any(map(test, value)) is not opposite
        return test(value) is not opposite

    return condition


_WITHOUT_BODY: Mapping[str, Callable[[Document], Any]] = {
    "event.id": operator.attrgetter("id"),
    "event.dataset": operator.attrgetter("dataset"),
    "data_stream.dataset": operator.attrgetter("dataset"),
}
"""Fields that are known without looking into the document, which has its price."""


def _test(op: str, kind: str, value: Any) -> tuple[_Test, bool]:
    """Return what is asked of a value, and whether the answer is turned round.

    Raises:
        ValueError: The operator or the value does not fit the type of the field.
    """
    if op == "exists":
        if not isinstance(value, bool):
            raise unlike("bool", value)
        return (lambda _: True), not value
    if kind in ("flattened", "geo_point"):
        raise ValueError(f"{op!r} needs a plain value: name a field inside, or use 'exists'")
    if op in ("==", "!="):
        wanted, read = comparable(kind, value)
        return (lambda found: read(found) == wanted), op == "!="
    if op in ("in", "not_in"):
        if not isinstance(value, list) or not value:
            raise unlike("a list of values", value)
        pairs = [comparable(kind, item) for item in value]
        several, read = frozenset(wanted for wanted, _ in pairs), pairs[0][1]
        return (lambda found: read(found) in several), op == "not_in"
    if op in _ORDER:
        if kind not in NUMBERS and kind != "date":
            raise ValueError(f"{op!r} compares numbers and times")
        wanted, read = comparable(kind, value)
        compare = _ORDER[op]
        return (lambda found: compare(read(found), wanted)), False
    return _pattern(op, kind, value), False


def _pattern(op: str, kind: str, value: Any) -> _Test:
    """Return the check of a text or an address against a part, an expression, a network."""
    if op == "cidr":
        if kind != "ip":
            raise ValueError("'cidr' compares addresses")
        texts = value if isinstance(value, list) else [value]
        networks = tuple(ip_network(text(item)) for item in texts)
        return lambda found: any(ip_address(found) in network for network in networks)
    if kind in (*NUMBERS, "boolean", "date", "ip"):
        raise ValueError(f"{op!r} compares texts")
    wanted = text(value)
    if op == "matches":
        try:
            search = re.compile(wanted).search
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return lambda found: search(found) is not None
    compare = _TEXT[op]
    return lambda found: compare(found, wanted)
