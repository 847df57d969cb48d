from __future__ import annotations

from typing import Any

import pytest

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.errors import ConfigError
from cloudfront_ecs.options import describe, parse
from cloudfront_ecs.sources.kinesis.adapter import KinesisOptions, open_source, source_specs
from cloudfront_ecs.sources.kinesis.stream import Position

ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/edge"
CONSUMER = f"{ARN}/consumer/reader:1700000000"


def problems(table: dict[str, Any]) -> list[str]:
    found: list[str] = []
    parse(KinesisOptions, table, "sources.edge", found)
    return found


@pytest.mark.parametrize("stream", ["edge", ARN, CONSUMER, ARN.replace("arn:aws:", "arn:aws-cn:")])
def test_a_stream_is_a_name_or_an_arn(stream: str) -> None:
    assert problems({"stream": stream}) == []


@pytest.mark.parametrize(
    ("given", "stream", "consumer"),
    [
        pytest.param({"stream": "edge"}, "edge", None, id="polling"),
        pytest.param({"stream": ARN}, ARN, None, id="polling-by-arn"),
        pytest.param({"stream": CONSUMER}, ARN, CONSUMER, id="consumer-arn"),
        pytest.param({"stream": "edge", "consumer": "us"}, "edge", "us", id="consumer-name"),
    ],
)
def test_a_consumer_makes_it_enhanced_fan_out(
    given: dict[str, str], stream: str, consumer: str | None
) -> None:
    options = KinesisOptions(**given)  # type: ignore[arg-type]

    assert (options.stream_named, options.consumer_named) == (stream, consumer)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        pytest.param(
            {"stream": CONSUMER, "consumer": "reader"},
            "sources.edge: consumer: 'stream' is the ARN of a consumer already",
            id="two-consumers",
        ),
        pytest.param(
            {"stream": "edge", "consumer": "no name"},
            "sources.edge: consumer: 'no name' is no name of a consumer",
            id="no-name-of-a-consumer",
        ),
        pytest.param(
            {"stream": "no name"},
            "sources.edge: stream: 'no name' is neither a stream name nor its ARN",
            id="no-name",
        ),
        pytest.param(
            {"stream": "edge", "start": "yesterday"},
            "sources.edge: start: unknown value 'yesterday' "
            "(trim_horizon, latest, or a time such as 2026-01-31T00:00:00Z)",
            id="start",
        ),
        pytest.param(
            {"stream": "edge", "start": "2026-01-31T00:00:00"},
            "sources.edge: start: unknown value '2026-01-31T00:00:00' "
            "(trim_horizon, latest, or a time such as 2026-01-31T00:00:00Z)",
            id="start-without-zone",
        ),
        pytest.param(
            {"stream": "edge", "limit": 10_001},
            "sources.edge.limit: 10001 is above the largest allowed value 10000",
            id="limit",
        ),
        pytest.param(
            {"stream": "edge", "limits": 10},
            "sources.edge: unknown option 'limits' (did you mean 'limit'?)",
            id="misspelt",
        ),
    ],
)
def test_a_wrong_option_is_named(table: dict[str, Any], problem: str) -> None:
    assert problems(table) == [problem]


@pytest.mark.parametrize(
    ("start", "position"),
    [
        ("trim_horizon", Position("TRIM_HORIZON")),
        ("latest", Position("LATEST", "1700000000.000")),
        ("2023-11-14T22:13:20Z", Position("AT_TIMESTAMP", "1700000000.000")),
        ("2023-11-14T23:13:20.5+01:00", Position("AT_TIMESTAMP", "1700000000.500")),
    ],
)
def test_start_becomes_a_position(start: str, position: Position) -> None:
    options = KinesisOptions(stream="edge", start=start)

    assert options.first_position(1_700_000_000.0) == position


def test_the_region_comes_from_the_arn() -> None:
    source = open_source(KinesisOptions(stream=ARN), AdapterContext("edge"))

    assert source._stream.client.meta.region_name == "eu-west-1"
    source.close()


def test_an_unknown_profile_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"edge: .*nobody"):
        open_source(KinesisOptions(stream="edge", profile="nobody"), AdapterContext("edge"))


def test_every_option_is_documented() -> None:
    (spec,) = source_specs()

    assert spec.kind == "aws_kinesis"
    assert all(item.doc for item in describe(spec.options))
