"""Sends spoilt lines through every decoder, as many as asked, and prints what became of them.

    python tests/fuzz/run.py --lines 10000000 --seed 7

Exits with 1 when anything failed, and prints the bytes and how to see it again.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz.fuzzing import Tally, fuzz
from fuzz.samples import decoder_kinds

_ROW = "{:<12}{:>12}{:>12}{:>12}{:>11}{:>11}{:>9}{:>9}{:>8}"
_SHOWN = 2_000


def main() -> int:
    """Fuzz the decoders one after the other and return the exit code."""
    parser = argparse.ArgumentParser(description="Spoilt lines through every decoder.")
    parser.add_argument("--lines", type=int, default=100_000, help="for each decoder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--decoders", default=",".join(decoder_kinds()))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1e9, help="at most, for each decoder")
    parser.add_argument("--payload", type=int, help="only this one, as a failure names it")
    given = parser.parse_args()
    heads = ("decoder", "lines", "documents", "rejects", "filtered", "skipped", "lines/s")
    print(_ROW.format(*heads, "peak MB", "failed"), flush=True)
    failed = False
    for kind in given.decoders.split(","):
        tally, peak = _fuzzed(kind, given)
        counts = (tally.lines, tally.documents, tally.rejects, tally.filtered, tally.skipped)
        rate = round(tally.lines / tally.seconds) if tally.seconds else 0
        shown = [f"{count:,}" for count in (*counts, rate)]
        print(_ROW.format(kind, *shown, peak, len(tally.failures)), flush=True)
        for failure in tally.failures:
            again = f"--decoders {kind} --seed {given.seed} --payload {failure.payload}"
            print(f"  {failure.sample}: {failure.problem}\n    again: {again}", flush=True)
            print(f"    {failure.data[:_SHOWN]!r}", flush=True)
        failed = failed or bool(tally.failures)
    return int(failed)


def _fuzzed(kind: str, given: argparse.Namespace) -> tuple[Tally, int]:
    """Return the tally of one decoder and the most megabytes that a process held."""
    if given.payload is not None:
        return fuzz(kind, 1, given.seed, first=given.payload, payloads=1), 0
    tally, peak, each = Tally(kind), 0, -(-given.lines // given.processes)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(given.processes, context, max_tasks_per_child=1) as pool:
        parts = [
            pool.submit(_part, kind, each, given.seed, first, given.processes, given.seconds)
            for first in range(given.processes)
        ]
        for part in parts:
            one, megabytes = part.result()
            tally.add(one)
            peak = max(peak, megabytes)
    return tally, peak


def _part(
    kind: str, lines: int, seed: int, first: int, step: int, seconds: float
) -> tuple[Tally, int]:
    logging.disable()  # a failed conversion is reported below
    tally = fuzz(kind, lines, seed, first=first, step=step, seconds=seconds)
    return tally, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    sys.exit(main())
