"""Everything that can be wrong with what comes in: each has its end, and none stops the others."""

from __future__ import annotations

import base64
import gzip
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.demo.columns import STANDARD_COLUMNS
from cloudfront_ecs.demo.day import DAY_COLUMNS, standard_file
from cloudfront_ecs.demo.render import STANDARD_HEADER
from integration.cloud import (
    Bucket,
    Stream,
    config,
    gzipped,
    realtime_lines,
    request_id,
    standard_lines,
)
from integration.commands import Ended, dead_letters, equations, json_lines, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.aws import MotoServer
    from servers.kinesis import KinesisServer

pytestmark = pytest.mark.integration

HEADER = STANDARD_HEADER.encode()
KEPT = 65_536
LONG = 50 * 2**20


def _with(line: bytes, column: str, value: bytes) -> bytes:
    row = line.split(b"\t")
    row[STANDARD_COLUMNS.index(column)] = value
    return b"\t".join(row)


class Outcome:
    """What one run made of its input."""

    def __init__(self, ended: Ended, documents: list[dict[str, Any]], state: Path) -> None:
        self.ended = ended
        self.documents = documents
        self.letters = dead_letters(state)

    def of(self, key: str) -> list[dict[str, Any]]:
        """Return the documents of one object."""
        return [one for one in self.documents if one["aws"]["s3"]["object"]["key"] == key]

    def ids(self, key: str) -> list[str]:
        """Return the requests of one object, in order."""
        return [one["http"]["request"]["id"] for one in self.of(key)]

    def refused(self, key: str) -> list[tuple[str, dict[str, Any], bytes]]:
        """Return reason, place and bytes of the dead letters of one object."""
        return [
            (one["reason"], one["source"], base64.b64decode(one["raw"]))
            for one in self.letters
            if one["source"].get("key") == key
        ]


@pytest.fixture(name="bucket")
def _bucket(aws: MotoServer, unique: Callable[[str], str]) -> Bucket:
    return Bucket(aws, unique)


@pytest.fixture(name="run_once")
def _run_once(tmp_path: Path, bucket: Bucket) -> Callable[[], Outcome]:
    path = config(
        tmp_path,
        sources={
            "logs": {
                "kind": "aws_s3",
                "queue_url": bucket.queue_url,
                "endpoint_url": bucket.sqs.meta.endpoint_url,
                "buckets": [bucket.name],
                "max_receives": 3,
                "wait_seconds": 1,
            }
        },
        sinks={"out": {"kind": "ndjson", "path": str(tmp_path / "out.ndjson")}},
        pipelines={"main": {"source": "logs", "sinks": ["out"]}},
    )

    def once() -> Outcome:
        ended = run("run", "--config", path, "--once")
        return Outcome(ended, json_lines(tmp_path / "out.ndjson"), tmp_path / "state")

    return once


