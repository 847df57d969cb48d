"""Enhanced fan-out against kinesis-local, which sends events but no ``initial-response``."""

from __future__ import annotations

import time
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from botocore.eventstream import EventStream

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.errors import SourceError
from cloudfront_ecs.sources.kinesis.adapter import check_source
from sources.kinesis_streams import Stream, drain, flat, lines, some

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers.kinesis import KinesisServer

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _initial_response() -> Iterator[None]:
    """Have botocore believe that the server began as AWS does."""
    with pytest.MonkeyPatch.context() as patch:
        first = SimpleNamespace(payload=b"{}")
        patch.setattr(EventStream, "get_initial_response", lambda _: first)
        yield


@pytest.fixture(name="local")
def _local(kinesis_local: KinesisServer, unique: Callable[[str], str]) -> Callable[[int], Stream]:
    return lambda shards: Stream(kinesis_local, unique("edge"), shards)


def test_a_named_consumer_is_registered_once_and_reads_what_polling_reads(
    local: Callable[[int], Stream], tmp_path: Path
) -> None:
    stream = local(2)
    stream.fill(600)
    before = check_source(stream.options(consumer="us"), AdapterContext("edge"))

    polled = drain(stream.open())
    pushed = drain(stream.open(tmp_path, consumer="us"))
    after = check_source(stream.options(consumer="us"), AdapterContext("edge"))

    assert pushed == polled
    assert flat(pushed) == stream.put
    assert before.endswith(", consumer us is not registered yet (running registers it)")
    assert after.endswith(", consumer us is active")
    more = stream.fill(50)
    time.sleep(5.1)  # until the shards can be subscribed to again
    assert flat(drain(stream.open(tmp_path, consumer="us"))) == more


def test_a_consumer_can_be_given_by_its_arn_and_is_never_made_then(
    local: Callable[[int], Stream],
) -> None:
    stream = local(1)
    stream.fill(20)
    told = stream.client.describe_stream_summary(StreamName=stream.name)
    arn = told["StreamDescriptionSummary"]["StreamARN"]
    made = stream.client.register_stream_consumer(StreamARN=arn, ConsumerName="theirs")
    time.sleep(0.3)
    wrong = stream.named(f"{arn}/consumer/nobody:1700000000")
    right = stream.named(made["Consumer"]["ConsumerARN"])

    found = drain(right.open())
    with (
        closing(wrong.open()) as source,
        pytest.raises(SourceError, match="ResourceNotFound"),
    ):
        source.poll(10)

    assert flat(found) == stream.put
    consumers = stream.client.list_stream_consumers(StreamARN=arn)["Consumers"]
    assert [consumer["ConsumerName"] for consumer in consumers] == ["theirs"]


def test_a_released_payload_is_read_again_by_a_new_subscription(
    local: Callable[[int], Stream],
) -> None:
    stream = local(1)
    stream.fill(100)
    with closing(stream.open(consumer="us")) as source:
        first = some(source)
        source.release(first.receipt)
        again = some(source)

    assert lines(again)[: len(lines(first))] == lines(first)
