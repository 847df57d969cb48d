"""The verb ``backfill``: old logs by distribution and hour, with several processes."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import click

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.backfill.crew import Crew
from cloudfront_ecs.backfill.hour_range import HourRange, RangeCourse, hour_of
from cloudfront_ecs.backfill.plan import Plan, chosen_options, chosen_pipeline
from cloudfront_ecs.backfill.rehearsal import counted, estimated_lines
from cloudfront_ecs.cli.check import config_option
from cloudfront_ecs.cli.ending import FAILED, INTERRUPTED, OK, REJECTED, tell
from cloudfront_ecs.cli.progress import measuring
from cloudfront_ecs.cli.run import signals
from cloudfront_ecs.cli.summary import print_summaries
from cloudfront_ecs.config import load
from cloudfront_ecs.plugins import load_plugins
from cloudfront_ecs.sources.s3.adapter import open_pages

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cloudfront_ecs.progress import Progress

_LOOK = 0.2
_MB = 1_000_000


def _hour(_: click.Context, __: click.Parameter, value: str) -> int:
    try:
        return hour_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


class _Manner(NamedTuple):
    """How a backfill runs."""

    processes: int
    patience: float
    drain: float
    log_format: str
    log_level: str


@click.command(
    epilog="\b\nExamples:\n"
    "  cloudfront-ecs backfill --config cloudfront-ecs.toml --distribution E2EXAMPLE12345 \\\n"
    "      --from 2026-01-01T00 --to 2026-01-02T00 --dry-run\n"
    "  cloudfront-ecs backfill --config cloudfront-ecs.toml --from 2026-01 --to 2026-02 \\\n"
    "      --processes 4\n\n"
    "\b\nThe first one says how much there is of one distribution on one day.  The second one\n"
    "reads January of all distributions.  Interrupt it with Ctrl-C whenever you like: the\n"
    "same command goes on where it was, and says so when nothing is left."
)
@config_option
@click.option("--pipeline", metavar="NAME", help="The pipeline to feed, if several read from S3.")
@click.option(
    "--distribution", "distributions", multiple=True, metavar="ID[,ID…]",
    help="Only logs of these distributions; else of all.",
)  # fmt: skip
@click.option(
    "--from", "begin", required=True, callback=_hour, metavar="HOUR",
    help="First hour of requests, UTC, as in names of log files: 2026-01-15T07.",
)  # fmt: skip
@click.option(
    "--to", "end", required=True, callback=_hour, metavar="HOUR",
    help="The hour after the last one.",
)  # fmt: skip
@click.option(
    "--processes", type=click.IntRange(1, 64), default=1, show_default=True, metavar="N",
    help="How many processes share the objects.",
)  # fmt: skip
@click.option("--bucket", metavar="NAME", help="The bucket, where the source only names a queue.")
@click.option("--prefix", metavar="TEXT", help="What keys begin with; else as the source has it.")
@click.option("--dry-run", is_flag=True, help="Count objects and bytes, and estimate the lines.")
@click.option(
    "--patience", type=click.FloatRange(min=0), default=30.0, show_default=True,
    metavar="SECONDS", help="How long a sink or the source may refuse before giving up.",
)  # fmt: skip
@click.option(
    "--drain", type=click.FloatRange(min=0), default=25.0, show_default=True,
    metavar="SECONDS", help="After Ctrl-C: how long batches in flight may take to finish.",
)  # fmt: skip
@click.pass_context
def backfill(
    context: click.Context,
    path: Path,
    *,
    pipeline: str | None,
    distributions: tuple[str, ...],
    begin: int,
    end: int,
    processes: int,
    bucket: str | None,
    prefix: str | None,
    dry_run: bool,
    patience: float,
    drain: float,
) -> int:
    """Read old logs of S3: those of some distributions and hours, told by their keys.

    The configuration's source is of kind aws_s3, in either mode; its queue is left alone.
    It may run beside `run`: a line that comes twice gets the same id, so clusters keep it once.
    """
    if begin >= end:
        raise click.UsageError("--to is not after --from (it is the hour after the last one)")
    ids = tuple(
        dict.fromkeys(each.strip() for text in distributions for each in text.split(",") if each)
    )
    config = load(path, load_plugins())
    chosen = chosen_pipeline(config, pipeline)
    options = chosen_options(chosen, bucket, prefix)
    plan = Plan(config, chosen, options, HourRange(begin, end, ids))
    if dry_run:
        return _rehearse(plan)
    _refuse_standard_output(plan, processes)
    spoken = context.parent.params if context.parent else {}
    manner = _Manner(
        processes,
        patience,
        drain,
        spoken.get("log_format", "text"),
        spoken.get("log_level", "warning"),
    )
    with closing(plan.claim()):
        return _run(plan, manner)


def _rehearse(plan: Plan) -> int:
    with open_pages(plan.options, AdapterContext(plan.pipeline.source.name)) as (pages, objects):
        found = counted(pages.along(RangeCourse(plan.hours)))
        lines = estimated_lines(objects, found)
    click.echo(f"{plan.hours}, in {plan.place}")
    for whose, count in sorted(found.objects.items()):
        click.echo(f"  {whose}: {count:,} objects, {found.bytes[whose] / _MB:,.1f} MB")
    total = f"{found.objects.total():,} objects, {found.bytes.total() / _MB:,.1f} MB"
    about = "lines unknown" if lines is None else f"about {lines:,} lines"
    told = f" (estimated from {len(found.sample)} objects)" if lines else ""
    click.echo(f"  in all: {total}, {about}{told}")
    return OK


def _run(plan: Plan, manner: _Manner) -> int:
    before = plan.begun_with()
    processes = before or manner.processes
    if before is None:
        plan.begin(processes)
    _tell_begin(plan, before, manner.processes)
    shares = plan.shares(processes, manner.patience, manner.drain)
    stop = threading.Event()
    context = AdapterContext(plan.pipeline.source.name)
    with open_pages(plan.options, context) as (pages, _), signals(stop) as received:
        survey = pages.survey(RangeCourse(plan.hours))
        crew = Crew(shares, manner.log_format, manner.log_level)
        with closing(crew), closing(survey), measuring() as show:
            told = False
            while not crew.wait(_LOOK):
                show(survey.compared(crew.progress()), crew.summary().read)
                if stop.is_set() and not told:
                    crew.stop()
                    told = True
            # The count was begun before any share, so it ends no later than they do, about.
            counted_all = bool(received) or survey.wait(30.0)
    problems = crew.problems()
    done = crew.progress()
    summary = crew.summary()
    print_summaries([summary])
    interrupted = bool(received)
    if not interrupted and counted_all and done.all_objects < survey.found.all_objects:
        problems.append(
            f"{survey.found.all_objects:,} objects were counted and {done.all_objects:,} found "
            "(some may have been deleted; give the same command again)"
        )
    unaccounted = [sink for sink in summary.sinks if summary.imbalance(sink)]
    problems += [f"sink {sink}: the books do not balance" for sink in unaccounted]
    _tell_end(plan, done, interrupted=interrupted or bool(problems))
    for problem in problems:
        tell(f"backfill: {problem}")
    if problems:
        return FAILED
    if interrupted:
        return INTERRUPTED
    return REJECTED if summary.reasons.total() else OK


def _tell_begin(plan: Plan, before: int | None, asked: int) -> None:
    click.echo(f"backfill: {plan.hours}, from {plan.place} to {plan.pipeline.name}", err=True)
    if before is None:
        return
    click.echo("backfill: goes on where an earlier run of this range ended", err=True)
    if before != asked:
        click.echo(f"backfill: with {before} processes, as it was begun", err=True)


def _tell_end(plan: Plan, done: Progress, *, interrupted: bool) -> None:
    read, before = done.objects - done.before, done.before
    earlier = f", {before:,} were read before" if before else ""
    if interrupted:
        ending = "; give the same command again to go on"
    elif not done.all_objects:
        ending = f"; no key in {plan.place} is of {plan.hours}"
    elif not read:
        ending = "; nothing was left to read"
    else:
        ending = "; all done"
    click.echo(f"backfill: {read:,} objects read{earlier}{ending}", err=True)


def _refuse_standard_output(plan: Plan, processes: int) -> None:
    """Refuse several processes that write to one pipe, where lines would mix."""
    open_ended: Sequence[str] = [
        sink.name
        for sink in plan.pipeline.sinks
        if sink.spec.kind == "ndjson" and sink.options.path == "-"
    ]
    if open_ended and processes > 1:
        raise click.UsageError(
            f"sink {open_ended[0]!r} writes to standard output, where lines of several processes "
            "would mix (give it a path, or one process)"
        )
