"""Standard logs (v2) and connection logs as Parquet: texts, names in lower case with ``_``.

Source: Athena user guide, "Create a table for CloudFront logs in Parquet": ``cs_user_agent``
for ``cs(User-Agent)``, ``x_edge_location`` for ``x-edge-location``.  Names of optional columns
and those of connection logs are documented nowhere, so the same rule makes them
(``eventTimestamp`` may be ``eventtimestamp`` or ``event_timestamp``).

A Parquet file tells at its end what is in it.  It is therefore written to a temporary file
first, and then read in batches of rows, never as a whole.  What stands for a row in dead
letters and in ``event.original`` is its values in the order of the file's columns, apart by
tabs, ``-`` where there is none; a tab or line end inside of a value is ``%09``, ``%0A``, ``%0D``,
as CloudFront writes them.
"""

from __future__ import annotations

import importlib
import re
import tempfile
from dataclasses import dataclass
from functools import cache
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import msgspec

from cloudfront_ecs.adapters import DecoderSpec
from cloudfront_ecs.batches import Layout, RecordBatch
from cloudfront_ecs.decoders.lines import KEPT_BYTES, message_blocks, text_of
from cloudfront_ecs.decoders.standard import MOST_COLUMNS
from cloudfront_ecs.errors import ConfigError, PayloadError
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.normalize.layouts import rows_by_column
from cloudfront_ecs.options import option
from cloudfront_ecs.split_rows import TAB, TabRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Payload

MAGIC = b"PAR1"
"""The first and the last bytes of every Parquet file."""

MISSING = "Parquet is read with pyarrow, which is missing (pip install 'cloudfront-ecs[parquet]')"

_BATCH = 1_000
_READ_AHEAD = 65_536
_IN_MEMORY = 1_048_576
_ESCAPES = {TAB: "%09", "\n": "%0A", "\r": "%0D"}
_LONGEST_REASON = 200
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_OF_CONNECTIONS = frozenset({"eventTimestamp", "connectionStatus"})
"""Columns that no access log has; ``connection_id`` could be of one."""

_NO_FILE = "a message is no Parquet file"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetOptions:
    """Options of the ``parquet`` decoder."""

    batch_rows: int = option(_BATCH, doc="Rows read at once.", least=1, most=100_000)


class ParquetDecoder:
    """Reads the rows of Parquet files as records; the columns tell of which log."""

    def __init__(self, options: ParquetOptions) -> None:
        """Remember how many rows to read at once."""
        self._rows = options.batch_rows

    def decode(self, payload: Payload) -> Iterator[RecordBatch]:
        """Yield the records of *payload*, see ``Decoder``; rows are numbered from 1.

        Raises:
            PayloadError: ``parquet``, where the file or the rest of it cannot be read.
            ConfigError: pyarrow is not installed.
        """
        if payload.messages is not None:
            for block in message_blocks(payload.messages):
                yield block.refused("parquet", _NO_FILE)
            return
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spool:
            for chunk in payload.chunks:
                spool.write(chunk)
            if spool.tell():
                yield from self._records(spool)

    def _records(self, spool: IO[bytes]) -> Iterator[RecordBatch]:
        arrow = pyarrow()
        spool.seek(0)
        beginning = spool.read(KEPT_BYTES)
        try:
            file = arrow.parquet.ParquetFile(spool, buffer_size=_READ_AHEAD, pre_buffer=False)
            layout = layout_of(file.schema_arrow.names)
            number = 1
            for batch in file.iter_batches(self._rows):
                if not batch.num_rows:
                    continue
                text = _text(arrow, batch)
                lines = text.split("\n")
                numbers = range(number, number + len(lines))
                yield RecordBatch(layout, TabRows(lines), lines, numbers, plain=text.isascii())
                number += len(lines)
            _require_rows(file.metadata, number - 1)
        except (arrow.core.ArrowException, OSError, ValueError, OverflowError) as error:
            said = " ".join(str(error).split())[:_LONGEST_REASON]
            raise PayloadError("parquet", f"not readable as Parquet: {said}", beginning) from error


