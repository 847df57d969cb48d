"""Checkpoints in DynamoDB: the table as moto plays it, and what several workers make of it."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.delivery.checkpoints.dynamodb import DynamoDbOptions, check_shared, open_shared
from cloudfront_ecs.delivery.checkpoints.dynamodb_table import DynamoDbTable
from cloudfront_ecs.delivery.checkpoints.lease_table import LeaseRefusedError, LeaseTable
from cloudfront_ecs.delivery.checkpoints.store import Checkpoint, rank
from cloudfront_ecs.errors import StateError
from delivery.memory_leases import MemoryLeases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudfront_ecs.delivery.checkpoints.shared import SharedCheckpoints
    from servers.aws import MotoServer

pytestmark = pytest.mark.integration

CONTEXT = AdapterContext("edge")


class Table:
    """A table of a test."""

    def __init__(self, aws: MotoServer, name: str) -> None:
        self.client = aws.client("dynamodb")
        self.client.list_tables()  # moto is slow to answer the first call
        self.aws = aws
        self.name = name

    def options(self, **more: Any) -> DynamoDbOptions:
        more.setdefault("lease_seconds", 1.5)
        more.setdefault("write_seconds", 0.1)
        more.setdefault("create", True)
        return DynamoDbOptions(
            kind="dynamodb", table=self.name, endpoint_url=self.aws.endpoint, **more
        )

    def open(self, **more: Any) -> SharedCheckpoints:
        return open_shared(self.options(**more), CONTEXT, "us-east-1")

    def items(self) -> dict[str, dict[str, Any]]:
        found = self.client.scan(TableName=self.name, ConsistentRead=True)["Items"]
        return {item["partition"]["S"]: item for item in found}

    def change(self, partition: str, **attributes: Any) -> None:
        """Set attributes of an item behind everybody's back."""
        for name, value in attributes.items():
            self.client.update_item(
                TableName=self.name,
                Key={"group": {"S": "edge"}, "partition": {"S": partition}},
                UpdateExpression="SET #name = :value",
                ExpressionAttributeNames={"#name": name},
                ExpressionAttributeValues={":value": value},
            )


@pytest.fixture(name="table")
def _table(aws: MotoServer, unique: Callable[[str], str]) -> Iterator[Table]:
    table = Table(aws, unique("leases"))
    yield table
    with suppress(table.client.exceptions.ResourceNotFoundException):
        table.client.delete_table(TableName=table.name)


