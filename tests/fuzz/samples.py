"""Valid logs for every registered decoder: the golden logs that it reads."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.errors import CloudFrontEcsError
from cloudfront_ecs.options import describe, parse
from cloudfront_ecs.plugins import load_plugins
from normalize.converting import convert
from normalize.golden import LOGS, bytes_of, name_of
from normalize.parquet_files import parquet_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cloudfront_ecs.adapters import Decoder

NOT_LINES = frozenset({"parquet", "cloudtrail"})
"""Decoders of formats in which a record is not a line."""

_ROWS = frozenset({"auto", "standard", "realtime", "connection"})
"""Decoders of rows: a line is one record, whatever stands in it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A valid log and the decoder that reads it.

    Attributes:
        name: Whose golden log it is.
        decoder: Open, to be used for any number of payloads.
        header: The lines before the first record, with line ends.
        lines: The others, without line ends.
        lined: Whether every line with something in it is a record at least; two JSON objects
            on a line are two.
        exact: Whether every line is a record, a header or blank.
        wrapped: Turns lines into the bytes of an object.
    """

    name: str
    decoder: Decoder
    header: bytes
    lines: tuple[bytes, ...]
    lined: bool
    exact: bool
    wrapped: Callable[[bytes], bytes] = bytes


def as_parquet(table: bytes) -> bytes:
    """Return a Parquet file of rows apart by tabs; those too short are filled with nothing."""
    header, *lines = (
        " ".join(line.splitlines()) for line in table.decode("utf-8", "replace").split("\n")
    )
    width = header.count("\t")
    rows = [line + "\t" * (width - line.count("\t")) for line in lines if line]
    return parquet_of("\n".join([header, *rows]))


def decoder_kinds() -> list[str]:
    """Return every registered kind of decoder."""
    return sorted(load_plugins().decoders)


_OWN = {"connection": "connection", "cloudtrail": "api", "functions": "function"}
"""The folder of golden logs for decoders that would read others as well, but as junk."""


@cache
def samples(kind: str) -> tuple[Sample, ...]:
    """Return the golden logs from which a decoder of *kind* makes documents."""
    own = [log for log in LOGS if log.parent.name == _OWN.get(kind, log.parent.name)]
    found = tuple(sample for log in own for sample in _samples(kind, log))
    assert found, f"no golden log is for the decoder {kind!r}"
    return found


def _samples(kind: str, log: Path) -> Iterator[Sample]:
    data = bytes_of(log)
    decoder = _decoder(kind, log)
    if decoder is None or not convert(data, decoder=decoder).documents:
        return
    if kind == "parquet":
        header, *rows = log.read_bytes().splitlines(keepends=True)
        lines = tuple(row.rstrip(b"\n") for row in rows)
        yield Sample(
            name_of(log), decoder, header, lines, lined=False, exact=False, wrapped=as_parquet
        )
        return
    binary = b"\0" in data[:64] or data.startswith((b"PAR1", b"\x1f\x8b"))
    if binary or _spans_lines(data):
        yield Sample(
            name_of(log), decoder, b"", (data.removesuffix(b"\n"),), lined=False, exact=False
        )
        return
    lines = data.split(b"\n")
    first = next((at for at, line in enumerate(lines) if line and not line.startswith(b"#")), 0)
    header = b"".join(line + b"\n" for line in lines[:first])
    records = tuple(line for line in lines[first:] if line)
    lined = kind not in NOT_LINES and log.parent.name != _OWN["cloudtrail"]
    rows = not any(line.lstrip(b"\xef\xbb\xbf \r").startswith((b"{", b"[")) for line in lines)
    exact = lined and kind in _ROWS and rows  # several JSON objects may stand in a line
    yield Sample(name_of(log), decoder, header, records, lined=lined, exact=exact)


def _spans_lines(data: bytes) -> bool:
    """Say whether a JSON document covers several lines, or holds several records."""
    first = data.lstrip().split(b"\n", 1)[0].strip()
    return first in (b"{", b"[") or b'"Records"' in data or b'"logEvents"' in data


def _decoder(kind: str, log: Path) -> Decoder | None:
    spec = load_plugins().decoders[kind]
    table: dict[str, Any] = {}
    given, fields = log.with_suffix(".toml"), log.with_suffix(".fields")
    if given.exists():
        table = tomllib.loads(given.read_text("utf-8"))
        if table.pop("kind") != kind:
            return None
    if fields.exists():
        if "fields" not in {option.name for option in describe(spec.options)}:
            return None
        table["fields"] = fields.read_text("utf-8").split()
    problems: list[str] = []
    options = parse(spec.options, table, log.name, problems)
    if problems:
        return None
    try:
        return spec.open(options, AdapterContext("fuzz"))
    except CloudFrontEcsError:
        return None
