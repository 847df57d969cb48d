"""The compiler: one straight-line conversion function for each layout, made once.

The hot loop has no branch on configuration and no look-up by column name; what a layout
lacks is not in its function.  A record that raises is left to the careful path of
``normalizer``, so the function itself never has to be lenient.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.normalize.compiling.plan import PAYLOAD, Plan, words
from cloudfront_ecs.normalize.documents import ecs
from cloudfront_ecs.normalize.values import convert

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudfront_ecs.batches import Document, Layout
    from cloudfront_ecs.normalize.compiling.plan import Completion


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


def compiled(
    layout: Layout,
    *,
    messages: bool,
    original: bool,
    completions: tuple[Completion, ...] = (),
) -> Compiled:
    """Return the conversion of *layout* into documents of typed objects.

    Args:
        layout: The columns.
        messages: Whether records come from a stream and carry sequence numbers.
        original: Whether ``event.original`` keeps the line.
        completions: What completes shared parts of documents, see ``Completion``.

    Raises:
        UndatedError: No column of the layout tells the time.
    """
    made = _compiled(layout, messages, original, completions)
    if isinstance(made, str):
        raise convert.UndatedError(made)
    return made


@lru_cache(maxsize=64)
def _compiled(
    layout: Layout,
    messages: bool,  # noqa: FBT001 - by place, so that a key is made but one way
    original: bool,  # noqa: FBT001
    completions: tuple[Completion, ...],
) -> Compiled | str:
    """Return the conversion of *layout*, or why there is none: errors would not be remembered."""
    try:
        plan = Plan(layout, messages=messages, original=original, completions=completions)
    except convert.UndatedError as error:
        return str(error)
    objects = Objects(plan)
    body = objects.expression(ecs.EcsDocument, "")
    lines = [line.code for line in plan.lines] + objects.lines
    indented = "\n".join(f"            {line}" for line in lines)
    dataset = f"cloudfront.{layout.log}"
    used = {"row": "rows", "key": "keys"}
    used |= {"line": "lines"} if original else {}
    used |= {"position": "positions"} if messages else {}
    source = (
        "def run(rows, lines, keys, positions, k, failed):\n"
        "    documents = []\n    append = documents.append\n"
        f"    {payload_constants((*lines, body))}\n"
        f"    for {', '.join(used)} in zip({', '.join(used.values())}):\n"
        "        try:\n"
        f"            {unpacked(layout)} = row\n{indented}\n"
        f"            append(Document(ident, {dataset!r}, end_ns, {body}))\n"
        "        except Exception as error:\n"
        "            failed(len(documents), error)\n"
        "            append(None)\n"
        "    return documents\n"
    )
    return Compiled(defined(source, "run", {**plan.scope, **objects.scope}), source)


def values_of(
    layout: Layout,
    paths: Sequence[str],
    completions: tuple[Completion, ...],
    *,
    messages: bool = False,
) -> Callable[[Sequence[str], Any], tuple[Any, ...]]:
    """Return what gives the values of some fields and objects of a document.

    Args:
        layout: The columns that the values depend on, and no others.
        paths: The fields and objects.
        completions: What completes shared parts of documents.
        messages: Whether records come from a stream.

    Returns:
        ``(row, constants)`` to the values of *paths*, None where absent.
    """
    plan = Plan(layout, messages=messages, completions=completions, dated=False)
    objects = Objects(plan)
    values = "".join(f"{objects.at(path)}, " for path in paths)
    lines = plan.lines_for((*objects.lines, values)) + objects.lines
    source = (
        "def values(row, k):\n"
        f"    {payload_constants((*lines, values))}\n"
        f"    {unpacked(layout)} = row\n"
        + "".join(f"    {line}\n" for line in lines)
        + f"    return ({values})\n"
    )
    return defined(source, "values", {**plan.scope, **objects.scope})


def defined(source: str, name: str, scope: dict[str, Any]) -> Callable[..., Any]:
    """Return the function *name* that *source* defines.

    The text is made from the field table and this package alone; column names of the input
    only ever become numbered variables.
    """
    exec(compile(source, f"<{name}>", "exec"), scope)  # noqa: S102
    function: Callable[..., Any] = scope[name]
    return function


def unpacked(layout: Layout) -> str:
    """Return the variables of all columns, ready to be assigned from a row."""
    return "[" + ", ".join(f"v{index}" for index in range(len(layout.columns))) + "]"


def payload_constants(code: Sequence[str]) -> str:
    """Return the statement that makes local what *code* uses of the payload."""
    used = words(" ".join(code))
    return "; ".join(f"k_{name} = k.{name}" for name in PAYLOAD if f"k_{name}" in used) or "pass"


class Objects:
    """Writes the expressions of typed objects, and the lines that make the nested ones.

    Attributes:
        lines: One for each object, after those it holds.
        scope: The classes.
    """

    def __init__(self, plan: Plan) -> None:
        """Start with nothing made."""
        self._plan = plan
        self._made: dict[str, str] = {}
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {}

    def at(self, path: str) -> str:
        """Return the expression of the field or object at *path*."""
        struct: type[Any] = ecs.EcsDocument
        prefix = ""
        while True:
            nodes = {node.path: node for node in self._plan.nodes(struct, prefix)}
            if path in nodes and nodes[path].struct is None:
                return self._plan.expression(path)
            if path in nodes:
                struct = nodes[path].struct or struct
                return self.expression(struct, f"{path}.")
            above = [node for node in nodes.values() if path.startswith(f"{node.path}.")]
            if not above:
                return "None"
            if above[0].struct is None:  # with fewer columns, the object may be a shared one
                self.scope["part_of"] = part_of
                inner = path.removeprefix(f"{above[0].path}.").split(".")
                return f"part_of({self._plan.expression(above[0].path)}, {inner})"
            struct, prefix = above[0].struct, f"{above[0].path}."

    def expression(self, struct: type[Any], prefix: str) -> str:
        """Return the expression for an object, after writing those it holds."""
        values = {
            node.key: self._plan.expression(node.path)
            if node.struct is None
            else self.expression(node.struct, f"{node.path}.")
            for node in self._plan.nodes(struct, prefix)
        }
        # By place, which is faster than by name.
        arguments = [values.get(key, "None") for key in struct.__struct_encode_fields__]
        while arguments and arguments[-1] == "None":
            arguments.pop()
        if not arguments:
            return "None"
        self.scope[struct.__name__] = struct
        call = f"{struct.__name__}({', '.join(arguments)})"
        if struct is ecs.EcsDocument:
            return call
        if not any(value in _CERTAIN or value[0] in "'0123456789" for value in arguments):
            there = dict.fromkeys(value for value in arguments if value != "None")
            call += f" if {' or '.join(f'{value} is not None' for value in there)} else None"
        if call in self._made:
            return self._made[call]
        variable = f"n_{prefix.rstrip('.').replace('.', '_')}"
        self.lines.append(f"{variable} = {call}")
        self._made[call] = variable
        return variable


def part_of(value: Any, names: Sequence[str]) -> Any:
    """Return the field or object within *value*, by its names in JSON; None if absent."""
    for name in names:
        if value is None:
            return None
        fields = dict(zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True))
        value = getattr(value, fields[name])
    return value


_CERTAIN = frozenset({"ECS", "k_data_stream", "k_cloud", "end", "ident", "k_stream"})
