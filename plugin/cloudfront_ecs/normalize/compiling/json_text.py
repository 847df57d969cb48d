"""Documents as JSON text, written piece by piece: what repeats is written once.

Most of an access document depends on a few columns with few values: the edge location, the
hosts, the TLS pair, the status and result types, the user agent.  For each such group of
columns the text is made once for each combination of values, by the same statements as the
typed objects of ``compile``, and then only looked up.  What is left for each record are its
own values: times, sizes, the path, the request id.

The text is that of the typed document, byte for byte.  Only usual records are written this
way; one that lacks what every usual record has, or holds what JSON must escape, raises, and
is made the other way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.normalize.compiling.compile import (
    defined,
    payload_constants,
    unpacked,
    values_of,
)
from cloudfront_ecs.normalize.compiling.json_pieces import CONSTANT, Pieces, UnusualError, span_text
from cloudfront_ecs.normalize.compiling.plan import CONVERSIONS, MEMOS, Plan
from cloudfront_ecs.normalize.memo import Memo
from cloudfront_ecs.normalize.values import convert

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudfront_ecs.batches import Document, Layout
    from cloudfront_ecs.normalize.compiling.json_pieces import Span
    from cloudfront_ecs.normalize.compiling.payload_constants import Constants
    from cloudfront_ecs.normalize.compiling.plan import Completion

GROUPS = (
    ("cs-protocol", "ssl-protocol", "ssl-cipher", "cs-protocol-version"),
    (
        "sc-status", "cs-method", "x-edge-result-type", "x-edge-response-result-type",
        "x-edge-detailed-result-type", "fle-status", "fle-encrypted-fields", "sc-content-type",
        "sr-reason",
    ),
    ("x-edge-location", "cs(Host)", "x-host-header", "cs-host", "primary-distribution-id",
     "primary-distribution-dns-name", "r-host", "distribution-tenant-id"),
    ("c-ip", "s-ip", "x-forwarded-for", "c-ip-version", "c-country", "asn"),
    ("cs(User-Agent)", "date"),
    ("cs-user-agent",),
    ("cs(Referer)",),
    ("cs-referer",),
    ("cs-accept", "cs-accept-encoding", "cache-behavior-path-pattern"),
    ("cs-header-names", "cs-headers-count"),
    ("sc-range-start", "sc-range-end"),
)  # fmt: skip
"""Columns with few combinations of values; a field is written with the first that has all
the columns it depends on."""

_MOST_TEXTS = 4096
"""How many combinations of a group are remembered: some 3 MB at worst."""


@dataclass(frozen=True, slots=True)
class Written:
    """How documents of one layout are written.

    Attributes:
        run: ``(rows, lines, keys, positions, texts, constants, page, failed)`` to documents
            that hold their text; *failed* as for ``Compiled``.
        constants: The texts of what a payload has for all its documents.
        source: The text of the function, for people and for tests.
    """

    run: Callable[..., list[Document | None]]
    constants: Callable[[Constants], tuple[str, ...]]
    source: str


@lru_cache(maxsize=64)
def written(
    layout: Layout,
    *,
    messages: bool,
    original: bool,
    completions: tuple[Completion, ...] = (),
) -> Written:
    """Return how documents of *layout* are written; arguments as for ``compiled``.

    Raises:
        UndatedError: No column of the layout tells the time.
    """
    plan = Plan(layout, messages=messages, original=original, completions=completions)
    pieces = Pieces(plan, GROUPS)
    scope = plan.scope | _escaping_scope()
    lookups: list[str] = []
    for group, spans in pieces.spans.items():
        if isinstance(group, int):
            columns = tuple(column for column in layout.columns if column in GROUPS[group])
            texts = _Texts(plan, columns, spans, completions)
            scope[f"G{group}"] = Memo(texts.one if len(spans) == 1 else texts.all, _MOST_TEXTS)
            lookups.append(f"{_names(group, spans)} = G{group}[{_key(plan, columns)}]")
    constants = pieces.spans[CONSTANT]
    lines = plan.lines_for((*pieces.lines, pieces.text, "ident end_ns")) + lookups + pieces.lines
    indented = "\n".join(f"            {line}" for line in lines)
    used = {"index": "range(len(keys))", "row": "rows", "key": "keys"}
    used |= {"line": "lines"} if original else {}
    used |= {"position": "positions"} if messages else {}
    escaped = "            line = c_escaped(line)\n" if original else ""
    source = (
        "def run(rows, lines, keys, positions, texts, k, page, failed):\n"
        "    documents = []\n    append = documents.append\n"
        f"    {payload_constants(lines)}\n"
        f"    [{_names(CONSTANT, constants)}] = texts\n"
        f"    for {', '.join(used)} in zip({', '.join(used.values())}):\n"
        "        try:\n"
        f"            {unpacked(layout)} = row\n{escaped}{indented}\n"
        f"            append(Document(ident, {f'cloudfront.{layout.log}'!r}, end_ns, None,\n"
        f"                {pieces.text}, page, index))\n"
        "        except Exception as error:\n"
        "            failed(index, error)\n"
        "            append(None)\n"
        "    return documents\n"
    )
    scope["unusual"] = _unusual
    payload = _Texts(plan, (), constants, completions)
    return Written(
        defined(source, "run", scope),
        lambda shared: payload.of([], shared),
        source,
    )


class _Texts:
    """Makes the texts of one group of columns."""

    def __init__(
        self,
        plan: Plan,
        columns: tuple[str, ...],
        spans: Sequence[Span],
        completions: tuple[Completion, ...],
    ) -> None:
        self._width = len(columns)
        self._spans = spans
        paths = [piece.path for span in spans for piece in span.pieces if piece.path]
        layout = replace(plan.layout, columns=columns)
        self._values = values_of(layout, paths, completions, messages=plan.messages)

    def all(self, key: str) -> tuple[str, ...]:
        """Return the text of each span for the column texts in *key*."""
        row = key.split("\t")
        if len(row) != self._width:
            raise UnusualError
        return self.of(row, None)

    def one(self, key: str) -> str:
        """Return the text of the only span."""
        return self.all(key)[0]

    def of(self, row: list[str], shared: Constants | None) -> tuple[str, ...]:
        """Return the text of each span."""
        values = iter(self._values(row, shared))
        return tuple(span_text(span, values) for span in self._spans)


def _names(owner: str | int, spans: Sequence[Span]) -> str:
    return ", ".join(f"g{owner}_{number}" for number in range(len(spans)))


def _key(plan: Plan, columns: Sequence[str]) -> str:
    """Return the expression of a group's key: the texts of its columns, apart by tabs.

    Of a column that tells the time only counts whether user agents were encoded once or twice.
    """
    parts = [
        "{'9' if " + plan.raw(column) + f" >= {convert.ONCE_SINCE[column]!r} else '0'}}"
        if column in convert.ONCE_SINCE
        else f"{{{plan.raw(column)}}}"
        for column in columns
    ]
    return plan.raw(columns[0]) if len(columns) == 1 else 'f"' + "\\t".join(parts) + '"'


def _unusual() -> None:
    """Leave a record to the other way of making documents."""
    raise UnusualError


def _escaping_scope() -> dict[str, Any]:
    """Return the conversions, with results as they stand in JSON: between the quotes."""
    scope: dict[str, Any] = {f"c_{name}": _escaping(name) for name in CONVERSIONS}
    scope |= {f"m_{name}": Memo(_escaping(name)) for name in MEMOS}
    return scope | {"c_escaped": escaped, "c_json": _json}


_NOTHING_TO_ESCAPE = frozenset(
    {
        "address", "date", "duration", "epoch_milliseconds", "epoch_seconds", "flag", "forwarded",
        "header_names", "headers", "headers_named", "http_version", "instant", "integer",
        "ip_version", "moment", "path_flags", "port", "quoted_integer", "request_flags", "status",
        "time", "unknown",
    }
)  # fmt: skip
"""Conversions whose texts are made here, or that give numbers, lists or objects."""


def _escaping(name: str) -> Callable[..., Any]:
    conversion: Callable[..., Any] = getattr(convert, name)
    if name in _NOTHING_TO_ESCAPE:
        return conversion

    def convert_and_escape(*values: str) -> Any:
        return escaped(conversion(*values))

    return convert_and_escape


_encode = msgspec.json.Encoder().encode


def escaped(value: Any) -> Any:
    """Return a value as it stands in JSON: texts without their quotes, fractions as texts.

    Lists and objects stay what they are; statements may still look into them.
    """
    if isinstance(value, str):
        return _encode(value)[1:-1].decode()
    if isinstance(value, tuple):
        return tuple(map(escaped, value))
    return _encode(value).decode() if isinstance(value, float) else value


def _json(value: Any) -> str:
    """Return the JSON of a list or an object."""
    return _encode(value).decode()
