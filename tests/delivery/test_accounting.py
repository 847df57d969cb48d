from __future__ import annotations

import threading

import pytest

from cloudfront_ecs import Document, RejectedLine, Rejection, WriteResult
from cloudfront_ecs.conversion import Converted
from cloudfront_ecs.delivery.accounting import Accounts
from cloudfront_ecs.errors import AccountingError


def documents(count: int) -> list[Document]:
    return [Document(f"{n:030}", "cloudfront.standard", n, {}) for n in range(count)]


def converted(made: int, rejects: int = 0, filtered: int = 0, skipped: int = 0) -> Converted:
    refused = [RejectedLine("columns", "", b"") for _ in range(rejects)]
    read = made + rejects + filtered
    return Converted(documents(made), refused, read, filtered, skipped, bytes=0)


def test_every_record_read_is_in_one_column_of_each_sink() -> None:
    accounts = Accounts("edge", ["a", "b"])

    accounts.converted(converted(5, rejects=2, filtered=3, skipped=1))
    accounts.written("a", 5, WriteResult(stored=2, duplicates=1, acked=1, retry=(*documents(1),)))

    summary = accounts.summary
    assert (summary.read, summary.dead_lettered, summary.filtered, summary.skipped) == (10, 2, 3, 1)
    assert summary.sinks["a"] == {"stored": 2, "duplicate": 1, "acked": 1, "dead_lettered": 0}
    assert summary.in_flight == {"a": 1, "b": 5}
    assert (summary.imbalance("a"), summary.imbalance("b")) == (0, 0)
    accounts.check()


def test_a_retried_document_is_counted_once_it_has_ended() -> None:
    accounts = Accounts("edge", ["a"])
    accounts.converted(converted(2))
    accounts.written("a", 2, WriteResult(retry=(*documents(2),)))

    accounts.written("a", 2, WriteResult(stored=2))

    assert accounts.summary.sinks["a"]["stored"] == 2
    assert accounts.summary.in_flight["a"] == 0
    accounts.check()


def test_a_rejection_counts_among_the_reasons() -> None:
    accounts = Accounts("edge", ["a"])
    accounts.converted(converted(1, rejects=1))

    accounts.written("a", 1, WriteResult(rejected=(Rejection(documents(1)[0], "400"),)))

    assert accounts.summary.reasons == {"columns": 1, "rejected": 1}


def test_reasons_stay_empty_while_nothing_is_refused() -> None:
    accounts = Accounts("edge", ["a"])
    accounts.converted(converted(1))

    accounts.written("a", 1, WriteResult(stored=1))

    assert not accounts.summary.reasons


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(WriteResult(stored=2), id="one-missing"),
        pytest.param(WriteResult(stored=3, duplicates=1), id="one-too-many"),
        pytest.param(WriteResult(stored=4, duplicates=-2), id="negative"),
    ],
)
def test_a_result_that_does_not_account_for_every_document_is_refused(result: WriteResult) -> None:
    accounts = Accounts("edge", ["a"])
    accounts.converted(converted(3))

    with pytest.raises(AccountingError, match="sink 'a' was given 3 documents"):
        accounts.written("a", 3, result)

    assert accounts.summary.in_flight["a"] == 3


def test_a_negative_part_does_not_hide_behind_a_right_sum() -> None:
    accounts = Accounts("edge", ["a"])
    accounts.converted(converted(3))

    with pytest.raises(AccountingError, match="sink 'a'"):
        accounts.written("a", 3, WriteResult(stored=4, duplicates=-1))


def test_a_conversion_that_loses_a_record_is_refused() -> None:
    part = converted(3)
    part.read += 1

    with pytest.raises(AccountingError, match="4 records became 3 documents"):
        Accounts("edge", ["a"]).converted(part)


def test_a_transform_that_adds_documents_is_refused() -> None:
    part = converted(3, filtered=-1)

    with pytest.raises(AccountingError, match="transforms made 3 documents of 2"):
        Accounts("edge", ["a"]).converted(part)


def test_the_check_names_pipeline_sink_and_difference() -> None:
    accounts = Accounts("edge", ["a"])
    accounts.converted(converted(3))
    accounts.summary.in_flight["a"] = 1

    with pytest.raises(AccountingError, match="pipeline 'edge', sink 'a': 2 of 3 records"):
        accounts.check()


def test_many_threads_count_as_one() -> None:
    accounts = Accounts("edge", ["a", "b"])

    def count(sink: str) -> None:
        for _ in range(2000):
            accounts.written(sink, 2, WriteResult(stored=1, duplicates=1))

    threads = [threading.Thread(target=count, args=[sink]) for sink in ("a", "b", "a", "b")]
    for thread in threads:
        thread.start()
    for _ in range(4000):
        accounts.converted(converted(2))
    for thread in threads:
        thread.join()

    assert accounts.summary.read == 8000
    accounts.check()
