"""CloudTrail events of odd shapes on real nodes: no document is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.sinks.elastic import ElasticOptions, open_sink
from normalize.api_events import called, converted, event
from sinks.search_nodes import CONTEXT, install_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers.search_node import SearchNode

pytestmark = pytest.mark.integration


def deep(levels: int, name: str = "a") -> Any:
    """Return objects within objects."""
    value: Any = "x" * 9_000
    for _ in range(levels):
        value = {name: value}
    return value


SHAPES: dict[str, Any] = {
    "long": {"functionCode": "x" * 200_000},
    "wide-characters": {"comment": "\U0001f600" * 20_000},
    "deep": deep(60),
    "long-names": deep(11, "\U0001f600" * 300),
    "empty": {"a": {}, "b": [], "c": "", "d": [[]], "e": [{}], "f": None, "g": [None]},
    "odd-names": {"": 1, ".a": 2, "a..b": 3, "a.": 4, " ": 5, "a\0b": 6, "_id": 7, ".": 8,
                  "a": {"b": 9}, "a.b": 10, "*": 11},
    "mixed": {"list": [1, "a", {"b": 2}, [3, [4]], True], "again": {"list": "text"}},
    "numbers": {"big": 10**40, "small": -1.5e-300, "yes": True},
    "many": {f"name{number}": number for number in range(2_000)},
}  # fmt: skip


@pytest.fixture(name="node", scope="module", params=["opensearch", "elasticsearch"])
def _node(request: pytest.FixtureRequest) -> Iterator[SearchNode]:
    node: SearchNode = request.getfixturevalue(request.param)
    install_on(node)
    yield node
    node.call("DELETE", "/_data_stream/logs-cloudfront.api-shapes")


@pytest.mark.parametrize("shape", SHAPES)
def test_parameters_of_every_shape_are_indexed(node: SearchNode, shape: str) -> None:
    events = [
        called("UpdateFunction", SHAPES[shape], SHAPES[shape], eventID=f"{shape}-1"),
        event("Strange", eventID=f"{shape}-2", invented=SHAPES[shape], errorCode="x" * 9_000,
              errorMessage="x" * 40_000, userAgent="x" * 40_000, sourceIPAddress="x" * 40_000),
    ]  # fmt: skip
    documents = converted(*events).documents
    sink = open_sink(ElasticOptions(hosts=(node.url,), namespace="shapes"), CONTEXT)

    result = sink.write(documents)
    sink.close()

    assert [one.detail for one in result.rejected] == []
    assert result.stored + result.duplicates == 2
