"""The plan of a layout: which statements run, and from which expression each field comes.

Made once for each layout, from the field table and ``recipes`` alone.  Two writers turn a
plan into a function: ``compile`` makes documents of typed objects, ``json_text`` writes
them as JSON.  Column names of the input only ever become numbered variables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, get_args, get_type_hints

import msgspec

from cloudfront_ecs.batches import Document
from cloudfront_ecs.normalize.compiling.recipes import (
    COMPOSED,
    CONSTANTS,
    FIELDS,
    PLAIN,
    STATEMENTS,
)
from cloudfront_ecs.normalize.compiling.shared import VENDOR, Shared, shared_objects
from cloudfront_ecs.normalize.documents import ecs
from cloudfront_ecs.normalize.documents.object import Object
from cloudfront_ecs.normalize.identity import TIME_PREFIX
from cloudfront_ecs.normalize.layouts import rows_by_column
from cloudfront_ecs.normalize.memo import Memo
from cloudfront_ecs.normalize.values import convert
from cloudfront_ecs.resources import logs_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cloudfront_ecs.batches import Layout

PAYLOAD = (
    "created", "created_ns", "data_stream", "cloud", "log", "s3", "distribution_id", "stream",
    "shard", "tags", "labels",
)  # fmt: skip
"""What a payload has for all its documents: variables ``k_…``, see ``payload_constants``."""


class Completion(NamedTuple):
    """A transform that only completes one part of a document, the same way for equal parts.

    Attributes:
        path: The part, such as ``user_agent``.
        complete: Returns the completed part.
    """

    path: str
    complete: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Line:
    """A statement of the function: its code and the variables it sets."""

    gives: tuple[str, ...]
    code: str


class Node(NamedTuple):
    """A field or object of the document.

    Attributes:
        path: Its dotted name, empty for the document itself.
        key: Its own name in JSON.
        hint: The type of its value.
        struct: The class of an object that is made here; None for a field, and for an
            object that a variable holds.
    """

    path: str
    key: str
    hint: Any
    struct: type[Any] | None


def undated() -> NoReturn:
    """Refuse a record without a time."""
    raise convert.UndatedError("no time")


def unique(first: str | None, second: str | None, rest: list[str] | None) -> list[str] | None:
    """Return the addresses in order, without repeats."""
    found = dict.fromkeys(address for address in (first, second, *(rest or ())) if address)
    return list(found) or None


_COLUMN = re.compile(r"\{([^{}]+)\}")
_DOT = re.compile(r"\.")
_WORD = re.compile(r"[A-Za-z_]\w*")
CONVERSIONS = (
    "unknown",
    "integer", "percent", "unquote_once", "epoch_seconds", "epoch_milliseconds", "instant",
    "headers", "quoted", "quoted_integer", "quoted_number", "flag", "port",
    "serial_number", "headers_named", "decoded", "request_flags",
)  # fmt: skip
MEMOS = (
    "address", "host", "status", "http_version", "media_type", "moment", "ip_version", "domain",
    "path", "duration", "forwarded", "seconds", "verdict", "site", "domains",
    "path_flags", "bot_class", "referrer_domain",
    "event_time", "milliseconds", "connection_status", "tls_version", "validity",
    "header_names", "date", "time", "epoch_seconds",
)  # fmt: skip

_BUILT_WHOLE = ("tls.", "user_agent.", "observer.", "related.hosts", "source.geo.", "client.geo.",
                "source.as.", "client.as.")  # fmt: skip
"""Objects that ``shared`` makes, once for each combination of values."""


class Plan:
    """How the documents of one layout are made.

    Attributes:
        lines: The statements, in order; each variable is set once.
        fields: The expression of each field.
        objects: The variable of each object that is shared between documents.
        scope: What the code refers to, but for columns and payload constants.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        messages: bool = False,
        original: bool = False,
        completions: tuple[Completion, ...] = (),
        dated: bool = True,
    ) -> None:
        """Choose statements and fields.

        Args:
            layout: The columns.
            messages: Whether records come from a stream and carry sequence numbers.
            original: Whether ``event.original`` keeps the line.
            completions: What completes shared objects when they are made.
            dated: Whether the columns make a document; else some of its fields only.

        Raises:
            UndatedError: No column of the layout tells the time.
        """
        self.layout, self.messages, self.original = layout, messages, original
        self.known = rows_by_column(layout.log)
        self.lines: list[Line] = []
        self.variables: set[str] = set()
        self.fields: dict[str, str] = {}
        self.objects: dict[str, str] = {}
        self.scope = _scope()
        self._choose_statements()
        if dated and "end" not in self.variables:
            raise convert.UndatedError("no column tells the time")
        if dated:
            self._line("ident", "ident = TIME_PREFIX[end_ns // 1000000000] + key")
            self.fields["event.id"] = "ident"
        self._plain_columns()
        self._constant_fields()
        self._share_objects(dict(completions))
        filled = (*self.fields, *self.objects)
        self._above = {path[: at.start()] for path in filled for at in _DOT.finditer(path)}

    def raw(self, column: str) -> str:
        """Return the variable that holds the text of *column*."""
        return f"v{self.layout.columns.index(column)}"

    def nodes(self, struct: type[Any], prefix: str = "") -> Iterator[Node]:
        """Yield the fields and objects of *struct* that the layout can fill, in order."""
        for key, hint, nested in _MEMBERS[struct]:
            path = f"{prefix}{key}"
            if path in self.objects or path in self.fields:
                yield Node(path, key, hint, None)
            elif nested is not None and path in self._above:
                yield Node(path, key, hint, nested)

    def expression(self, path: str) -> str:
        """Return the code that gives a field or a shared object."""
        return self.objects.get(path) or self.fields[path]

    def lines_for(self, code: Sequence[str]) -> list[str]:
        """Return the statements that *code* depends on, in order."""
        wanted = words(" ".join(code))
        lines: list[str] = []
        for line in reversed(self.lines):
            if wanted.intersection(line.gives):
                wanted |= words(line.code)
                lines.insert(0, line.code)
        return lines

    def _line(self, gives: str, code: str) -> None:
        names = tuple(gives.split())
        self.lines.append(Line(names, code))
        self.variables.update(names)

    def _choose_statements(self) -> None:
        columns = self.known.keys() & set(self.layout.columns)
        for statement in STATEMENTS:
            if self.layout.log not in logs_named(statement.log):
                continue
            if self.variables.issuperset(statement.gives):
                continue
            if all(need in columns or need in self.variables for need in statement.needs):
                code = _COLUMN.sub(self._column, statement.code)
                self._line(" ".join(statement.gives), code)
        self.fields = {name: value for name, value in FIELDS.items() if value in self.variables}

    def _column(self, match: re.Match[str]) -> str:
        return self.raw(match[1]) if match[1] in self.known else match[0]

    def _plain_columns(self) -> None:
        """Give every field that has no recipe the converted text of its column."""
        other = []
        for column in self.layout.columns:
            row = self.known.get(column)
            if row is None:
                other.append(column)
            elif row.conversion not in COMPOSED:
                names = [name for name, _ in row.targets if name not in FIELDS]
                self._plain(column, row.conversion, names)
        if other:
            pairs = ", ".join(f"({_literal(name)}, {self.raw(name)})" for name in other)
            self._line(
                "other", f"other = {{n: w for n, v in ({pairs},) if (w := c_unknown(v))}} or None"
            )
            self.fields["aws.cloudfront.other"] = "other"

    def _plain(self, column: str, conversion: str, names: list[str]) -> None:
        wanted = [name for name in names if not name.startswith(_BUILT_WHOLE)]
        if not wanted:
            return
        raw = self.raw(column)
        pattern = PLAIN.get(conversion, f"c_{conversion}({{0}})")
        variable = f"x{raw[1:]}"
        self._line(variable, f"{variable} = {pattern.format(raw)}")
        for name in wanted:
            before = self.fields.get(name)
            self.fields[name] = f"({before} or {variable})" if before else variable

    def _constant_fields(self) -> None:
        given = self.fields.get("aws.cloudfront.distribution_id")
        self._line(
            "distribution", f"distribution = {f'{given} or ' if given else ''}k_distribution_id"
        )
        for name, value in CONSTANTS[self.layout.log].items():
            if name not in self.fields:
                constant = f"K_{name.replace('.', '_')}"
                self.scope[constant] = value
                self.fields[name] = constant
        if "types" in self.variables:
            self.fields["event.type"] = "types"
        if self.layout.sampling_rate:
            self.fields["aws.cloudfront.sampling_rate"] = repr(self.layout.sampling_rate)
            self.fields["aws.cloudfront.sampling_weight"] = repr(100 / self.layout.sampling_rate)
        self.fields |= {
            "tags": "k_tags",
            "labels": "k_labels",
            "aws.cloudfront.distribution_id": "distribution",
            "event.kind": "'event'",
            "event.module": "'cloudfront'",
            "event.dataset": f"'cloudfront.{self.layout.log}'",
            "event.provider": "'cloudfront.amazonaws.com'",
            "event.created": "k_created",
        }
        if self.original:
            self.fields["event.original"] = "line"
        if self.messages:
            self.fields |= {
                "aws.kinesis.stream": "k_stream",
                "aws.kinesis.shard_id": "k_shard",
                "aws.kinesis.sequence_number": "position",
            }

    def _share_objects(self, completions: dict[str, Callable[[Any], Any]]) -> None:
        objects = shared_objects(self.layout, has_server_address="s_ip" in self.variables)
        if "observer" not in objects:
            self.fields |= {f"observer.{name}": repr(value) for name, value in VENDOR.items()}
            if "observed" in self.variables:
                self.fields["observer.ip"] = "observed"
            if "x-edge-location" in self.layout.columns:
                self._line(
                    "location", f"location = {PLAIN['text'].format(self.raw('x-edge-location'))}"
                )
                self.fields["observer.name"] = "location"
        for path, shared in objects.items():
            self.objects[path] = shared.variable
            if shared.make is not None:
                self._share(shared, completions.get(path))

    def _share(self, shared: Shared, complete: Callable[[Any], Any] | None) -> None:
        """Write the line that finds a shared object by the texts of its columns."""
        assert shared.make is not None
        memo = f"o_{shared.variable}"
        self.scope[memo] = Memo(_completed(shared.make, complete))
        times = [column for column in convert.ONCE_SINCE if column in self.layout.columns]
        if shared.older is not None and times:
            self.scope[f"{memo}_older"] = Memo(_completed(shared.older, complete))
            newer = " or ".join(f"{self.raw(at)} >= {convert.ONCE_SINCE[at]!r}" for at in times)
            memo = f"({memo} if {newer} else {memo}_older)"
        if len(shared.columns) == 1:
            key = self.raw(shared.columns[0])
        else:
            key = 'f"' + "\\t".join(f"{{{self.raw(column)}}}" for column in shared.columns) + '"'
        self._line(shared.variable, f"{shared.variable} = {memo}[{key}]")


