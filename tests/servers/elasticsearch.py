"""Elasticsearch 9.1 without security.  Its zip lacks x-pack and GET / (which answers 405)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servers.packages import MavenZip
from servers.search_node import Product, SearchNode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from servers.packages import PackageCache

ELASTICSEARCH = Product(
    MavenZip(
        group="org.elasticsearch.distribution.integ-test-zip",
        artifact="elasticsearch",
        version="9.1.0",
        sha256="be5c5440bb6344cee4070f8f77a6c3cd72363db494944047cdd93748c4e19111",
    ),
    prefix="ES",
    settings={"xpack.security.enabled": "false"},
)


def start_elasticsearch(
    cache: PackageCache, settings: Mapping[str, str] | None = None
) -> SearchNode:
    """Start a plain node; *settings* are those of ``elasticsearch.yml``."""
    node = SearchNode(ELASTICSEARCH, cache, settings)
    try:
        node.start()
    except BaseException:
        node.close()
        raise
    return node
