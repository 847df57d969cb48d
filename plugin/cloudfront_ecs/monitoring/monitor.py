"""Opens the endpoint for metrics and health; imported only where the configuration asks for it."""

from __future__ import annotations

import json
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

from cloudfront_ecs.errors import CloudFrontEcsError
from cloudfront_ecs.monitoring.endpoint import SERVER, Endpoint
from cloudfront_ecs.monitoring.health import health_page
from cloudfront_ecs.monitoring.metrics import Metrics
from cloudfront_ecs.monitoring.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudfront_ecs.config import Config
    from cloudfront_ecs.monitoring.options import Address
    from cloudfront_ecs.plugins import Plugins
    from cloudfront_ecs.running import Running


@contextmanager
def monitored(
    address: Address, config: Config, plugins: Plugins
) -> Iterator[Callable[[Running], None]]:
    """Bind *address* now, and give a function that shows a run there.

    Raises:
        CloudFrontEcsError: The address cannot be bound.
    """
    metrics = Metrics()
    plugins.watch(metrics.settlements, "metrics")
    with closing(Endpoint(address)) as endpoint:

        def show(running: Running) -> None:
            watch = Watch.over(running, config)
            metrics.watch(watch)
            endpoint.serve({"/metrics": metrics.page, "/healthz": lambda _: health_page(watch)})

        yield show


def address_use(address: Address) -> str:
    """Say whether *address* can be listened on, or is by a run of ours.

    Raises:
        CloudFrontEcsError: Neither.
    """
    try:
        Endpoint(address).close()
    except CloudFrontEcsError:
        if _ours(address):
            return "a cloudfront-ecs that runs answers there"
        raise
    return "nobody listens there yet"


def _ours(address: Address) -> bool:
    with closing(HTTPConnection(address.host, address.port, timeout=2)) as connection:
        try:
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            server = answer.getheader("Server")
            told = json.loads(answer.read(1_000_000))
        except (OSError, HTTPException, ValueError):
            return False
    return server == SERVER and isinstance(told, dict) and "status" in told
