"""Runs the list of faults with servers of its own, and prints what was observed.

    python tests/faults/run.py --only S3,Q1
    python tests/faults/run.py --only F1 --route kinesis --kills 200 --seed 7

Exits with 1 when anything was not as it must be.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
import traceback
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from faults.catalogue import Fault, all_faults  # noqa: E402 - found by the line above
from faults.lab import Lab  # noqa: E402 - the same
from faults.report import Report, routes_table, table  # noqa: E402 - the same
from faults.runner import PORTION, Plan  # noqa: E402 - the same
from servers.aws import CREDENTIALS, start_moto  # noqa: E402 - the same
from servers.elasticsearch import start_elasticsearch  # noqa: E402 - the same
from servers.forward import ForwardServer, Security, start_forward  # noqa: E402 - the same
from servers.kinesis import start_kinesalite, start_kinesis_local  # noqa: E402 - the same
from servers.opensearch import start_opensearch  # noqa: E402 - the same
from servers.packages import PackageCache  # noqa: E402 - the same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

KILLS = "F1"
_NODES = ("opensearch", "elasticsearch")
LONGEST = 600
"""Seconds for one scenario; the one that kills looks to its own time."""


class Servers:
    """Servers that are started when they are first asked for, by the names of the fixtures."""

    def __init__(self, folder: Path, shared: Servers | None = None, *, alone: bool = False) -> None:
        """Log in *folder*; take from *shared* what it has, *alone* search nodes only.

        Receivers are always own ones.
        """
        self._folder = folder
        self._shared = shared
        self._alone = alone
        self._cache = PackageCache(TESTS.parent / ".cache")
        self._opened = ExitStack()
        self._found: dict[str, Any] = {}

    def __call__(self, name: str) -> Any:
        """Return a server."""
        if name == "forward_server":
            return self._forward
        if self._shared is not None and not (self._alone and name not in _NODES):
            return self._shared(name)
        if name not in self._found:
            start: dict[str, Callable[[], Any]] = {
                "aws": lambda: start_moto(self._folder),
                "kinesalite": lambda: start_kinesalite(self._cache, self._folder),
                "kinesis_local": lambda: start_kinesis_local(self._cache, self._folder),
                "opensearch": lambda: start_opensearch(self._cache),
                "elasticsearch": lambda: start_elasticsearch(self._cache),
            }
            self._found[name] = self._opened.enter_context(closing(start[name]()))
        return self._found[name]

    def close(self) -> None:
        """Stop all of them."""
        self._opened.close()

    def _forward(self, security: Security | None = None) -> ForwardServer:
        server = start_forward(self._cache, self._folder, security)
        self._opened.callback(server.process.stop)
        return server


def main() -> int:
    """Run what is asked for and return the exit code."""
    given = _arguments()
    chosen = [entry for entry in all_faults() if _wanted(entry, given)]
    if not chosen:
        print("no fault is called so; --list shows them all", file=sys.stderr)
        return 2
    if given.list:
        print(table(("fault", "made", "to be seen"), [_told(entry) for entry in chosen]))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing stays behind
    _keep_to_ourselves()
    plan = Plan(given.kills, given.each, given.seed, given.minutes, given.portion)
    rows: list[Sequence[str]] = []
    reports: list[Report] = []
    began = time.monotonic()
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        shared = opened.enter_context(closing(Servers(folder)))
        for number, entry in enumerate(chosen):
            own = folder / str(number)
            own.mkdir()
            with closing(Servers(own, shared, alone=entry.id == KILLS)) as servers:
                lab = Lab(own, servers, thorough=True, plan=plan, tell=_tell)
                observed, verdict = _tried(entry, lab)
            reports += lab.reports
            rows.append((entry.id, entry.title, entry.made, observed, verdict))
            _tell(f"{entry.id} {entry.title}: {observed}: {verdict}")
    print("\n" + table(("fault", "what", "made", "observed", "verdict"), rows))
    if reports:
        print("\n" + routes_table(reports))
    missed = sum(row[-1] != "held" for row in rows)
    print(f"\n{len(rows)} scenarios, {missed} missed, {time.monotonic() - began:.0f} s")
    return 1 if missed else 0


def _tried(entry: Fault, lab: Lab) -> tuple[str, str]:
    """Run one scenario; return what was observed, and whether it was right."""
    try:
        with _limit(0 if entry.id == KILLS else LONGEST):
            return entry.scenario(lab), "held"
    except AssertionError as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return str(error) or f"not so: {place.line} ({Path(place.filename).name})", "MISSED"
    except Exception as error:  # noqa: BLE001 - one that breaks must not end the others
        traceback.print_exc()
        return f"{type(error).__name__}: {error}", "BROKEN"


@contextmanager
def _limit(seconds: int) -> Iterator[None]:
    def ended(*_: object) -> None:
        raise TimeoutError(f"not done after {seconds} s")

    signal.signal(signal.SIGALRM, ended)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make every fault and see that it is survived.")
    parser.add_argument("--only", default="", help="faults, by name or letter: F1,S3,Q")
    parser.add_argument("--route", default="", help="F1 only there: sqs, listing or kinesis")
    parser.add_argument("--kills", type=int, default=200, help="random kills on each route")
    parser.add_argument("--each", type=int, default=3, help="kills at each failpoint")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=0.0, help="go on killing for so long")
    parser.add_argument("--portion", type=int, default=PORTION, help="lines for each start")
    parser.add_argument("--list", action="store_true", help="show the faults, make none")
    return parser.parse_args()


def _wanted(entry: Fault, given: argparse.Namespace) -> bool:
    names = [name for name in given.only.split(",") if name]
    if names and not any(
        entry.id == name or entry.id.rstrip("0123456789") == name for name in names
    ):
        return False
    return entry.id != KILLS or entry.name.endswith(given.route)


def _told(entry: Fault) -> Sequence[str]:
    length = "" if entry.brief else " (long)"
    return (f"{entry.id} {entry.title}{length}", entry.made, entry.seen)


def _keep_to_ourselves() -> None:
    """Keep AWS clients away from the developer's account, proxies and instance metadata."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(CREDENTIALS)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        os.environ[name] = os.devnull
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = "127.0.0.1,localhost"


def _tell(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
