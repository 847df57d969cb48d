"""The pieces of a document's JSON text: which of them depend on which columns."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import msgspec

from cloudfront_ecs.normalize.compiling.compile import values_of
from cloudfront_ecs.normalize.compiling.plan import words
from cloudfront_ecs.normalize.documents import ecs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudfront_ecs.batches import Layout
    from cloudfront_ecs.normalize.compiling.plan import Node, Plan

CONSTANT = "k"
"""Owner of pieces that are the same in all documents of a payload; groups are numbers."""

OWN = "*"
"""Owner of pieces that each record has for itself."""

FIXED = ""
"""Owner of text that is the same in all documents of a layout."""

USUAL = frozenset(
    {
        "@timestamp", "event.created", "source.address", "client.address", "related.ip",
        "destination.address", "server.address", "url.domain", "url.original",
        "http.request.method", "http.response.bytes", "http.response.status_code",
        "network.transport", "network.type", "aws.cloudfront.bot_class",
        "aws.cloudfront.edge_result_type", "aws.cloudfront.edge_location",
    }
)  # fmt: skip
"""Fields that a usual record has.  Where one opens its object, no comma is in question."""

_NEVER_ABSENT = frozenset({"ident", "end", "k_created", "ECS", "k_data_stream", "k_cloud"})


_MOST_PARTS = 16
"""Parts of one formatted text, values and fixed texts counted together.  With more than 30
on its stack, CPython 3.11 puts them into a list first."""


class UnusualError(Exception):
    """The record is not one of the usual kind."""


class Piece(NamedTuple):
    """Fixed text, or a field or object.

    Attributes:
        owner: ``FIXED``, or whom it depends on: ``CONSTANT``, ``OWN`` or a group's number.
        text: Fixed text; for ``OWN`` the code of the text; for others the name of the
            field with quotes and colon, and a comma before it where others precede it.
        path: The dotted name of the field or object, empty for fixed and own text.
    """

    owner: str | int
    text: str
    path: str = ""


class Span(NamedTuple):
    """Neighbouring pieces of one owner, with the fixed text between and after them."""

    owner: str | int
    pieces: tuple[Piece, ...]


def span_text(span: Span, values: Iterator[Any]) -> str:
    """Return the text of *span*, taking the values of its fields in order.

    Raises:
        UnusualError: A field is absent that every usual record has.
    """
    text = ""
    for piece in span.pieces:
        if not piece.path:
            text += piece.text
            continue
        value = next(values)
        if value is not None:
            text += piece.text + _encode(value).decode()
        elif piece.text[0] != ",":
            raise UnusualError
    return text


_encode = msgspec.json.Encoder().encode


class Pieces:
    """Cuts the document of a plan into pieces.

    Attributes:
        lines: The statements that make the pieces that records have for themselves.
        text: The expression of the whole document's text.
        spans: The spans of each group of columns, and of the payload, in order; span
            number 1 of group 3 is the variable ``g3_1``, of the payload ``gk_1``.
    """

    def __init__(self, plan: Plan, groups: Sequence[Sequence[str]]) -> None:
        """Cut; *groups* are the columns that are looked up together."""
        self._plan = plan
        self._groups = groups
        self._depends: dict[str, frozenset[str]] = {}
        self._variables: dict[str, str] = {}
        self.lines: list[str] = []
        self.spans: dict[str | int, list[Span]] = {CONSTANT: []}
        self._follow_dependencies()
        members = self._members(ecs.EcsDocument, "", opened=True)
        self.text = self._expression([_fixed("{"), *members, _fixed("}")])

    def _follow_dependencies(self) -> None:
        for line in self._plan.lines:
            needs = self._needs(line.code)
            for name in line.gives:
                self._depends[name] = needs | self._depends.get(name, frozenset())

    def _needs(self, code: str) -> frozenset[str]:
        """Return the columns that *code* depends on, ``CONSTANT`` and ``OWN`` among them."""
        needs: set[str] = set()
        for word in words(code):
            if re.fullmatch(r"v\d+", word):
                needs.add(self._plan.layout.columns[int(word[1:])])
            elif word.startswith("k_"):
                needs.add(CONSTANT)
            elif word in ("line", "position", "key"):
                needs.add(OWN)
            else:
                needs |= self._depends.get(word, frozenset())
        return frozenset(needs)

    def _owner(self, needs: frozenset[str]) -> str | int:
        if needs <= {CONSTANT}:
            return CONSTANT
        for number, group in enumerate(self._groups):
            if needs <= set(group):
                return number
        return OWN

    def _node_needs(self, node: Node) -> frozenset[str]:
        if node.struct is None:
            return self._needs(self._plan.expression(node.path))
        inner = self._plan.nodes(node.struct, f"{node.path}.")
        return frozenset[str]().union(*map(self._node_needs, inner))

    def _members(self, struct: type[Any], prefix: str, *, opened: bool) -> Iterator[Piece]:
        """Yield the pieces of an object's members; the first has no comma if *opened*."""
        for number, node in enumerate(self._nodes(struct, prefix)):
            comma = "" if opened and number == 0 else ","
            needs = self._node_needs(node)
            owner = self._owner(needs)
            if not needs:
                value = self._fixed_value(node.path)
                yield _fixed(f'{comma}"{node.key}":{_encode(value).decode()}')
            elif owner != OWN:
                yield Piece(owner, f'{comma}"{node.key}":', node.path)
            elif node.struct is None:
                yield from self._own_field(node, comma)
            elif self._opens(node.struct, f"{node.path}."):
                yield _fixed(f'{comma}"{node.key}":{{')
                yield from self._members(node.struct, f"{node.path}.", opened=True)
                yield _fixed("}")
            else:
                yield self._perhaps_empty(node)

    def _nodes(self, struct: type[Any], prefix: str) -> Iterator[Node]:
        """Yield the members of an object but those that no document of the layout has."""
        for node in self._plan.nodes(struct, prefix):
            if self._node_needs(node) or self._fixed_value(node.path) is not None:
                yield node

    def _fixed_value(self, path: str) -> Any:
        """Return the value of a field or object that depends on nothing."""
        return _fixed_value(replace(self._plan.layout, columns=()), path)

    def _opens(self, struct: type[Any], prefix: str) -> bool:
        """Say whether the first member of an object is always there in usual records."""
        first = next(self._nodes(struct, prefix))
        if first.struct is not None:
            mixed = self._owner(self._node_needs(first)) == OWN
            return mixed and self._opens(first.struct, f"{first.path}.")
        expression = self._plan.expression(first.path)
        return first.path in USUAL or expression in _NEVER_ABSENT or expression[0] == "'"

    def _own_field(self, node: Node, comma: str) -> Iterator[Piece]:
        expression = self._plan.expression(node.path)
        value = self._variable(expression)
        quote, code = _shown(node.hint, value)
        if expression in _NEVER_ABSENT or not comma:
            if expression not in _NEVER_ABSENT:
                self.lines.append(f"if {value} is None: unusual()")
            yield _fixed(f'{comma}"{node.key}":{quote}')
            yield Piece(OWN, code)
            if quote:
                yield _fixed(quote)
            return
        text = f'{comma}"{node.key}":{quote}{{{code}}}{quote}'
        yield Piece(OWN, self._variable(f"f'{text}' if {value} is not None else ''"))

    def _perhaps_empty(self, node: Node) -> Piece:
        """Write an object of which nobody knows whether it has members."""
        assert node.struct is not None
        members = [*self._members(node.struct, f"{node.path}.", opened=False)]
        one_field = len(members) == 1 and members[0].owner == OWN
        inner = members[0].text if one_field else self._variable(self._expression(members))
        text = f"f',\"{node.key}\":{{{{{{{inner}[1:]}}}}}}' if {inner} else ''"
        return Piece(OWN, self._variable(text))

    def _variable(self, expression: str) -> str:
        """Return a variable with the value of *expression*, made once."""
        if expression.isidentifier():
            return expression
        if expression not in self._variables:
            variable = f"p{len(self._variables)}"
            self._variables[expression] = variable
            self.lines.append(f"{variable} = {expression}")
        return self._variables[expression]

    def _expression(self, pieces: Sequence[Piece]) -> str:
        """Return the expression that puts *pieces* together."""
        parts: list[str] = []
        chunks = [parts]
        for span in _merged(pieces):
            if span.owner == OWN:
                parts.append(f"{{{span.pieces[0].text}}}")
            elif span.owner == FIXED:
                text = "".join(piece.text for piece in span.pieces)
                parts.append(text.replace("{", "{{").replace("}", "}}"))
            else:
                others = self.spans.setdefault(span.owner, [])
                parts.append(f"{{g{span.owner}_{len(others)}}}")
                others.append(span)
            if len(parts) >= _MOST_PARTS:
                parts = []
                chunks.append(parts)
        return " + ".join(f"f'{''.join(chunk)}'" for chunk in chunks if chunk)


@lru_cache(maxsize=512)
def _fixed_value(layout: Layout, path: str) -> Any:
    [value] = values_of(layout, [path], ())([], None)
    return value


def _fixed(text: str) -> Piece:
    return Piece(FIXED, text)


def _merged(pieces: Sequence[Piece]) -> Iterator[Span]:
    """Yield neighbours of one owner together; fixed text joins the looked-up span before it."""
    spans: list[list[Piece]] = []
    for piece in pieces:
        owner = spans[-1][0].owner if spans else None
        joins = piece.owner in (owner, FIXED) and owner != OWN
        if spans and joins:
            spans[-1].append(piece)
        else:
            spans.append([piece])
    for span in spans:
        yield Span(span[0].owner, tuple(span))


def _shown(hint: Any, value: str) -> tuple[str, str]:
    """Return the quote around a value in JSON, if any, and the code of its text."""
    types = {part for part in (hint, *get_args(hint)) if part is not type(None)}
    if str in types:
        return '"', value
    if bool in types:
        return "", f'"true" if {value} else "false"'
    if int in types or float in types:
        return "", value
    return "", f"c_json({value})"
