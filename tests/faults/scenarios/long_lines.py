"""Faults of lines: too long, of too many columns, of zeros; read by a process of its own."""

from __future__ import annotations

import gzip
import time
from typing import TYPE_CHECKING

from cloudfront_ecs.decoders.lines import KEPT_BYTES, MAX_LINE_BYTES
from cloudfront_ecs.demo.render import STANDARD_HEADER
from faults.catalogue import fault
from faults.judge import MEMORY
from faults.object_runs import Objects, assert_once, numbered, zstd
from integration.commands import equations, start

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.lab import Lab

HEADER = STANDARD_HEADER.encode()
PIECE = 2**20


@fault(
    "S6",
    "lines nobody can hold",
    made="one line of 30 MB, as gzip, zstd and plain; 100,000 columns in a row and in a header; "
    "zeros without end and between values",
    seen="bounded memory; each is one letter with its beginning and length, the rest delivered",
)
def long_lines(lab: Lab) -> str:
    return _read_by_a_process(lab, 30 * PIECE, 100_000)


@fault(
    "S6",
    "lines nobody can hold, at full length",
    made="as above with a line of 200 MB and 1,000,000 columns",
    seen="as above, in the same memory",
    brief=False,
)
def longest_lines(lab: Lab) -> str:
    return _read_by_a_process(lab, 200 * PIECE, 1_000_000)


def _read_by_a_process(lab: Lab, length: int, columns: int) -> str:
    objects = Objects(lab)
    objects.notify_queue()
    lines, ids = numbered(4, 91)
    before, after = (
        HEADER + lines[0] + b"\n" + lines[1] + b"\n",
        lines[2] + b"\n" + lines[3] + b"\n",
    )
    wide = b"\t".join([b"x"] * columns)
    line = b"x" * length
    zeros = bytes(length)
    bodies: dict[str, tuple[bytes, list[str], list[str]]] = {
        "gzip": (_packed(gzip.compress, before, line, after), ids, ["too_long"]),
        "zstd": (_packed(zstd.compress, before, line, after), ids, ["too_long"]),
        "plain": (before + line + b"\n" + after, ids, ["too_long"]),
        "no-end": (_packed(gzip.compress, before, line, b""), ids[:2], ["too_long"]),
        "zeros": (_packed(gzip.compress, before, zeros, after), ids, ["too_long"]),
        "columns": (
            gzip.compress(before + wide + b"\n" + after),
            ids,
            ["too_long" if len(wide) > MAX_LINE_BYTES else "columns"],
        ),
        "nuls": (
            gzip.compress(before + lines[0].replace(b"\t", b"\0") + b"\n" + after),
            ids,
            ["columns"],
        ),
    }
    for name, (body, _, _) in bodies.items():
        objects.store(name, body)
    header = b"#Version: 1.0\n#Fields: " + b" ".join(b"c%d" % n for n in range(columns))
    objects.store("header", gzip.compress(header + b"\n" + wide + b"\n"))
    del line, zeros

    began = time.monotonic()
    running = start("run", "--config", objects.run.path, "--once")
    peak = 0.0
    while running.process.poll() is None:
        peak = max(peak, running.peak_mb())
        time.sleep(0.05)
    ended = running.wait()
    seconds = time.monotonic() - began

    assert ended.code == 3, f"it ended with {ended.code}: {ended.err[-500:]}"
    equations(ended.err)
    objects.look()
    for name, (_, wanted, reasons) in bodies.items():
        assert_once(objects.requests[name], wanted, name)
        assert objects.reasons(name) == reasons, f"{name}: {objects.reasons(name)}"
    for name in ("gzip", "zstd", "plain", "zeros"):
        [letter] = objects.letters[name]
        assert len(letter.raw) == KEPT_BYTES, f"{name}: {len(letter.raw)} bytes kept"
        assert str(length) in letter.detail, f"{name}: {letter.detail}"
    assert objects.reasons("header"), "a header of so many columns was not refused"
    assert not objects.requests["header"], "rows of so many columns became documents"
    assert 0 < peak <= MEMORY, f"it held {peak:.0f} MiB, at most {MEMORY} are allowed"
    return f"{len(bodies)} files with lines of {length >> 20} MB: at most {peak:.0f} MiB, {seconds:.1f} s"


def _packed(compress: Callable[[bytes], bytes], before: bytes, line: bytes, after: bytes) -> bytes:
    return compress(before) + compress(line) + (compress(b"\n" + after) if after else b"")
