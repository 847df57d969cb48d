"""OpenSearch 2.19, the newest line that starts on the Java 21 from PyPI with all the types we use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servers.packages import MavenZip
from servers.search_node import Product, SearchNode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from servers.packages import PackageCache

OPENSEARCH = Product(
    MavenZip(
        group="org.opensearch.distribution.integ-test-zip",
        artifact="opensearch",
        version="2.19.4",
        sha256="3902e642715210d1d9d7cbdcc8f5abd6f931d1d7a679cea3750937becf16c406",
    ),
    prefix="OPENSEARCH",
    settings={},
)


def start_opensearch(cache: PackageCache, settings: Mapping[str, str] | None = None) -> SearchNode:
    """Start a plain node; *settings* are those of ``opensearch.yml``."""
    node = SearchNode(OPENSEARCH, cache, settings)
    try:
        node.start()
    except BaseException:
        node.close()
        raise
    return node
