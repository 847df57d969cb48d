from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.errors import SourceError
from cloudfront_ecs.options import parse
from cloudfront_ecs.sources.s3.adapter import AwsS3Options, check_source, open_source, source_specs
from sources.s3_world import KEY, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers.aws import MotoServer

QUEUE = "https://sqs.eu-central-1.amazonaws.com/210987654321/logs"


@pytest.fixture(name="world")
def _world(aws: MotoServer, unique: Callable[[str], str], tmp_path: Path) -> Iterator[World]:
    world = World(aws, unique, tmp_path)
    yield world
    world.close()


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        pytest.param({}, "either 'queue_url' or 'bucket'", id="none"),
        pytest.param({"queue_url": QUEUE, "bucket": "b"}, "not both", id="both"),
        pytest.param({"queue_url": QUEUE, "prefix": "x/"}, "'prefix' belongs", id="prefix"),
        pytest.param({"queue_url": QUEUE, "start_after": "x"}, "'start_after'", id="start"),
        pytest.param({"bucket": "b", "buckets": ["b"]}, "'buckets' belongs", id="buckets"),
        pytest.param({"queue_url": QUEUE, "wait_seconds": 0}, "least allowed", id="no-wait"),
        pytest.param({"queue_url": QUEUE, "wait_seconds": 21}, "largest allowed", id="wait"),
        pytest.param({"queue_url": QUEUE, "visibility_timeout": 0}, "least allowed", id="hidden"),
        pytest.param({"queue": QUEUE}, "did you mean 'queue_url'", id="misspelt"),
    ],
)
def test_options_that_do_not_fit_are_refused(table: dict[str, Any], problem: str) -> None:
    problems: list[str] = []

    assert parse(AwsS3Options, table, "sources.logs", problems) is None
    assert problem in "\n".join(problems)


def test_the_spec_opens_a_queue_without_asking_aws(tmp_path: Path) -> None:
    (spec,) = source_specs()
    options = parse(spec.options, {"queue_url": QUEUE}, "sources.logs", [])

    source = spec.open(options, AdapterContext("logs", tmp_path))

    assert list(tmp_path.iterdir()) == []
    source.close()
    source.close()


def test_the_region_of_the_queue_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    source: Any = open_source(AwsS3Options(queue_url=QUEUE), AdapterContext("logs"))

    assert source._messages.calls._client.meta.region_name == "eu-central-1"
    source.close()


@pytest.mark.integration
def test_the_check_of_a_queue_receives_nothing(world: World) -> None:
    world.send("x")
    options = AwsS3Options(endpoint_url=world.aws.endpoint, queue_url=world.queue_url)

    sentence = check_source(options, AdapterContext("logs"))

    assert sentence == f"{world.queue_url}: reachable, holds about 1 messages"
    assert (world.visible(), world.hidden()) == (1, 0)


@pytest.mark.integration
def test_the_check_of_a_queue_that_is_not_there_fails(world: World) -> None:
    options = AwsS3Options(endpoint_url=world.aws.endpoint, queue_url=world.queue_url + "x")

    with pytest.raises(SourceError, match=r"notices-.*: NonExistentQueue"):
        check_source(options, AdapterContext("logs"))


@pytest.mark.integration
@pytest.mark.parametrize(("keys", "found"), [([], "no object yet"), ([KEY], "holds objects")])
def test_the_check_of_a_bucket_lists_it(world: World, keys: list[str], found: str) -> None:
    for name in keys:
        world.put(name)
    options = AwsS3Options(endpoint_url=world.aws.endpoint, bucket=world.bucket, prefix="cdn/")

    sentence = check_source(options, AdapterContext("logs", world.state))

    assert sentence.startswith(f"s3://{world.bucket}/cdn/: can be listed")
    assert found in sentence
    assert list(world.state.iterdir()) == []


@pytest.mark.integration
def test_the_check_of_a_bucket_that_is_not_there_fails(world: World) -> None:
    options = AwsS3Options(endpoint_url=world.aws.endpoint, bucket=world.bucket + "x")

    with pytest.raises(SourceError, match=r"^s3://logs-.*x/: NoSuchBucket$"):
        check_source(options, AdapterContext("logs"))
