"""Faults of notices: twice, out of order, half of them bad, wrapped; and workers in a fleet."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from faults.catalogue import fault
from faults.queue_runs import Files, QueueRun, assert_empty, judged
from servers.aws import open_client
from sources.s3_world import key, record

if TYPE_CHECKING:
    from faults.lab import Lab

ODD_KEYS = ("a+b/%2B c=d.gz", "ü€/年.gz", "100%25.gz", "plain.gz")


def _notice(files: Files, name: str, etag: str, sequencer: str, **more: Any) -> None:
    told = record(files.bucket, quote_plus(name), eTag=etag, sequencer=sequencer, **more)
    files.send({"Records": [told]})


def _count_reads(run: QueueRun) -> Counter[str]:
    """Count from now on how often each key is asked for."""
    reads: Counter[str] = Counter()

    def count(params: dict[str, Any], **_: object) -> None:
        reads[params["context"]["s3_key"] if "s3_key" in params else params["url_path"]] += 1

    run.source._objects._client.meta.events.register("before-call.s3.GetObject", count)
    return reads


@fault(
    "S8",
    "one key notified twice and out of order",
    made="three writes of a key without versions; notices: last, first, last again, middle",
    seen="what is there now is stored once; no line twice; the queue is empty",
)
def out_of_order(lab: Lab) -> str:
    files = Files(lab)
    old = standard_gone(files)
    new = files.put_file(key(1))
    for etag, sequencer in ((new, "0C"), (old[0], "0A"), (new, "0C"), (old[1], "0B")):
        _notice(files, key(1), etag, sequencer)
    run = QueueRun(files, lab.folder / "a")
    source = run.open()
    reads = _count_reads(run)
    run.drain()
    lines, again = judged(files.lines, [run])
    assert again == 0, f"{again} documents were written twice"
    assert reads.total() == 1, f"the object was read {reads.total()} times"
    assert_empty(files)
    return f"{lines} lines, 1 read; passed over: {dict(sorted(source.skipped.items()))}"


def standard_gone(files: Files) -> list[str]:
    """Write a key twice with content that nobody will see again; return the ETags."""
    told = [
        files.s3.put_object(Bucket=files.bucket, Key=key(1), Body=body) for body in (b"1", b"2")
    ]
    return [answer["ETag"].strip('"') for answer in told]


@fault(
    "S8",
    "one key notified out of order to two workers",
    made="one worker has only the older notice, the other only the newer one",
    seen="both read what is there now, under the same ids",
)
def out_of_order_to_two(lab: Lab) -> str:
    files = Files(lab)
    old = standard_gone(files)
    new = files.put_file(key(1))
    _notice(files, key(1), old[0], "0A")
    first = QueueRun(files, lab.folder / "a")
    first.open()
    first.drain()
    _notice(files, key(1), new, "0B")
    second = QueueRun(files, lab.folder / "b")
    second.open()
    second.drain()
    lines, again = judged(files.lines, [first, second])
    assert again == lines - len(list(files.lines.oracle.refused())) or again == lines
    assert_empty(files)
    return f"{lines} lines, {again} written by both under the same ids"


@fault(
    "S8",
    "versions of one key notified out of order",
    made="two versions of a key, the newer one notified first, each notified twice",
    seen="each version is an object of its own and is read once",
)
def versions_out_of_order(lab: Lab) -> str:
    files = Files(lab)
    files.s3.put_bucket_versioning(
        Bucket=files.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    told = [
        files.s3.put_object(Bucket=files.bucket, Key=key(1), Body=files.file()) for _ in range(2)
    ]
    for number in (1, 0, 1, 0):
        etag, version = told[number]["ETag"].strip('"'), told[number]["VersionId"]
        _notice(files, key(1), etag, f"0{number}", versionId=version)
    run = QueueRun(files, lab.folder / "a")
    source = run.open()
    run.drain()
    lines, again = judged(files.lines, [run])
    assert again == 0, f"{again} documents were written twice"
    assert source.skipped == {"repeated": 2}, f"passed over: {dict(source.skipped)}"
    assert_empty(files)
    return f"{lines} lines of both versions, 2 repeated notices passed over"


@fault(
    "S9",
    "a notice of several records, some of them bad",
    made="three good objects, one that is gone, one record without an event; max_receives = 3",
    seen="the good ones are read once; the message stays for the bad ones, then letters",
)
def one_bad_record(lab: Lab) -> str:
    files = Files(lab)
    for number in range(3):
        files.put_file(key(number))
    records = [record(files.bucket, key(number)) for number in range(3)]
    records[1:1] = [{"eventName": 7}, record(files.bucket, "gone", eTag="e")]
    files.send({"Records": records})
    run = QueueRun(files, lab.folder / "a", max_receives=3)
    run.open()
    reads = _count_reads(run)
    run.drain()
    lines, again = judged(files.lines, [run])
    letters = run.letters()
    assert letters == {"notice": 1, "missing": 1}, f"dead letters: {dict(letters)}"
    assert again == 0, f"{again} good documents were written twice"
    good = [count for name, count in reads.items() if not name.endswith("gone")]
    assert good == [1, 1, 1], f"good objects were read {good} times"
    assert_empty(files)
    return f"{lines} lines of 3 good objects read once each, 2 letters after 3 receives"


@fault(
    "S10",
    "every wrapping, and messages that ask for nothing",
    made="direct, SNS, SNS raw, EventBridge, CloudTrail; test and delete events; another "
    "bucket; keys with space, +, %, umlauts",
    seen="each object once, under its right key; the rest settled and counted",
)
def every_wrapping(lab: Lab) -> str:
    files = Files(lab)
    _tell_by_all_ways(lab, files)
    for number, name in enumerate(ODD_KEYS):
        files.put_file(name, 5 + number)
    files.put_file("removed.gz", 1)
    files.lines.oracle.issued.popitem()  # it is deleted before anybody reads it
    files.s3.delete_object(Bucket=files.bucket, Key="removed.gz")
    files.send({"Records": [record("another-bucket", "a")]})
    files.s3.put_object(Bucket=files.bucket, Key="AWSLogs/1/CloudTrail-Digest/x.gz", Body=b"x")
    trail = {"s3Bucket": files.bucket, "s3ObjectKey": [ODD_KEYS[0], ODD_KEYS[1]]}
    files.send({"Type": "Notification", "TopicArn": "arn:t", "Message": json.dumps(trail)})
    run = QueueRun(files, lab.folder / "a", max_receives=2, buckets=[files.bucket])
    source = run.open()
    run.drain()
    lines, again = judged(files.lines, [run])
    keys = {body["aws"]["s3"]["object"]["key"] for body in run.bodies()}
    assert keys == set(ODD_KEYS), f"keys: {sorted(keys)}"
    letters = run.letters()
    assert letters["foreign"] == 1, f"dead letters: {dict(letters)}"
    assert set(letters) <= {"foreign", "missing"}, f"dead letters: {dict(letters)}"
    assert {"no_event", "other_event", "no_log"} <= set(source.skipped), dict(source.skipped)
    assert_empty(files)
    told = dict(sorted(source.skipped.items()))
    return f"{lines} lines of {len(keys)} keys, {again} read again by CloudTrail's notice; {told}"


def _tell_by_all_ways(lab: Lab, files: Files) -> None:
    """Let S3 tell the queue directly, by SNS twice, and by EventBridge, each for its keys."""
    sns, events = files.aws.client("sns"), files.aws.client("events")
    topics = []
    for prefix, raw in (("a", "false"), ("ü", "true")):
        topic = sns.create_topic(Name=lab.unique("logs"))["TopicArn"]
        sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=files.queue_arn,
            Attributes={"RawMessageDelivery": raw},
        )
        topics.append(_rule("TopicArn", topic, prefix))
    rule = lab.unique("logs")
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [files.bucket]}}}
    pattern["detail"]["object"] = {"key": [{"prefix": "plain"}]}
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": files.queue_arn}])
    direct = [_rule("QueueArn", files.queue_arn, prefix) for prefix in ("1", "AWS", "removed")]
    files.notify(
        QueueConfigurations=direct, TopicConfigurations=topics, EventBridgeConfiguration={}
    )


def _rule(kind: str, arn: str, prefix: str) -> dict[str, Any]:
    return {
        kind: arn,
        "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}},
    }


@fault(
    "F6",
    "two workers on one queue",
    made="two processes with nothing in common but the queue, 40 files",
    seen="every line once; the queue is empty",
)
def two_processes(lab: Lab) -> str:
    files = Files(lab)
    files.notify_queue()
    for number in range(40):
        files.put_file(key(number), 25)
    runs = [QueueRun(files, lab.folder / name) for name in ("a", "b")]
    began = time.monotonic()
    processes = [_process(run, files) for run in runs]
    codes = [process.wait(60) for process in processes]
    seconds = time.monotonic() - began
    lines, again = judged(files.lines, runs)
    assert set(codes) <= {0, 3}, f"exit codes: {codes}"
    assert again == 0, f"{again} lines were read by both"
    assert_empty(files)
    shares = [len(run.bodies()) for run in runs]
    return f"{lines} lines once in {seconds:.1f} s, shared {shares[0]} to {shares[1]}"


def _process(run: QueueRun, files: Files) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-m", "cloudfront_ecs", "run", "--config", str(run.path)]
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.Popen(
        [*command, "--once"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**bare, **files.aws.environment},
    )


@fault(
    "F2",
    "a stop while S3 keeps silent",
    made="GETs that are accepted and never answered; a stop, as SIGTERM asks for it",
    seen="all messages are visible again at once, within seconds of the stop",
)
def stop_while_s3_is_silent(lab: Lab) -> str:
    files = Files(lab)
    files.notify_queue()
    for number in range(12):
        files.put_file(key(number))
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        run = QueueRun(files, lab.folder / "a")
        source = run.open(once=False)
        silent = open_client("s3", f"http://127.0.0.1:{server.getsockname()[1]}")
        source._objects._client = silent
        thread = run.start()
        deadline = time.monotonic() + 10
        while files.hidden() < 12 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert files.hidden() == 12, f"only {files.hidden()} messages were received"
        began = time.monotonic()
        run.stop.set()
        while files.visible() < 12 and time.monotonic() < began + 10:
            time.sleep(0.02)
        visible = time.monotonic() - began
        thread.join(10)
        ended = time.monotonic() - began
        assert not thread.is_alive(), "the run did not end"
    assert (files.visible(), files.hidden()) == (12, 0), "messages are still hidden"
    return f"12 messages visible after {visible:.1f} s, ended after {ended:.1f} s"
