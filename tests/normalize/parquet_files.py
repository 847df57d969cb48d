"""Parquet files made from text, so that what is in them can be read in the repository."""

from __future__ import annotations

import io

import pyarrow as pa
from pyarrow import parquet

ABSENT = r"\N"
ESCAPES = {r"\t": "\t", r"\n": "\n"}


def parquet_of(text: str) -> bytes:
    r"""Return the file of a table: names in the first line, a row in each other one.

    Values are texts apart by tabs; ``\N`` is null, ``\t`` and ``\n`` are what they say.
    """
    header, *lines = text.splitlines()
    rows = [line.split("\t") for line in lines]
    columns = {
        name: pa.array([_value(row[index]) for row in rows], pa.string())
        for index, name in enumerate(header.split("\t"))
    }
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file)
    return file.getvalue()


def _value(text: str) -> str | None:
    for written, meant in ESCAPES.items():
        text = text.replace(written, meant)
    return None if text == ABSENT else text
