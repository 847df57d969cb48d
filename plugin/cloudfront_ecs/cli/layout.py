"""The verb ``layout``: what the columns of real-time records are."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from cloudfront_ecs.cli.ending import FAILED, OK, tell
from cloudfront_ecs.decoders.inflate import inflate
from cloudfront_ecs.decoders.lines import line_blocks
from cloudfront_ecs.decoders.realtime.inference import MOST_LINES, infer
from cloudfront_ecs.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs.decoders.realtime.inference import InferredLayout

_CHUNK = 262_144
_SHOWN = 4


@click.group()
def layout() -> None:
    """Find out what the columns of real-time records are."""


@layout.command(
    "infer",
    epilog="\b\nExamples:\n"
    "  cloudfront-ecs layout infer edge.log.gz\n"
    "  zcat edge/*.gz | cloudfront-ecs layout infer - --json",
)
@click.argument(
    "file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def infer_layout(file: str, *, as_json: bool) -> int:
    """Propose the columns of real-time records from their values alone.

    Reads FILE (gzip or plain, - is standard input), at most the first 20,000 records.
    AWS's order of the columns is fixed, so often only one column can stand at a place.
    Where several can, the likeliest is named and the others are listed: compare with the
    configuration before you use the proposal.
    """
    try:
        with ExitStack() as opened:
            proposal = infer(_lines(_stream(file, opened)))
    except PayloadError as error:
        tell(f"{file}: {error.detail}")
        return FAILED
    except OSError as error:
        tell(f"{file}: {error.strerror}")
        return FAILED
    for width, count in sorted(proposal.others.items()):
        tell(f"{file}: left out {count} records of {width} columns")
    if as_json:
        click.echo(json.dumps(_json(proposal)))
    else:
        _show(proposal)
    return OK


def _stream(file: str, opened: ExitStack) -> IO[bytes]:
    return sys.stdin.buffer if file == "-" else opened.enter_context(Path(file).open("rb"))


def _lines(stream: IO[bytes]) -> Iterator[str]:
    chunks = iter(lambda: stream.read(_CHUNK), b"")
    for block in line_blocks(inflate(chunks)):
        yield from block.lines


def _json(proposal: InferredLayout) -> dict[str, Any]:
    return {
        "fields": [
            {"name": each.name, "certain": each.certain, "also": list(each.also)}
            for each in proposal.fields
        ]
    }


def _show(proposal: InferredLayout) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", justify="right")
    table.add_column("column", no_wrap=True)
    table.add_column("confidence", justify="right")
    table.add_column("also possible", overflow="fold")
    for number, each in enumerate(proposal.fields, 1):
        confidence = "certain" if each.certain else f"{min(99, int(each.confidence * 100))} %"
        more = len(each.also) - _SHOWN
        also = ", ".join(each.also[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        table.add_row(str(number), each.name, confidence, also)
    console = Console(highlight=False)
    console.print(table)
    open_places = [str(i) for i, each in enumerate(proposal.fields, 1) if not each.certain]
    limit = " (the first ones)" if proposal.records == MOST_LINES else ""
    console.print(f"\n{proposal.records} records{limit}, {len(proposal.fields)} columns", end="")
    console.print(f", not certain: {', '.join(open_places)}" if open_places else ", all certain")
    names = ", ".join(json.dumps(each.name) for each in proposal.fields)
    click.echo(f"\nfields = [{names}]")
