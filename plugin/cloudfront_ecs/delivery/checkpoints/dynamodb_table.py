"""A table of leases in Amazon DynamoDB: one item for each partition.

=============  ====  ==============================================================
attribute      type  meaning
=============  ====  ==============================================================
``group``      S     partition key: the workers that share the work, one name for all
``partition``  S     sort key: stream ARN, ``@``, its creation time, ``/``, shard id
``format``     N     format of the item: 1
``position``   S     checkpoint: a sequence number, ``@`` and a time, or trim_horizon
``rank``       S     the same, so that text order is the order of positions
``arrived``    N     when the record at the position came to the stream, epoch seconds
``finished``   BOOL  the shard has ended and all of it is settled
``counter``    N     counts up with every write of the owner
``owner``      S     who reads the shard; absent: nobody
``wanted``     S     who has asked for it; absent: nobody
``expires``    N     TTL of finished shards, epoch seconds
=============  ====  ==============================================================
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from cloudfront_ecs.delivery.checkpoints.lease_table import Lease, LeaseRefusedError
from cloudfront_ecs.delivery.checkpoints.store import Checkpoint, rank
from cloudfront_ecs.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FORMAT = 1
KEYS = ("group", "partition")
TTL = "expires"
_NAME = re.compile(r"#(\w+)")
_SAVED = "#format = :format, #position = :position, #rank = :rank, #finished = :finished"
_OURS = "#counter = :counter AND #owner = :owner"


class TableMissingError(StateError):
    """There is no such table."""


class DynamoDbTable:
    """The leases of one group of workers."""

    def __init__(self, client: Any, table: str, group: str, keep_finished: float) -> None:
        """Ask nothing yet.

        Args:
            client: Of boto3, for DynamoDB; it makes each call once.
            table: The name of the table.
            group: The workers' common name.
            keep_finished: Seconds after which items of finished partitions may go.
        """
        self.client = client
        self.table = table
        self.group = group
        self._keep_finished = keep_finished

    @property
    def place(self) -> str:
        """The table's name for people."""
        return f"dynamodb://{self.table}"

    def all(self) -> Iterator[Lease]:
        """Yield every lease of the group.

        Raises:
            StateError: The table cannot be read, or an item not be trusted.
        """
        asked: dict[str, Any] = {
            "TableName": self.table,
            "ConsistentRead": True,
            "KeyConditionExpression": "#group = :group",
            "ExpressionAttributeNames": {"#group": "group"},
            "ExpressionAttributeValues": {":group": {"S": self.group}},
        }
        while True:
            answer = self.call(self.client.query, **asked)
            for item in answer["Items"]:
                yield self._lease(item)
            if "LastEvaluatedKey" not in answer:
                return
            asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def add(self, partition: str, checkpoint: Checkpoint) -> None:
        """Make an item that belongs to nobody, unless there is one."""
        try:
            self._update(
                partition,
                f"SET {_SAVED}, #counter = :zero",
                "attribute_not_exists(#partition)",
                {**_saved(checkpoint), ":zero": {"N": "0"}},
            )
        except LeaseRefusedError:
            return  # another worker was faster

    def take(self, lease: Lease, owner: str) -> Lease:
        """Give *lease* to *owner*, if its counter is unchanged."""
        return self._update(
            lease.partition,
            "SET #owner = :owner, #counter = :next REMOVE #wanted",
            "#counter = :counter AND #finished = :unfinished",
            {
                ":owner": {"S": owner},
                ":unfinished": {"BOOL": False},
                **_counted(lease),
            },
        )

    def keep(self, lease: Lease, checkpoint: Checkpoint) -> Lease:
        """Renew *lease* and store *checkpoint*, if owner and counter are unchanged."""
        return self._store(lease, checkpoint, leave=checkpoint.finished)

    def give_back(self, lease: Lease, checkpoint: Checkpoint) -> Lease:
        """Store *checkpoint* and make *lease* nobody's, if owner and counter are unchanged."""
        return self._store(lease, checkpoint, leave=True)

    def want(self, lease: Lease, owner: str) -> None:
        """Ask the owner of *lease* to hand it over, unless somebody has asked."""
        self._update(
            lease.partition,
            "SET #wanted = :wanted",
            "#owner = :owner AND attribute_not_exists(#wanted)",
            {":wanted": {"S": owner}, ":owner": {"S": lease.owner}},
        )

    def try_writing(self) -> None:
        """Make a write that never changes anything, to learn whether writing is allowed."""
        try:
            self._update("check", "REMOVE #wanted", "attribute_exists(#partition)", {})
        except LeaseRefusedError:
            return

    def close(self) -> None:
        """Disconnect."""
        self.client.close()

    def _store(self, lease: Lease, checkpoint: Checkpoint, *, leave: bool) -> Lease:
        values = {**_saved(checkpoint), **_counted(lease), ":owner": {"S": lease.owner}}
        sets = f"SET {_SAVED}, #counter = :next"
        removes = ["#owner"] if leave else []
        if checkpoint.time is None:
            removes.append("#arrived")
        else:
            sets += ", #arrived = :arrived"
            values[":arrived"] = {"N": repr(checkpoint.time)}
        if checkpoint.finished:
            sets += ", #expires = :expires"
            values[":expires"] = {"N": str(int(time.time() + self._keep_finished))}
        change = f"{sets} REMOVE {', '.join(removes)}" if removes else sets
        return self._update(lease.partition, change, f"{_OURS} AND #rank <= :rank", values)

    def _update(
        self, partition: str, change: str, condition: str, values: Mapping[str, Any]
    ) -> Lease:
        asked: dict[str, Any] = {"ExpressionAttributeValues": values} if values else {}
        try:
            answer = self.call(
                self.client.update_item,
                TableName=self.table,
                Key={"group": {"S": self.group}, "partition": {"S": partition}},
                UpdateExpression=change,
                ConditionExpression=condition,
                ExpressionAttributeNames={
                    f"#{name}": name for name in _NAME.findall(f"{change} {condition}")
                },
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **asked,
            )
        except ClientError as error:
            item = error.response.get("Item")
            raise LeaseRefusedError(self._lease(item) if item else None) from error
        return self._lease(answer["Attributes"])

    def call(self, call: Callable[..., Any], **asked: Any) -> Any:
        """Make a call; a condition that is not met is raised as it is.

        Raises:
            StateError: The call failed; the text tells the table and why.
        """
        try:
            return call(**asked)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ConditionalCheckFailedException":
                raise
            if code == "ResourceNotFoundException":
                raise TableMissingError(f"{self.place}: there is no such table") from error
            raise StateError(f"{self.place}: {error}") from error
        except BotoCoreError as error:
            raise StateError(f"{self.place}: {error}") from error

    def _lease(self, item: Mapping[str, Any]) -> Lease:
        """Return what an item says.

        Raises:
            StateError: It is of another format, or damaged.
        """
        partition = item["partition"]["S"]
        place = f"{self.place}: item {partition} of group {self.group}"
        try:
            if int(item["format"]["N"]) != FORMAT:
                raise self._other_format(place, item)
            lease = Lease(
                partition,
                Checkpoint(
                    item["position"]["S"],
                    float(item["arrived"]["N"]) if "arrived" in item else None,
                    item["finished"]["BOOL"],
                ),
                int(item["counter"]["N"]),
                item["owner"]["S"] if "owner" in item else "",
                item["wanted"]["S"] if "wanted" in item else "",
            )
            found = item["rank"]["S"]
        except (KeyError, ValueError) as error:
            raise self._refusal(place, f"is damaged: {type(error).__name__} {error}") from error
        if found != rank(lease.checkpoint.position):
            raise self._refusal(place, "is damaged: rank and position differ")
        return lease

    @staticmethod
    def _other_format(place: str, item: Mapping[str, Any]) -> StateError:
        return StateError(
            f"{place} has format {item['format']['N']}, this version knows {FORMAT} "
            "(run the version that wrote it)"
        )

    @staticmethod
    def _refusal(place: str, problem: str) -> StateError:
        return StateError(
            f"{place} {problem} (restore it, or delete it to begin where the option 'start' says)"
        )


def _saved(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        ":format": {"N": str(FORMAT)},
        ":position": {"S": checkpoint.position},
        ":rank": {"S": rank(checkpoint.position)},
        ":finished": {"BOOL": checkpoint.finished},
    }


def _counted(lease: Lease) -> dict[str, Any]:
    return {":counter": {"N": str(lease.counter)}, ":next": {"N": str(lease.counter + 1)}}
