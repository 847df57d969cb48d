"""The route through Kinesis with checkpoints in DynamoDB, for several workers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from faults.record_route import RecordRoute, _closed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from servers.aws import AwsServer
    from servers.kinesis import KinesisServer

WRITE = 0.2


class SharedRoute(RecordRoute):
    """Real-time logs in a Kinesis stream; all workers keep their checkpoints in one table."""

    def __init__(
        self, kinesis: KinesisServer, moto: AwsServer, name: str, seed: int, lease: float
    ) -> None:
        super().__init__(kinesis, name, seed)
        self.table = name
        self.lease = lease
        self.dynamodb = moto.client("dynamodb")
        self.dynamodb.list_tables()  # moto is slow to answer the first call
        self.config += f"""
[sources.logs.checkpoints]
kind = "dynamodb"
table = {json.dumps(name)}
region = "us-east-1"
endpoint_url = {json.dumps(moto.endpoint)}
lease_seconds = {lease}
write_seconds = {WRITE}
create = true
"""

    def items(self) -> dict[str, Mapping[str, Any]]:
        """Return the items of shards, by shard id; none while there is no table."""
        try:
            told = self.dynamodb.scan(TableName=self.table, ConsistentRead=True)
        except self.dynamodb.exceptions.ResourceNotFoundException:
            return {}
        found = {item["partition"]["S"].rpartition("/")[2]: item for item in told["Items"]}
        return {name: item for name, item in found.items() if name.startswith("shardId-")}

    def owners(self) -> dict[str, int]:
        """Return how many shards each worker holds."""
        found: dict[str, int] = {}
        for item in self.items().values():
            if "owner" in item:
                owner = item["owner"]["S"]
                found[owner] = found.get(owner, 0) + 1
        return found

    def left(self, state: Path) -> list[str]:  # noqa: ARG002 - the table knows all
        items = self.items()
        problems = []
        for shard in self._shards():
            name = shard["ShardId"]
            last = self._producer.last.get(name)
            wanted = "trim_horizon" if last is None else str(last)
            item = items.get(name, {})
            position = item.get("position", {}).get("S")
            if position != wanted:
                problems.append(f"{name}: checkpoint is {position}, the last record {wanted}")
            elif _closed(shard) and not item["finished"]["BOOL"]:
                problems.append(f"{name}: closed, but not settled to its end")
        return problems
