"""Progress: moving on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudfront_ecs.progress import Progress as Done

PLAIN_SECONDS = 5.0
"""From one plain line to the next."""

_MB = 1_000_000


@contextmanager
def counting(noun: str) -> Iterator[Callable[[int], None]]:
    """Give a function that adds to a running count shown on a terminal.

    Nothing is shown elsewhere, so that logs and pipes stay clean, nor where the data itself
    goes to the same terminal.
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


@contextmanager
def measuring(
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[Done, int], None]]:
    """Give a function that shows how far a reading with an end has come.

    It takes what is done and how many records were read in all.  On a terminal there is a bar,
    unless documents go to the same terminal; elsewhere a line on standard error every few
    seconds.
    """
    console = Console(stderr=True)
    began = now()
    if not console.is_terminal or sys.stdout.isatty():
        due = began + PLAIN_SECONDS

        def show_plain(done: Done, records: int) -> None:
            nonlocal due
            if now() >= due:
                due = now() + PLAIN_SECONDS
                click.echo(told(done, records, now() - began), err=True)

        yield show_plain
        return
    columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)

        def show(done: Done, records: int) -> None:
            total = max(1, done.all_bytes) if done.counted else None
            words = told(done, records, now() - began)
            progress.update(task, total=total, completed=done.bytes, description=words)

        yield show


def told(done: Done, records: int, seconds: float) -> str:
    """Return in words what is done of what there is, how fast, and how long the rest takes."""
    more = "" if done.counted else " or more"
    parts = [
        f"{done.objects:,} of {done.all_objects:,}{more} objects",
        f"{done.bytes / _MB:,.1f} of {done.all_bytes / _MB:,.1f}{more} MB",
        f"{records / seconds if seconds else 0:,.0f} records/s",
    ]
    left = done.seconds_left(seconds)
    parts.append("time left unknown" if left is None else f"about {told_seconds(left)} left")
    return ", ".join(parts)


def told_seconds(seconds: float) -> str:
    """Return a span of time in two of its units at most: ``2 h 5 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"
