"""Faults of messages: their visibility, their deletion, and messages that are no notices."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.sources.sqs.messages import LONGEST, MARGIN
from faults.catalogue import fault
from faults.queue_runs import Files, QueueRun, answer, assert_empty, judged
from sources.s3_world import key, next_payload, record

if TYPE_CHECKING:
    from faults.lab import Lab

VISIBILITY = 1
PATIENCE = 30


def _noticed(lab: Lab, number: int) -> Files:
    """Return a world with so many files, each with a notice."""
    files = Files(lab)
    files.notify_queue()
    for index in range(number):
        files.put_file(key(index), 10)
    return files


@fault(
    "Q1",
    "work takes longer than the visibility timeout",
    made="a timeout of 1 s, 15 objects that take 0.25 s each, another reader of the queue",
    seen="the heartbeat keeps every message; the other reader gets none",
)
def visibility_is_renewed(lab: Lab) -> str:
    files = _noticed(lab, 15)
    run = QueueRun(files, lab.folder / "a", visibility_timeout=VISIBILITY)
    run.open()
    run.before_each_object(lambda: time.sleep(0.25))
    began = time.monotonic()
    thread = run.start()
    while files.visible():
        time.sleep(0.02)
    taken = 0
    while thread.is_alive():
        told = files.sqs.receive_message(QueueUrl=files.queue_url, WaitTimeSeconds=0)
        taken += len(told.get("Messages", ()))
        time.sleep(0.1)
    thread.join()
    lines, again = judged(files.lines, [run])
    assert taken == 0, f"{taken} messages were visible while they were worked on"
    assert again == 0, f"{again} documents were written twice"
    assert_empty(files)
    return f"{lines} lines in {time.monotonic() - began:.1f} s, no message visible meanwhile"


@fault(
    "Q1",
    "visibility is lost while working",
    made="every renewal is refused with ReceiptHandleIsInvalid; a second worker reads the queue",
    seen="late deletes are harmless; what was read twice is seen once",
)
def visibility_is_lost(lab: Lab) -> str:
    files = _noticed(lab, 5)
    first = QueueRun(files, lab.folder / "a", visibility_timeout=VISIBILITY)
    second = QueueRun(files, lab.folder / "b", visibility_timeout=30)
    source = first.open()
    answer(source._messages.calls._client, "ChangeMessageVisibilityBatch", _not_ours)
    gate = threading.Event()
    first.before_each_object(lambda: gate.wait(PATIENCE))
    one = first.start()
    while not source._open:
        time.sleep(0.02)
    second.open()
    second.drain()
    gate.set()
    one.join()
    lines, again = judged(files.lines, [first, second])
    assert second.bodies(), "the second worker got nothing: no message was lost"
    assert_empty(files)
    return f"{lines} lines, {again} of them written by both workers under the same ids"


def _not_ours(request: dict[str, Any]) -> dict[str, Any]:
    failed = [
        {"Id": entry["Id"], "Code": "ReceiptHandleIsInvalid", "SenderFault": True}
        for entry in request["Entries"]
    ]
    return {"Successful": [], "Failed": failed}


@fault(
    "Q2",
    "the same message is given to two workers",
    made="messages in the hands of one worker are made visible for another",
    seen="nothing lost; what was read twice is seen once; the queue is empty",
)
def message_with_two_workers(lab: Lab) -> str:
    files = _noticed(lab, 6)
    first = QueueRun(files, lab.folder / "a")
    second = QueueRun(files, lab.folder / "b")
    source = first.open()
    gate = threading.Event()
    first.before_each_object(lambda: gate.wait(PATIENCE))
    one = first.start()
    while files.visible() or not source._messages.held:
        time.sleep(0.02)
    for handle in tuple(source._messages._held):
        with suppress(files.sqs.exceptions.ReceiptHandleIsInvalid):  # it came again meanwhile
            files.sqs.change_message_visibility(
                QueueUrl=files.queue_url, ReceiptHandle=handle, VisibilityTimeout=0
            )
    second.open()
    second.drain()
    gate.set()
    one.join()
    lines, again = judged(files.lines, [first, second])
    assert again, "no line was read by both workers"
    assert_empty(files)
    return f"{lines} lines, {again} of them written by both workers under the same ids"


def _poisoned(files: Files) -> None:
    """Put poison between good files: a text, and a notice of an object that is gone."""
    files.put_file(key(1))
    files.send({"Records": [record(files.bucket, key(1))]})
    files.send("this is no notice")
    files.send({"Records": [record(files.bucket, "gone", eTag="e")]})
    files.put_file(key(2))
    files.send({"Records": [record(files.bucket, key(2))]})


@fault(
    "Q3",
    "poison messages, kept here",
    made="a message that is no JSON, one that names an object that is gone; max_receives = 3",
    seen="dead letters after three receives; nothing waits for them; the queue is empty",
)
def poison_becomes_dead_letters(lab: Lab) -> str:
    files = Files(lab)
    _poisoned(files)
    run = QueueRun(files, lab.folder / "a", max_receives=3)
    run.open()
    run.drain()
    lines, again = judged(files.lines, [run])
    letters = run.letters()
    assert letters == {"notice": 1, "missing": 1}, f"dead letters: {dict(letters)}"
    assert again == 0, f"{again} good documents were written twice"
    assert_empty(files)
    return f"{lines} lines around them, 1 letter each: notice, missing"


@fault(
    "Q3",
    "poison messages, left to the queue's redrive policy",
    made="the same messages; the policy takes a message away after two receives",
    seen="no dead letter here; both lie in the queue's dead-letter queue, untouched",
)
def poison_is_left_to_redrive(lab: Lab) -> str:
    files = Files(lab)
    url, arn = files.queue()
    policy = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": "2"}}'
    files.sqs.set_queue_attributes(QueueUrl=files.queue_url, Attributes={"RedrivePolicy": policy})
    _poisoned(files)
    run = QueueRun(files, lab.folder / "a", poison="redrive", max_receives=1)
    run.open()
    run.drain()
    lines, again = judged(files.lines, [run])
    assert not run.letters(), f"dead letters: {dict(run.letters())}"
    assert again == 0, f"{again} good documents were written twice"
    moved = files.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    assert len(moved) == 2, f"{len(moved)} messages in the dead-letter queue, not 2"
    assert_empty(files)
    return f"{lines} lines around them, 2 messages in the dead-letter queue"


@fault(
    "Q4",
    "twelve hours in our hands",
    made="a clock that jumps to the end of the longest visibility, two objects in flight",
    seen="given back before the end, received anew and finished; nothing is read twice",
)
def twelve_hours(lab: Lab) -> str:
    files = Files(lab)
    for number in range(2):
        files.put_file(key(number))
    files.send({"Records": [record(files.bucket, key(number)) for number in range(2)]})
    run = QueueRun(files, lab.folder / "a", visibility_timeout=1)
    source = run.open()
    asked: list[int] = []
    answer(
        source._messages.calls._client,
        "ChangeMessageVisibilityBatch",
        lambda request: asked.extend(e["VisibilityTimeout"] for e in request["Entries"]),
    )
    jump = [0.0]
    source._messages._clock = lambda: time.monotonic() + jump[0]
    payloads = [next_payload(source) for _ in range(2)]
    held = set(source._messages._held)
    source.settle(payloads[0].receipt)
    jump[0] = LONGEST - MARGIN / 2
    deadline = time.monotonic() + 10
    while set(source._messages._held) <= held and time.monotonic() < deadline:
        assert source.poll(0.1) is None, "an object in flight was handed out again"
    assert 0 in asked, f"it was never given back: {asked}"
    source.settle(payloads[1].receipt)
    assert source._messages.flush(5.0), "the message was not deleted"
    assert_empty(files)
    source.close()
    return f"given back {MARGIN} s before the end, taken up again, deleted with its new handle"


@fault(
    "Q5",
    "deletions fail in part, or only seem to succeed",
    made="a third of each DeleteMessageBatch fails twice; one says yes and deletes nothing",
    seen="failed ones are repeated; the message that comes again is not read again",
)
def deletions_fail(lab: Lab) -> str:
    files = _noticed(lab, 12)
    run = QueueRun(files, lab.folder / "a", visibility_timeout=2)
    source = run.open()
    failed: dict[str, int] = {}
    pretended: list[str] = []

    def script(request: dict[str, Any]) -> dict[str, Any] | None:
        handles = {entry["ReceiptHandle"]: entry["Id"] for entry in request["Entries"]}
        if not pretended:
            pretended.extend(handles)
            return {"Successful": [{"Id": name} for name in handles.values()], "Failed": []}
        bad = [handle for handle in handles if failed.get(handle, 0) < 2][: -(-len(handles) // 3)]
        if not bad:
            return None
        for handle in bad:
            failed[handle] = failed.get(handle, 0) + 1
        good = [{"Id": handles[h], "ReceiptHandle": h} for h in handles if h not in bad]
        if good:
            files.sqs.delete_message_batch(QueueUrl=files.queue_url, Entries=good)
        return {
            "Successful": [{"Id": entry["Id"]} for entry in good],
            "Failed": [
                {"Id": handles[h], "Code": "InternalError", "SenderFault": False} for h in bad
            ],
        }

    answer(source._messages.calls._client, "DeleteMessageBatch", script)
    run.drain()
    lines, again = judged(files.lines, [run])
    assert again == 0, f"{again} documents were written twice"
    assert source.skipped["repeated"] >= len(pretended), "the pretended deletions never came back"
    assert_empty(files)
    return (
        f"{lines} lines once; {sum(failed.values())} deletions repeated, "
        f"{len(pretended)} messages came again and were not read"
    )
