"""The verb ``normalize``: a filter, lines in and documents out."""

from __future__ import annotations

import re
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.cli.ending import OK, REJECTED, tell
from cloudfront_ecs.cli.progress import counting
from cloudfront_ecs.collector import calm_collector
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.delivery.dead_letters import DeadLetter
from cloudfront_ecs.encoding import json_lines
from cloudfront_ecs.options import describe, parse
from cloudfront_ecs.plugins import Plugins, load_plugins

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs.adapters import Decoder, Source, Transform
    from cloudfront_ecs.batches import Payload
    from cloudfront_ecs.conversion import Converted

FORMATS = (
    "auto", "standard", "realtime", "json", "parquet", "connection", "cloudtrail", "functions",
)  # fmt: skip


@click.command(
    epilog="\b\nExamples:\n"
    "  cloudfront-ecs normalize E2EXAMPLE.2026-01-15-07.a1b2c3d4.gz > documents.ndjson\n"
    "  zcat logs/*.gz | cloudfront-ecs normalize --rejects refused.ndjson | jq .url.path\n"
    "  cloudfront-ecs normalize --fields timestamp,c-ip,sc-status,cs-uri-stem edge.log\n"
    "  cloudfront-ecs normalize --delimiter '|' --fields date,time,c-ip,sc-status plain.log",
)
@click.argument(
    "files", nargs=-1, metavar="[FILE…]",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
)  # fmt: skip
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), default="auto", show_default=True,
    help="What the lines are; auto looks at the content.",
)  # fmt: skip
@click.option(
    "--fields", metavar="NAMES", default="",
    help="Columns of records that have no header: real-time (any order) or standard. "
    "Names apart by commas, or @FILE with names apart by commas, blanks or lines.",
)  # fmt: skip
@click.option(
    "--delimiter", metavar="TEXT", default="",
    help="What stands between two values of standard logs (v2), 1 to 5 characters; a tab by "
    "default, which can be written \\t.",
)  # fmt: skip
@click.option(
    "--rejects", type=click.Path(dir_okay=False, writable=True, path_type=Path), metavar="FILE",
    help="Where refused lines go, one JSON object each with the reason and the bytes.",
)  # fmt: skip
@click.option(
    "--user-agent/--no-user-agent", default=True, show_default=True,
    help="Parse user agents into name, version, device and system.",
)  # fmt: skip
@click.option(
    "--original/--no-original", default=False, show_default=True,
    help="Keep each line in event.original.",
)  # fmt: skip
def normalize(
    files: tuple[str, ...],
    format_: str,
    fields: str,
    delimiter: str,
    rejects: Path | None,
    *,
    user_agent: bool,
    original: bool,
) -> int:
    """Turn log lines into ECS documents, one JSON document a line.

    Reads FILEs (gzip or plain), or standard input where there are none or FILE is -.  In a
    pipe each document comes out as soon as its line is complete.
    """
    plugins = load_plugins()
    decoder = decoder_for(plugins, format_, names_of(fields), delimiter.replace("\\t", "\t"))
    transforms: list[Transform] = []
    if user_agent:
        spec = plugins.transforms["user_agent"]
        transforms.append(spec.open(spec.options(), AdapterContext("user_agent")))
    conversion = Conversion(decoder, transforms, original=original)
    source = files_source(plugins, files or ("-",))
    calm_collector()
    with ExitStack() as opened:
        opened.callback(source.close)
        letters: IO[bytes] | None = None
        if rejects is not None:
            letters = opened.enter_context(_opened(rejects))
        count = opened.enter_context(counting("records"))
        refused = 0
        for payload, part in _converted(source, conversion):
            _write_out(part)
            count(part.read)
            refused += len(part.rejects)
            if letters is not None:
                for reject in part.rejects:
                    letters.write(DeadLetter(reject, payload.origin).line())
                letters.flush()
    if not refused:
        return OK
    lines, them = ("line was", "it") if refused == 1 else ("lines were", "them")
    where = f"see {rejects}" if rejects else f"give --rejects FILE to keep {them}"
    tell(f"{refused} {lines} refused ({where})")
    return REJECTED


def _opened(rejects: Path) -> IO[bytes]:
    try:
        return rejects.open("wb")
    except OSError as error:
        raise click.BadParameter(f"{rejects}: {error.strerror}", param_hint="--rejects") from error


def _write_out(part: Converted) -> None:
    if part.documents:
        out = sys.stdout.buffer
        out.write(json_lines(part.documents))
        out.flush()


def _converted(source: Source, conversion: Conversion) -> Iterator[tuple[Payload, Converted]]:
    while not source.drained():
        payload = source.poll(0.0)
        if payload is None:
            continue
        for part in conversion.convert(payload):
            yield payload, part
        source.settle(payload.receipt)


def names_of(fields: str) -> list[str]:
    """Return the column names of ``--fields``, which may name a file that has them."""
    text = fields
    if fields.startswith("@"):
        try:
            text = Path(fields[1:]).read_text("utf-8")
        except OSError as error:
            problem = f"{fields[1:]}: {error.strerror}"
            raise click.BadParameter(problem, param_hint="--fields") from error
    return [name for name in re.split(r"[,\s]+", text) if name]


def decoder_for(plugins: Plugins, kind: str, names: list[str], delimiter: str) -> Decoder:
    """Return the decoder that ``--format``, ``--fields`` and ``--delimiter`` ask for."""
    spec = plugins.decoders[kind]
    if kind == "realtime" and not names:
        hint = "real-time records carry no header: name their columns"
        raise click.UsageError(f"--format realtime needs --fields ({hint})")
    given: dict[str, Any] = {"fields": names, "delimiter": delimiter}
    table = {name: value for name, value in given.items() if value}
    known = {option.name for option in describe(spec.options)}
    for name in table:
        if name not in known:
            hint = "its records say themselves what their columns are"
            raise click.UsageError(f"--format {kind} takes no --{name} ({hint})")
    problems: list[str] = []
    options = parse(spec.options, table, "", problems)
    if problems:
        told = "\n".join(problem.removeprefix(": ") for problem in problems)
        named = next((f"--{name}" for name in table if told.startswith(f"{name}: ")), None)
        told = told.replace("fields: ", "").replace("delimiter: ", "")
        raise click.BadParameter(told, param_hint=named or "--fields")
    return spec.open(options, AdapterContext(kind))


def files_source(plugins: Plugins, files: tuple[str, ...]) -> Source:
    """Return the source that reads *files*, each taken by its name."""
    spec = plugins.sources["files"]
    return spec.open(spec.options(paths=files, patterns=False), AdapterContext("files"))