def test_each_bad_object_has_its_end_and_none_is_in_the_way(  # noqa: PLR0915 - all in one run
    bucket: Bucket, unique: Callable[[str], str], run_once: Callable[[], Outcome]
) -> None:
    lines = standard_lines(100, seed=61)
    ids = [request_id(line) for line in lines]
    whole = standard_file(lines[:40])
    torn = gzip.compress(HEADER + b"\n".join(lines[:40]) + b"\n", mtime=0)[:-3000]
    damaged = bytearray(whole)
    damaged[2] = 99  # a method of compression that nobody knows
    noise = random.Random(61).randbytes(5000).replace(b"\n", b"")
    other = unique("other")
    bucket.s3.create_bucket(Bucket=other)
    attributes = bucket.sqs.get_queue_attributes(
        QueueUrl=bucket.queue_url, AttributeNames=["QueueArn"]
    )
    bucket.announce(other, attributes["Attributes"]["QueueArn"])

    good = bucket.put(whole)
    plain = bucket.put(HEADER + lines[0] + b"\n")
    not_gzip = bucket.put(bytes(damaged))
    trailing = bucket.put(whole + b"<html>not a member</html>")
    truncated = bucket.put(torn)
    empty = bucket.put(b"")
    headers = bucket.put(standard_file([]))
    binary = bucket.put(noise)
    long = bucket.put(
        gzip.compress(HEADER + lines[0] + b"\n" + b"x" * LONG + b"\n" + lines[1] + b"\n", 1)
    )
    unknown = bucket.put(
        gzipped(b"#Version: 1.0", HEADER.splitlines()[1] + b" x-new", lines[0] + b"\tnew%20value")
    )
    no_header = bucket.put(gzipped(b"a\tb\tc", b"", b"d"))
    width = bucket.put_log(
        [lines[0] + b"\textra", lines[1].rpartition(b"\t")[0], b"2026-01-15\tshort", lines[2]]
    )
    encoding = bucket.put_log(
        [
            _with(lines[0], "cs(Referer)", b"https://www.example.com/caf\xe9"),
            _with(lines[1], "sc-bytes", b"12O4"),
            _with(lines[2], "date", b"yesterday"),
            lines[3],
        ]
    )
    json_log = bucket.put(gzipped(b'{"message": "none of ours"}'))
    deleted = bucket.put(whole)
    bucket.s3.delete_object(Bucket=bucket.name, Key=deleted)
    bucket.s3.put_object(Bucket=other, Key="logs/E1EXAMPLE.2026-01-15-20.abcdef01.gz", Body=whole)
    bucket.send("this is no notice")
    last = bucket.put(standard_file(lines[40:]))

    seen = run_once()

    assert seen.ended.code == 3, seen.ended.err
    assert bucket.waiting() == 0
    assert (seen.ids(good), seen.ids(last)) == (ids[:40], ids[40:])
    # The content decides, not the name.
    assert (seen.ids(plain), seen.refused(plain)) == (ids[:1], [])
    for nothing in (empty, headers):
        assert (seen.ids(nothing), seen.refused(nothing)) == ([], [])
    assert seen.ids(not_gzip) == []
    assert [reason for reason, _, _ in seen.refused(not_gzip)] == ["not_gzip"]
    assert seen.ids(trailing) == ids[:40]
    assert seen.refused(trailing) == [
        ("not_gzip", _place(bucket, trailing), b"<html>not a member</html>")
    ]
    _assert_torn(seen, bucket, truncated, lines)
    assert seen.ids(binary) == []
    [(reason, place, raw)] = seen.refused(binary)
    assert (reason, place) == ("foreign", _place(bucket, binary))
    assert noise.startswith(raw)
    assert raw
    assert seen.ids(long) == ids[:2]
    assert seen.refused(long) == [("too_long", _place(bucket, long, line=4), b"x" * KEPT)]
    [letter] = [one for one in seen.letters if one["reason"] == "too_long"]
    assert letter["length"] == LONG
    [document] = seen.of(unknown)
    assert document["aws"]["cloudfront"]["other"] == {"x-new": "new%20value"}
    assert "error" not in document or "message" not in document["error"]
    assert [(reason, place["line"], raw) for reason, place, raw in seen.refused(no_header)] == [
        ("layout", 1, b"a\tb\tc"),
        ("layout", 3, b"d"),
    ]
    _assert_width(seen, bucket, width, lines)
    _assert_encoding(seen, bucket, encoding, lines)
    assert [(reason, raw) for reason, _, raw in seen.refused(json_log)] == [
        ("foreign", b'{"message": "none of ours"}')
    ]
    assert seen.ids(deleted) == []
    [(reason, place, raw)] = seen.refused(deleted)
    assert (reason, place) == ("missing", _place(bucket, deleted))
    assert deleted.rpartition("/")[2].encode() in raw  # the notice
    _assert_messages(seen, bucket, other)
    _assert_books(seen)


def _place(bucket: Bucket, key: str, **more: int) -> dict[str, Any]:
    return {"bucket": bucket.name, "key": key, **more}


def _assert_torn(seen: Outcome, bucket: Bucket, key: str, lines: list[bytes]) -> None:
    """Every whole line before the cut is a document, the rest is one dead letter."""
    whole = seen.ids(key)
    assert 0 < len(whole) < 40
    assert whole == [request_id(line) for line in lines[: len(whole)]]
    [(reason, place, raw)] = seen.refused(key)
    assert (reason, place) == ("truncated", _place(bucket, key))
    assert lines[len(whole)].startswith(raw)


def _assert_width(seen: Outcome, bucket: Bucket, key: str, lines: list[bytes]) -> None:
    assert seen.refused(key) == [
        ("columns", _place(bucket, key, line=3), lines[0] + b"\textra"),
        ("columns", _place(bucket, key, line=5), b"2026-01-15\tshort"),
    ]
    documents = {one["http"]["request"]["id"]: one for one in seen.of(key)}
    assert set(documents) == {request_id(lines[1]), request_id(lines[2])}
    short = documents[request_id(lines[1])]
    assert "sc-range-end" in short["error"]["message"]
    assert short["event"]["kind"] == "pipeline_error"
    assert "message" not in documents[request_id(lines[2])].get("error", {})


