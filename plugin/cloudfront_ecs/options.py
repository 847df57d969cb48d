"""Options of adapters: one declaration types, checks and documents each of them."""

from __future__ import annotations

import dataclasses
import types
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    Self,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from cloudfront_ecs.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Secret(str):
    """Text that must not be seen: its ``repr`` and ``str`` in messages are stars.

    The value itself is read with ``reveal``.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Hide the value."""
        return "'***'"

    def __str__(self) -> str:
        """Hide the value."""
        return "***"

    def __format__(self, spec: str) -> str:
        """Hide the value."""
        return format("***", spec)

    def reveal(self) -> str:
        """Return the value itself, as plain text."""
        return str.__str__(self)


class Expanded(str):
    """Text that environment variables were put into; messages show it as it was written.

    Whatever stands in the environment may be a secret, also where no secret is expected.
    """

    __slots__ = ("written",)
    written: str

    def __new__(cls, value: str, written: str) -> Self:
        """Keep what stood in the file beside the value."""
        text = super().__new__(cls, value)
        text.written = written
        return text

    def __repr__(self) -> str:
        """Show what stood in the file."""
        return repr(self.written)


def option(
    default: Any = MISSING,
    *,
    doc: str,
    least: float | None = None,
    most: float | None = None,
    example: str | None = None,
) -> Any:
    """Declare one option of a frozen dataclass.

    Args:
        default: The value when none is given; without one the option is required.
        doc: What it means, its unit, and what the default does.
        least: The smallest number, or the smallest length of a list.
        most: The largest number.
        example: A value as it is written in the configuration.
    """
    metadata = {"doc": doc, "least": least, "most": most, "example": example}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class OptionDoc:
    """One option as people read it."""

    name: str
    type: str
    default: str
    doc: str
    example: str | None = None


def describe(options: type[Any], prefix: str = "") -> Iterator[OptionDoc]:
    """Yield the options of a dataclass; those of nested tables as ``table.option``."""
    hints = get_type_hints(options)
    for item in fields(options):
        hint = _without_none(hints[item.name])
        if is_dataclass(hint):
            assert isinstance(hint, type)
            yield from describe(hint, f"{prefix}{item.name}.")
            continue
        required = item.default is MISSING and item.default_factory is MISSING
        default = "required" if required else _shown(item.default)
        meta = item.metadata
        yield OptionDoc(
            prefix + item.name, type_name(hint), default, meta.get("doc", ""), meta.get("example")
        )
        for table in _tables(hint):
            yield from describe(table, f"{prefix}{item.name}.")


def parse(options: type[Any], table: Mapping[str, Any], place: str, problems: list[str]) -> Any:
    """Return an instance of *options* from a TOML *table*, or None.

    Every problem is added to *problems* as ``place: what is wrong (hint)``.
    """
    hints = get_type_hints(options)
    known = {item.name: item for item in fields(options)}
    before = len(problems)
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in known:
            problems.append(f"{place}: unknown option {name!r}{nearest(name, known)}")
            continue
        field_place = f"{place}.{name}"
        known_before = len(problems)
        values[name] = _value(hints[name], value, field_place, problems)
        if len(problems) == known_before:
            _range(known[name].metadata, values[name], field_place, problems)
    for name, item in known.items():
        required = item.default is MISSING and item.default_factory is MISSING
        if required and name not in table:
            doc = item.metadata.get("doc", "")
            problems.append(f"{place}: option {name!r} is missing{f' ({doc})' if doc else ''}")
    if len(problems) > before:
        return None
    try:
        return options(**values)
    except (ValueError, ConfigError) as error:
        problems += [f"{place}: {line}" for line in str(error).splitlines()]
        return None


def type_name(hint: Any) -> str:
    """Return a type as the documentation names it."""
    hint = _without_none(hint)
    if get_origin(hint) is Literal:
        return " | ".join(repr(choice) for choice in get_args(hint))
    if get_origin(hint) in (tuple, list):
        return f"list of {type_name(get_args(hint)[0])}"
    if get_origin(hint) in (Union, types.UnionType):
        return _either(get_args(hint))
    if get_origin(hint) is dict or hint is dict or is_dataclass(hint):
        return "table"
    names: dict[Any, str] = {str: "text", int: "int", float: "number", bool: "bool"}
    return names.get(hint, "secret text" if hint is Secret else getattr(hint, "__name__", "any"))


def _either(hints: tuple[Any, ...]) -> str:
    return " or ".join(type_name(hint) for hint in hints if hint is not type(None))