def _members(struct: type[Any]) -> tuple[tuple[str, Any, type[Any] | None], ...]:
    """Return name in JSON, type and class of object of each field of *struct*."""
    hints = get_type_hints(struct)
    return tuple(
        (item.encode_name, hints[item.name], _nested(hints[item.name]))
        for item in msgspec.structs.fields(struct)
    )


_MEMBERS = Memo[type[Any], tuple[tuple[str, Any, type[Any] | None], ...]](_members)


def _literal(name: str) -> str:
    """Return a column's name as code that has none of its words: it may be called ``v7``."""
    return "'" + "".join(f"\\U{ord(character):08x}" for character in name) + "'"


def words(code: str) -> set[str]:
    """Return the names that *code* refers to."""
    return set(_WORD.findall(code))


def _completed(make: Callable[[str], Any], complete: Callable[[Any], Any] | None) -> Any:
    if complete is None:
        return make

    def completed(key: str) -> Any:
        part = make(key)
        return part if part is None else complete(part)

    return completed


def _nested(hint: Any) -> type[Any] | None:
    for part in (hint, *get_args(hint)):
        if isinstance(part, type) and issubclass(part, Object):
            return part
    return None


def _scope() -> dict[str, Any]:
    scope: dict[str, Any] = {f"c_{name}": getattr(convert, name) for name in CONVERSIONS}
    scope |= {f"m_{name}": Memo(getattr(convert, name)) for name in MEMOS}
    scope |= {
        "c_unique": unique,
        "undated": undated,
        "TIME_PREFIX": TIME_PREFIX,
        "SECOND": convert.SECOND,
        "FRACTION": convert.FRACTION,
        "Document": Document,
        "ECS": ecs.Ecs("9.4.0"),
    }
    return scope