def _assert_encoding(seen: Outcome, bucket: Bucket, key: str, lines: list[bytes]) -> None:
    not_utf8, bad_number, good = seen.of(key)
    assert not_utf8["error"]["message"].startswith("cs(Referer): ")
    assert "referrer" not in not_utf8["http"]["request"]
    assert "sc-bytes" in bad_number["error"]["message"]
    assert "bytes" not in bad_number["http"]["response"]
    assert good["http"]["request"]["id"] == request_id(lines[3])
    # Without a time there is no document.
    undated = _with(lines[2], "date", b"yesterday")
    assert seen.refused(key) == [("timestamp", _place(bucket, key, line=5), undated)]


def _assert_messages(seen: Outcome, bucket: Bucket, other: str) -> None:
    [foreign] = [one for one in seen.letters if one["source"].get("bucket") == other]
    [poison] = [one for one in seen.letters if one["reason"] == "notice"]
    assert foreign["reason"] == "foreign"
    assert f"s3://{other}/logs/E1EXAMPLE" in foreign["detail"]
    assert base64.b64decode(foreign["raw"]).startswith(b'{"Records"')
    assert base64.b64decode(poison["raw"]) == b"this is no notice"
    assert poison["source"]["file"].startswith(f"{bucket.queue_url}#")


def _assert_books(seen: Outcome) -> None:
    """Nothing is lost and nothing invented: the printed equation is what lies on the disk."""
    assert equations(seen.ended.err)["main"]["out"] == {
        "read": len(seen.documents) + len(seen.letters),
        "stored": len(seen.documents),
        "dead-lettered": len(seen.letters),
    }
    reasons = Counter(one["reason"] for one in seen.letters)
    [told] = [line for line in seen.ended.err.splitlines() if "dead letters: " in line]
    assert dict(part.split()[::-1] for part in told.partition(": ")[2].split(", ")) == {
        reason: str(count) for reason, count in reasons.items()
    }
    ids = Counter(one["event"]["id"] for one in seen.documents)
    assert max(ids.values()) == 1
    assert all(one["detail"] and one["attempts"] >= 1 for one in seen.letters)


def test_bad_kinesis_records_are_dead_letters_with_their_sequence_numbers(
    tmp_path: Path, kinesalite: KinesisServer, unique: Callable[[str], str]
) -> None:
    stream = Stream(kinesalite, unique, shards=1)
    lines = realtime_lines(12, seed=62)
    noise = bytes(range(256)).replace(b"\n", b"") * 4
    records = [
        lines[0] + b"\n",
        lines[1].rpartition(b"\t")[0] + b"\n",
        lines[2] + b"\textra\n",
        noise,
        b"\n",
        lines[3] + b"\n" + lines[4] + b"\n",
        lines[5] + b"\nnonsense\n",
        lines[6].replace(lines[6].split(b"\t")[0], b"-", 1) + b"\n",
        lines[7],
        lines[9] + b"\n",
    ]
    sequences = [sequence for _, sequence in stream.put(records)]
    out = tmp_path / "out.ndjson"
    path = config(
        tmp_path,
        sources={
            "edge": {
                "kind": "aws_kinesis",
                "stream": stream.name,
                "endpoint_url": kinesalite.endpoint,
            }
        },
        sinks={"out": {"kind": "ndjson", "path": str(out)}},
        pipelines={
            "main": {
                "source": "edge",
                "sinks": ["out"],
                "decoder": {"kind": "realtime", "fields": list(DAY_COLUMNS)},
            }
        },
    )

    ended = run("run", "--config", path, "--once")
    again = run("run", "--config", path, "--once")

    documents, letters = json_lines(out), dead_letters(tmp_path / "state")
    assert (ended.code, again.code) == (3, 0), ended.err
    assert [_where(one) for one in documents] == [
        (request_id(lines[line], DAY_COLUMNS), sequences[record])
        for line, record in ((0, 0), (3, 5), (4, 5), (5, 6), (7, 8), (9, 9))
    ]
    assert len({one["event"]["id"] for one in documents}) == len(documents)
    found = {
        (one["reason"], one["source"]["sequence_number"]): base64.b64decode(one["raw"])
        for one in letters
    }
    assert found == {
        ("columns", sequences[1]): lines[1].rpartition(b"\t")[0],
        ("columns", sequences[2]): lines[2] + b"\textra",
        ("columns", sequences[3]): noise,
        ("columns", sequences[6]): b"nonsense",
        ("timestamp", sequences[7]): records[7].rstrip(b"\n"),
    }
    assert {(one["source"]["stream"], one["source"]["shard"]) for one in letters} == {
        (stream.name, "shardId-000000000000")
    }
    assert equations(ended.err)["main"]["out"] == {"read": 11, "stored": 6, "dead-lettered": 5}
    assert equations(again.err)["main"]["out"] == {"read": 0}


def _where(document: dict[str, Any]) -> tuple[str, str]:
    number = document["aws"]["kinesis"]["sequence_number"]
    return document["http"]["request"]["id"], number
