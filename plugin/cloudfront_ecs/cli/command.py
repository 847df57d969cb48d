"""The group of all verbs."""

from __future__ import annotations

import os
from importlib.metadata import version

import click

from cloudfront_ecs.cli.adapters import adapters
from cloudfront_ecs.cli.backfill import backfill
from cloudfront_ecs.cli.check import check
from cloudfront_ecs.cli.demo import demo
from cloudfront_ecs.cli.ending import Verbs
from cloudfront_ecs.cli.explain import explain
from cloudfront_ecs.cli.layout import layout
from cloudfront_ecs.cli.logs import LOG_FORMATS, LOG_LEVELS, set_up_logs
from cloudfront_ecs.cli.normalize import normalize
from cloudfront_ecs.cli.replay import replay
from cloudfront_ecs.cli.run import run
from cloudfront_ecs.cli.setup import setup
from cloudfront_ecs.failpoints import VARIABLE, choose


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExamples:\n"
    "  cloudfront-ecs demo\n"
    "  cloudfront-ecs normalize E2EXAMPLE.2026-01-15-07.a1b2c3d4.gz | head -1\n"
    "  cloudfront-ecs run --config cloudfront-ecs.toml",
)
@click.version_option(version("cloudfront-ecs"), prog_name="cloudfront-ecs")
@click.option(
    "--log-format", type=click.Choice(LOG_FORMATS), default="text", show_default=True,
    help="How messages on standard error look.",
)  # fmt: skip
@click.option(
    "--log-level", type=click.Choice(LOG_LEVELS), default="warning", show_default=True,
    help="The least important messages to show; debug may show log content.",
)  # fmt: skip
@click.pass_context
def command(context: click.Context, log_format: str, log_level: str) -> None:
    """Amazon CloudFront logs as typed ECS documents, delivered without losing a line.

    Data goes to standard output, everything else to standard error.

    Exit codes: 0 all done, 1 failed, 2 usage or configuration error, 3 finished but some
    input was rejected, 130 interrupted.
    """
    if os.environ.get("NO_COLOR"):  # rich knows this by itself, click does not
        context.color = False
    set_up_logs(log_format, log_level)
    choose(os.environ.get(VARIABLE, ""))


for verb in (normalize, explain, run, backfill, replay, check, setup, adapters, demo, layout):
    command.add_command(verb)
