"""The ``aws_kinesis`` source against kinesalite (volume) and kinesis-local (resharding)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.errors import SourceError
from cloudfront_ecs.sources.kinesis.adapter import KinesisOptions, check_source, open_source
from sources.kinesis_streams import Stream, drain, fail_first, flat, lines, some

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.kinesis import KinesisServer

pytestmark = pytest.mark.integration


@pytest.fixture(name="lite")
def _lite(kinesalite: KinesisServer, unique: Callable[[str], str]) -> Callable[[int], Stream]:
    return lambda shards: Stream(kinesalite, unique("edge"), shards)


@pytest.fixture(name="local")
def _local(kinesis_local: KinesisServer, unique: Callable[[str], str]) -> Callable[[int], Stream]:
    return lambda shards: Stream(kinesis_local, unique("edge"), shards)


def test_five_thousand_records_over_three_shards_are_read_once_and_in_order(
    lite: Callable[[int], Stream], tmp_path: Path
) -> None:
    stream = lite(3)
    stream.fill(5000)

    found = drain(stream.open(tmp_path, limit=700))

    assert len(found) == 3
    assert all(shard == sorted(shard) for shard in found.values())
    assert flat(found) == stream.put


def test_a_payload_says_where_it_comes_from(lite: Callable[[int], Stream]) -> None:
    stream = lite(1)
    stream.fill(3)

    with closing(stream.open()) as source:
        payload = some(source)

    told = stream.client.describe_stream_summary(StreamName=stream.name)["StreamDescriptionSummary"]
    shard_id = payload.receipt.partition
    created = str(int(told["StreamCreationTimestamp"].timestamp()))
    assert payload.origin.place == f"kinesis://{stream.name}/{shard_id}"
    assert payload.origin.identity == ("kinesis", told["StreamARN"], created, shard_id)
    assert payload.origin.region == "us-east-1"
    assert payload.origin.account_id == told["StreamARN"].split(":")[4]
    assert payload.origin.kinesis is not None
    assert payload.origin.kinesis.shard_id == shard_id
    assert payload.messages is not None
    assert abs((payload.messages[0].arrived or 0) - time.time()) < 60
    assert payload.messages[0].position.isdigit()


def test_a_restart_reads_only_what_was_not_settled(
    lite: Callable[[int], Stream], tmp_path: Path
) -> None:
    stream = lite(2)
    stream.fill(1000)
    settled: list[bytes] = []
    with closing(stream.open(tmp_path, limit=100)) as source:
        for _ in range(4):
            payload = some(source)
            settled += lines(payload)
            source.settle(payload.receipt)
        some(source)

    found = drain(stream.open(tmp_path))

    assert sorted(flat(found) + settled) == stream.put


def test_what_was_read_but_not_settled_is_read_again_after_kill_9(
    lite: Callable[[int], Stream], tmp_path: Path
) -> None:
    stream = lite(1)
    stream.fill(300)
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from cloudfront_ecs.adapters import AdapterContext\n"
        "from cloudfront_ecs.sources.kinesis.adapter import KinesisOptions, open_source\n"
        "options = KinesisOptions(stream=sys.argv[1], endpoint_url=sys.argv[2], limit=100)\n"
        "source = open_source(options, AdapterContext('edge', Path(sys.argv[3])))\n"
        "first = source.poll(30)\n"
        "source.settle(first.receipt)\n"
        "second = source.poll(30)\n"
        "print('read', flush=True)\n"
        "time.sleep(60)\n"
    )
    argv = [sys.executable, "-c", script, stream.name, stream.server.endpoint, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=dict(os.environ)) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"read\n"
        child.send_signal(signal.SIGKILL)

    found = drain(stream.open(tmp_path))

    assert flat(found) == stream.put[100:]


def test_latest_skips_what_was_there_before_the_first_look(
    lite: Callable[[int], Stream], tmp_path: Path
) -> None:
    stream = lite(2)
    stream.fill(100)
    time.sleep(2)
    with closing(stream.open(tmp_path, start="latest")) as source:
        while not source.drained():
            assert source.poll(0.1) is None
    new = stream.fill(50)

    found = drain(stream.open(tmp_path, start="latest"))

    assert flat(found) == new


def test_a_time_as_start_skips_what_came_earlier(lite: Callable[[int], Stream]) -> None:
    stream = lite(2)
    stream.fill(100)
    time.sleep(1.1)
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    new = stream.fill(50)

    found = drain(stream.open(start=start))

    assert flat(found) == new


def test_released_payloads_are_read_again(lite: Callable[[int], Stream], tmp_path: Path) -> None:
    stream = lite(1)
    stream.fill(400)
    with closing(stream.open(tmp_path, limit=100)) as source:
        first, second, third = some(source), some(source), some(source)
        source.settle(third.receipt)
        source.release(second.receipt)
        source.settle(first.receipt)
        again = some(source)
        source.settle(second.receipt)

    found = drain(stream.open(tmp_path))

    assert lines(again) == lines(second)
    assert flat(found) == stream.put[100:]


def test_throttling_slows_down_and_loses_nothing(lite: Callable[[int], Stream]) -> None:
    stream = lite(1)
    stream.fill(300)
    source = stream.open(limit=100)
    times = fail_first(source, "GetRecords", ["ProvisionedThroughputExceededException"] * 5)

    found = drain(source)

    assert flat(found) == stream.put
    assert len(times) < 5 + 10


def test_an_expired_iterator_is_renewed_behind_the_last_record(
    lite: Callable[[int], Stream],
) -> None:
    stream = lite(1)
    stream.fill(300)
    source = stream.open(limit=100)
    with closing(source):
        first = some(source)
        fail_first(source, "GetRecords", ["ExpiredIteratorException"] * 2)
        second = some(source)

    assert lines(first) + lines(second) == stream.put[:200]


def test_a_stream_made_anew_is_read_from_its_own_start(
    local: Callable[[int], Stream], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stream = local(1)
    stream.fill(10)
    drain(stream.open(tmp_path))
    stream.client.delete_stream(StreamName=stream.name)
    time.sleep(1.5)
    stream = Stream(stream.server, stream.name, 1)
    stream.fill(5)

    found = drain(stream.open(tmp_path))

    assert flat(found) == stream.put
    assert "made anew" in caplog.text


def test_split_and_merge_are_read_parents_first(
    local: Callable[[int], Stream], tmp_path: Path
) -> None:
    stream = local(2)
    stream.fill(100)
    stream.split(stream.shards()[0])
    stream.fill(100)
    _, left, right = sorted(stream.shards(), key=lambda shard: len(shard.get("ParentShardId", "")))
    stream.merge(left, right)
    stream.fill(100)
    listed = stream.client.list_shards(StreamName=stream.name)["Shards"]
    parents = {
        shard["ShardId"]: {shard.get("ParentShardId"), shard.get("AdjacentParentShardId")} - {None}
        for shard in listed
    }

    found = drain(stream.open(tmp_path, limit=10))

    order = list(found)
    assert flat(found) == stream.put
    assert len(order) == 5
    for shard_id, before in parents.items():
        assert all(order.index(parent) < order.index(shard_id) for parent in before)


def test_a_child_waits_until_its_parent_is_settled(local: Callable[[int], Stream]) -> None:
    stream = local(1)
    stream.fill(20)
    stream.split(stream.shards()[0])
    stream.fill(20)
    with closing(stream.open()) as source:
        parent = some(source)
        while_open = [source.poll(0.3) for _ in range(5)]
        source.settle(parent.receipt)
        child = some(source)

    assert lines(parent) == stream.put[:20]
    assert while_open == [None] * 5
    assert child.receipt.partition != parent.receipt.partition


def test_a_split_while_down_loses_nothing(local: Callable[[int], Stream], tmp_path: Path) -> None:
    stream = local(1)
    stream.fill(50)
    with closing(stream.open(tmp_path, limit=20, start="latest")) as source:
        while not source.drained():
            source.poll(0.1)
    time.sleep(1.1)
    while_down = stream.fill(50)
    stream.split(stream.shards()[0])
    while_down += stream.fill(50)

    found = drain(stream.open(tmp_path, start="latest"))

    assert flat(found)[-100:] == while_down


def test_all_pages_of_the_listing_are_read(local: Callable[[int], Stream]) -> None:
    stream = local(5)
    with closing(stream.open()) as source:
        shards = source._stream.shards(page=2)

    assert len(shards) == 5


def test_check_says_what_the_stream_is(local: Callable[[int], Stream]) -> None:
    stream = local(1)
    stream.split(stream.shards()[0])

    told = check_source(stream.options(), AdapterContext("edge"))

    assert told == f"stream {stream.name} is active, 2 of 3 shards take records"


def test_a_stream_that_is_not_there_is_named(kinesalite: KinesisServer) -> None:
    options = KinesisOptions(stream="no-such-stream", endpoint_url=kinesalite.endpoint)

    with pytest.raises(SourceError, match=r"kinesis://no-such-stream: .*ResourceNotFound"):
        check_source(options, AdapterContext("edge"))
    with (
        closing(open_source(options, AdapterContext("edge"))) as source,
        pytest.raises(SourceError, match=r"kinesis://no-such-stream: .*ResourceNotFound"),
    ):
        source.poll(10)


def test_an_unreachable_endpoint_is_told() -> None:
    options = KinesisOptions(stream="edge", endpoint_url="http://127.0.0.1:9")

    with (
        closing(open_source(options, AdapterContext("edge"))) as source,
        pytest.raises(SourceError, match=r"127\.0\.0\.1:9"),
    ):
        source.poll(30)


def test_poll_keeps_to_its_timeout_while_the_endpoint_is_silent() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        options = KinesisOptions(stream="edge", endpoint_url=f"http://127.0.0.1:{port}")
        with closing(open_source(options, AdapterContext("edge"))) as source:
            began = time.monotonic()
            polled = source.poll(0.05)
            waited = time.monotonic() - began

    assert polled is None
    assert waited < 2


def test_a_stream_can_be_named_by_its_arn(local: Callable[[int], Stream]) -> None:
    stream = local(2)
    stream.fill(50)
    told = stream.client.describe_stream_summary(StreamName=stream.name)
    arn = told["StreamDescriptionSummary"]["StreamARN"]
    options = KinesisOptions(stream=arn, endpoint_url=stream.server.endpoint, idle_seconds=0.2)

    found = drain(open_source(options, AdapterContext("edge")))

    assert flat(found) == stream.put
