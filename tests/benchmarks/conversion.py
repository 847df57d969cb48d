"""How fast lines become documents, against a yardstick measured in the same minutes.

Fresh processes take turns on one core; rates are records per second of CPU time, medians
of five pairs.  User agents are parsed, as in the pipelines of the README.  A table goes to stderr, one JSON object to the last line of stdout.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from corpora import write_corpora
from timing import cores

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAIRS = 5
ROUNDS = 3
Measured = dict[str, Any]


def main() -> None:
    corpora = write_corpora(ROOT / "build" / "bench")
    results: Measured = {
        "standard": compare("convert_standard.py", corpora.standard, "--user-agent"),
        "realtime_500": compare("convert_realtime.py", corpora.realtime, "--user-agent"),
        "standard_messagepack": compare(
            "convert_standard.py", corpora.standard, "--user-agent", "--messagepack"
        ),
        "two_workers": two_workers(corpora.large, corpora.other),
        "rss_mb": finished(started("convert_standard.py", corpora.large))["rss_mb"],
    }
    show(results)
    print(json.dumps(results))


def started(script: str, file: Path, *more: str, core: int = -1) -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE / script), str(file), "--core", str(core), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> Measured:
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{process.args!r} failed with {process.returncode}")
    told: Measured = json.loads(out)
    return told


def compare(script: str, file: Path, *more: str) -> Measured:
    """Return the median rates of *script* and of the yardstick, run in turns."""
    ours, theirs = [], []
    for pair in range(PAIRS):
        ours.append(finished(started(script, file, *more)))
        theirs.append(finished(started("yardstick.py", file)))
        note(f"{file.name} {pair + 1}/{PAIRS}: {ours[-1]['rec_s']:,} and {theirs[-1]['rec_s']:,}")
    if {one["records"] for one in ours} != {one["records"] for one in theirs}:
        raise SystemExit(f"{script} and the yardstick do not agree how many records there are")
    rate, yardstick = (median(one["rec_s"] for one in side) for side in (ours, theirs))
    return {
        "rec_s": round(rate),
        "yardstick_rec_s": round(yardstick),
        "ratio": round(rate / yardstick, 3),
    }


def two_workers(first: Path, second: Path) -> float | None:
    """Return how many times faster two processes are than one, by the clock."""
    if len(cores()) < 2:
        return None
    ratios = []
    for turn in range(ROUNDS):
        alone = finished(started("convert_standard.py", first))["rec_s_wall"]
        both = [
            started("convert_standard.py", file, core=core)
            for file, core in ((first, 0), (second, 1))
        ]
        together = sum(finished(process)["rec_s_wall"] for process in both)
        ratios.append(together / alone)
        note(f"two workers {turn + 1}/{ROUNDS}: {together:,} against {alone:,} of one")
    return round(median(ratios), 2)


def show(results: Measured) -> None:
    note(f"\n{'':20}{'records/s':>12}{'yardstick':>12}{'ratio':>8}")
    for name in ("standard", "realtime_500", "standard_messagepack"):
        row = results[name]
        note(f"{name:20}{row['rec_s']:>12,}{row['yardstick_rec_s']:>12,}{row['ratio']:>8}")
    note(f"two workers are {results['two_workers']} times as fast as one")
    note(f"a log of 200 MB needs {results['rss_mb']} MB of memory")


def note(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
