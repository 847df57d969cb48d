"""Progress on a terminal; nothing at all elsewhere, so that logs and pipes stay clean."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def counting(noun: str) -> Iterator[Callable[[int], None]]:
    """Give a function that adds to a running count shown on a terminal.

    Nothing is shown where the data itself goes to the same terminal.
    """
    console = Console(stderr=True)
    if not console.is_terminal or sys.stdout.isatty():
        yield lambda _: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} " + noun),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(noun, total=None)
        yield lambda count: progress.update(task, advance=count)
