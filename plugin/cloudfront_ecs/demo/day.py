"""Writes a day of logs as CloudFront delivers them, with a few broken things among them."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from time import gmtime, strftime
from typing import TYPE_CHECKING

from cloudfront_ecs.demo.columns import ORIGINAL_COLUMNS, REALTIME_COLUMNS, STANDARD_COLUMNS
from cloudfront_ecs.demo.render import STANDARD_HEADER, in_order, realtime_line, standard_line
from cloudfront_ecs.demo.request import Dice
from cloudfront_ecs.demo.sites import DISTRIBUTION_ID
from cloudfront_ecs.demo.traffic import START
from cloudfront_ecs.demo.traffic import requests as make_requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from cloudfront_ecs.demo.request import Request

PREFIX = "cdn"
DAY_COLUMNS = in_order(
    {
        *ORIGINAL_COLUMNS,
        *(name for name in REALTIME_COLUMNS if name.startswith("cmcd-")),
        *("s-ip", "origin-fbl", "origin-lbl", "asn", "r-host", "sr-reason", "x-edge-mqcs"),
        "viewer-request-log-data",
    }
)
"""What the day's real-time configuration selects."""

_HOUR = 3_600_000
_LATE = 240_000  # rows stand up to four minutes away from their place in time
_SHORT = 3


@dataclass(frozen=True, slots=True)
class Broken:
    """Something in a day that cannot be read as it should be.

    Attributes:
        path: The file.
        what: ``truncated``, ``noise``, ``missing_column``, ``not_utf8`` or ``bad_number``.
        lines: How many lines it concerns; for ``truncated`` all that the file had, for
            ``noise`` none.
    """

    path: Path
    what: str
    lines: int


@dataclass(frozen=True, slots=True)
class Day:
    """What ``write_day`` wrote.

    Attributes:
        standard: The standard log files, broken ones included, in order of name.
        realtime: The real-time files.
        columns: The columns of the real-time records.
        requests: How many requests the standard files tell, broken lines included.
        realtime_requests: How many of the same requests the real-time files tell.
        broken: What is broken, and where.
        size: Bytes on disk.
    """

    standard: tuple[Path, ...]
    realtime: tuple[Path, ...]
    columns: tuple[str, ...]
    requests: int
    realtime_requests: int
    broken: tuple[Broken, ...]
    size: int


def write_day(
    folder: Path,
    *,
    seed: int = 1,
    requests: int = 50_000,
    realtime: int = 10_000,
    start: int = START,
) -> Day:
    """Write a day of logs below *folder*: the same arguments write the same bytes.

    Standard logs go to ``cdn/``, real-time records to ``realtime/``, one file an hour.
    The real-time records tell a sample of the same requests.
    """
    made = make_requests(seed, requests, start)
    dice = Dice(seed + 1)
    standard, broken = _write_standard(folder / PREFIX, dice, made)
    sample = sorted(dice.sample(range(len(made)), min(realtime, len(made))))
    sampled = [made[index] for index in sample]
    files, short = _write_realtime(folder / "realtime", sampled)
    size = sum(path.stat().st_size for path in (*standard, *files))
    broken += short
    return Day(standard, files, DAY_COLUMNS, len(made), len(sampled), tuple(broken), size)


def standard_name(hour: str, unique: int) -> str:
    """Return the name of a standard log file; *hour* is like ``2026-01-15-07``."""
    return f"{DISTRIBUTION_ID}.{hour}.{unique:08x}.gz"


def standard_file(lines: Iterable[bytes], *, members: int = 1, level: int = 6) -> bytes:
    """Return the gzip file of *lines*, in one or more members."""
    body = STANDARD_HEADER.encode() + b"".join(line + b"\n" for line in lines)
    step = -(-len(body) // members)
    parts = (body[place : place + step] for place in range(0, len(body), step))
    return b"".join(gzip.compress(part, level, mtime=0) for part in parts)


def _write_standard(
    folder: Path, dice: Dice, made: list[Request]
) -> tuple[tuple[Path, ...], list[Broken]]:
    folder.mkdir(parents=True, exist_ok=True)
    files = [
        (folder / standard_name(hour, dice.getrandbits(32)), lines)
        for hour, group in _hours(made)
        for lines in _split(dice, group)
    ]
    broken = _break_lines(files)
    cut = len(files) // 2
    for index, (path, lines) in enumerate(files):
        data = standard_file(lines, members=2 if index % 10 == 0 else 1)
        path.write_bytes(data[: len(data) * 3 // 5] if index == cut else data)
    broken.append(Broken(files[cut][0], "truncated", len(files[cut][1])))
    last = files[-1][0].name.split(".")[1]
    noise = folder / standard_name(last, dice.getrandbits(32))
    noise.write_bytes(dice.randbytes(4096))
    broken.append(Broken(noise, "noise", 0))
    return tuple(sorted([*(path for path, _ in files), noise])), broken


def _hours(made: list[Request]) -> Iterator[tuple[str, list[Request]]]:
    """Yield the requests of each hour with its name."""
    groups: dict[int, list[Request]] = {}
    for request in made:
        groups.setdefault(request.ended // _HOUR, []).append(request)
    for hour, group in sorted(groups.items()):
        yield strftime("%Y-%m-%d-%H", gmtime(hour * 3600)), group


def _split(dice: Dice, group: list[Request]) -> Iterator[list[bytes]]:
    """Yield the lines of an hour's files: several, and not quite in order of time."""
    disorder = sorted(group, key=lambda request: request.ended + dice.below(_LATE))
    count = min(2 + dice.below(3), len(group))
    for place in range(count):
        yield [standard_line(request).encode() for request in disorder[place::count]]


def _break_lines(files: list[tuple[Path, list[bytes]]]) -> list[Broken]:
    """Damage a few lines in files of their own."""
    damages: tuple[tuple[str, int, Callable[[bytes], bytes]], ...] = (
        ("missing_column", _SHORT, _without_last),
        ("not_utf8", 1, _not_utf8),
        ("bad_number", 1, _bad_number),
    )
    broken = []
    for place, (what, most, damage) in enumerate(damages, start=2):
        path, lines = files[place * len(files) // 6 - 1]
        damaged = [damage(line) for line in lines[:most]]
        lines[:most] = damaged
        broken.append(Broken(path, what, len(damaged)))
    return broken


def _without_last(line: bytes) -> bytes:
    return line.rpartition(b"\t")[0]


def _not_utf8(line: bytes) -> bytes:
    return _with(line, "cs(User-Agent)", b"Mozilla/4.0%20(caf\xe9;\xff\xfe)")


def _bad_number(line: bytes) -> bytes:
    return _with(line, "sc-bytes", b"12O4")


def _with(line: bytes, column: str, text: bytes) -> bytes:
    row = line.split(b"\t")
    row[STANDARD_COLUMNS.index(column)] = text
    return b"\t".join(row)


def _write_realtime(folder: Path, sampled: list[Request]) -> tuple[tuple[Path, ...], list[Broken]]:
    folder.mkdir(parents=True, exist_ok=True)
    broken: list[Broken] = []
    paths = []
    for hour, group in _hours(sampled):
        lines = [realtime_line(request, DAY_COLUMNS).encode() for request in group]
        path = folder / f"{hour}.log"
        if not broken:
            lines[0] = _without_last(lines[0])
            broken.append(Broken(path, "missing_column", 1))
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        paths.append(path)
    return tuple(paths), broken