def toml_type(value: Any) -> str:
    """Return the type of a value from a configuration file, in the words of ``type_name``."""
    return _TOML_NAMES.get(type(value), type(value).__name__)


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        parts = [part for part in get_args(hint) if part is not type(None)]
        if len(parts) == 1:
            return parts[0]
    return hint


def _shown(default: Any) -> str:
    if default is None or default is MISSING:
        return "none"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return "[" + ", ".join(_shown(item) for item in default) + "]"
    return repr(default)


def _value(  # noqa: PLR0911 - one return for each kind of type
    hint: Any, value: Any, place: str, problems: list[str]
) -> Any:
    """Return *value* as the type *hint* asks for; problems are collected."""
    hint = _without_none(hint)
    origin = get_origin(hint)
    if hint is Any:
        return value
    if origin is Literal:
        return _choice(get_args(hint), value, place, problems)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(hint), value, place, problems)
    if origin in (tuple, list) and isinstance(value, list):
        part = get_args(hint)[0]
        items = [_value(part, item, f"{place}[{i}]", problems) for i, item in enumerate(value)]
        return tuple(items) if origin is tuple else items
    if is_dataclass(hint) and isinstance(value, dict):
        assert isinstance(hint, type)
        return parse(hint, value, place, problems)
    plain = _PLAIN.get(hint)
    if plain is not None and plain(value):
        return float(value) if hint is float else hint(value)
    if (hint is dict or origin is dict) and isinstance(value, dict):
        return _unmarked(value)
    problems.append(f"{place}: expected {type_name(hint)}, got {_got(hint, value)}")
    return None


def _choice(choices: tuple[Any, ...], value: Any, place: str, problems: list[str]) -> Any:
    plain = _unmarked(value)
    for choice in choices:
        if type(plain) is type(choice) and plain == choice:
            return choice
    near = nearest(str(plain), map(str, choices))
    problems.append(f"{place}: unknown value {_short(value)}{near}")
    return None


def _tables(hint: Any) -> list[type[Any]]:
    """Return the dataclasses among several types that a value may have."""
    several = get_origin(hint) in (Union, types.UnionType)
    parts = get_args(hint) if several else ()
    return [part for part in parts if isinstance(part, type) and is_dataclass(part)]


def _one_of(hints: tuple[Any, ...], value: Any, place: str, problems: list[str]) -> Any:
    tables = [hint for hint in hints if is_dataclass(hint)]
    if isinstance(value, dict) and len(tables) == 1:  # its own problems say more
        return _value(tables[0], value, place, problems)
    for hint in hints:
        attempt: list[str] = []
        parsed = _value(hint, value, place, attempt)
        if not attempt:
            return parsed
    problems.append(f"{place}: expected {_either(hints)}, got {_got(hints, value)}")
    return None


def _got(hint: Any, value: Any) -> str:
    """Return a value of the wrong type for a message, unless it may be or hold a secret."""
    name = toml_type(value)
    hidden = isinstance(value, dict) or _holds_secret(hint)
    return name if hidden else f"{name} {_short(value)}"


def _holds_secret(hint: Any) -> bool:
    """Say whether a secret is expected in any part of a type."""
    if hint is Secret:
        return True
    if is_dataclass(hint):
        return any(map(_holds_secret, get_type_hints(hint).values()))
    parts = hint if isinstance(hint, tuple) else get_args(hint)
    return any(map(_holds_secret, parts))


def _unmarked(value: Any) -> Any:
    """Return a free table as plain values, for adapters that look at types."""
    if isinstance(value, dict):
        return {key: _unmarked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    return str(value) if isinstance(value, Expanded) else value


def _range(meta: Mapping[str, Any], value: Any, place: str, problems: list[str]) -> None:
    least, most = meta.get("least"), meta.get("most")
    if isinstance(value, (tuple, list)):
        if least is not None and len(value) < least:
            problems.append(f"{place}: at least {least:g} needed, got {len(value)}")
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    if least is not None and not value >= least:  # also what is not a number
        problems.append(f"{place}: {value!r} is below the least allowed value {least:g}")
    elif most is not None and not value <= most:
        problems.append(f"{place}: {value!r} is above the largest allowed value {most:g}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"  # noqa: PLR2004 - one line of a terminal


_TOML_NAMES: dict[type, str] = {
    str: "text", Expanded: "text", int: "int", float: "number", bool: "bool",
    list: "list", dict: "table",
}  # fmt: skip

_PLAIN: dict[Any, Callable[[Any], bool]] = {
    str: lambda value: isinstance(value, str),
    Secret: lambda value: isinstance(value, str),
    int: lambda value: isinstance(value, int) and not isinstance(value, bool),
    float: lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    bool: lambda value: isinstance(value, bool),
}
