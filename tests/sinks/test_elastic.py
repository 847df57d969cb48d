"""The ``elastic`` sink against a scripted server: faults, and what is re-sent."""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.batches import Document
from cloudfront_ecs.errors import ConfigError, SinkBlockedError, SinkUnavailableError
from cloudfront_ecs.normalize.ecs import AccessDocument, DataStream, Url
from cloudfront_ecs.options import parse
from cloudfront_ecs.sinks.elastic import ElasticOptions, ElasticSink, check, open_sink
from cloudfront_ecs.sinks.elastic_options import TlsOptions
from sinks import scripted_bulk as faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers.certificates import Certificate
    from sinks.scripted_bulk import Exchange, ScriptedBulk

CONTEXT = AdapterContext("search")


@pytest.fixture(name="server")
def _server() -> Iterator[ScriptedBulk]:
    with faults.scripted_bulk() as server:
        yield server


@pytest.fixture(name="opened")
def _opened(server: ScriptedBulk) -> Iterator[Callable[..., ElasticSink]]:
    sinks: list[ElasticSink] = []

    def opened(**options: Any) -> ElasticSink:
        table = {"hosts": [server.url], **options}
        problems: list[str] = []
        parsed = parse(ElasticOptions, table, "sinks.search", problems)
        assert not problems
        sinks.append(open_sink(parsed, CONTEXT))
        return sinks[-1]

    yield opened
    for sink in sinks:
        sink.close()


@pytest.fixture(name="sink")
def _sink(opened: Callable[..., ElasticSink]) -> ElasticSink:
    return opened()


def document(name: str, size: int = 1, **body: Any) -> Document:
    stream = DataStream(type="logs", dataset="cloudfront.standard", namespace="default")
    access = AccessDocument(
        timestamp="2026-11-20T10:00:00Z",
        data_stream=stream,
        url=Url(original=body.pop("text", "x" * size)),
    )
    return Document(name, "cloudfront.standard", 0, access)


def documents(count: int, size: int = 1) -> list[Document]:
    return [document(f"id-{number}", size) for number in range(count)]


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


def test_another_node_is_used_while_one_is_down(
    server: ScriptedBulk, opened: Callable[..., ElasticSink]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        sink = opened(hosts=[f"http://127.0.0.1:{taken.getsockname()[1]}", server.url])
        failed = 0
        for number in range(6):
            try:
                sink.write([document(f"id-{number}")])
            except SinkUnavailableError:
                failed += 1

    assert failed <= 2
    assert len(server.stored) == 6 - failed


def test_an_unreachable_server_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        sink = open_sink(ElasticOptions(hosts=(url,)), CONTEXT)

        with pytest.raises(SinkUnavailableError, match=r"sinks\.search: no answer: .*refused"):
            sink.write([document("a")])

    sink.close()
    sink.close()


def fingerprint(certificate: Certificate) -> str:
    der = ssl.PEM_cert_to_DER_cert(certificate.chain.read_text("ascii"))
    return hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize(
    "trust",
    [
        pytest.param(lambda made: {"ca": str(made.authority)}, id="authority"),
        pytest.param(lambda made: {"fingerprint": fingerprint(made)}, id="fingerprint"),
        pytest.param(lambda _: {"verify": False}, id="blind"),
    ],
)
def test_tls_with_a_trusted_node(
    certificate: Certificate, trust: Callable[[Certificate], dict[str, Any]]
) -> None:
    with faults.scripted_bulk(certificate) as server:
        options = ElasticOptions(hosts=(server.url,), tls=TlsOptions(**trust(certificate)))
        sink = open_sink(options, CONTEXT)

        result = sink.write([document("a")])

        sink.close()
    assert result.stored == 1


@pytest.mark.parametrize(
    "tls",
    [
        pytest.param({}, id="unknown-authority"),
        pytest.param({"fingerprint": "00" * 32}, id="other"),
    ],
)
def test_tls_with_a_stranger_sends_nothing(certificate: Certificate, tls: dict[str, Any]) -> None:
    with faults.scripted_bulk(certificate) as server:
        sink = open_sink(ElasticOptions(hosts=(server.url,), tls=TlsOptions(**tls)), CONTEXT)

        with pytest.raises(SinkUnavailableError, match=r"no TLS connection: .*check 'tls'"):
            sink.write([document("a")])

        sink.close()
    assert not server.seen
    assert not server.others


def test_a_certificate_file_that_is_not_there_is_named() -> None:
    options = ElasticOptions(hosts=("https://localhost:1",), tls=TlsOptions(ca="/no/such.pem"))

    with pytest.raises(ConfigError, match=r"sinks\.search\.tls: ca, cert or key cannot be used"):
        open_sink(options, CONTEXT)


@pytest.mark.parametrize(
    ("options", "header"),
    [
        pytest.param(
            {"username": "writer", "password": "pässword"},
            "Basic " + base64.b64encode("writer:pässword".encode()).decode(),
            id="basic",
        ),
        pytest.param({"api_key": "ZW5jb2RlZA=="}, "ApiKey ZW5jb2RlZA==", id="encoded-key"),
        pytest.param(
            {"api_key": "id:key"}, "ApiKey " + base64.b64encode(b"id:key").decode(), id="key-parts"
        ),
        pytest.param({"bearer_token": "token"}, "Bearer token", id="bearer"),
    ],
)
def test_credentials_are_sent(
    server: ScriptedBulk,
    opened: Callable[..., ElasticSink],
    options: dict[str, str],
    header: str,
) -> None:
    opened(**options).write([document("a")])

    assert server.seen[0].headers["authorization"] == header
    assert {headers["authorization"] for _, _, headers in server.others} == {header}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        pytest.param({"hosts": []}, "at least 1 needed", id="no-host"),
        pytest.param({"hosts": ["localhost:9200"]}, "is no URL", id="no-scheme"),
        pytest.param({"hosts": ["http://h:x"]}, "is no URL", id="no-port"),
        pytest.param({"hosts": ["http://a:1", "http://a:1"]}, "a node twice", id="twice"),
        pytest.param(
            {"hosts": ["https://u:hidden@h:9200"]}, "'username' and 'password'", id="in-the-url"
        ),
        pytest.param({"username": "u"}, "belong together", id="half"),
        pytest.param({"password": "hidden"}, "belong together", id="other-half"),
        pytest.param({"api_key": "hidden", "bearer_token": "hidden"}, "only one of", id="two-ways"),
        pytest.param({"namespace": "a-b"}, "may not hold", id="hyphen"),
        pytest.param({"namespace": "Edge"}, "lower case", id="upper-case"),
        pytest.param({"tls": {"key": "k.pem"}}, "'key' is given without 'cert'", id="key-alone"),
        pytest.param(
            {"hosts": ["http://h"], "tls": {"verify": False}}, "no host is reached", id="no-tls"
        ),
        pytest.param({"aws_sigv4": "es"}, "unknown option 'aws_sigv4'", id="not-yet"),
    ],
)
def test_options_that_cannot_work_are_refused_without_secrets(
    options: dict[str, Any], problem: str
) -> None:
    problems: list[str] = []

    parse(ElasticOptions, {"hosts": ["https://h:9200"], **options}, "sinks.search", problems)

    assert problem in problems[0]
    assert "hidden" not in " ".join(problems)


