"""The golden set: logs in ``tests/data``, one folder for each format, and how each is read.

``NAME.log`` holds the bytes and ``NAME.json`` what they become.  ``NAME.fields`` names the
columns where the bytes do not, and ``NAME.toml`` holds a decoder as a pipeline would have
it (``kind`` and its options), where the content alone does not choose the right one.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.options import parse
from cloudfront_ecs.plugins import load_plugins
from normalize.converting import convert
from normalize.parquet_files import parquet_of

if TYPE_CHECKING:
    from cloudfront_ecs.adapters import Decoder
    from cloudfront_ecs.batches import Origin
    from normalize.converting import Outcome

DATA = Path(__file__).parent.parent / "data"
LOGS = sorted(DATA.glob("*/*.log"))


def name_of(log: Path) -> str:
    """Return the name of a golden log for reports: ``standard-crlf``."""
    return f"{log.parent.name}-{log.stem}"


def outcome_of(log: Path, origin: Origin | None = None) -> Outcome:
    """Convert a golden log as it asks to be."""
    fields, decoder = log.with_suffix(".fields"), log.with_suffix(".toml")
    columns = fields.read_text("utf-8").split() if fields.exists() else ()
    chosen = decoder_of(decoder) if decoder.exists() else None
    return convert(bytes_of(log), columns, decoder=chosen, origin=origin)


def bytes_of(log: Path) -> bytes:
    """Return the bytes that are converted; those of Parquet are written down as text."""
    if log.parent.name == "v2_parquet":
        return parquet_of(log.read_text("utf-8"))
    return log.read_bytes()


@cache
def documents_of(log: Path) -> tuple[dict[str, Any], ...]:
    """Return the flat documents of a golden log; they must not be changed."""
    return tuple(outcome_of(log).bodies)


def decoder_of(path: Path) -> Decoder:
    """Open the decoder that a ``NAME.toml`` describes."""
    table = tomllib.loads(path.read_text("utf-8"))
    spec = load_plugins().decoders[table.pop("kind")]
    problems: list[str] = []
    options = parse(spec.options, table, path.name, problems)
    assert problems == []
    return spec.open(options, AdapterContext(path.stem))
