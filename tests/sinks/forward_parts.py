"""What the tests of the ``fluentd`` sink share."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.batches import Document
from cloudfront_ecs.options import parse
from cloudfront_ecs.sinks.fluentd import open_sink
from cloudfront_ecs.sinks.fluentd_options import FluentdOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs.sinks.fluentd import FluentdSink
    from sinks.scripted_receiver import Peer

CONTEXT = AdapterContext("forward")
SIZE = 12  # documents of 400 bytes, four to a chunk


def fluentd_options(*servers: str, **table: Any) -> FluentdOptions:
    problems: list[str] = []
    table = {"servers": list(servers), "ack_timeout": 5.0, "connect_timeout": 5.0} | table
    parsed = parse(FluentdOptions, table, "sinks.forward", problems)
    assert not problems
    assert isinstance(parsed, FluentdOptions)
    return parsed


@contextmanager
def sink(*servers: str, **table: Any) -> Iterator[FluentdSink]:
    table = {"chunk_bytes": 1_800} | table
    with closing(open_sink(fluentd_options(*servers, **table), CONTEXT)) as opened:
        yield opened


def documents(count: int = SIZE) -> list[Document]:
    return [
        Document(
            f"{n:030}", "cloudfront.standard", 1_700_000_000_000_000_000 + n, {"text": "x" * 400}
        )
        for n in range(count)
    ]


def ack_all(peer: Peer) -> None:
    peer.ack_all()


def silent(peer: Peer) -> None:
    peer.wait_for_end()
