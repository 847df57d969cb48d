"""Component and index templates, made from the field table for both products.

What a mapping may say differs: OpenSearch has ``flat_object`` where Elasticsearch has
``flattened``, and only Elasticsearch knows ``index.mode``.  Both take a template only with
types they know, so each product gets files of its own.  Names of types and parameters:
the mapping references of Elasticsearch 9.1 and OpenSearch 2.19, tried on both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.resources import LOGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cloudfront_ecs.resources import FieldRow

ECS_VERSION = "9.4.0"
MADE_BY = "cloudfront-ecs"
"""Stands in ``_meta.made_by`` of everything we install; what lacks it is not ours."""

PRODUCTS = ("elasticsearch", "opensearch")

DATASETS = {f"cloudfront.{log}": log for log in LOGS}
"""Each dataset, and the ``log`` of the table's rows that can fill its documents."""

PRIORITY = 250
"""Above Elasticsearch's own ``logs`` (100) and Fleet's integrations (200)."""

SETTINGS = "logs-cloudfront@settings"

_KEYWORD_LENGTH = 1024
"""Characters of a keyword that are searchable, as in ECS; longer ones stay in ``_source``."""

_TERM_LENGTH = 8191
"""Lucene refuses terms above 32,766 bytes, which are 8,191 characters at worst."""

_UNSEARCHED = frozenset({"event.original"})
"""Kept in ``_source`` only, as ECS says."""

_WITH_TEXT = frozenset(
    {"url.full", "url.original", "user_agent.original", "user_agent.os.full", "user_agent.os.name"}
)
"""Fields to which ECS adds a multi-field ``text`` for search by words."""


@dataclass(frozen=True, slots=True)
class Template:
    """One template as it is installed.

    Attributes:
        kind: ``component_template`` or ``index_template``.
        name: The name it is installed under.
        body: The body of the request that installs it.
    """

    kind: str
    name: str
    body: Mapping[str, Any] = field(hash=False)

    @property
    def title(self) -> str:
        """Its name for people."""
        return f"{self.kind.replace('_', ' ')} {self.name}"

    @property
    def path(self) -> str:
        """Where the product keeps it."""
        return f"/_{self.kind}/{self.name}"


def templates(product: str, rows: Sequence[FieldRow]) -> Iterator[Template]:
    """Yield the templates of *product*, each after those it is composed of."""
    yield Template("component_template", SETTINGS, _settings(product))
    for dataset, log in DATASETS.items():
        mappings = mappings_name(dataset)
        fields = declared(row for row in rows if log in row.logs)
        body = _mappings(product, dataset, fields)
        yield Template("component_template", mappings, body)
        yield Template("index_template", f"logs-{dataset}", _index_template(dataset, mappings))


def mappings_name(dataset: str) -> str:
    """Return the name of the component template with the fields of *dataset*."""
    return f"logs-{dataset}@mappings"


def declared(rows: Iterable[FieldRow]) -> dict[str, str]:
    """Return every field of *rows* with its mapping type.

    Raises:
        ValueError: Two rows give a field different types, or a field is also an object.
    """
    types: dict[str, str] = {}
    for row in rows:
        for name, mapping_type in row.targets:
            if types.setdefault(name, mapping_type) != mapping_type:
                raise ValueError(
                    f"fields.csv: {name}: has type {mapping_type!r} in one row "
                    f"and {types[name]!r} in another"
                )
    for name in types:
        parent = name.rpartition(".")[0]
        if parent in types:
            raise ValueError(f"fields.csv: {name}: its parent {parent!r} is a field itself")
    return types


def field_mapping(name: str, mapping_type: str, product: str) -> dict[str, Any]:
    """Return how *product* is to index the field *name*."""
    mapping: dict[str, Any] = {"type": mapping_type}
    if name in _UNSEARCHED:
        return {**mapping, "index": False, "doc_values": False}
    if mapping_type == "keyword":
        mapping["ignore_above"] = _KEYWORD_LENGTH
    if mapping_type == "flattened":
        mapping = _flattened(product)
    if mapping_type == "wildcard" and product == "opensearch":
        mapping["ignore_above"] = _TERM_LENGTH
    if name in _WITH_TEXT:
        mapping["fields"] = {"text": {"type": "match_only_text"}}
    return mapping


def _flattened(product: str) -> dict[str, Any]:
    if product == "opensearch":
        return {"type": "flat_object"}
    return {"type": "flattened", "ignore_above": _KEYWORD_LENGTH}


def _mappings(product: str, dataset: str, fields: Mapping[str, str]) -> dict[str, Any]:
    constants = {"data_stream.type": "logs", "data_stream.dataset": dataset}
    properties: dict[str, Any] = {}
    for name, mapping_type in fields.items():
        *parents, leaf = name.split(".")
        level = properties
        for parent in parents:
            level = level.setdefault(parent, {"properties": {}})["properties"]
        level[leaf] = field_mapping(name, mapping_type, product)
        if mapping_type == "constant_keyword":
            # OpenSearch refuses the type without a value.
            level[leaf]["value"] = constants[name]
    # strict: a field that nobody declared would otherwise become searchable by guesswork,
    # and the first document would decide its type for all others.
    mappings = {"dynamic": "strict", "properties": properties}
    return {
        "template": {"mappings": mappings},
        "_meta": _meta(f"Fields of {dataset} documents."),
    }


def _settings(product: str) -> dict[str, Any]:
    index: dict[str, Any] = {"codec": "best_compression"}
    if product == "elasticsearch":
        # Elasticsearch 9 gives logs-*-* the mode logsdb, which re-shapes _source and
        # adds host.name.
        index["mode"] = "standard"
    return {
        "template": {"settings": {"index": index}},
        "_meta": _meta("Index settings of all CloudFront data streams."),
    }


def _index_template(dataset: str, mappings: str) -> dict[str, Any]:
    return {
        "index_patterns": [f"logs-{dataset}-*"],
        "data_stream": {},
        "priority": PRIORITY,
        "composed_of": [SETTINGS, mappings],
        "_meta": _meta(f"Data streams of {dataset} documents."),
    }


def _meta(description: str) -> dict[str, Any]:
    return {"made_by": MADE_BY, "ecs_version": ECS_VERSION, "description": description}