class Arrow(NamedTuple):
    """The parts of pyarrow that are used here."""

    core: Any
    compute: Any
    parquet: Any


@cache
def pyarrow() -> Arrow:
    """Import pyarrow, which is an extra and takes its time.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        names = ("pyarrow", "pyarrow.compute", "pyarrow.parquet")
        return Arrow(*map(importlib.import_module, names))
    except ImportError as error:
        raise ConfigError(MISSING) from error


def layout_of(names: Sequence[str]) -> Layout:
    """Return the log and the columns of a file; columns that nobody knows keep their names.

    Raises:
        ValueError: A name is there twice, or there are none or too many.
    """
    columns = columns_of(names, "connection")
    if not _OF_CONNECTIONS.isdisjoint(columns):
        return Layout("connection", columns, named_by="parquet")
    return Layout("standard", columns_of(names), named_by="parquet")


def columns_of(names: Sequence[str], log: str = "standard") -> tuple[str, ...]:
    """Return CloudFront's names of the columns of a file; unknown ones keep their own.

    Raises:
        ValueError: A name is there twice, or there are none or too many.
    """
    known = rows_by_column(log)
    found: list[str] = []
    for name in names:
        column = name if name in known else _by_parquet_name(log).get(name.lower(), name)
        taken = column in found or (column != name and column in names)
        found.append(name if taken else column)
    if not 0 < len(found) <= MOST_COLUMNS:
        raise ValueError(f"{len(found)} columns, 1 to {MOST_COLUMNS} are read")
    if len(set(found)) < len(found) or not "".join(found).isprintable():
        raise ValueError("two columns have the same name, or one has no readable name")
    return tuple(found)


@cache
def _by_parquet_name(log: str) -> dict[str, str]:
    """Return the column for each name that is spelt as Athena's tables have it."""
    names: dict[str, str] = {}
    for column in rows_by_column(log):
        for words in (column, _CAPITAL.sub("_", column)):
            names.setdefault(re.sub(r"\W+", "_", words.lower()).strip("_"), column)
    return names


def _require_rows(metadata: Any, found: int) -> None:
    """Refuse a file of fewer rows than it says: a damaged page can end it without an error."""
    groups = range(metadata.num_row_groups)
    expected = max(metadata.num_rows, sum(metadata.row_group(i).num_rows for i in groups))
    if found < expected:
        raise ValueError(f"{expected} rows expected, {found} found")


def _text(arrow: Arrow, batch: Any) -> str:
    """Return the rows of an Arrow batch as lines."""
    values = [_bytes(arrow, column) for column in batch.columns]
    joined = arrow.compute.binary_join_element_wise(
        *values, TAB.encode(), null_handling="replace", null_replacement="-"
    )
    return text_of(b"\n".join(joined.to_pylist()))


def _bytes(arrow: Arrow, column: Any) -> Any:
    """Return a column as bytes of text, without tabs and line ends."""
    core, compute = arrow.core, arrow.compute
    if not core.types.is_binary(column.type):
        try:
            column = compute.cast(compute.cast(column, core.string()), core.binary())
        except (core.ArrowNotImplementedError, core.ArrowInvalid):
            column = core.array([_as_json(value) for value in column.to_pylist()], core.binary())
    if compute.any(compute.match_substring_regex(column, "[\t\n\r]")).as_py():
        for character, escape in _ESCAPES.items():
            column = compute.replace_substring(column, character, escape)
    return column


def _as_json(value: object) -> bytes | None:
    """Return a value that is no single one as JSON."""
    return None if value is None else msgspec.json.encode(value, enc_hook=str)


def _open(options: ParquetOptions, _: AdapterContext) -> ParquetDecoder:
    pyarrow()
    return ParquetDecoder(options)


@hookimpl
def decoder_specs() -> Iterable[DecoderSpec]:
    """Offer the ``parquet`` decoder."""
    summary = "Standard logs (v2) and connection logs as Parquet; needs the extra [parquet]."
    return [DecoderSpec("parquet", summary, ParquetOptions, _open)]
