"""Kills the program as often as asked, with servers of its own, and prints what was found.

    python tests/faults/run.py --route s3 --kills 200 --seed 7

Exits with 1 when anything was lost, was wrong, or was visible twice.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from faults.patient import start_patient_kinesalite  # noqa: E402 - found by the line above
from faults.routes import ObjectRoute, RecordRoute  # noqa: E402 - the same
from faults.runner import PORTION, Plan, Torment  # noqa: E402 - the same
from servers.aws import start_moto  # noqa: E402 - the same
from servers.forward import start_forward  # noqa: E402 - the same
from servers.opensearch import start_opensearch  # noqa: E402 - the same
from servers.packages import PackageCache  # noqa: E402 - the same


def main() -> int:
    """Run one route and return the exit code."""
    parser = argparse.ArgumentParser(description="Kill the program again and again.")
    parser.add_argument("--route", choices=("s3", "kinesis"), required=True)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--portion", type=int, default=PORTION, help="lines for each start")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing stays behind
    cache = PackageCache(TESTS.parent / ".cache")
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        node = opened.enter_context(closing(start_opensearch(cache)))
        receiver = start_forward(cache, folder)
        opened.callback(receiver.process.stop)
        if given.route == "s3":
            aws = opened.enter_context(closing(start_moto(folder)))
            route: ObjectRoute | RecordRoute = ObjectRoute(aws, "faults", given.seed)
        else:
            kinesis = opened.enter_context(closing(start_patient_kinesalite(cache, folder)))
            route = RecordRoute(kinesis, "faults", given.seed)
        plan = Plan(given.kills, given.seed, given.portion)
        torment = Torment(
            route, folder / "run", node, receiver, plan, lambda text: print(text, flush=True)
        )
        report = torment.run()
    print(f"{'route':<24}{given.route}, seed {given.seed}")
    print(report.table())
    return 1 if report.verdict.misses else 0


if __name__ == "__main__":
    sys.exit(main())
