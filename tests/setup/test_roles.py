"""Roles: least privilege, never somebody else's, given to whom the configuration names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs.setup.install import install
from cloudfront_ecs.setup.removal import remove
from cloudfront_ecs.setup.roles import READER, WRITER
from cloudfront_ecs.sinks.elastic_options import ElasticOptions, RolesOptions
from setup.security_server import MAPPINGS, ROLES, security_server
from sinks.search_nodes import CONTEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs.adapters import SetupStep
    from setup.security_server import SecurityServer

ARN = "arn:aws:iam::123456789012:role/shipper"

both_products = pytest.mark.parametrize("product", ROLES)


@pytest.fixture(autouse=True)
def _no_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write no documents: the server keeps none."""
    monkeypatch.setattr("cloudfront_ecs.setup.install.verify", lambda _: ())


@pytest.fixture(name="server")
def _server(product: str) -> Iterator[SecurityServer]:
    with security_server(product) as server:
        yield server


def installed(server: SecurityServer, given: RolesOptions | None = None) -> dict[str, SetupStep]:
    options = ElasticOptions(hosts=(server.url,), roles=given or RolesOptions())
    steps = install(options, CONTEXT, False)  # noqa: FBT003
    return {step.name: step for step in steps if "role" in step.name}


@both_products
def test_roles_are_made_once(product: str, server: SecurityServer) -> None:
    first = {name: step.action for name, step in installed(server).items()}
    second = {name: step.action for name, step in installed(server).items()}

    assert first == {f"role {WRITER}": "create", f"role {READER}": "create"}
    assert set(second.values()) == {"unchanged"}
    assert ROLES[product] + WRITER in server.kept


@both_products
def test_a_role_that_was_changed_is_put_right(product: str, server: SecurityServer) -> None:
    installed(server)
    role = server.kept[ROLES[product] + WRITER]
    role["indices" if product == "elasticsearch" else "index_permissions"] = []

    step = installed(server)[f"role {WRITER}"]

    assert step.action == "update"
    assert step.difference


@both_products
def test_a_role_of_somebody_else_stays(product: str, server: SecurityServer) -> None:
    theirs = {"description": "ours", "metadata": {}}
    server.kept[ROLES[product] + WRITER] = theirs

    steps = installed(server, RolesOptions(writers=(ARN,)))

    assert steps[f"role {WRITER}"].action == "foreign"
    assert server.kept[ROLES[product] + WRITER] == theirs
    assert f"mapping of role {WRITER}" not in steps
    options = ElasticOptions(hosts=(server.url,))
    assert [step.action for step in remove(options, CONTEXT, False) if WRITER in step.name] == [
        "foreign"
    ]


@both_products
@pytest.mark.parametrize("status", [400, 403, 500])
def test_where_roles_cannot_be_seen_setup_goes_on_and_says_so(
    product: str, server: SecurityServer, status: int
) -> None:
    server.statuses[ROLES[product]] = status, {"error": "no"}

    steps = installed(server)

    assert [step.action for step in steps.values()] == ["unavailable"]
    assert ("may not see roles" in steps["roles"].difference[0]) is (status == 403)


@pytest.mark.parametrize("product", ["opensearch"])
def test_backend_roles_are_added_to_those_that_are_there(server: SecurityServer) -> None:
    server.kept[MAPPINGS + WRITER] = {"backend_roles": ["admins"], "users": ["ann"], "hosts": []}

    first = installed(server, RolesOptions(writers=(ARN,)))[f"mapping of role {WRITER}"]
    second = installed(server, RolesOptions(writers=(ARN,)))[f"mapping of role {WRITER}"]

    assert (first.action, first.difference) == ("update", (f"+ {ARN}",))
    assert second.action == "unchanged"
    assert server.kept[MAPPINGS + WRITER] == {
        "backend_roles": ["admins", ARN], "users": ["ann"], "hosts": []
    }  # fmt: skip
