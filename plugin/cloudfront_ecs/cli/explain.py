"""The verb ``explain``: a line, column by column."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import click

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.cli.ending import OK, REJECTED, tell
from cloudfront_ecs.cli.explained import show
from cloudfront_ecs.cli.normalize import FORMATS, decoder_for, files_source, names_of
from cloudfront_ecs.decoders.inflate import inflate
from cloudfront_ecs.decoders.lines import line_blocks
from cloudfront_ecs.errors import PayloadError
from cloudfront_ecs.explaining.record import NoRecordError, RefusedRecordError
from cloudfront_ecs.explaining.record import explain as explain_record
from cloudfront_ecs.plugins import load_plugins

if TYPE_CHECKING:
    from cloudfront_ecs.adapters import Transform
    from cloudfront_ecs.plugins import Plugins

_PLACE = re.compile(r"(?P<file>[^\t\n]+):(?P<number>\d{1,12})")


@click.command(
    epilog="\b\nExamples:\n"
    "  cloudfront-ecs explain E2EXAMPLE.2026-01-15-07.a1b2c3d4.gz:3\n"
    "  cloudfront-ecs explain --fields timestamp,c-ip,sc-status edge.log:1\n"
    "  zcat E2EXAMPLE.2026-01-15-07.a1b2c3d4.gz | cloudfront-ecs explain --json - | jq .columns",
)
@click.argument("line", metavar="LINE|FILE:N|-")
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), default="auto", show_default=True,
    help="What the line is; auto looks at the content.",
)  # fmt: skip
@click.option(
    "--fields", metavar="NAMES", default="",
    help="Columns of a record that has no header, as for normalize.",
)  # fmt: skip
@click.option(
    "--delimiter", metavar="TEXT", default="",
    help="What stands between two values, as for normalize.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@click.option(
    "--user-agent/--no-user-agent", default=True, show_default=True,
    help="Parse the user agent into name, version, device and system.",
)  # fmt: skip
def explain(
    line: str, format_: str, fields: str, delimiter: str, *, as_json: bool, user_agent: bool
) -> int:
    """Tell what became of each column of a line.

    FILE:N is line N of a file, gzip or plain; lines count from 1 with headers.  LINE is a
    line itself, in quotes so that the tabs survive.  - is the first record of standard
    input.
    """
    plugins = load_plugins()
    decoder = decoder_for(plugins, format_, names_of(fields), delimiter)
    transforms: list[Transform] = []
    if user_agent:
        spec = plugins.transforms["user_agent"]
        transforms.append(spec.open(spec.options(), AdapterContext("user_agent")))
    path, number = _place(line)
    place = line if path not in (None, "-") else "the line"
    try:
        explanation = explain_record(decoder, transforms, _payload(plugins, path, line), number)
    except RefusedRecordError as error:
        hint = "" if path or "\t" in line else " (no tab in it: put the line in quotes)"
        tell(f"{place}: {error}{hint}")
        return REJECTED
    except NoRecordError as error:
        raise click.BadParameter(
            f"{place}: {_why_not(plugins, path, number, str(error))}", param_hint="LINE|FILE:N"
        ) from error
    if as_json:
        click.echo(json.dumps(explanation.as_json(), indent=2, ensure_ascii=False))
    else:
        show(explanation, line if path not in (None, "-") else None)
    return OK


def _place(line: str) -> tuple[str | None, int | None]:
    """Return the file and the line number that *line* names; no file where it is a line."""
    if line == "-":
        return "-", None
    match = _PLACE.fullmatch(line)
    if match and _is_file(match["file"]):
        return match["file"], int(match["number"])
    if _is_file(line):
        raise click.BadParameter(f"{line}: which line? (give {line}:N)", param_hint="FILE:N")
    if match and not match["file"].startswith(("{", "[")):
        raise click.BadParameter(f"{match['file']}: no such file", param_hint="FILE:N")
    return None, None


def _is_file(name: str) -> bool:
    return os.path.isfile(name)  # noqa: PTH113 - Path raises where a name is too long


def _payload(plugins: Plugins, path: str | None, line: str) -> Payload:
    if path is None:
        data = line.encode("utf-8", "surrogateescape")
        return Payload(Receipt("line", 0), Origin("line", ("line",), content_identity=True), [data])
    source = files_source(plugins, (path,))
    payload = source.poll(0.0)
    assert payload is not None
    return payload


def _why_not(plugins: Plugins, path: str | None, number: int | None, reason: str) -> str:
    """Say what stands where no record does; standard input cannot be read again."""
    if path is None or path == "-" or number is None:
        return reason
    count = 0
    try:
        for block in line_blocks(inflate(_payload(plugins, path, "").chunks)):
            count = block.first + len(block.lines) - 1
            if block.first <= number <= count:
                text = block.lines[number - block.first]
                if text.startswith("#"):
                    return "a header line, no record"
                return reason if text.strip() else "a blank line, no record"
    except PayloadError as error:
        return str(error)
    return f"the file ends at line {count}" if number > count else reason
