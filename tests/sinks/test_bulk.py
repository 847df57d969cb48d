"""What bulk answers mean, case by case; the statuses and types are those of real nodes."""

from __future__ import annotations

import json

import pytest

from cloudfront_ecs.batches import Document
from cloudfront_ecs.sinks.bulk import (
    DETAIL_LENGTH,
    Cause,
    End,
    Item,
    Prepared,
    RequestEnd,
    Tally,
    item_end,
    parse_answer,
    request_end,
    requests,
)


def document(name: str = "a") -> Document:
    return Document(name, "cloudfront.standard", 0, {})


@pytest.mark.parametrize(
    ("item", "end"),
    [
        pytest.param(Item(201), End.STORED, id="created"),
        pytest.param(Item(200), End.STORED, id="ok"),
        pytest.param(Item(201, failure_store="not_applicable_or_unknown"), End.STORED, id="usual"),
        pytest.param(Item(201, failure_store="used"), End.REJECTED, id="failure-store"),
        pytest.param(
            Item(409, Cause("version_conflict_engine_exception")), End.DUPLICATE, id="already-there"
        ),
        pytest.param(
            Item(429, Cause("es_rejected_execution_exception")), End.RETRY, id="queue-full"
        ),
        pytest.param(Item(429, Cause("circuit_breaking_exception")), End.RETRY, id="heap-full"),
        pytest.param(Item(429, Cause("cluster_block_exception")), End.BLOCKED, id="disk-full"),
        pytest.param(Item(403, Cause("cluster_block_exception")), End.BLOCKED, id="read-only"),
        pytest.param(Item(403, Cause("security_exception")), End.BLOCKED, id="no-permission"),
        pytest.param(Item(401, Cause("security_exception")), End.BLOCKED, id="no-credentials"),
        pytest.param(Item(404, Cause("index_not_found_exception")), End.BLOCKED, id="no-index"),
        pytest.param(Item(503, Cause("unavailable_shards_exception")), End.RETRY, id="no-shard"),
        pytest.param(Item(500, Cause("node_closed_exception")), End.RETRY, id="node-closed"),
        pytest.param(Item(400, Cause("document_parsing_exception")), End.REJECTED, id="parsing"),
        pytest.param(Item(400, Cause("mapper_parsing_exception")), End.REJECTED, id="mapping"),
        pytest.param(
            Item(400, Cause("strict_dynamic_mapping_exception")), End.REJECTED, id="undeclared"
        ),
        pytest.param(
            Item(
                400,
                Cause(
                    "illegal_argument_exception",
                    "only write ops with an op_type of create are allowed in data streams",
                ),
            ),
            End.BLOCKED,
            id="other-operation",
        ),
        pytest.param(
            Item(400, Cause("illegal_argument_exception", "Document ID is not supported in …")),
            End.BLOCKED,
            id="no-ids-there",
        ),
        pytest.param(
            Item(
                400,
                Cause(
                    "validation_exception",
                    "this action would add [2] shards, but this cluster currently has "
                    "[1000]/[1000] maximum normal shards open",
                ),
            ),
            End.BLOCKED,
            id="too-many-shards",
        ),
        pytest.param(
            Item(
                400,
                Cause(
                    "document_parsing_exception",
                    "Preview of field's value: 'only write ops with an op_type of create'",
                ),
            ),
            End.REJECTED,
            id="words-of-a-viewer",
        ),
        pytest.param(Item(400, Cause("index_closed_exception")), End.BLOCKED, id="closed"),
        pytest.param(Item(418), End.RETRY, id="never-seen-before"),
    ],
)
def test_the_item_decides_the_end_of_its_document(item: Item, end: End) -> None:
    assert item_end(item) is end


ERROR = json.dumps({"error": {"type": "json_parse_exception", "reason": "x"}, "status": 400})
PARAMETER = json.dumps(
    {
        "error": {
            "type": "illegal_argument_exception",
            "reason": "request [/_bulk] contains unrecognized parameter: [x]",
        }
    }
)


@pytest.mark.parametrize(
    ("status", "body", "end"),
    [
        pytest.param(200, "", RequestEnd.ANSWERED, id="ok"),
        pytest.param(413, "", RequestEnd.TOO_LARGE, id="too-large"),
        pytest.param(400, ERROR, RequestEnd.MALFORMED, id="the-servers-own-400"),
        pytest.param(400, PARAMETER, RequestEnd.BLOCKED, id="a-parameter-it-does-not-know"),
        pytest.param(400, "<html>plain HTTP to HTTPS port", RequestEnd.BLOCKED, id="a-proxys-400"),
        *(
            pytest.param(status, "", RequestEnd.BLOCKED, id=str(status))
            for status in (301, 401, 403, 404, 405, 406, 415)
        ),
        *(
            pytest.param(status, "", RequestEnd.UNKNOWN, id=str(status))
            for status in (408, 429, 500, 502, 503, 504, 204)
        ),
    ],
)
def test_the_status_decides_the_end_of_the_request(status: int, body: str, end: RequestEnd) -> None:
    assert request_end(status, body.encode()) is end


def test_items_are_read_by_position() -> None:
    body = b'{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":409}}]}'

    assert [item.status for item in parse_answer(body, 2)] == [201, 409]


@pytest.mark.parametrize("expected", [1, 3])
def test_a_wrong_number_of_items_is_no_answer(expected: int) -> None:
    body = b'{"items":[{"create":{"status":201}},{"create":{"status":201}}]}'

    with pytest.raises(ValueError, match=f"{expected} documents were sent, 2 answers came back"):
        parse_answer(body, expected)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>Sign in</html>", id="html"),
        pytest.param(b'{"errors":false,"items":[{"create":{"sta', id="cut"),
        pytest.param(b'{"took":1}', id="another-answer"),
        pytest.param(b'{"items":[{"create":{"status":"201"}}]}', id="status-as-text"),
        pytest.param(b"\xff\xfe", id="not-text"),
    ],
)
def test_what_is_no_bulk_answer_is_refused_without_quoting_it(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^the answer is no bulk answer$"):
        parse_answer(body, 1)


def test_reasons_are_cut_short() -> None:
    text = str(Cause("mapper_parsing_exception", "x" * 10_000))

    assert len(text) == DETAIL_LENGTH
    assert text.startswith("mapper_parsing_exception: xxx")


def test_requests_stay_below_the_limit_and_keep_the_order() -> None:
    prepared = [Prepared(document(str(size)), b"x" * size) for size in (4, 6, 1, 10, 3, 25, 1)]

    split = [[len(one.lines) for one in request] for request in requests(prepared, 10)]

    assert split == [[4, 6], [1], [10], [3], [25], [1]]


def test_nothing_to_send_is_no_request() -> None:
    assert list(requests([], 10)) == []


def test_each_document_is_counted_once() -> None:
    ends = [Item(201), Item(409), Item(503), Item(403), Item(400, Cause("x"))]
    tally = Tally()

    tally.add([Prepared(document(str(n)), b"") for n in range(5)], ends)

    result = tally.result()
    assert (result.stored, result.duplicates) == (1, 1)
    assert [one.id for one in result.retry] == ["2", "3"]
    assert [one.document.id for one in result.rejected] == ["4"]
    assert result.total == 5
    assert tally.blocked is ends[3]
