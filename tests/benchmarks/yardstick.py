"""What Python costs: gunzip, split, ``dict(zip())`` and orjson; no types, no ECS.

usage: yardstick.py FILE [--core N]

A ``.gz`` file is read as a standard log, any other as real-time records in memory.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import orjson
from corpora import columns_file
from timing import Timing, arguments

if TYPE_CHECKING:
    from pathlib import Path


def main() -> None:
    file: Path = arguments("split lines and write them as JSON objects of texts").file
    if file.suffix == ".gz":
        read_standard(file)
    else:
        read_realtime(file)


def read_standard(file: Path) -> None:
    timing = Timing()
    records = size = 0
    names: list[str] = []
    with gzip.open(file) as lines:
        for line in lines:
            if line.startswith(b"#"):
                names = line.decode().split()[1:] if line.startswith(b"#Fields:") else names
                continue
            row = line.decode().rstrip("\n").split("\t")
            size += len(orjson.dumps(dict(zip(names, row, strict=True))))
            records += 1
    timing.tell(records, size)


def read_realtime(file: Path) -> None:
    names = columns_file(file).read_text().split()
    messages = file.read_bytes().splitlines(keepends=True)
    timing = Timing()
    size = 0
    for message in messages:
        row = message.decode().rstrip("\n").split("\t")
        size += len(orjson.dumps(dict(zip(names, row, strict=True))))
    timing.tell(len(messages), size)


if __name__ == "__main__":
    main()
