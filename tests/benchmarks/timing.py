"""One timed pass in a process of its own, told as one line of JSON."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path


def arguments(summary: str) -> argparse.Namespace:
    """Return what to read (``file``) and how, with this process bound to its core."""
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--core", type=int, default=-1, help="bind to this core (default: the last)"
    )
    parser.add_argument(
        "--user-agent", action="store_true", help="with the transform that parses user agents"
    )
    parser.add_argument(
        "--messagepack", action="store_true", help="write the entries of Forward receivers, no JSON"
    )
    given = parser.parse_args()
    bind(given.core)
    return given


def cores() -> list[int]:
    """Return the cores there are to use."""
    if sys.platform == "linux":
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def bind(core: int) -> None:
    """Stay on one core: the one at that place among those there are."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, {cores()[core]})


@dataclass(slots=True)
class Timing:
    """Counts from the moment it is made until it is told."""

    _cpu: float = field(init=False)
    _wall: float = field(init=False)

    def __post_init__(self) -> None:
        gc.collect()
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def tell(self, records: int, size: int) -> None:
        """Print how fast *records* became *size* bytes."""
        cpu = time.process_time() - self._cpu
        wall = time.perf_counter() - self._wall
        told = {
            "records": records,
            "bytes_out": size,
            "rec_s": round(records / cpu),
            "rec_s_wall": round(records / wall),
            "rss_mb": peak_mb(),
        }
        print(json.dumps(told))


def peak_mb() -> float | None:
    """Return the most memory this process ever held; ``getrusage`` counts the parent's too."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return round(int(line.split()[1]) / 1024, 1)
