"""An explanation as text: for wide and narrow terminals, and for pipes."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.text import Text

from cloudfront_ecs.explaining.words import WORDS

if TYPE_CHECKING:
    from cloudfront_ecs.explaining.explanation import Column, Explanation

_NARROWEST = 20


def show(explanation: Explanation, place: str | None) -> None:
    """Print *explanation* to standard output.

    Log content may hold what moves a cursor or hides text, so everything that is not plainly
    printable stands escaped.
    """
    page = _Page()
    count = len(explanation.columns)
    width = f", {count} column{'s' if count != 1 else ''}" if count else ""
    page.say(0, Text(f"{_shown(place) if place else 'the line'}: {explanation.format}{width}"))
    for column in explanation.columns:
        page.say(0, Text())
        _show_column(page, column)
    if explanation.derived:
        page.say(0, Text())
        page.say(0, Text("from no column alone" if count else "fields", "bold"))
    for note in dict.fromkeys(field.note for field in explanation.derived):
        page.say(2, Text(note or "a field of the document", "dim"))
        for field in explanation.derived:
            if field.note == note:
                page.field(field.field, field.value)


def _show_column(page: _Page, column: Column) -> None:
    page.say(0, Text.assemble((_shown(column.column), "bold"), "  ", _shown(column.raw)))
    if column.note is not None:
        page.say(2, Text(column.note, "yellow"))
    if not column.fields:
        return
    if column.conversion is not None:
        page.say(2, Text(f"{column.conversion}: {WORDS[column.conversion]}", "dim"))
    for field in column.fields:
        also = f"  (with {', '.join(map(_shown, field.also))})" if field.also else ""
        page.field(field.field, field.value, also)


class _Page:
    """Lines with an indent, which they keep where the terminal wraps them."""

    def __init__(self) -> None:
        colors: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
        self._console = Console(highlight=False, markup=False, emoji=False, color_system=colors)

    def field(self, name: str, value: Any, after: str = "") -> None:
        """Print a field with its value."""
        told = _shown(value)
        self.say(4, Text.assemble((name, "cyan"), " = ", told, (after, "dim")))

    def say(self, indent: int, text: Text) -> None:
        """Print *text*; a pipe gets it in one line."""
        if not self._console.is_terminal:
            self._console.print(Text(" " * indent) + text, soft_wrap=True)
            return
        width = max(_NARROWEST, self._console.width - indent - 4)
        for number, line in enumerate(text.wrap(self._console, width) or [text]):
            more = 0 if number == 0 else 4
            self._console.print(Text(" " * (indent + more)) + line)


def _shown(value: Any) -> str:
    """Return a value as text; strings as they are where all of it can be seen."""
    if isinstance(value, str) and value.isprintable():
        return value
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return json.dumps(value)
