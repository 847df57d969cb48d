"""The verb ``demo``: a day of traffic through the real pipeline, no account, no server."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudfront_ecs.cli.ending import FAILED, OK, tell
from cloudfront_ecs.cli.summary import summary_lines
from cloudfront_ecs.config import load
from cloudfront_ecs.delivery.dead_letters import FOLDER
from cloudfront_ecs.demo.day import Day, write_day
from cloudfront_ecs.pipeline import RunSettings
from cloudfront_ecs.plugins import load_plugins
from cloudfront_ecs.running import open_pipelines

if TYPE_CHECKING:
    from cloudfront_ecs.batches import RunSummary

_MARKER = ".cloudfront-ecs-demo"
_BROKEN = {
    "truncated": "a gzip file that ends in mid-stream",
    "noise": "a file of binary noise, named .gz",
    "missing_column": "lines without their last column",
    "not_utf8": "a line with bytes that are not UTF-8",
    "bad_number": "a line with a letter in a number",
}


@click.command(
    epilog="\b\nExamples:\n"
    "  cloudfront-ecs demo\n"
    "  cloudfront-ecs demo --requests 500000 --out /tmp/cloudfront-day"
)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("cloudfront-ecs-demo"),
    show_default=True, metavar="FOLDER", help="Where everything is written.",
)  # fmt: skip
@click.option(
    "--requests", type=click.IntRange(min=1000), default=50_000, show_default=True,
    help="Requests of the day; a fifth of them is in the real-time log too.",
)  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed, the same day.")
def demo(out: Path, requests: int, seed: int) -> int:
    """Make a day of CloudFront logs and turn it into ECS documents.

    Writes standard logs (gzip, named and laid out as CloudFront does) and real-time
    records, some of them broken on purpose, runs the real pipeline over them and says what
    came in, what came out and what was refused.
    """
    _make_room(out)
    began = time.monotonic()
    day = write_day(out / "logs", seed=seed, requests=requests, realtime=requests // 5)
    made = time.monotonic() - began
    config = out / "cloudfront-ecs.toml"
    config.write_text(_config(out, day), "utf-8")
    summaries, failures = _run(config)
    _tell_input(day, made)
    _tell_output(out, summaries)
    _tell_refused(out, day)
    _tell_next(out, config)
    for name, error in failures.items():
        tell(f"pipeline {name}: {error}")
    return FAILED if failures else OK


def _make_room(out: Path) -> None:
    """Empty the folder of an earlier demo; never touch a folder that is not one."""
    if out.exists() and any(out.iterdir()):
        if not (out / _MARKER).exists():
            raise click.BadParameter(f"{out} is not empty and no earlier demo", param_hint="--out")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / _MARKER).touch()


def _config(out: Path, day: Day) -> str:
    """Return a configuration as a user would write it."""
    columns = ",\n  ".join(json.dumps(name) for name in day.columns)
    return f"""\
# Made by `cloudfront-ecs demo`.  Run it again:
#   cloudfront-ecs run --config {out / "cloudfront-ecs.toml"} --once

[state]
directory = {json.dumps(str(out / "state"))}

[sources.standard_logs]
kind = "files"
paths = [{json.dumps(str(out / "logs" / "**" / "*.gz"))}]

[sources.realtime_logs]
kind = "files"
paths = [{json.dumps(str(out / "logs" / "realtime" / "*.log"))}]

[sinks.documents]
kind = "ndjson"
path = {json.dumps(str(out / "documents.ndjson"))}

[pipelines.standard]
source = "standard_logs"
decoder = "auto"
transforms = ["user_agent"]
sinks = ["documents"]

[pipelines.realtime]
source = "realtime_logs"
transforms = ["user_agent"]
sinks = ["documents"]

[pipelines.realtime.decoder]
kind = "realtime"
fields = [
  {columns},
]
"""


def _run(path: Path) -> tuple[list[RunSummary], dict[str, BaseException]]:
    plugins = load_plugins()
    config = load(path, plugins)
    stop = threading.Event()
    settings = RunSettings(once=True)
    running = open_pipelines(config, plugins, settings, stop)
    running.start()
    while not running.wait(0.2):
        pass
    return running.summaries(), running.failures


def _tell_input(day: Day, seconds: float) -> None:
    click.secho("What came in", bold=True)
    click.echo(f"  {day.requests:,} requests in {len(day.standard)} standard log files")
    also = f"{day.realtime_requests:,} of them in {len(day.realtime)} real-time log files"
    click.echo(f"  {also} too")
    click.echo(f"  {day.size / 1e6:.1f} MB, made in {seconds:.1f} s")
    click.echo("  broken on purpose:")
    for broken in day.broken:
        click.echo(f"    {broken.path.name}: {_BROKEN[broken.what]}")


def _tell_output(out: Path, summaries: list[RunSummary]) -> None:
    click.secho("What came out", bold=True)
    for summary in summaries:
        for line in summary_lines(summary):
            click.echo(f"  {line}")
    path = out / "documents.ndjson"
    click.echo(f"  {path}: {path.stat().st_size / 1e6:.1f} MB of ECS documents")


def _tell_refused(out: Path, day: Day) -> None:
    click.secho("What was refused, and why", bold=True)
    for path in sorted((out / "state" / FOLDER).glob("*.ndjson")):
        for line in path.read_text("utf-8").splitlines():
            letter = json.loads(line)
            name = Path(letter["source"]["file"]).name
            number = f" line {letter['source']['line']}" if "line" in letter["source"] else ""
            click.echo(f"  {name}{number}: {letter['reason']}: {letter['detail']}")
    read_all_the_same = {"missing_column", "bad_number", "not_utf8"} & {b.what for b in day.broken}
    if read_all_the_same:
        click.echo("  Lines read only in part became documents that say so in error.message:")
        click.echo(f"    grep pipeline_error {out / 'documents.ndjson'} | head -3")
    click.echo(f"  The refused bytes lie in {out / 'state' / FOLDER}")


def _tell_next(out: Path, config: Path) -> None:
    sample = next((out / "logs").rglob("*.gz"))
    command = "cloudfront-ecs" if shutil.which("cloudfront-ecs") else sys.argv[0]
    click.secho("What to try next", bold=True)
    click.echo(f"  head -1 {out / 'documents.ndjson'} | python3 -m json.tool")
    click.echo(f"  {command} normalize {sample} | head -1")
    click.echo(f"  {command} adapters")
    click.echo(f"  less {config}")
