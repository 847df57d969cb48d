"""The only module that opens shipped data files.

Data packages are named in full: ``files("cloudfront_ecs") / "mappings"`` works from a
wheel and fails from an editable install, where ``mappings/`` lies beside ``plugin/``.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

ACCESS_LOGS = ("standard", "realtime")
"""Logs with a line for each request."""

LOGS = (*ACCESS_LOGS, "connection", "api", "function")
"""All logs; each has a dataset ``cloudfront.<log>``."""


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One row of ``mappings/fields.csv``: a CloudFront column and what becomes of it.

    Attributes:
        column: CloudFront's name; in parentheses where the value is not from a column.
        logs: The logs in which the column means this: some of ``LOGS``.
        realtime: Position among the 71 columns of real-time records, from 1, or None.
        legacy: Position in standard (legacy) files, from 1, or None.
        v2: ``default``, ``optional``, ``undocumented`` or empty, for standard logging v2.
        conversion: The name of the conversion in ``cloudfront_ecs.normalize.values.convert``.
        unit: Unit of the logged value.
        targets: ECS fields with their mapping types.
        since: When the column appeared, as exactly as is known.
        description: One line.
    """

    column: str
    logs: frozenset[str]
    realtime: int | None
    legacy: int | None
    v2: str
    conversion: str
    unit: str
    targets: tuple[tuple[str, str], ...]
    since: str
    description: str


@dataclass(frozen=True, slots=True)
class Location:
    """Where the edge locations of one code are.

    Attributes:
        city: In English.
        country: ISO 3166-1 alpha-2.
        latitude: Degrees north of the airport that gave the code.
        longitude: Degrees east of it.
        billing_region: The part of the world by which CloudFront charges, or empty.
    """

    city: str
    country: str
    latitude: float
    longitude: float
    billing_region: str


@cache
def locations() -> dict[str, Location]:
    """Return the places of edge locations by their IATA codes."""
    text = files("cloudfront_ecs.mappings").joinpath("locations.csv").read_text("utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {
        row["code"]: Location(
            row["city"],
            row["country"],
            float(row["latitude"]),
            float(row["longitude"]),
            row["billing_region"],
        )
        for row in rows
    }


@cache
def field_table() -> tuple[FieldRow, ...]:
    """Return the table from which layouts, conversion, templates and documentation come."""
    text = files("cloudfront_ecs.mappings").joinpath("fields.csv").read_text("utf-8")
    return tuple(_row(row) for row in csv.DictReader(text.splitlines()))


def logs_named(cell: str) -> frozenset[str]:
    """Return the logs meant by ``any``, ``access`` (both access logs) or names apart by blanks."""
    groups = {"any": LOGS, "access": ACCESS_LOGS}
    return frozenset(log for name in cell.split() for log in groups.get(name, (name,)))


def _row(row: dict[str, str]) -> FieldRow:
    targets = []
    for target in row["fields"].split():
        name, _, mapping_type = target.partition(":")
        targets.append((name, mapping_type))
    return FieldRow(
        column=row["column"],
        logs=logs_named(row["log"]),
        realtime=int(row["realtime"]) if row["realtime"] else None,
        legacy=int(row["legacy"]) if row["legacy"] else None,
        v2=row["v2"],
        conversion=row["conversion"],
        unit=row["unit"],
        targets=tuple(targets),
        since=row["since"],
        description=row["description"],
    )


def json_files(folder: str) -> dict[str, Any]:
    """Return the JSON files of a folder of ``mappings/`` by name, without their ending."""
    entries = files("cloudfront_ecs.mappings").joinpath(*folder.split("/")).iterdir()
    found = {entry.name: entry for entry in entries if entry.name.endswith(".json")}
    return {
        name.removesuffix(".json"): json.loads(found[name].read_text("utf-8"))
        for name in sorted(found)
    }
