"""Both kinds of log, from where CloudFront leaves them into both destinations, by the command."""

from __future__ import annotations

import base64
import copy
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.delivery.checkpoints.store import SqliteCheckpoints
from cloudfront_ecs.demo.day import DAY_COLUMNS
from integration import expected
from integration.cloud import (
    Bucket,
    Stream,
    config,
    found,
    realtime_lines,
    request_id,
    standard_lines,
)
from integration.commands import equations, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from integration.commands import Ended
    from servers.aws import MotoServer
    from servers.forward import ForwardEntry, ForwardServer
    from servers.kinesis import KinesisServer
    from servers.search_node import SearchNode

pytestmark = pytest.mark.integration

OBJECTS = 20
STANDARD = 20_000
REALTIME = 5_000


class Route:
    """Everything of one run: what was put in, the configuration, and what came out."""

    def __init__(
        self,
        folder: Path,
        bucket: Bucket,
        stream: Stream,
        node: SearchNode,
        receiver: ForwardServer,
    ) -> None:
        self.bucket, self.stream, self.node, self.receiver = bucket, stream, node, receiver
        self.state = folder / "state"
        self.namespace = bucket.name.replace("-", "")
        self.config = config(
            folder,
            sources={
                "access_logs": {"kind": "aws_s3", "queue_url": bucket.queue_url, "wait_seconds": 1},
                "edge": {"kind": "aws_kinesis", "stream": stream.name},
            },
            sinks={
                "search": {"kind": "elastic", "hosts": [node.url], "namespace": self.namespace},
                "forward": {
                    "kind": "fluentd",
                    "servers": [f"{receiver.host}:{receiver.port}"],
                    "tag": "logs.{dataset}",
                },
            },
            pipelines={
                "standard": {
                    "source": "access_logs",
                    "transforms": ["user_agent"],
                    "sinks": ["search", "forward"],
                },
                "realtime": {
                    "source": "edge",
                    "decoder": {"kind": "realtime", "fields": list(DAY_COLUMNS)},
                    "transforms": ["user_agent"],
                    "sinks": ["search", "forward"],
                },
            },
        )

    def fill(self) -> None:
        """Put everything in, with a line of our own in the middle of each log."""
        standard = standard_lines(STANDARD - 2, seed=11)
        standard[7_000:7_000] = [expected.HIT, expected.FAILURE]
        realtime = realtime_lines(REALTIME - 1, seed=12)
        realtime.insert(2_500, expected.SEGMENT)
        each = STANDARD // OBJECTS
        self.keys = [
            self.bucket.put_log(standard[begin : begin + each])
            for begin in range(0, STANDARD, each)
        ]
        self.places = self.stream.put(realtime)
        self.ids = {
            "standard": Counter(request_id(line) for line in standard),
            "realtime": Counter(request_id(line, DAY_COLUMNS) for line in realtime),
        }

    def search(self, dataset: str) -> list[dict[str, Any]]:
        """Return what the search node holds, with the bulk id beside the body."""
        stream = f"logs-cloudfront.{dataset}-{self.namespace}"
        self.node.call("POST", f"/{stream}/_refresh")
        return found(self.node, stream)

    def forwarded(self, dataset: str) -> list[ForwardEntry]:
        """Return what the receiver took."""
        entries = self.receiver.wait_for(STANDARD + REALTIME)
        return [entry for entry in entries if entry.tag == f"logs.cloudfront.{dataset}"]


@pytest.fixture(name="route")
def _route(
    tmp_path: Path,
    aws: MotoServer,
    kinesalite: KinesisServer,
    opensearch: SearchNode,
    forward_server: Callable[[], ForwardServer],
    unique: Callable[[str], str],
) -> Route:
    bucket, stream = Bucket(aws, unique), Stream(kinesalite, unique, shards=3)
    return Route(tmp_path / "run", bucket, stream, opensearch, forward_server())


@pytest.fixture(name="_endpoints", autouse=True)
def _endpoints(aws: MotoServer, kinesalite: KinesisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the endpoints into the environment, as users of emulators do."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", kinesalite.endpoint)


