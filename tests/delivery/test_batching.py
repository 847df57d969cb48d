from __future__ import annotations

import itertools

import pytest

from cloudfront_ecs import Document, Origin, Receipt, RecordBatch
from cloudfront_ecs.batches import Layout
from cloudfront_ecs.config import BatchOptions
from cloudfront_ecs.conversion import Converted, Trace
from cloudfront_ecs.delivery.batching import Batch, Batching, PayloadProgress

LAYOUT = Layout("realtime", ("timestamp",))
_ids = itertools.count()


def progress(name: str = "object") -> PayloadProgress:
    return PayloadProgress(Receipt(name, 1), Origin(name, (name,)))


def part(count: int, size: int = 100) -> Converted:
    documents = [Document(f"{next(_ids):030}", "cloudfront.realtime", 0, {}) for _ in range(count)]
    lines = [f"line {document.id}" for document in documents]
    batch = RecordBatch(LAYOUT, [[line] for line in lines], lines, range(1, count + 1))
    trace = Trace(tuple(documents), batch, range(count))
    return Converted(documents, [], count, 0, 0, count * size, LAYOUT, trace)


@pytest.mark.parametrize(
    ("sizes", "batches", "left"),
    [
        pytest.param([9], [], 9, id="not-full"),
        pytest.param([10], [10], 0, id="exactly-full"),
        pytest.param([25], [10, 10], 5, id="one-part-fills-several"),
        pytest.param([6, 6], [10], 2, id="a-part-is-cut"),
        pytest.param([0, 10, 0], [10], 0, id="parts-without-documents"),
    ],
)
def test_a_batch_goes_when_it_holds_enough_documents(
    sizes: list[int], batches: list[int], left: int
) -> None:
    batching = Batching(BatchOptions(documents=10, seconds=60))
    payload = progress()

    full = [batch for size in sizes for batch in batching.add(payload, part(size))]

    assert [len(batch.documents) for batch in full] == batches
    assert len(batching.take().documents) == left
    assert payload.outstanding == sum(sizes)


def test_a_batch_goes_when_it_holds_enough_bytes() -> None:
    batching = Batching(BatchOptions(documents=1000, bytes=1024, seconds=60))
    payload = progress()

    full = [batch for _ in range(4) for batch in batching.add(payload, part(3, size=200))]

    assert [len(batch.documents) for batch in full] == [6, 6]


def test_no_document_is_lost_or_twice_and_their_order_stays() -> None:
    batching = Batching(BatchOptions(documents=7, seconds=60))
    parts = [part(size) for size in (3, 0, 15, 1, 7, 20)]
    payload = progress()

    batches = [batch for each in parts for batch in batching.add(payload, each)]
    batches.append(batching.take())

    written = [document.id for batch in batches for document in batch.documents]
    assert written == [document.id for each in parts for document in each.documents]
    for batch in batches:
        assert sum(share.count for share in batch.shares) == len(batch.documents)
    assert sum(len(batch.documents) for batch in batches) == payload.outstanding


def test_an_empty_batch_is_never_due() -> None:
    batching = Batching(BatchOptions(seconds=0.01))

    list(batching.add(progress(), part(0)))

    assert batching.due_in() is None


def test_a_batch_is_due_so_long_after_its_first_document() -> None:
    batching = Batching(BatchOptions(seconds=30))

    list(batching.add(progress(), part(1)))
    first = batching.due_in()
    list(batching.add(progress(), part(1)))
    second = batching.due_in()

    assert first is not None
    assert second is not None
    assert 29 < second <= first <= 30
    batching.take()
    assert batching.due_in() is None


def test_a_batch_leads_back_from_a_document_to_its_line_and_payload() -> None:
    batching = Batching(BatchOptions(documents=100, seconds=60))
    first, second = progress("first"), progress("second")
    mine, other = part(2), part(3)
    list(batching.add(first, mine))
    list(batching.add(second, other))
    batch = batching.take()

    found = batch.line_of(other.documents[1])

    assert found is not None
    share, line = found
    assert share.progress is second
    assert share.layout == LAYOUT
    assert (line.raw, line.line) == (f"line {other.documents[1].id}".encode(), 2)


def test_a_document_of_another_batch_has_no_line() -> None:
    assert Batch().line_of(part(1).documents[0]) is None


@pytest.mark.parametrize(
    ("outstanding", "complete", "failed", "ended"),
    [
        pytest.param(0, False, False, False, id="still-read"),
        pytest.param(1, True, False, False, id="read-and-not-written"),
        pytest.param(0, True, False, True, id="read-and-written"),
        pytest.param(1, False, True, False, id="broken-and-not-written"),
        pytest.param(0, False, True, True, id="broken-and-written"),
    ],
)
def test_the_source_is_told_once_nothing_of_a_payload_is_under_way(
    *, outstanding: int, complete: bool, failed: bool, ended: bool
) -> None:
    payload = progress()
    payload.outstanding, payload.complete, payload.failed = outstanding, complete, failed

    assert payload.ended is ended
