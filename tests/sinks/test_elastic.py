"""The ``elastic`` sink against a scripted server: faults, and what is re-sent."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.batches import Document
from cloudfront_ecs.errors import SinkBlockedError, SinkUnavailableError
from sinks import scripted_bulk as faults
from sinks.elastic_parts import document, documents, elastic_sink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudfront_ecs.sinks.elastic import ElasticSink
    from sinks.scripted_bulk import Exchange, ScriptedBulk


@pytest.fixture(name="server")
def _server() -> Iterator[ScriptedBulk]:
    with faults.scripted_bulk() as server:
        yield server


@pytest.fixture(name="opened")
def _opened(server: ScriptedBulk) -> Iterator[Callable[..., ElasticSink]]:
    with ExitStack() as stack:
        yield lambda **table: stack.enter_context(elastic_sink(server.url, **table))


@pytest.fixture(name="sink")
def _sink(opened: Callable[..., ElasticSink]) -> ElasticSink:
    return opened()


def test_a_document_goes_into_its_data_stream_under_its_id(
    server: ScriptedBulk, sink: ElasticSink
) -> None:
    result = sink.write([document("a", text="/ü")])

    (key, body), *rest = server.stored.items()
    assert result.stored == 1
    assert not rest
    assert key == ("logs-cloudfront.standard-default", "a")
    assert body == {
        "@timestamp": "2026-11-20T10:00:00Z",
        "data_stream": {
            "type": "logs",
            "dataset": "cloudfront.standard",
            "namespace": "default",
        },
        "url": {"original": "/ü"},
    }


def test_without_ids_of_ours_the_server_makes_them(
    server: ScriptedBulk, opened: Callable[..., ElasticSink]
) -> None:
    sink = opened(id="auto")

    results = [sink.write(documents(2)) for _ in range(2)]

    assert [result.stored for result in results] == [2, 2]
    assert len(server.stored) == 4
    assert all("_id" not in action for seen in server.seen for action, _ in seen.actions)


def test_a_collection_that_takes_no_ids_is_told_what_to_set(
    server: ScriptedBulk, sink: ElasticSink
) -> None:
    reason = "Document ID is not supported in create/index operation request"
    refusal = faults.item(400, "illegal_argument_exception", reason)
    server.script.append(faults.items(refusal))

    with pytest.raises(SinkBlockedError, match=r"set id = 'auto'"):
        sink.write(documents(1))


def test_the_request_is_one_that_both_products_take(
    server: ScriptedBulk, sink: ElasticSink
) -> None:
    sink.write([document("a")])

    seen = server.seen[0]
    assert seen.headers["content-type"] == "application/x-ndjson"
    assert seen.headers["content-encoding"] == "gzip"
    assert seen.path.startswith("/_bulk?filter_path=errors,items.*.status,")
    assert seen.path.count("=") == 1
    assert not [name for name in seen.headers if name.lower().startswith("x-elastic")]


def test_bodies_are_plain_without_compress(
    server: ScriptedBulk, opened: Callable[..., ElasticSink]
) -> None:
    opened(compress=False).write([document("a")])

    assert "content-encoding" not in server.seen[0].headers


def test_a_dict_is_a_body_too(server: ScriptedBulk, opened: Callable[..., ElasticSink]) -> None:
    body = {"@timestamp": "2026-11-20T10:00:00Z", "data_stream": {"namespace": "default"}}

    opened(namespace="edge").write([Document("a", "cloudfront.realtime", 0, body)])

    stored = server.stored["logs-cloudfront.realtime-edge", "a"]
    assert stored["data_stream"]["namespace"] == "edge"
    assert body["data_stream"] == {"namespace": "default"}


def test_the_namespace_is_put_into_a_copy(
    server: ScriptedBulk, opened: Callable[..., ElasticSink]
) -> None:
    shared = document("a")

    opened(namespace="edge").write([shared])

    stored = server.stored["logs-cloudfront.standard-edge", "a"]
    assert stored["data_stream"] == {
        "type": "logs",
        "dataset": "cloudfront.standard",
        "namespace": "edge",
    }
    assert shared.body.data_stream.namespace == "default"  # type: ignore[attr-defined]


def test_a_second_write_counts_duplicates(server: ScriptedBulk, sink: ElasticSink) -> None:
    first = sink.write(documents(3))

    second = sink.write(documents(4))

    assert (first.stored, first.duplicates) == (3, 0)
    assert (second.stored, second.duplicates) == (1, 3)
    assert len(server.stored) == 4


def test_no_documents_are_no_request(server: ScriptedBulk, sink: ElasticSink) -> None:
    assert sink.write([]).total == 0
    assert not server.seen


def test_only_busy_documents_are_offered_again(server: ScriptedBulk, sink: ElasticSink) -> None:
    busy = faults.item(429, "es_rejected_execution_exception", "rejected execution")
    gone = faults.item(503, "unavailable_shards_exception", "primary shard is not active")
    server.script.append(faults.items(None, busy, None, gone))

    result = sink.write(documents(4))

    assert result.stored == 2
    assert [one.id for one in result.retry] == ["id-1", "id-3"]


def test_a_mapping_conflict_rejects_that_document_only(
    server: ScriptedBulk, sink: ElasticSink
) -> None:
    bad = faults.item(400, "document_parsing_exception", "failed to parse field [a]")
    server.script.append(faults.items(None, bad, None))

    result = sink.write(documents(3))

    assert result.stored == 2
    (rejection,) = result.rejected
    assert rejection.document.id == "id-1"
    assert rejection.status == 400
    assert rejection.detail == "document_parsing_exception: failed to parse field [a]"


def test_the_failure_store_is_no_place_to_be_stored_in(
    server: ScriptedBulk, sink: ElasticSink
) -> None:
    server.script.append(faults.items(None, faults.item(201, failure_store="used")))

    result = sink.write(documents(2))

    assert result.stored == 1
    assert [one.detail for one in result.rejected] == ["kept in the failure store"]


@pytest.mark.parametrize(
    "fault",
    [
        faults.store_then_reset,
        faults.store_then_cut,
        faults.store_then_cut_cleanly,
        faults.store_then_page,
        faults.store_then_hang,
        faults.one_item_more,
        faults.one_item_less,
    ],
)
def test_a_lost_answer_leads_to_no_duplicate(
    server: ScriptedBulk,
    opened: Callable[..., ElasticSink],
    fault: Callable[[Exchange], None],
) -> None:
    sink = opened(timeout=1)
    server.script.append(fault)
    with pytest.raises(SinkUnavailableError) as caught:
        sink.write(documents(3))

    result = sink.write(documents(3))

    assert not isinstance(caught.value, SinkBlockedError)
    assert len(server.seen) == 2
    assert result.duplicates == 3
    assert len(server.stored) == 3


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_once_a_write(
    server: ScriptedBulk, sink: ElasticSink, code: int
) -> None:
    server.script.append(faults.status(code))

    with pytest.raises(SinkUnavailableError, match=f"answered {code}") as caught:
        sink.write(documents(2))

    assert not isinstance(caught.value, SinkBlockedError)
    assert len(server.seen) == 1
    assert not server.stored


@pytest.mark.parametrize("code", [302, 400, 401, 403, 404, 405, 406, 415])
def test_a_refused_request_blocks(server: ScriptedBulk, sink: ElasticSink, code: int) -> None:
    server.always = faults.status(code, b"Unauthorized", **{"Content-Type": "text/plain"})
    with pytest.raises(SinkBlockedError, match=f"answered {code}"):
        sink.write(documents(2))

    server.always = None

    assert sink.write(documents(2)).stored == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            faults.item(403, "cluster_block_exception", "blocked by: [FORBIDDEN/8/index write]"),
            id="read-only",
        ),
        pytest.param(
            faults.item(429, "cluster_block_exception", "disk usage exceeded flood-stage"),
            id="disk-full",
        ),
        pytest.param(faults.item(403, "security_exception", "unauthorized"), id="no-permission"),
        pytest.param(faults.item(404, "index_not_found_exception", "no such index"), id="no-index"),
        pytest.param(
            faults.item(
                400,
                "illegal_argument_exception",
                "only write ops with an op_type of create are allowed in data streams",
            ),
            id="other-operation",
        ),
    ],
)
def test_a_block_stops_the_write_and_rejects_nothing(
    server: ScriptedBulk, opened: Callable[..., ElasticSink], answer: dict[str, Any]
) -> None:
    sink = opened(bulk_bytes=1024)
    server.always = lambda exchange: exchange.items([answer] * len(exchange.seen.actions))
    with pytest.raises(SinkBlockedError, match=answer["create"]["error"]["type"]):
        sink.write(documents(20))
    asked = len(server.seen)

    server.always = None

    assert asked == 1
    assert sink.write(documents(20)).stored == 20


def test_a_block_of_some_documents_returns_what_was_stored(
    server: ScriptedBulk, sink: ElasticSink
) -> None:
    answer = faults.item(403, "security_exception", "unauthorized for this index")
    server.script.append(faults.items(None, answer, None))

    result = sink.write(documents(3))

    assert result.stored == 2
    assert [one.id for one in result.retry] == ["id-1"]


@pytest.mark.parametrize("fault", [faults.reset, faults.status(503), faults.status(401)])
def test_the_rest_is_offered_again_when_a_later_request_fails(
    server: ScriptedBulk,
    opened: Callable[..., ElasticSink],
    fault: Callable[[Exchange], None],
) -> None:
    sink = opened(bulk_bytes=2000)
    server.script.extend([lambda exchange: exchange.items(exchange.store()), fault])

    result = sink.write(documents(6, size=700))

    assert result.stored == 2
    assert [one.id for one in result.retry] == ["id-2", "id-3", "id-4", "id-5"]
    assert len(server.seen) == 2


def test_too_large_requests_are_halved_and_the_size_is_remembered(
    server: ScriptedBulk, sink: ElasticSink
) -> None:
    server.most_bytes = 12_000
    first = sink.write(documents(40, size=1000))
    tries = len(server.seen)

    second = sink.write([document(f"more-{number}", 1000) for number in range(8)])

    assert first.stored == 40
    assert second.stored == 8
    assert max(len(seen.body) for seen in server.seen[tries:]) <= 12_000


def test_a_document_larger_than_the_limit_is_rejected_alone(
    server: ScriptedBulk, sink: ElasticSink
) -> None:
    server.most_bytes = 5000

    result = sink.write([document("a"), document("b", 9000), document("c")])

    assert result.stored == 2
    (rejection,) = result.rejected
    assert rejection.document.id == "b"
    assert rejection.status == 413


def test_a_document_the_server_cannot_parse_is_found_by_halving(
    server: ScriptedBulk, sink: ElasticSink
) -> None:
    server.always = faults.poison(b"poison")
    batch = documents(16)
    batch[11] = document("bad", text="poison")

    result = sink.write(batch)

    assert result.stored == 15
    assert [one.document.id for one in result.rejected] == ["bad"]
    assert result.total == 16


def test_what_is_no_json_is_rejected_before_it_is_sent(
    server: ScriptedBulk, sink: ElasticSink
) -> None:
    result = sink.write([document("a"), document("b", text="\udcff"), document("c")])

    assert result.stored == 2
    assert server.arrivals == ["a", "c"]
    (rejection,) = result.rejected
    assert rejection.document.id == "b"
    assert rejection.detail == "cannot be written as JSON: UnicodeEncodeError"


def test_gzip_is_given_up_once_when_nobody_understands_it(
    server: ScriptedBulk, sink: ElasticSink, caplog: pytest.LogCaptureFixture
) -> None:
    server.always = faults.no_gzip

    sink.write(documents(2))
    sink.write(documents(4))

    encodings = [seen.headers.get("content-encoding") for seen in server.seen]
    assert encodings == ["gzip", None, None]
    assert len(server.stored) == 4
    assert caplog.text.count("does not take gzip") == 1


def test_without_a_template_nothing_is_written(server: ScriptedBulk, sink: ElasticSink) -> None:
    server.templates = set()
    with pytest.raises(SinkBlockedError, match="run 'cloudfront-ecs setup'"):
        sink.write(documents(1))
    assert not server.seen

    server.templates = {"logs-cloudfront.standard"}

    assert sink.write(documents(1)).stored == 1


def test_a_write_never_logs_content(
    server: ScriptedBulk, sink: ElasticSink, caplog: pytest.LogCaptureFixture
) -> None:
    reason = "failed to parse field [a], preview: 'secret-cookie'"
    server.script.append(faults.items(None, faults.item(400, "mapper_parsing_exception", reason)))
    server.script.append(faults.status(503, {"error": {"type": "x", "reason": "secret-cookie"}}))
    caplog.set_level("INFO")

    sink.write([document("a", text="secret-cookie"), document("b")])
    with pytest.raises(SinkUnavailableError) as caught:
        sink.write([document("c", text="secret-cookie")])

    assert "secret-cookie" not in caplog.text
    assert "secret-cookie" not in str(caught.value)


def test_the_wish_to_be_left_alone_reaches_the_one_who_waits(
    server: ScriptedBulk, sink: ElasticSink
) -> None:
    sink.write([document("a")])
    server.script.append(faults.status(429, **{"Retry-After": "7"}))

    with pytest.raises(SinkUnavailableError) as refused:
        sink.write([document("b")])

    assert refused.value.retry_after == 7.0
