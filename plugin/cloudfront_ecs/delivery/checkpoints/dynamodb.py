"""Checkpoints in a DynamoDB table, for several workers on one stream."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError

from cloudfront_ecs import aws
from cloudfront_ecs.delivery.checkpoints.dynamodb_table import (
    KEYS,
    TTL,
    DynamoDbTable,
    TableMissingError,
)
from cloudfront_ecs.delivery.checkpoints.shared import SharedCheckpoints
from cloudfront_ecs.errors import ConfigError, StateError
from cloudfront_ecs.options import option

if TYPE_CHECKING:
    from cloudfront_ecs.adapters import AdapterContext

DAY = 86_400.0
KEEP_FINISHED = 400 * DAY
"""Kinesis keeps closed shards for 365 days at most; one that is still listed but has no item
any more would be read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamoDbOptions(aws.AwsOptions):
    """Where several workers keep their checkpoints and leases."""

    kind: Literal["dynamodb"] = option(doc="The kind of store.")
    table: str = option(doc="Name of the table.", example="cloudfront-ecs")
    group: str | None = option(
        None, doc="Common name of the workers that share a stream; default: the source's name."
    )
    lease_seconds: float = option(
        30.0,
        doc="After so long without a sign of life another worker takes a shard over. The same "
        "for all workers.",
        least=1,
        most=3600,
    )
    write_seconds: float = option(
        1.0, doc="A shard's checkpoint is written at most so often.", least=0.1, most=60
    )
    create: bool = option(False, doc="Make the table if there is none.")  # noqa: FBT003

    def __post_init__(self) -> None:
        """Check what the types cannot."""
        if self.write_seconds > self.lease_seconds / 3:
            raise ValueError(
                f"write_seconds: {self.write_seconds:g} is more than a third of lease_seconds "
                f"({self.lease_seconds:g})"
            )


def open_shared(
    options: DynamoDbOptions, context: AdapterContext, region: str | None
) -> SharedCheckpoints:
    """Open the store; the table is read at once.

    Args:
        options: Of the store.
        context: Whose checkpoints they are.
        region: Of the source, for a store without one.

    Raises:
        StateError: There is no table, or it cannot be read or not be trusted.
    """
    table = _table(options, context, region)
    try:
        _examine(table, options)
    except TableMissingError as error:
        if not options.create:
            table.client.close()
            raise _missing(options, table) from error
        _create(table)
    except BaseException:
        table.client.close()
        raise
    owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    return SharedCheckpoints(
        table, owner, options.lease_seconds, options.write_seconds, table.place
    )


def check_shared(options: DynamoDbOptions, context: AdapterContext, region: str | None) -> str:
    """Say whether the table is there and can be read and written; nothing is changed.

    Raises:
        StateError: It is not, or cannot be.
    """
    table = _table(options, context, region)
    try:
        _examine(table, options)
        leases = list(table.all())
        table.try_writing()
    except TableMissingError as error:
        if not options.create:
            raise _missing(options, table) from error
        return f"table {options.table} will be made"
    finally:
        table.client.close()
    return f"table {options.table} can be read and written, {len(leases)} items"


def _table(options: DynamoDbOptions, context: AdapterContext, region: str | None) -> DynamoDbTable:
    if options.region is None:
        options = replace(options, region=region)
    patience = min(5.0, max(2.0, options.lease_seconds / 6))
    try:
        client = aws.client(
            "dynamodb",
            options,
            connect_timeout=patience,
            read_timeout=patience,
            retries={"total_max_attempts": 1},  # a lease has no time for others' patience
        )
    except BotoCoreError as error:
        raise ConfigError(f"{context.name}: checkpoints: {error}") from error
    return DynamoDbTable(client, options.table, options.group or context.name, KEEP_FINISHED)


def _examine(table: DynamoDbTable, options: DynamoDbOptions) -> None:
    """See that the table has the right keys."""
    told = table.call(table.client.describe_table, TableName=options.table)["Table"]
    found = {(key["AttributeName"], key["KeyType"]) for key in told["KeySchema"]}
    if found != set(zip(KEYS, ("HASH", "RANGE"), strict=True)):
        keys = ", ".join(f"{name} ({kind})" for name, kind in sorted(found))
        raise StateError(
            f"{table.place}: has the keys {keys}, not group (HASH) and partition (RANGE) "
            "(name another table)"
        )


def _create(table: DynamoDbTable) -> None:
    """Make the table, or wait for another worker that makes it."""
    client = table.client
    try:
        client.create_table(
            TableName=table.table,
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in KEYS],
            KeySchema=[
                {"AttributeName": name, "KeyType": kind}
                for name, kind in zip(KEYS, ("HASH", "RANGE"), strict=True)
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        made = True
    except client.exceptions.ResourceInUseException:
        made = False
    except (ClientError, BotoCoreError) as error:
        raise StateError(f"{table.place}: cannot be made: {error}") from error
    try:
        client.get_waiter("table_exists").wait(
            TableName=table.table, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        if made:
            client.update_time_to_live(
                TableName=table.table,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL},
            )
    except (ClientError, BotoCoreError) as error:
        raise StateError(f"{table.place}: made, but not ready: {error}") from error


def _missing(options: DynamoDbOptions, table: DynamoDbTable) -> StateError:
    where = f"--table-name {options.table} --region {table.client.meta.region_name}"
    keys = " ".join(f"AttributeName={name},AttributeType=S" for name in KEYS)
    return StateError(
        f"{table.place}: there is no such table (set 'create = true', or run: "
        f"aws dynamodb create-table {where} --billing-mode PAY_PER_REQUEST "
        f"--attribute-definitions {keys} --key-schema "
        f"AttributeName={KEYS[0]},KeyType=HASH AttributeName={KEYS[1]},KeyType=RANGE && "
        f"aws dynamodb wait table-exists {where} && "
        f"aws dynamodb update-time-to-live {where} "
        f"--time-to-live-specification Enabled=true,AttributeName={TTL})"
    )
