"""The end of a run in numbers, one line of the equation for each sink."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from cloudfront_ecs.batches import RunSummary

_ENDS = (
    ("stored", "stored"),
    ("duplicate", "already there"),
    ("acked", "acked"),
)


def print_summaries(summaries: Iterable[RunSummary]) -> None:
    """Print what each pipeline read and where it went, to standard error."""
    for summary in summaries:
        for line in summary_lines(summary):
            click.echo(line, err=True)


def summary_lines(summary: RunSummary) -> list[str]:
    """Return the lines that tell a run: the equation for each sink, then the reasons."""
    rate = summary.read / summary.seconds if summary.seconds else 0
    took = f"{summary.seconds:.1f} s ({rate:,.0f}/s)"
    lines = [f"pipeline {summary.pipeline}: {summary.read} records in {took}"]
    for sink, ended in summary.sinks.items():
        parts = [f"{ended[end]} {words}" for end, words in _ENDS if ended[end]]
        dead = summary.dead_lettered + ended["dead_lettered"]
        parts += [f"{dead} dead-lettered"] if dead else []
        parts += [f"{summary.filtered} filtered"] if summary.filtered else []
        parts += [f"{summary.in_flight[sink]} in flight"] if summary.in_flight[sink] else []
        balance = summary.imbalance(sink)
        verdict = "" if not balance else f"  UNACCOUNTED FOR: {balance}"
        lines.append(f"  {sink}: {summary.read} read = {' + '.join(parts) or '0'}{verdict}")
    if reasons := told_reasons(summary.reasons):
        lines.append(f"  dead letters: {reasons}")
    if passed_over := told_reasons(summary.passed_over):
        lines.append(f"  passed over: {passed_over}")
    return lines


def told_reasons(reasons: Counter[str]) -> str:
    """Return how many there are for which reason, the most frequent first."""
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common() if count)
