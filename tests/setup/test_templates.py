"""The templates say what the table says, in the types each product has."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs import generate
from cloudfront_ecs.adapters import SinkSpec
from cloudfront_ecs.resources import FieldRow, field_table
from cloudfront_ecs.setup.install import shipped
from cloudfront_ecs.setup.templates import (
    DATASETS,
    MADE_BY,
    PRODUCTS,
    declared,
    field_mapping,
    templates,
)
from cloudfront_ecs.sinks.elastic import ElasticOptions, open_sink

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]

# Types in the mapping references of Elasticsearch 9.1 and OpenSearch 2.19.
KNOWN_TYPES = {
    "boolean", "byte", "constant_keyword", "date", "double", "float", "geo_point", "ip", "keyword",
    "long", "match_only_text", "wildcard",
}  # fmt: skip
OWN_TYPES = {"elasticsearch": {"flattened"}, "opensearch": {"flat_object"}}


def row(targets: tuple[tuple[str, str], ...]) -> FieldRow:
    return FieldRow(
        "c", frozenset({"standard"}), None, None, "", "text", "", targets, "2026", "A column."
    )


def leaves(properties: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, mapping in properties.items():
        if "properties" in mapping:
            yield from leaves(mapping["properties"], f"{above}{name}.")
        else:
            yield f"{above}{name}", mapping


def mappings(product: str, dataset: str) -> dict[str, dict[str, Any]]:
    for template in templates(product, field_table()):
        if template.name == f"logs-{dataset}@mappings":
            return dict(leaves(template.body["template"]["mappings"]["properties"]))
    raise AssertionError(dataset)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_exactly_the_fields_that_a_log_can_fill_are_declared(product: str, dataset: str) -> None:
    rows = [row for row in field_table() if DATASETS[dataset] in row.logs]

    names = {name for row in rows for name, _ in row.targets}

    assert set(mappings(product, dataset)) == names


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_every_type_exists_in_the_product(product: str, dataset: str) -> None:
    fields = mappings(product, dataset)

    used = {mapping["type"] for mapping in fields.values()}
    texts = {
        extra["type"] for mapping in fields.values() for extra in mapping.get("fields", {}).values()
    }
    assert used <= KNOWN_TYPES | OWN_TYPES[product]
    assert texts == {"match_only_text"}


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_constants_have_their_value(product: str, dataset: str) -> None:
    constants = {
        name: mapping["value"]
        for name, mapping in mappings(product, dataset).items()
        if mapping["type"] == "constant_keyword"
    }

    assert constants == {"data_stream.type": "logs", "data_stream.dataset": dataset}


@pytest.mark.parametrize("product", PRODUCTS)
def test_what_nobody_declared_is_refused(product: str) -> None:
    components = [one for one in templates(product, field_table()) if "@mappings" in one.name]

    assert {one.body["template"]["mappings"]["dynamic"] for one in components} == {"strict"}


@pytest.mark.parametrize("product", PRODUCTS)
def test_an_index_template_serves_the_data_streams_of_its_dataset(product: str) -> None:
    found = [one for one in templates(product, field_table()) if one.kind == "index_template"]

    assert {one.name: one.body["index_patterns"] for one in found} == {
        f"logs-{dataset}": [f"logs-{dataset}-*"] for dataset in DATASETS
    }
    assert all(one.body["data_stream"] == {} and one.body["priority"] > 200 for one in found)


@pytest.mark.parametrize("product", PRODUCTS)
def test_every_template_says_who_made_it_and_is_shipped(product: str) -> None:
    made = {one.name: one.body for one in templates(product, field_table())}

    assert {one.name: one.body for one in shipped(product)} == made
    assert all(body["_meta"]["made_by"] == MADE_BY for body in made.values())
    assert all(body["_meta"]["ecs_version"] == "9.4.0" for body in made.values())


def test_components_are_shipped_before_what_they_compose() -> None:
    kinds = [one.kind for one in shipped("opensearch")]

    assert kinds == sorted(kinds)


@pytest.mark.parametrize(
    ("name", "mapping_type", "product", "mapping"),
    [
        pytest.param(
            "a.b", "keyword", "opensearch", {"type": "keyword", "ignore_above": 1024}, id="keyword"
        ),
        pytest.param(
            "event.original",
            "keyword",
            "elasticsearch",
            {"type": "keyword", "index": False, "doc_values": False},
            id="kept-only",
        ),
        pytest.param(
            "user_agent.original",
            "keyword",
            "elasticsearch",
            {
                "type": "keyword",
                "ignore_above": 1024,
                "fields": {"text": {"type": "match_only_text"}},
            },
            id="words-too",
        ),
        pytest.param("a", "flattened", "opensearch", {"type": "flat_object"}, id="flat-object"),
        pytest.param(
            "a",
            "flattened",
            "elasticsearch",
            {"type": "flattened", "ignore_above": 1024},
            id="flattened",
        ),
        pytest.param("a", "long", "elasticsearch", {"type": "long"}, id="long"),
    ],
)
def test_a_type_of_the_table_becomes_a_mapping(
    name: str, mapping_type: str, product: str, mapping: dict[str, Any]
) -> None:
    assert field_mapping(name, mapping_type, product) == mapping


def test_a_field_with_two_types_is_refused() -> None:
    rows = [row((("a.b", "long"),)), row((("a.b", "keyword"),))]

    with pytest.raises(ValueError, match=r"fields\.csv: a\.b: has type 'keyword' in one row"):
        declared(rows)


def test_a_field_below_a_field_is_refused() -> None:
    with pytest.raises(ValueError, match=r"its parent 'a\.b' is a field itself"):
        declared([row((("a.b", "long"), ("a.b.c", "keyword")))])


def test_generated_files_are_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    stale = [path.name for path, _ in generate.stale_files(ROOT)]

    assert not stale, f"{stale}: run 'make generate'"


@pytest.fixture(name="repository")
def _repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "mappings", tmp_path / "mappings", ignore=ignored)
    text = "# x\n\n<!-- generated: fields -->\nold\n<!-- end -->\n\nmore\n"
    (tmp_path / "README.md").write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_generate_rewrites_what_is_stale(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = repository / "mappings" / "index_templates" / "opensearch"
    (folder / "logs-cloudfront.standard.json").write_text("{}", "utf-8")
    (folder / "logs-cloudfront.gone.json").write_text("{}", "utf-8")
    before = generate.main(["--check"])
    reported = capsys.readouterr().err

    written = generate.main([])

    assert (before, written, generate.main(["--check"])) == (1, 0, 0)
    assert reported.count("run 'make generate'") == 3
    assert not (folder / "logs-cloudfront.gone.json").exists()
    readme = (repository / "README.md").read_text("utf-8")
    assert "| `sc-status` | access | `http.response.status_code` long<br>" in readme
    assert "old" not in readme
    assert readme.endswith("<!-- end -->\n\nmore\n")


def test_generate_refuses_other_places_and_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert generate.main([]) == 2
    assert generate.main(["--chek"]) == 2


def test_a_block_that_nobody_generates_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown block 'feilds'"):
        generate.refresh("<!-- generated: feilds -->\n<!-- end -->", generate.BLOCKS)


def test_options_are_documented_from_their_declaration() -> None:
    spec = SinkSpec("elastic", "Data streams.", ElasticOptions, open_sink)

    section = generate.adapter_section("sink", spec)

    assert section.startswith("#### Sink `elastic`\n\nData streams.\n\n| Option | Type |")
    assert "| `hosts` | list of text | required |" in section
    assert "| `tls.verify` | bool | `true` |" in section