def soon(condition: Callable[[], object], patience: float = 10.0) -> None:
    """Wait until *condition* holds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


@pytest.fixture(name="leases", params=["dynamodb", "memory"])
def _leases(request: pytest.FixtureRequest) -> LeaseTable:
    """Return an empty table, real or of the tests: both must behave the same."""
    if request.param == "memory":
        return MemoryLeases()
    table: Table = request.getfixturevalue("table")
    table.open().close()
    return DynamoDbTable(table.client, table.name, "edge", 60.0)


def test_a_lease_is_taken_kept_and_given_back(leases: LeaseTable) -> None:
    leases.add("p", Checkpoint("trim_horizon"))
    leases.add("p", Checkpoint("77"))
    (new,) = leases.all()
    taken = leases.take(new, "me")
    kept = leases.keep(taken, Checkpoint("9", 1_700_000_000.1234))
    free = leases.give_back(kept, Checkpoint("10", 1_700_000_001.5))

    assert (new.checkpoint, new.counter, new.owner) == (Checkpoint("trim_horizon"), 0, "")
    assert (taken.counter, taken.owner) == (1, "me")
    assert (kept.counter, kept.checkpoint) == (2, Checkpoint("9", 1_700_000_000.1234))
    assert (free.owner, free.checkpoint) == ("", Checkpoint("10", 1_700_000_001.5))
    assert list(leases.all()) == [free]


def test_a_stale_counter_is_refused_and_the_table_tells_what_it_holds(leases: LeaseTable) -> None:
    leases.add("p", Checkpoint("1"))
    (new,) = leases.all()
    first = leases.take(new, "first")
    second = leases.take(first, "second")

    for write in (
        lambda: leases.take(new, "late"),
        lambda: leases.keep(first, Checkpoint("5")),
        lambda: leases.give_back(first, Checkpoint("5")),
    ):
        with pytest.raises(LeaseRefusedError) as raised:
            write()
        assert raised.value.current == second
    assert list(leases.all()) == [second]


def test_sequence_numbers_of_any_length_are_compared_as_numbers(leases: LeaseTable) -> None:
    leases.add("p", Checkpoint("@1700000000.000"))
    (new,) = leases.all()
    lease = leases.take(new, "me")
    for position in ("9", "10", "49590338271490256608559692538361571095921575989136588898"):
        lease = leases.keep(lease, Checkpoint(position))

    with pytest.raises(LeaseRefusedError):
        leases.keep(lease, Checkpoint("9" * 20))
    assert lease.checkpoint.position.startswith("4959")


def test_only_one_worker_at_a_time_asks_for_a_lease(leases: LeaseTable) -> None:
    leases.add("p", Checkpoint("1"))
    (new,) = leases.all()
    owned = leases.take(new, "owner")
    leases.want(owned, "first")

    with pytest.raises(LeaseRefusedError):
        leases.want(owned, "second")
    kept = leases.keep(owned, Checkpoint("2"))
    free = leases.give_back(kept, Checkpoint("3"))
    taken = leases.take(free, "first")
    assert (kept.wanted, free.wanted, taken.wanted) == ("first", "first", "")


def test_a_finished_lease_belongs_to_nobody_for_ever(leases: LeaseTable) -> None:
    leases.add("p", Checkpoint("1"))
    (new,) = leases.all()
    ended = leases.keep(leases.take(new, "me"), Checkpoint("2", finished=True))

    assert (ended.owner, ended.checkpoint.finished) == ("", True)
    with pytest.raises(LeaseRefusedError):
        leases.take(ended, "other")


def test_a_lease_that_is_not_there_is_refused_with_nothing(leases: LeaseTable) -> None:
    leases.add("p", Checkpoint("1"))
    (new,) = leases.all()
    gone = leases.take(new, "me")
    if isinstance(leases, MemoryLeases):
        leases.held.clear()
    else:
        assert isinstance(leases, DynamoDbTable)
        key = {"group": {"S": "edge"}, "partition": {"S": "p"}}
        leases.client.delete_item(TableName=leases.table, Key=key)

    with pytest.raises(LeaseRefusedError) as raised:
        leases.keep(gone, Checkpoint("2"))
    assert raised.value.current is None
    assert list(leases.all()) == []


def test_a_finished_item_has_a_time_to_live(table: Table) -> None:
    table.open().close()
    leases = DynamoDbTable(table.client, table.name, "edge", 1000.0)
    leases.add("p", Checkpoint("1"))
    (new,) = leases.all()
    leases.keep(leases.take(new, "me"), Checkpoint("2", finished=True))

    (item,) = table.items().values()
    assert abs(int(item["expires"]["N"]) - time.time() - 1000) < 30
    ttl = table.client.describe_time_to_live(TableName=table.name)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}


def test_more_items_than_a_page_are_all_read(table: Table) -> None:
    table.open().close()
    leases = DynamoDbTable(table.client, table.name, "edge", 60.0)
    ballast = {"S": "x" * 300_000}
    for number in range(5):
        leases.add(f"p{number}", Checkpoint("1"))
        table.change(f"p{number}", ballast=ballast)

    assert len(list(leases.all())) == 5


def test_groups_do_not_see_each_other(table: Table) -> None:
    with closing(table.open(group="one")) as one, closing(table.open(group="two")) as two:
        one.add({"p": Checkpoint("1")})
        soon(lambda: one.load("p"))
        time.sleep(0.3)

        assert two.partitions() == ()


def test_two_workers_share_and_what_one_gives_back_the_other_has_at_once(table: Table) -> None:
    names = [f"p{number}" for number in range(4)]
    with closing(table.open()) as one:
        one.add({name: Checkpoint("trim_horizon") for name in names})
        soon(lambda: all(one.load(name) for name in names))
        one.offer(names)
        soon(lambda: all(one.term(name) is not None for name in names))
        with closing(table.open()) as two:
            two.offer(names)
            for _ in range(2):
                soon(lambda: any(one.wanted(name) for name in names))
                (wanted,) = (name for name in names if one.wanted(name))
                one.save({wanted: Checkpoint("5")})
                one.give_back(wanted)
                gone = one.term(wanted)
                soon(lambda: two.term(wanted) is not None)  # noqa: B023
                assert gone is None
                assert two.load(wanted) == Checkpoint("5")
            soon(lambda: not one.awaiting and not two.awaiting)
            shares = [sum(s.term(name) is not None for name in names) for s in (one, two)]
            rest = [name for name in names if one.term(name) is not None]
            one.save({rest[0]: Checkpoint("8", finished=True)})
            soon(lambda: not one.unstored())
            one.save({rest[1]: Checkpoint("9", 1.5)})
            one.close()
            began = time.monotonic()
            soon(lambda: two.term(rest[1]) is not None)
            waited = time.monotonic() - began
            found = two.load(rest[0]), two.load(rest[1])

    assert shares == [2, 2]
    assert waited < 1.0
    assert found == (Checkpoint("8", finished=True), Checkpoint("9", 1.5))
    assert all("owner" not in item for item in table.items().values())


def test_a_worker_whose_lease_was_taken_is_told(
    table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(table.open()) as store:
        store.add({"p": Checkpoint("1")})
        store.offer(["p"])
        soon(lambda: store.term("p"))
        first = store.term("p")
        table.change("p", owner={"S": "another"}, counter={"N": "77"})
        store.save({"p": Checkpoint("2")})
        soon(lambda: store.term("p") != first)
        stored = store.load("p")
        left = store.unstored()

    assert stored == Checkpoint("1")
    assert not left
    assert "p: the lease is lost: another has it now" in caplog.text


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        pytest.param(
            {"format": {"N": "2"}},
            "has format 2, this version knows 1 (run the version that wrote it)",
            id="newer",
        ),
        pytest.param({"rank": {"S": "0039"}}, "is damaged: rank and position differ", id="rank"),
        pytest.param({"position": {"N": "7"}}, "is damaged: KeyError 'S'", id="type"),
        pytest.param({"counter": {"S": "x"}}, "is damaged: KeyError 'N'", id="counter"),
    ],
)
def test_an_item_that_cannot_be_trusted_is_refused(
    table: Table, attributes: dict[str, Any], problem: str
) -> None:
    with closing(table.open()) as store:
        store.add({"p": Checkpoint("1")})
        soon(lambda: store.load("p"))
    table.change("p", **attributes)
    before = table.items()

    with pytest.raises(StateError) as raised:
        table.open()

    assert f"dynamodb://{table.name}: item p of group edge {problem}" in str(raised.value)
    assert table.items() == before


def test_a_damaged_item_stops_a_worker_that_runs(table: Table) -> None:
    with closing(table.open()) as store:
        store.add({"p": Checkpoint("1"), "q": Checkpoint("1")})
        soon(lambda: store.load("q"))
        table.change("q", rank={"S": "x"})

        with pytest.raises(StateError, match="item q of group edge is damaged"):
            soon(lambda: store.term("p"))


def test_a_table_that_is_not_there_is_told_with_the_command_that_makes_it(table: Table) -> None:
    with pytest.raises(StateError) as raised:
        table.open(create=False)

    where = f"--table-name {table.name} --region us-east-1"
    assert str(raised.value) == (
        f"dynamodb://{table.name}: there is no such table (set 'create = true', or run: "
        f"aws dynamodb create-table {where} --billing-mode PAY_PER_REQUEST "
        "--attribute-definitions AttributeName=group,AttributeType=S "
        "AttributeName=partition,AttributeType=S --key-schema "
        "AttributeName=group,KeyType=HASH AttributeName=partition,KeyType=RANGE && "
        f"aws dynamodb wait table-exists {where} && "
        f"aws dynamodb update-time-to-live {where} "
        "--time-to-live-specification Enabled=true,AttributeName=expires)"
    )


def test_a_table_with_other_keys_is_refused(table: Table) -> None:
    table.client.create_table(
        TableName=table.name,
        AttributeDefinitions=[{"AttributeName": "leaseKey", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "leaseKey", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )

    with pytest.raises(StateError, match=r"has the keys leaseKey \(HASH\), not group"):
        table.open()


def test_check_reads_and_tries_to_write_and_changes_nothing(table: Table) -> None:
    absent = check_shared(table.options(), CONTEXT, "us-east-1")
    with pytest.raises(StateError, match="there is no such table"):
        check_shared(table.options(create=False), CONTEXT, "us-east-1")
    with closing(table.open()) as store:
        store.add({"p": Checkpoint("1")})
        soon(lambda: store.load("p"))
    before = table.items()
    told = check_shared(table.options(), CONTEXT, "us-east-1")

    assert absent == f"table {table.name} will be made"
    assert told == f"table {table.name} can be read and written, 1 items"
    assert table.items() == before


def test_a_deleted_table_is_told_and_nothing_is_begun_anew(table: Table) -> None:
    with closing(table.open()) as store:
        store.add({"p": Checkpoint("1")})
        store.offer(["p"])
        soon(lambda: store.term("p"))
        table.client.delete_table(TableName=table.name)
        with pytest.raises(StateError, match="there is no such table"):
            soon(lambda: store.term("p") is None)
        with closing(table.open(group="other")):  # makes an empty table of the same name
            pass
        with pytest.raises(StateError, match="has vanished from the table"):
            soon(lambda: _is_told(store, "vanished"))

    assert table.items() == {}


def _is_told(store: SharedCheckpoints, word: str) -> bool:
    try:
        store.term("p")
    except StateError as error:
        if word in str(error):
            raise
    return False


def test_ranks_sort_as_positions_follow_each_other() -> None:
    positions = ["trim_horizon", "1", "9", "10", "99", "100", "1" * 56, "2" + "0" * 128]

    assert sorted(positions, key=rank) == positions
    assert rank("@1700000000.000") == rank("trim_horizon")