def test_every_line_of_both_logs_reaches_both_destinations_once(route: Route) -> None:
    _set_up(route)
    route.fill()
    began = datetime.now(UTC) - timedelta(seconds=1)

    ended = run("run", "--config", route.config, "--once")

    assert (ended.code, ended.out) == (0, ""), ended.err
    _assert_balanced(ended)
    for dataset in ("standard", "realtime"):
        hits, entries = route.search(dataset), route.forwarded(dataset)
        stored = Counter(hit["_source"]["http"]["request"]["id"] for hit in hits)
        acked = Counter(entry.record["http"]["request"]["id"] for entry in entries)
        ids = Counter(hit["_id"] for hit in hits)
        assert stored == acked == route.ids[dataset]
        assert ids == Counter(entry.record["event"]["id"] for entry in entries)
        assert max(ids.values()) == 1
        assert all(hit["_id"] == hit["_source"]["event"]["id"] for hit in hits)
    assert route.bucket.waiting() == 0
    assert _checkpoints(route) == route.stream.newest
    assert not (route.state / "dead_letters").exists()
    _assert_hand_made(route, began)


def _set_up(route: Route) -> None:
    first = run("setup", "--config", route.config)
    second = run("setup", "--config", route.config)
    checked = run("check", "--config", route.config)

    assert (first.code, first.err) == (second.code, second.err) == (0, "")
    steps = [line.split()[:2] for line in second.out.splitlines() if line[:3] in ("  =", "  ~")]
    assert {action for _, action in steps} == {"unchanged", "verified"}
    assert second.out.endswith("0 changed\n")
    assert (checked.code, checked.err) == (0, "")
    for end in ("source access_logs", "source edge", "sink search", "sink forward"):
        assert f"ok      {end} " in checked.out


def _assert_balanced(ended: Ended) -> None:
    assert equations(ended.err) == {
        "standard": {
            "search": {"read": STANDARD, "stored": STANDARD},
            "forward": {"read": STANDARD, "acked": STANDARD},
        },
        "realtime": {
            "search": {"read": REALTIME, "stored": REALTIME},
            "forward": {"read": REALTIME, "acked": REALTIME},
        },
    }


def _checkpoints(route: Route) -> dict[str, str]:
    """Return the checkpoint of each shard, as a later run would find it."""
    store = SqliteCheckpoints(route.state / "checkpoints-edge.sqlite3")
    held = {name.rpartition("/")[2]: store.load(name) for name in store.partitions()}
    store.close()
    return {shard: checkpoint.position for shard, checkpoint in held.items() if checkpoint}


def _assert_hand_made(route: Route, began: datetime) -> None:
    key = route.keys[7]
    arn = route.stream.client.describe_stream_summary(StreamName=route.stream.name)
    account = arn["StreamDescriptionSummary"]["StreamARN"].split(":")[4]
    place = route.places[2_500]
    bucket, name = route.bucket.name, route.stream.name
    cases = [
        ("standard", 1768507805, 0, lambda where: expected.hit(bucket, key, where)),
        ("standard", 1768507806, 0, lambda where: expected.failure(bucket, key, where)),
        (
            "realtime",
            1768507861,
            42_000_000,
            lambda where: expected.segment(name, place, account, where),
        ),
    ]
    for dataset, seconds, nanoseconds, document in cases:
        wanted = document(route.namespace)
        request = wanted["http"]["request"]["id"]
        [hit] = [h for h in route.search(dataset) if _request(h["_source"]) == request]
        [entry] = [e for e in route.forwarded(dataset) if _request(e.record) == request]

        # The id: six bytes of the event's second, sixteen that name the line, in base64url.
        raw = base64.urlsafe_b64decode(hit["_id"] + "==")
        assert (len(hit["_id"]), len(raw)) == (30, 22)
        assert int.from_bytes(raw[:6], "big") == seconds
        assert _without_clock(hit["_source"], hit["_id"], began) == wanted
        assert _without_clock(entry.record, hit["_id"], began) == document("default")
        assert (entry.seconds, entry.nanoseconds) == (seconds, nanoseconds)


def _request(body: dict[str, Any]) -> str:
    return str(body["http"]["request"]["id"])


def _without_clock(body: dict[str, Any], ident: str, began: datetime) -> dict[str, Any]:
    """Return a document without its id and the time of reading, which are looked at here."""
    body = copy.deepcopy(body)
    created = body["event"].pop("created")
    assert created.endswith("Z")
    read = datetime.fromisoformat(created)
    assert began <= read <= datetime.now(UTC)
    delay = (read - datetime.fromisoformat(body["@timestamp"])) // timedelta(seconds=1)
    assert body["aws"]["cloudfront"].pop("ingest_delay") == delay
    assert body["event"].pop("id") == ident
    return body
