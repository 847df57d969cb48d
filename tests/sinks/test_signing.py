"""Signed requests: verified the way AWS does it, on what really arrived."""

from __future__ import annotations

import hashlib
import hmac
import re
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from cloudfront_ecs.errors import ConfigError, SinkBlockedError, SinkUnavailableError
from cloudfront_ecs.sinks.signing import signed_query
from sinks import scripted_bulk as faults
from sinks.elastic_parts import document, documents, elastic_sink

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from cloudfront_ecs.sinks.elastic import ElasticSink
    from sinks.scripted_bulk import Exchange, ScriptedBulk

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
OTHER = "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"


def expected_signature(
    method: str, target: str, headers: Mapping[str, str], digest: str, secret: str
) -> str:
    """Return the signature by the steps of "Create a signed AWS API request"."""
    told = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=\w+/(?P<scope>(?P<day>\d+)/(?P<region>[\w-]+)/"
        r"(?P<service>\w+)/aws4_request), SignedHeaders=(?P<names>[\w;-]+), Signature=\w+",
        headers["authorization"],
    )
    assert told is not None
    parts = urlsplit(target)
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    signed = told["names"].split(";")
    canonical = "\n".join(
        [
            method,
            quote(parts.path, safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{headers[name].strip()}" for name in signed),
            "",
            told["names"],
            digest,
        ]
    )
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], told["scope"], hashed])
    key = f"AWS4{secret}".encode()
    for step in (told["day"], told["region"], told["service"], "aws4_request"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


@pytest.fixture(name="server")
def _server() -> Iterator[ScriptedBulk]:
    with faults.scripted_bulk() as server:
        yield server


@pytest.fixture(name="keys")
def _keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keep credentials in a file that tests may change."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    path = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    write_keys(path, "AKIDFIRST", SECRET)
    return path


def write_keys(path: Path, name: str, secret: str, token: str = "") -> None:
    session = f"aws_session_token = {token}\n" if token else ""
    path.write_text(
        f"[default]\naws_access_key_id = {name}\naws_secret_access_key = {secret}\n{session}"
    )


@contextmanager
def signing(server: ScriptedBulk, service: str = "es", **table: Any) -> Iterator[ElasticSink]:
    table = {"aws_sigv4": service, "aws": {"region": "eu-west-1"}, **table}
    with elastic_sink(server.url, **table) as sink:
        yield sink


def signature_of(headers: Mapping[str, str]) -> str:
    return headers["authorization"].rpartition("Signature=")[2]


@pytest.mark.parametrize("service", ["es", "aoss"])
@pytest.mark.parametrize("compress", [True, False])
def test_every_request_carries_the_signature_of_what_is_sent(
    server: ScriptedBulk, keys: Path, service: str, *, compress: bool
) -> None:
    write_keys(keys, "AKIDFIRST", SECRET, "SESSIONTOKEN")

    with signing(server, service, compress=compress) as sink:
        sink.write([document("a", text="/ü?q=1&r=*")])

    [seen] = server.seen
    digest = seen.headers["x-amz-content-sha256"]
    wanted = expected_signature("POST", seen.path, seen.headers, digest, SECRET)
    assert digest == hashlib.sha256(seen.sent).hexdigest()
    assert signature_of(seen.headers) == wanted
    assert f"/eu-west-1/{service}/aws4_request" in seen.headers["authorization"]
    assert seen.headers["x-amz-security-token"] == "SESSIONTOKEN"
    assert "content-length" not in seen.headers["authorization"]
    assert ("content-encoding" in seen.headers) is compress
    for method, target, headers in server.others:
        nothing = hashlib.sha256(b"").hexdigest()
        assert signature_of(headers) == expected_signature(method, target, headers, nothing, SECRET)


def test_the_query_is_sent_as_it_is_signed() -> None:
    assert signed_query("b=items.*.status,x&a=%20~") == "a=%20~&b=items.%2A.status%2Cx"


def test_refused_keys_are_read_again(server: ScriptedBulk, keys: Path) -> None:
    def refuse_the_first(exchange: Exchange) -> None:
        if "AKIDFIRST" in exchange.seen.headers["authorization"]:
            exchange.answer(403, {"message": "The security token is expired"})
        else:
            exchange.items(exchange.store())

    server.always = refuse_the_first
    with signing(server) as sink:
        with pytest.raises(SinkBlockedError, match="403"):
            sink.write(documents(2))
        write_keys(keys, "AKIDSECOND", OTHER)
        with pytest.raises(SinkBlockedError, match="403"):
            sink.write(documents(2))
        result = sink.write(documents(2))

    assert result.stored == 2
    last = server.seen[-1].headers
    digest = last["x-amz-content-sha256"]
    assert signature_of(last) == expected_signature(
        "POST", server.seen[-1].path, last, digest, OTHER
    )


def test_a_clock_that_is_wrong_is_put_right_by_the_servers(
    server: ScriptedBulk, keys: Path
) -> None:
    assert keys.exists()
    there = datetime.now(UTC) + timedelta(hours=1)

    def too_old(exchange: Exchange) -> None:
        sent = datetime.strptime(exchange.seen.headers["x-amz-date"], "%Y%m%dT%H%M%S%z")
        if abs(sent - there) > timedelta(minutes=5):
            exchange.date = format_datetime(there, usegmt=True)
            exchange.answer(403, {"message": "Signature expired"})
        else:
            exchange.items(exchange.store())

    server.always = too_old
    with signing(server) as sink:
        with pytest.raises(SinkBlockedError):
            sink.write(documents(1))

        assert sink.write(documents(1)).stored == 1


def test_without_credentials_the_sink_waits_and_says_why(server: ScriptedBulk, keys: Path) -> None:
    keys.write_text("")

    with signing(server) as sink, pytest.raises(SinkUnavailableError) as caught:
        sink.write(documents(1))

    assert "sinks.search.aws: Unable to locate credentials" in str(caught.value)
    assert server.seen == []


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("https://search-logs-abc123.eu-central-1.es.amazonaws.com", "eu-central-1"),
        ("https://abc123.us-gov-west-1.aoss.amazonaws.com", "us-gov-west-1"),
    ],
)
def test_the_region_is_told_by_the_host(keys: Path, host: str, region: str) -> None:
    assert keys.exists()
    with elastic_sink(host, aws_sigv4="es") as sink:
        assert sink._cluster._signer is not None
        assert sink._cluster._signer._region == region


def test_an_unknown_region_is_a_mistake_in_the_configuration(keys: Path) -> None:
    assert keys.exists()
    with (
        pytest.raises(ConfigError, match=r"^sinks\.search\.aws: no region is known"),
        elastic_sink("https://search.example.com", aws_sigv4="es"),
    ):
        pass
