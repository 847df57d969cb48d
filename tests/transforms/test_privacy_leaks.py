"""Every column holds a value of its own; after a rule, that value is nowhere to be found."""

from __future__ import annotations

import base64
import json
import logging
from typing import TYPE_CHECKING, Any

import msgpack
import msgspec
import pytest

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.realtime.decoder import RealtimeDecoder, RealtimeOptions
from cloudfront_ecs.delivery.batching import Batch, PayloadProgress, Share
from cloudfront_ecs.delivery.dead_letters import DeadLetter
from cloudfront_ecs.normalize.layouts import realtime_columns
from normalize.converting import VALUES
from transforms.transforming import as_json, documents, opened

if TYPE_CHECKING:
    from cloudfront_ecs.batches import Document

KEY = "a key of the test"

CANARIES = {
    "c-ip": ("203.0.113.77", "203.0.113.77"),
    "s-ip": ("198.51.100.88", "198.51.100.88"),
    "x-forwarded-for": ("2001:db8:aaaa:bbbb::cc,%20192.0.2.99", "2001:db8:aaaa:bbbb::cc"),
    "cs-host": ("canary-host.example.com", "canary-host.example.com"),
    "x-host-header": ("canary-domain.example.com", "canary-domain.example.com"),
    "cs-uri-stem": ("/canary/path%2520x?canary=query%2520y", "/canary/path%20x"),
    "cs-uri-query": ("canary=query%2520y", "canary=query%20y"),
    "cs-user-agent": ("canary/agent%20(x)", "canary/agent (x)"),
    "cs-referer": ("https://canary.example.com/%C3%BC", "https://canary.example.com/ü"),
    "cs-cookie": ("canary=cookie%20value", "canary=cookie value"),
    "cs-headers": ("x-canary:header%20value%0A", "header value"),
    "cs-header-names": ("x-canary-name%0A", "x-canary-name"),
    "x-edge-request-id": ("canary-request-id==", "canary-request-id=="),
    "c-port": ("61347", "61347"),
    "sc-bytes": ("7300041", "7300041"),
    "cs-bytes": ("7300042", "7300042"),
    "time-taken": ("41.437", "41437000000"),
    "time-to-first-byte": ("41.438", "41.438"),
    "asn": ("64999", "64999"),
    "distribution-tenant-id": ("canary-tenant", "canary-tenant"),
    "connection-id": ("canary-connection", "canary-connection"),
    "viewer-request-log-data": ("canary%20request%20log", "canary request log"),
    "viewer-response-log-data": ("canary%20response%20log", "canary response log"),
    "cmcd-session-id": ("%22canary-session%22", "canary-session"),
    "cmcd-next-object-request": ("%22../canary.m4s%22", "../canary.m4s"),
    "r-host": ("canary-origin.example.com", "canary-origin.example.com"),
    "cs-method": ("CANARYMETHOD", "CANARYMETHOD"),
}
"""Each column's text in the log, and the value in the document."""

FIELDS = {
    "c-ip": "source.ip", "s-ip": "destination.ip", "x-forwarded-for": "network.forwarded_ip",
    "cs-host": "url.domain", "x-host-header": "aws.cloudfront.domain", "cs-uri-stem": "url.path",
    "cs-uri-query": "url.query", "cs-user-agent": "user_agent.original",
    "cs-referer": "http.request.referrer", "cs-cookie": "aws.cloudfront.cookies",
    "cs-headers": "aws.cloudfront.request_headers",
    "cs-header-names": "aws.cloudfront.request_header_names",
    "x-edge-request-id": "http.request.id", "c-port": "source.port",
    "sc-bytes": "http.response.bytes", "cs-bytes": "http.request.bytes",
    "time-taken": "event.duration", "time-to-first-byte": "aws.cloudfront.time_to_first_byte",
    "asn": "source.as.number", "distribution-tenant-id": "aws.cloudfront.distribution_tenant_id",
    "connection-id": "aws.cloudfront.connection_id",
    "viewer-request-log-data": "aws.cloudfront.function.viewer_request_log",
    "viewer-response-log-data": "aws.cloudfront.function.viewer_response_log",
    "cmcd-session-id": "aws.cloudfront.cmcd.session_id",
    "cmcd-next-object-request": "aws.cloudfront.cmcd.next_object_request",
    "r-host": "aws.cloudfront.origin_host", "cs-method": "http.request.method",
}  # fmt: skip
"""The field by which a rule names what stands in a column."""

NUMBERS = ("c-port", "sc-bytes", "cs-bytes", "time-taken", "time-to-first-byte", "asn")
ADDRESSES = ("c-ip", "s-ip", "x-forwarded-for")
CASES = [
    (column, action)
    for column in CANARIES
    for action in ("drop", "mask", "hash", "truncate")
    if (action == "drop")
    or (action == "truncate" and column in ADDRESSES)
    or (action in ("mask", "hash") and column not in (*NUMBERS, *ADDRESSES))
]


