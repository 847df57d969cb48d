"""The configurations of the README run as they stand; only the environment differs."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs.demo.render import STANDARD_HEADER, realtime_line, standard_line
from cloudfront_ecs.demo.traffic import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from servers.aws import AwsServer
    from servers.forward import ForwardServer
    from servers.kinesis import KinesisServer
    from servers.search_node import SearchNode

pytestmark = pytest.mark.integration

README = Path(__file__).parents[2] / "README.md"


def example(name: str, folder: Path) -> Path:
    """Write the configuration that the README shows under *name*."""
    marker = re.escape(f"<!-- example: {name} -->")
    [text] = re.findall(marker + r"\n```toml\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def call(verb: str, config: Path, *more: str, environment: Mapping[str, str]) -> str:
    """Run a verb of the command and return what it said, after seeing it succeed."""
    ended = subprocess.run(
        [sys.executable, "-m", "cloudfront_ecs", verb, "--config", str(config), *more],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_the_first_example_brings_s3_objects_into_opensearch(
    aws: AwsServer, opensearch: SearchNode, unique: Callable[[str], str], tmp_path: Path
) -> None:
    bucket, queue = unique("logs"), unique("notices")
    url = aws.client("sqs").create_queue(QueueName=queue)["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:123456789012:{queue}"
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    lines = [standard_line(request) for request in requests(seed=5, count=300)]
    content = gzip.compress((STANDARD_HEADER + "\n".join(lines) + "\n").encode())
    s3.put_object(Bucket=bucket, Key="cdn/E2EXAMPLE.2026-01-15-07.a1b2c3d4.gz", Body=content)
    environment = {
        **aws.environment,
        "QUEUE_URL": url,
        "OPENSEARCH_URL": opensearch.url,
        "OPENSEARCH_PASSWORD": "unused by a node without security",
        "CLOUDFRONT_ECS_STATE": str(tmp_path / "state"),
    }
    config = example("s3-to-opensearch.toml", tmp_path)

    call("setup", config, environment=environment)
    call("check", config, environment=environment)
    told = call("run", config, "--once", environment=environment)

    assert "300 read = 300 stored" in told
    index = "logs-cloudfront.standard-default"
    opensearch.call("POST", f"/{index}/_refresh")
    query = {"query": {"term": {"aws.s3.bucket.name": bucket}}, "track_total_hits": True}
    found = opensearch.call("POST", f"/{index}/_search", query).body["hits"]
    assert found["total"]["value"] == 300


def test_the_second_example_brings_kinesis_records_to_a_forward_receiver(
    kinesalite: KinesisServer,
    forward_server: Callable[[], ForwardServer],
    unique: Callable[[str], str],
    tmp_path: Path,
) -> None:
    stream = unique("edge")
    config = example("kinesis-to-fluentd.toml", tmp_path)
    fields = re.search(r"fields = (\[.*\])", config.read_text("utf-8"), re.DOTALL)
    assert fields is not None
    columns = tuple(json.loads(fields[1].replace(",\n]", "]")))
    client = kinesalite.client()
    client.create_stream(StreamName=stream, ShardCount=2)
    client.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})
    lines = [realtime_line(request, columns) for request in requests(seed=6, count=300)]
    client.put_records(
        StreamName=stream,
        Records=[{"Data": f"{line}\n", "PartitionKey": str(n)} for n, line in enumerate(lines)],
    )
    receiver = forward_server()
    environment = {
        **kinesalite.environment,
        "STREAM": stream,
        "FLUENTD": f"{receiver.host}:{receiver.port}",
        "CLOUDFRONT_ECS_STATE": str(tmp_path / "state"),
    }

    call("check", config, environment=environment)
    told = call("run", config, "--once", environment=environment)

    assert "300 read = 300 acked" in told
    entries = receiver.wait_for(300)
    assert {entry.tag for entry in entries} == {"cloudfront.realtime"}
    assert len({entry.record["event"]["id"] for entry in entries}) == 300
