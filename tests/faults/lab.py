"""The lab: servers that are started when a scenario first asks for them, and folders."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faults.report import Report
    from faults.runner import Plan
    from servers.aws import MotoServer
    from servers.forward import ForwardServer
    from servers.kinesis import KinesisServer
    from servers.search_node import SearchNode


class Lab:
    """What a scenario may use.

    Attributes:
        folder: An empty folder of its own.
        thorough: There is time: make the fault last longer, or more often.
        plan: How often processes are killed, where somebody asks for more than usual.
        tell: Takes what may be printed on the way.
        reports: Where scenarios that kill put what they found.
    """

    def __init__(
        self,
        folder: Path,
        server: Callable[[str], Any],
        *,
        thorough: bool,
        plan: Plan | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Ask *server* for what a scenario needs, by the name of the tests' fixture."""
        self.folder = folder
        self.thorough = thorough
        self.plan = plan
        self.tell = tell
        self.reports: list[Report] = []
        self._server = server

    @property
    def moto(self) -> MotoServer:
        """S3, SQS, SNS, EventBridge, DynamoDB and STS."""
        found: MotoServer = self._server("aws")
        return found

    @property
    def kinesalite(self) -> KinesisServer:
        """Kinesis, for volume; it outlives clients that are killed."""
        found: KinesisServer = self._server("kinesalite")
        return found

    @property
    def kinesis_local(self) -> KinesisServer:
        """Kinesis, faithful and slow: shards that change, shard ends, iterators."""
        found: KinesisServer = self._server("kinesis_local")
        return found

    @property
    def opensearch(self) -> SearchNode:
        """A search node; whoever stops it starts it again."""
        found: SearchNode = self._server("opensearch")
        return found

    def forward_server(self) -> ForwardServer:
        """Start a Forward receiver."""
        found: ForwardServer = self._server("forward_server")()
        return found

    @staticmethod
    def unique(stem: str) -> str:
        """Return a name nobody else uses, for buckets, streams, queues, tables, indices."""
        return f"{stem}-{uuid.uuid4().hex[:12]}"
