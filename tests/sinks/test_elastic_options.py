"""How the ``elastic`` sink finds, trusts and knows the other end: options, TLS, check."""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.errors import ConfigError, SinkBlockedError, SinkUnavailableError
from cloudfront_ecs.options import parse
from cloudfront_ecs.sinks.elastic import ElasticOptions, check, open_sink
from cloudfront_ecs.sinks.elastic_options import TlsOptions
from sinks import scripted_bulk as faults
from sinks.elastic_parts import CONTEXT, document, documents, elastic_sink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers.certificates import Certificate
    from sinks.scripted_bulk import ScriptedBulk


@pytest.fixture(name="server")
def _server() -> Iterator[ScriptedBulk]:
    with faults.scripted_bulk() as server:
        yield server


def test_another_node_is_used_while_one_is_down(server: ScriptedBulk) -> None:
    failed = 0
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with elastic_sink(dead, server.url) as sink:
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
        with (
            elastic_sink(url) as sink,
            pytest.raises(SinkUnavailableError, match=r"sinks\.search: no answer: .*refused"),
        ):
            sink.write([document("a")])

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
def test_credentials_are_sent(server: ScriptedBulk, options: dict[str, str], header: str) -> None:
    with elastic_sink(server.url, **options) as sink:
        sink.write([document("a")])

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
        pytest.param(
            {"aws_sigv4": "es", "api_key": "hidden"}, "only one of", id="key-and-signature"
        ),
        pytest.param({"aws_sigv4": "s3"}, "unknown value 's3'", id="other-service"),
        pytest.param({"aws": {"region": "eu-west-1"}}, "without 'aws_sigv4'", id="no-signature"),
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
    assert "logs-cloudfront.realtime, " in sentence
    assert sentence.endswith("logs-cloudfront.function (run 'cloudfront-ecs setup')")
    assert "logs-cloudfront.standard" not in sentence


def test_check_says_when_it_may_not_look(server: ScriptedBulk) -> None:
    server.template_status = 403

    sentence = check(ElasticOptions(hosts=(server.url,)), CONTEXT)

    assert sentence.endswith("warning: this account may not see whether index templates are there")


def test_an_account_that_may_only_write_writes(server: ScriptedBulk) -> None:
    server.template_status = 403

    with elastic_sink(server.url) as sink:
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
