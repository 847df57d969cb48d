"""The compiler: one straight-line conversion function for each layout, made once.

The hot loop has no branch on configuration and no look-up by column name; what a layout
lacks is not in its function.  A record that raises is left to the careful path of
``normalizer``, so the function itself never has to be lenient.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn, get_args, get_type_hints

import msgspec

from cloudfront_ecs.batches import Document
from cloudfront_ecs.normalize import convert, ecs
from cloudfront_ecs.normalize.identity import TIME_PREFIX
from cloudfront_ecs.normalize.layouts import rows_by_column
from cloudfront_ecs.normalize.memo import Memo
from cloudfront_ecs.normalize.object import Object
from cloudfront_ecs.normalize.recipes import COMPOSED, CONSTANTS, FIELDS, PLAIN, STATEMENTS
from cloudfront_ecs.normalize.shared import VENDOR, Shared, shared_objects
from cloudfront_ecs.resources import logs_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudfront_ecs.batches import Layout


@dataclass(frozen=True, slots=True)
class Compiled:
    """The conversion of one layout.

    Attributes:
        run: ``(rows, lines, keys, positions, constants, failed)`` to documents; *failed*
            is called with the index and the exception of a record that raised, and None
            stands in its place.
        source: The text of the function, for people and for tests.
    """

    run: Callable[..., list[Document | None]]
    source: str


@lru_cache(maxsize=64)
def compiled(layout: Layout, *, messages: bool, original: bool) -> Compiled:
    """Return the conversion of *layout*.

    Args:
        layout: The columns.
        messages: Whether records come from a stream and carry sequence numbers.
        original: Whether ``event.original`` keeps the line.

    Raises:
        UndatedError: No column of the layout tells the time.
    """
    writer = _Writer(layout, messages=messages, original=original)
    source = writer.function()
    # The text is made from the field table and this package alone; column names of the
    # input only ever become numbered variables.
    scope = dict(writer.scope)
    exec(compile(source, f"<layout of {len(layout.columns)} columns>", "exec"), scope)  # noqa: S102
    return Compiled(scope["run"], source)


def undated() -> NoReturn:
    """Refuse a record without a time."""
    raise convert.UndatedError("no time")


def unique(first: str | None, second: str | None, rest: list[str] | None) -> list[str] | None:
    """Return the addresses in order, without repeats."""
    found = dict.fromkeys(address for address in (first, second, *(rest or ())) if address)
    return list(found) or None


_COLUMN = re.compile(r"\{([^{}]+)\}")
_CONVERSIONS = {
    name: getattr(convert, name)
    for name in (
        "integer", "percent", "unquote_once", "epoch_seconds", "epoch_milliseconds", "instant",
        "headers", "header_names", "quoted", "quoted_integer", "quoted_number", "flag", "port",
    )
}  # fmt: skip
_MEMOS = (
    "address", "host", "status", "http_version", "media_type", "moment", "ip_version", "domain",
    "path", "duration", "forwarded", "seconds",
)  # fmt: skip


def _scope() -> dict[str, Any]:
    scope: dict[str, Any] = {f"c_{name}": function for name, function in _CONVERSIONS.items()}
    scope |= {f"m_{name}": Memo(getattr(convert, name)) for name in _MEMOS}
    scope |= {
        "c_unique": unique,
        "undated": undated,
        "TIME_PREFIX": TIME_PREFIX,
        "SECOND": convert.SECOND,
        "FRACTION": convert.FRACTION,
        "Document": Document,
        "TYPES_ACCESS": ["access"],
        "TYPES_ERROR": ["access", "error"],
        "ECS": ecs.Ecs("9.4.0"),
    }
    return scope


class _Writer:
    """Writes the function of one layout; statements in order, each variable set once."""

    def __init__(self, layout: Layout, *, messages: bool, original: bool) -> None:
        self.layout, self.messages, self.original = layout, messages, original
        self.scope = _scope()
        self.lines: list[str] = []
        self.variables: set[str] = set()
        self.fields: dict[str, str] = {}
        self.objects: dict[str, Shared] = {}
        self.constructed: dict[str, str] = {}

    def function(self) -> str:
        """Return the text of the whole function."""
        self._statements()
        if "end" not in self.variables:
            raise convert.UndatedError("no column tells the time")
        self._plain_columns()
        self._constant_fields()
        self._shared_objects()
        body = self._object(ecs.EcsDocument, "")
        unpack = ", ".join(f"v{i}" for i in range(len(self.layout.columns)))
        row = f"({unpack},) = row" if self.layout.columns else "pass"
        indented = "\n".join(f"            {line}" for line in self.lines)
        dataset = f"cloudfront.{self.layout.log}"
        used = {"row": "rows", "key": "keys"}
        used |= {"line": "lines"} if self.original else {}
        used |= {"position": "positions"} if self.messages else {}
        return (
            "def run(rows, lines, keys, positions, k, failed):\n"
            "    documents = []\n    append = documents.append\n"
            "    k_created = k.created; k_data_stream = k.data_stream; k_cloud = k.cloud\n"
            "    k_log = k.log; k_s3 = k.s3; k_distribution = k.distribution_id\n"
            "    k_stream = k.stream; k_shard = k.shard; k_tags = k.tags; k_labels = k.labels\n"
            f"    for {', '.join(used)} in zip({', '.join(used.values())}):\n"
            "        try:\n"
            f"            {row}\n{indented}\n"
            f"            append(Document(ident, {dataset!r}, end_ns, {body}))\n"
            "        except Exception as error:\n"
            "            failed(len(documents), error)\n"
            "            append(None)\n"
            "    return documents\n"
        )

    def _raw(self, column: str) -> str:
        return f"v{self.layout.columns.index(column)}"

    def _statements(self) -> None:
        columns = rows_by_column(self.layout.log).keys() & set(self.layout.columns)
        for statement in STATEMENTS:
            if self.layout.log not in logs_named(statement.log):
                continue
            if self.variables.issuperset(statement.gives):
                continue
            if not all(need in columns or need in self.variables for need in statement.needs):
                continue
            self.lines.extend(_COLUMN.sub(self._column, statement.code).split("; "))
            self.variables.update(statement.gives)
        self.lines.append("ident = TIME_PREFIX[end_ns // 1000000000] + key")
        self.fields = {name: value for name, value in FIELDS.items() if value in self.variables}

    def _column(self, match: re.Match[str]) -> str:
        known = match[1] in rows_by_column(self.layout.log)
        return self._raw(match[1]) if known else match[0]

    def _plain_columns(self) -> None:
        """Give every field that has no recipe the converted text of its column."""
        known = rows_by_column(self.layout.log)
        other = []
        for column in self.layout.columns:
            row = known.get(column)
            if row is None:
                other.append(column)
            elif row.conversion not in COMPOSED:
                names = [name for name, _ in row.targets if name not in FIELDS]
                self._plain(column, row.conversion, names)
        if other:
            pairs = ", ".join(f"({name!r}, {self._raw(name)})" for name in other)
            self.lines.append(f"other = {{n: v for n, v in ({pairs},) if v != '-' and v}} or None")
            self.fields["aws.cloudfront.other"] = "other"

    def _plain(self, column: str, conversion: str, names: list[str]) -> None:
        wanted = [name for name in names if not name.startswith(_BUILT_WHOLE)]
        if not wanted:
            return
        raw = self._raw(column)
        pattern = PLAIN.get(conversion, f"c_{conversion}({{0}})")
        variable = f"x{raw[1:]}"
        self.lines.append(f"{variable} = {pattern.format(raw)}")
        for name in wanted:
            before = self.fields.get(name)
            self.fields[name] = f"({before} or {variable})" if before else variable

    def _constant_fields(self) -> None:
        given = self.fields.get("aws.cloudfront.distribution_id")
        self.lines.append(f"distribution = {f'{given} or ' if given else ''}k_distribution")
        for name, value in CONSTANTS[self.layout.log].items():
            if name not in self.fields:
                self.scope[f"K_{name.replace('.', '_')}"] = value
                self.fields[name] = f"K_{name.replace('.', '_')}"
        if "types" in self.variables:
            self.fields["event.type"] = "types"
        if self.layout.sampling_rate:
            self.fields["aws.cloudfront.sampling_rate"] = repr(self.layout.sampling_rate)
            self.fields["aws.cloudfront.sampling_weight"] = repr(100 / self.layout.sampling_rate)
        self.fields |= {
            "tags": "k_tags",
            "labels": "k_labels",
            "aws.cloudfront.distribution_id": "distribution",
            "event.id": "ident",
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

    def _shared_objects(self) -> None:
        self.objects = shared_objects(self.layout, has_server_address="s_ip" in self.variables)
        if "observer" not in self.objects:
            self.fields |= {f"observer.{name}": repr(value) for name, value in VENDOR.items()}
            self.fields["observer.ip"] = "observed" if "observed" in self.variables else "None"
            if "x-edge-location" in self.layout.columns:
                raw = self._raw("x-edge-location")
                self.lines.append(f"location = {PLAIN['text'].format(raw)}")
                self.fields["observer.name"] = "location"
        for shared in self.objects.values():
            if shared.memo is not None:
                self.scope[f"o_{shared.variable}"] = shared.memo
                key = "\\t".join(f"{{{self._raw(column)}}}" for column in shared.columns)
                memo = f"o_{shared.variable}"
                if shared.older is not None and "date" in self.layout.columns:
                    self.scope[f"{memo}_older"] = shared.older
                    day = f"{self._raw('date')} >= {convert.ONCE_SINCE!r}"
                    memo = f"({memo} if {day} else {memo}_older)"
                if len(shared.columns) == 1:
                    self.lines.append(f"{shared.variable} = {memo}[{self._raw(shared.columns[0])}]")
                else:
                    self.lines.append(f'{shared.variable} = {memo}[f"{key}"]')

    def _object(self, struct: type[Any], prefix: str) -> str:
        """Return the expression for an object, after writing those it holds."""
        arguments: list[str] = []
        certain = struct is ecs.EcsDocument
        hints = get_type_hints(struct)
        for item in msgspec.structs.fields(struct):
            path = f"{prefix}{item.encode_name}"
            nested = _nested(hints[item.name])
            if path in self.objects:
                arguments.append(self.objects[path].variable)
            elif nested is not None:
                arguments.append(self._object(nested, f"{path}."))
            else:
                arguments.append(self.fields.get(path, "None"))
            certain = certain or arguments[-1] in _CERTAIN or arguments[-1][0] == "'"
        while arguments and arguments[-1] == "None":
            arguments.pop()
        if not arguments:
            return "None"
        self.scope[struct.__name__] = struct
        call = f"{struct.__name__}({', '.join(arguments)})"
        if struct is ecs.EcsDocument:
            return call
        if not certain:
            there = dict.fromkeys(a for a in arguments if a != "None")
            call += f" if {' or '.join(f'{a} is not None' for a in there)} else None"
        if call in self.constructed:
            return self.constructed[call]
        variable = f"n_{prefix.rstrip('.').replace('.', '_')}"
        self.lines.append(f"{variable} = {call}")
        self.constructed[call] = variable
        return variable


_BUILT_WHOLE = ("tls.", "user_agent.", "observer.", "related.hosts", "source.geo.", "client.geo.",
                "source.as.", "client.as.")  # fmt: skip
"""Objects that ``shared`` makes, once for each combination of values."""

_CERTAIN = frozenset({"ECS", "k_data_stream", "k_cloud", "end", "ident", "k_stream"})


def _nested(hint: Any) -> type[Any] | None:
    for part in (hint, *get_args(hint)):
        if isinstance(part, type) and issubclass(part, Object):
            return part
    return None