def test_secrets_are_not_shown() -> None:
    problems: list[str] = []
    table = {"hosts": ["https://h"], "username": "u", "password": "hidden"}

    options = parse(ElasticOptions, table, "sinks.search", problems)

    assert "hidden" not in repr(options)


def test_check_names_the_product_and_missing_templates(server: ScriptedBulk) -> None:
    options = ElasticOptions(hosts=(server.url,))
    server.templates = {"logs-cloudfront.standard"}

    sentence = check(options, CONTEXT)

    assert sentence.startswith(f"OpenSearch 2.19.4 at {server.url}; warning: no index template")
    assert "logs-cloudfront.realtime (run 'cloudfront-ecs setup')" in sentence
    assert "logs-cloudfront.standard" not in sentence


def test_check_says_when_it_may_not_look(server: ScriptedBulk) -> None:
    server.template_status = 403

    sentence = check(ElasticOptions(hosts=(server.url,)), CONTEXT)

    assert sentence.endswith("warning: this account may not see whether index templates are there")


def test_an_account_that_may_only_write_writes(server: ScriptedBulk, sink: ElasticSink) -> None:
    server.template_status = 403

    assert sink.write(documents(2)).stored == 2


def test_check_is_content_when_templates_are_there(server: ScriptedBulk) -> None:
    number = {"version": {"number": "9.1.0"}}
    server.root = (200, number, {"X-Elastic-Product": "Elasticsearch"})

    sentence = check(ElasticOptions(hosts=(server.url,)), CONTEXT)

    assert sentence == f"Elasticsearch 9.1.0 at {server.url}; index templates are there"


@pytest.mark.parametrize(
    ("root", "error", "text"),
    [
        pytest.param((401, b"", {}), SinkBlockedError, "answered 401", id="credentials"),
        pytest.param((503, b"", {}), SinkUnavailableError, "answered 503", id="busy"),
        pytest.param((200, b"It works!", {}), SinkBlockedError, "neither", id="a-web-server"),
        pytest.param((404, b"", {}), SinkBlockedError, "answered 404", id="wrong-path"),
    ],
)
def test_check_says_what_is_wrong(
    server: ScriptedBulk, root: tuple[int, bytes, dict[str, str]], error: type, text: str
) -> None:
    server.root = root

    with pytest.raises(error, match=text):
        check(ElasticOptions(hosts=(server.url,)), CONTEXT)