def planted(*, headers: bool = True) -> Document:
    """Return a document with a canary in each column, some of them repeated in headers."""
    texts = {column: text for column, (text, _) in CANARIES.items()}
    if headers:
        for column, name in (("cs-user-agent", "user-agent"), ("cs-referer", "referer"),
                             ("cs-cookie", "cookie"), ("c-ip", "x-real-ip"),
                             ("cs-host", "host")):  # fmt: skip
            texts["cs-headers"] += f"{name}:{texts[column]}%0A"
    [document] = documents(texts, original=True)
    return document


@pytest.mark.parametrize(("column", "action"), CASES)
def test_a_canary_is_in_no_output_after_a_rule(column: str, action: str) -> None:
    document = planted()
    raw, value = CANARIES[column]
    assert raw in as_json(document)

    rules = [{"field": FIELDS[column], "action": action}]
    opened("privacy", rules=rules, key=KEY).apply([document])

    for text in (as_json(document), unpacked(document)):
        assert raw not in text
        assert json.dumps(value, ensure_ascii=False)[1:-1] not in text
    for other, (untouched, _) in CANARIES.items():
        kin = {column, other} <= {"c-ip", "x-forwarded-for", "cs-uri-stem", "cs-uri-query"}
        if other != column and not kin and column != "cs-headers":
            assert untouched in as_json(document), other


def unpacked(document: Document) -> str:
    """Return what a Forward receiver gets, as JSON."""
    packed = msgspec.msgpack.encode(document.body)
    return json.dumps(msgpack.unpackb(packed), ensure_ascii=False)


NAMED: list[dict[str, Any]] = [
    {"field": "aws.cloudfront.cookies", "action": "redact", "names": ["session"]},
    {"field": "url.query", "action": "redact", "names": ["token"]},
    {"field": "aws.cloudfront.request_headers", "action": "drop", "names": ["authorization"]},
]
SECRETS = {
    "session=CANARY%20%C3%BC1": "aws.cloudfront.cookies",
    "a=1;session=CANARY1": "aws.cloudfront.cookies",
    "token=CANARY1&a=2": "url.query",
    "a=%26token=CANARY1": "url.query",
    "a=%2526token%253DCANARY1": "url.query",
    "to%256ben=CANARY1": "url.query",
    "authorization:Bearer%20CANARY1%0A": "aws.cloudfront.request_headers",
    "Authorization:CANARY1%0AAUTHORIZATION:CANARY2%0A": "aws.cloudfront.request_headers",
    "authorization:CANARY1": "aws.cloudfront.request_headers",
    "authorization:CANARY%FF1%0Aaccept:*/*%0A": "aws.cloudfront.request_headers",
    "session=CANARY%FF1;%20a=b": "aws.cloudfront.cookies",
    "session=CANARY1;%20a=%FF": "aws.cloudfront.cookies",
}


@pytest.mark.parametrize("text", SECRETS)
@pytest.mark.parametrize("action", ["redact", "drop", "hash"])
def test_no_spelling_lets_a_named_value_through(text: str, action: str) -> None:
    column = {
        "aws.cloudfront.cookies": "cs-cookie",
        "url.query": "cs-uri-query",
        "aws.cloudfront.request_headers": "cs-headers",
    }[SECRETS[text]]
    values = {column: text}
    if column == "cs-uri-query":
        values |= {"cs-uri-stem": f"/x?{text}", "cs-referer": f"https://example.com/?{text}"}
    [document] = documents(values, original=True)
    assert "CANARY" in as_json(document)

    rules = [{**rule, "action": action} for rule in NAMED]
    opened("privacy", rules=rules, key=KEY).apply([document])

    assert "CANARY" not in as_json(document)


def test_a_refused_document_is_kept_as_it_was_sent(
    refused: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    [letter] = refused

    kept = json.loads(base64.b64decode(letter["raw"]))

    assert letter["reason"] == "rejected"
    assert letter["raw_is"] == "document"
    assert kept["source"]["ip"] == "203.0.113.0"
    assert "203.0.113.77" not in json.dumps(kept)
    assert "203.0.113.77" not in caplog.text


@pytest.fixture(name="refused")
def _refused(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the dead letters of a batch whose document a sink has refused."""
    caplog.set_level(logging.DEBUG)
    columns = realtime_columns()
    texts = VALUES | {column: text for column, (text, _) in CANARIES.items()}
    content = "\t".join(texts[column] for column in columns).encode() + b"\n"
    rules = [{"field": "source.ip", "action": "truncate"}]
    decoder = RealtimeDecoder(RealtimeOptions(fields=columns))
    conversion = Conversion(decoder, [opened("privacy", rules=rules)])
    payload = Payload(Receipt("x", 0), Origin("x", ("x",)), [content])
    [part] = conversion.convert(payload)
    progress = PayloadProgress(payload.receipt, payload.origin)
    batch = Batch(part.documents, [Share(progress, 1, part.trace, part.layout)])
    found = batch.line_of(part.documents[0])
    assert found is not None
    share, line = found
    return [json.loads(DeadLetter(line, payload.origin, as_sent=share.concealed).line())]
