"""What the benchmarks read: one hour of busy traffic, written once by the demo's generator."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from cloudfront_ecs import demo
from cloudfront_ecs.demo.columns import ORIGINAL_COLUMNS
from cloudfront_ecs.demo.day import standard_file, standard_name
from cloudfront_ecs.demo.render import realtime_line, standard_line
from cloudfront_ecs.demo.traffic import START, requests

RECORDS = 100_000
LARGE_BYTES = 200 * 2**20
_HOUR = "2026-01-15-20"
_SEED = 20_260_115


@dataclass(frozen=True, slots=True)
class Corpora:
    """The files.

    Attributes:
        standard: 100,000 lines of a standard log, gzip.
        realtime: 100,000 real-time records with the original 40 columns, one a line.
        large: 200 MB of standard log in several gzip members.
        other: The same under another name.
    """

    standard: Path
    realtime: Path
    large: Path
    other: Path


def columns_file(realtime: Path) -> Path:
    """Return where the columns of real-time records stand, one a line."""
    return realtime.with_suffix(".columns")


def write_corpora(folder: Path) -> Corpora:
    """Return the files below *folder*; write them when they are missing or outdated."""
    names = [standard_name(_HOUR, unique) for unique in (0xA5FCFC8D, 0xB0000000, 0xB0000001)]
    standard, large, other = (folder / name for name in names)
    corpora = Corpora(standard, folder / "realtime.log", large, other)
    stamp = folder / "stamp"
    if stamp.exists() and stamp.read_text() == _generation():
        return corpora
    print(f"writing the corpora to {folder}", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    _write(corpora)
    stamp.write_text(_generation())
    return corpora


def _write(corpora: Corpora) -> None:
    made = requests(seed=_SEED, count=RECORDS, start=START + 20 * 3600, seconds=3600)
    lines = [standard_line(request).encode() for request in made]
    corpora.standard.write_bytes(standard_file(lines))
    size = sum(map(len, lines)) + len(lines)
    body = gzip.compress(b"".join(line + b"\n" for line in lines), 6, mtime=0)
    repeats = -(-(LARGE_BYTES - size) // size)
    corpora.large.write_bytes(corpora.standard.read_bytes() + body * repeats)
    shutil.copy(corpora.large, corpora.other)
    records = [realtime_line(request, ORIGINAL_COLUMNS).encode() for request in made]
    corpora.realtime.write_bytes(b"".join(record + b"\n" for record in records))
    columns_file(corpora.realtime).write_text("\n".join(ORIGINAL_COLUMNS) + "\n")
    print(
        f"average line: standard {size / len(lines):.0f} bytes, "
        f"real-time {corpora.realtime.stat().st_size / len(records):.0f} bytes",
        file=sys.stderr,
    )


def _generation() -> str:
    """Return what changes with the generator and with this file."""
    sources = sorted(Path(demo.__path__[0]).glob("*.py"))
    code = b"".join(path.read_bytes() for path in (*sources, Path(__file__)))
    return hashlib.sha256(code).hexdigest()
