"""Lifecycle policies: made once, followed when options change, never somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.setup.install import install
from cloudfront_ecs.setup.lifecycle import POLICY, policy
from cloudfront_ecs.setup.removal import remove
from cloudfront_ecs.sinks.elastic_options import ElasticOptions, LifecycleOptions
from setup.security_server import ILM, ISM, security_server
from sinks.search_nodes import CONTEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs.adapters import SetupStep
    from setup.security_server import SecurityServer

PATHS = {"elasticsearch": ILM + POLICY, "opensearch": ISM + POLICY}
AGES = LifecycleOptions(rollover_age="1d", rollover_size="10gb", delete_after="90d")

both_products = pytest.mark.parametrize("product", PATHS)


@pytest.fixture(autouse=True)
def _no_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write no documents: the server keeps none."""
    monkeypatch.setattr("cloudfront_ecs.setup.install.verify", lambda _: ())


@pytest.fixture(name="server")
def _server(product: str) -> Iterator[SecurityServer]:
    with security_server(product) as server:
        yield server


def installed(
    server: SecurityServer, ages: LifecycleOptions | None = None, *, dry_run: bool = False
) -> SetupStep:
    """Set up, and return the step of the policy."""
    options = ElasticOptions(hosts=(server.url,), lifecycle=ages or LifecycleOptions())
    [step] = [
        each for each in install(options, CONTEXT, dry_run) if each.name.startswith("lifecycle")
    ]
    return step


@both_products
def test_a_policy_is_made_once(product: str, server: SecurityServer) -> None:
    actions = [installed(server, dry_run=dry_run).action for dry_run in (True, False, True, False)]

    assert actions == ["create", "create", "unchanged", "unchanged"]
    assert server.kept[PATHS[product]] == policy(product, LifecycleOptions())


@both_products
def test_without_a_retention_nothing_is_ever_deleted(product: str) -> None:
    assert "delete" not in str(policy(product, LifecycleOptions()))
    assert "90d" in str(policy(product, AGES))


@both_products
def test_a_policy_follows_the_options_and_shows_how(product: str, server: SecurityServer) -> None:
    installed(server)

    step = installed(server, AGES)

    assert step.action == "update"
    assert any("+" in line and '"90d"' in line for line in step.difference)
    assert server.kept[PATHS[product]] == policy(product, AGES)
    assert installed(server, AGES).action == "unchanged"


@both_products
def test_a_policy_of_somebody_else_stays(product: str, server: SecurityServer) -> None:
    theirs = {"policy": {"description": "ours", "phases": {"hot": {"actions": {}}}, "states": []}}
    server.kept[PATHS[product]] = theirs
    server.versions[PATHS[product]] = 1

    assert installed(server).action == "foreign"
    options = ElasticOptions(hosts=(server.url,))
    assert "foreign" in [step.action for step in remove(options, CONTEXT, False)]
    assert server.kept[PATHS[product]] == theirs


@pytest.mark.parametrize(
    ("product", "status", "body"),
    [
        ("opensearch", 400, {"error": "no handler found for uri [/_plugins/_ism]"}),
        ("elasticsearch", 405, {"error": "Incorrect HTTP method"}),
        ("elasticsearch", 410, {"error": {"type": "api_not_available_exception"}}),
    ],
)
def test_a_server_without_policies_is_set_up_without_one(
    product: str, server: SecurityServer, status: int, body: Any
) -> None:
    server.statuses[PATHS[product]] = status, body

    assert installed(server).action == "unavailable"
    assert not any("lifecycle" in str(kept) for kept in server.kept.values())


@pytest.mark.parametrize("product", ["elasticsearch"])
def test_indices_of_elasticsearch_name_the_policy(server: SecurityServer) -> None:
    installed(server)

    settings = server.kept["/_component_template/logs-cloudfront@settings"]["template"]["settings"]
    assert settings["index"]["lifecycle"] == {"name": POLICY}


@pytest.mark.parametrize("product", ["opensearch"])
def test_the_policy_of_opensearch_names_the_data_streams(server: SecurityServer) -> None:
    installed(server)

    [template] = server.kept[PATHS["opensearch"]]["policy"]["ism_template"]
    assert template["index_patterns"] == ["logs-cloudfront.*"]


@both_products
def test_remove_leaves_nothing_of_ours(product: str, server: SecurityServer) -> None:
    assert product
    options = ElasticOptions(hosts=(server.url,))
    made = [step.name for step in install(options, CONTEXT, False)]  # noqa: FBT003

    would = [step.action for step in remove(options, CONTEXT, True)]
    kept = len(server.kept)
    steps = list(remove(options, CONTEXT, False))
    again = list(remove(options, CONTEXT, False))

    assert set(would) == {"remove"}
    assert kept == len(made)
    assert sorted(step.name for step in steps) == sorted(made)
    assert server.kept == {}
    assert again == []


@pytest.mark.parametrize(
    "table", [{"rollover_age": "a month"}, {"rollover_size": "50"}, {"delete_after": "0d"}]
)
def test_an_age_or_size_that_no_product_understands_is_refused(table: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(table))):
        LifecycleOptions(**table)
