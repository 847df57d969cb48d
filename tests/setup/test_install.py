"""``setup``: what is compared, what is changed, and what is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.batches import Document
from cloudfront_ecs.errors import SinkBlockedError, SinkUnavailableError
from cloudfront_ecs.setup.install import install, plan, shipped
from cloudfront_ecs.setup.removal import remove
from cloudfront_ecs.setup.streams import missing_properties
from cloudfront_ecs.setup.templates import DATASETS, MADE_BY, Template
from cloudfront_ecs.sinks.elastic import ElasticOptions, open_sink, sink_specs
from sinks import scripted_bulk as faults
from sinks.search_nodes import CONTEXT, clear, install_on, templates_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.search_node import SearchNode

META = {"made_by": MADE_BY, "ecs_version": "9.4.0", "description": "x"}
BODY = {
    "index_patterns": ["a-*"],
    "data_stream": {},
    "priority": 250,
    "composed_of": [],
    "template": {
        "settings": {"index": {"codec": "best_compression", "number_of_shards": 2}},
        "mappings": {"properties": {"a": {"type": "keyword", "doc_values": False}}},
    },
    "_meta": META,
}
TEMPLATE = Template("index_template", "a", BODY)


def installed(**changes: Any) -> dict[str, Any]:
    """As a server gives it back."""
    return {
        "index_patterns": ["a-*"],
        "priority": 250,
        "composed_of": [],
        "data_stream": {"hidden": False, "allow_custom_routing": False},
        "template": {
            "settings": {"index": {"number_of_shards": "2", "codec": "best_compression"}},
            "mappings": {"properties": {"a": {"doc_values": "false", "type": "keyword"}}},
            "aliases": {},
        },
        "created_date_millis": 1,
        "_meta": META,
        **changes,
    }


def test_what_is_missing_is_created() -> None:
    step = plan(TEMPLATE, None)

    assert (step.name, step.action, step.difference) == ("index template a", "create", ())


def test_what_a_server_adds_and_rewrites_is_no_difference() -> None:
    assert plan(TEMPLATE, installed()).action == "unchanged"


def test_settings_may_be_written_in_dotted_names() -> None:
    template = {
        **installed()["template"],
        "settings": {"index.number_of_shards": 2, "codec": "best_compression"},
    }

    assert plan(TEMPLATE, installed(template=template)).action == "unchanged"


def test_an_update_shows_what_changes() -> None:
    step = plan(TEMPLATE, installed(priority=200))

    assert step.action == "update"
    assert step.difference[:2] == ("--- installed", "+++ shipped")
    assert '-  "priority": "200",' in step.difference
    assert '+  "priority": "250",' in step.difference


@pytest.mark.parametrize("meta", [None, {}, {"made_by": "somebody"}])
def test_what_we_did_not_make_is_foreign(meta: object) -> None:
    assert plan(TEMPLATE, installed(_meta=meta)).action == "foreign"


def test_setup_is_offered_with_the_sink() -> None:
    (spec,) = sink_specs()

    assert (spec.kind, spec.options) == ("elastic", ElasticOptions)
    assert (spec.setup, spec.remove) == (install, remove)


@pytest.mark.parametrize(
    ("status", "error"), [(401, SinkBlockedError), (503, SinkUnavailableError)]
)
def test_a_cluster_that_refuses_ends_setup(status: int, error: type[Exception]) -> None:
    with faults.scripted_bulk() as server:
        server.root = (status, b"", {})

        with pytest.raises(error, match=f"answered {status}"):
            list(install(ElasticOptions(hosts=(server.url,)), CONTEXT, False))  # noqa: FBT003


@pytest.mark.integration
def test_setup_of_opensearch_creates_then_finds_everything_in_place(
    opensearch: SearchNode,
) -> None:
    clear(opensearch)
    options = ElasticOptions(hosts=(opensearch.url,))

    actions = [
        [step.action for step in install(options, CONTEXT, dry_run)]
        for dry_run in (True, False, True, False)
    ]

    count = len(shipped("opensearch"))
    # The node has neither lifecycle policies nor roles.
    steps = [
        ["unavailable", *[action] * count, "unavailable"] for action in ("create", "unchanged")
    ]
    verified = ["verified"] * len(DATASETS)
    assert actions == [steps[0], steps[0] + verified, steps[1], steps[1] + verified]
    assert opensearch.call("GET", "/_data_stream/*cloudfront_ecs_setup").body == {
        "data_streams": []
    }


@pytest.mark.integration
def test_a_cluster_that_does_not_take_our_documents_fails_verification(
    opensearch: SearchNode,
) -> None:
    clear(opensearch)
    foreign = {
        "index_patterns": ["logs-cloudfront.api-*"],
        "data_stream": {},
        "priority": 900,
        "template": {"mappings": {"dynamic": "strict", "properties": {"a": {"type": "long"}}}},
    }
    opensearch.call("PUT", "/_index_template/foreign", foreign)
    options = ElasticOptions(hosts=(opensearch.url,))

    steps = {step.name: step for step in install(options, CONTEXT, False)}  # noqa: FBT003
    opensearch.call("DELETE", "/_index_template/foreign")

    step = steps["document of cloudfront.api, written and found"]
    assert step.action == "failed"
    assert "strict_dynamic_mapping_exception" in step.difference[0]
    assert steps["document of cloudfront.standard, written and found"].action == "verified"


@pytest.mark.integration
def test_remove_takes_what_setup_made_but_not_what_a_data_stream_needs(
    opensearch: SearchNode,
) -> None:
    clear(opensearch)
    options = ElasticOptions(hosts=(opensearch.url,))
    made = [step.name for step in install(options, CONTEXT, False) if step.action == "create"]  # noqa: FBT003
    opensearch.call("PUT", "/_data_stream/logs-cloudfront.api-needed")

    first = {step.name: step.action for step in remove(options, CONTEXT, False)}
    opensearch.call("DELETE", "/_data_stream/logs-cloudfront.api-needed")
    second = {step.name: step.action for step in remove(options, CONTEXT, False)}

    needed = {
        "index template logs-cloudfront.api",
        "component template logs-cloudfront.api@mappings",
        "component template logs-cloudfront@settings",
    }
    assert {name for name, action in first.items() if action == "kept"} == needed
    assert set(first) == set(made)
    assert second == dict.fromkeys(needed, "remove")


@pytest.mark.integration
def test_setup_of_elasticsearch_creates_then_finds_everything_in_place(
    elasticsearch: SearchNode,
) -> None:
    install_on(elasticsearch)

    second = install_on(elasticsearch)

    assert {step.action for step in second} == {"unchanged"}
    assert len(second) >= len(shipped("elasticsearch"))


@pytest.mark.integration
@pytest.mark.parametrize("product", ["opensearch", "elasticsearch"])
def test_setup_repairs_what_was_changed(product: str, request: pytest.FixtureRequest) -> None:
    node: SearchNode = request.getfixturevalue(product)
    install_on(node)
    changed = templates_for(node)[0]
    body = {**changed.body, "template": {"settings": {"index": {"codec": "default"}}}}
    assert node.call("PUT", changed.path, body).status == 200

    planned = install_on(node, dry_run=True)
    repaired = install_on(node)

    for steps in (planned, repaired):
        first, *others = [step.action for step in steps]
        assert first == "update"
        assert set(others) == {"unchanged"}
    assert {step.action for step in install_on(node)} == {"unchanged"}


@pytest.mark.integration
@pytest.mark.parametrize("product", ["opensearch", "elasticsearch"])
def test_setup_adds_new_fields_to_data_streams_that_exist(
    product: str, request: pytest.FixtureRequest, unique: Callable[[str], str]
) -> None:
    node: SearchNode = request.getfixturevalue(product)
    namespace = unique("n").replace("-", "")
    install_on(node)
    _shape_without_urls(node, f"logs-cloudfront.standard-{namespace}")
    sink = open_sink(ElasticOptions(hosts=(node.url,), namespace=namespace), CONTEXT)
    body = {"@timestamp": "2026-11-20T10:00:00Z", "url": {"domain": "a"}}
    document = Document("a", "cloudfront.standard", 0, body)
    before = sink.write([document])

    steps = {step.name: step for step in install_on(node)}

    after = sink.write([document])
    sink.close()
    step = steps[f"mappings of data stream logs-cloudfront.standard-{namespace}"]
    assert len(before.rejected) == 1
    assert after.stored == 1
    assert step.action == "update"
    assert "+ url.domain keyword" in step.difference
    assert {step.action for step in install_on(node)} == {"unchanged"}


def _shape_without_urls(node: SearchNode, stream: str) -> None:
    """Make a data stream as an older version would have, without ``url``."""
    shaped = next(
        template
        for template in templates_for(node)
        if template.name == "logs-cloudfront.standard@mappings"
    )
    properties = shaped.body["template"]["mappings"]["properties"]
    older = {name: mapping for name, mapping in properties.items() if name != "url"}
    mappings = {"dynamic": "strict", "properties": older}
    node.call("PUT", shaped.path, {**shaped.body, "template": {"mappings": mappings}})
    action = {"create": {"_index": stream, "_id": "first"}}
    node.call("POST", "/_bulk", [action, {"@timestamp": "2026-11-20T10:00:00Z"}])


@pytest.mark.parametrize(
    ("declared", "present", "missing"),
    [
        pytest.param({"a": {"type": "ip"}}, {"a": {"type": "ip"}}, {}, id="all-there"),
        pytest.param({"a": {"type": "ip"}}, {"a": {"type": "long"}}, {}, id="another-type"),
        pytest.param({"a": {"type": "ip"}}, {}, {"a": {"type": "ip"}}, id="a-field"),
        pytest.param(
            {"a": {"properties": {"b": {"type": "ip"}, "c": {"type": "ip"}}}},
            {"a": {"properties": {"b": {"type": "ip"}}}},
            {"a": {"properties": {"c": {"type": "ip"}}}},
            id="part-of-an-object",
        ),
    ],
)
def test_only_fields_that_are_missing_are_added(
    declared: dict[str, Any], present: dict[str, Any], missing: dict[str, Any]
) -> None:
    assert missing_properties(declared, present) == missing


@pytest.mark.integration
def test_setup_leaves_foreign_templates_alone(opensearch: SearchNode) -> None:
    clear(opensearch)
    foreign = {"index_patterns": ["logs-cloudfront.standard-*"], "priority": 300}
    path = "/_index_template/logs-cloudfront.standard"
    opensearch.call("PUT", path, foreign)

    steps = install_on(opensearch)

    actions = {step.name: step.action for step in steps}
    assert actions["index template logs-cloudfront.standard"] == "foreign"
    assert list(actions.values()).count("create") == len(steps) - 1
    answer = opensearch.call("GET", path)
    assert answer.body["index_templates"][0]["index_template"]["priority"] == 300
    clear(opensearch)
