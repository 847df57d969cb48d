"""Bytes to documents in one call, for tests; and documents as flat names and values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.auto import AutoDecoder, AutoOptions
from cloudfront_ecs.decoders.realtime.decoder import RealtimeDecoder, RealtimeOptions
from cloudfront_ecs.encoding import json_line
from cloudfront_ecs.normalize.layouts import legacy_columns
from normalize import api_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cloudfront_ecs.adapters import Decoder
    from cloudfront_ecs.batches import Document, RejectedLine

WHOLE = ("aws.cloudfront.request_headers", "aws.cloudfront.other", "observer.geo.location")
"""Objects that are one value: names come from the log, or the two parts of a point."""

VALUES = {
    "timestamp": "1768507267.148",
    "timestamp(ms)": "1768507267148",
    "date": "2026-01-15",
    "time": "20:01:07",
    "DistributionId": "EDFDVBD6EXAMPLE",
    "distributionid": "EDFDVBD6EXAMPLE",
    "c-ip": "192.0.2.10",
    "s-ip": "203.0.113.20",
    "time-to-first-byte": "0.046",
    "sc-status": "200",
    "sc-bytes": "2390",
    "cs-method": "GET",
    "cs-protocol": "https",
    "cs-host": "WWW.example.com:8443",
    "cs(Host)": "d111111abcdef8.cloudfront.net",
    "x-host-header": "WWW.example.com:8443",
    "cs-uri-stem": "/index.html",
    "cs-uri-query": "q=a%20b",
    "cs-bytes": "311",
    "x-edge-location": "FRA56-P4",
    "x-edge-request-id": "k6WGMNkEzR5BEM_SaF47gjtX9zBDO2m349OY2an0QPEaUum1ZOLrow==",
    "time-taken": "0.047",
    "cs-protocol-version": "HTTP/2.0",
    "c-ip-version": "IPv4",
    "cs-user-agent": "curl/8.5.0%20(x)",
    "cs(User-Agent)": "curl/8.5.0%20(x)",
    "cs-referer": "https://www.example.com/",
    "cs(Referer)": "https://www.example.com/",
    "cs-cookie": "session=abc",
    "cs(Cookie)": "session=abc",
    "x-edge-response-result-type": "Error",
    "x-edge-result-type": "Error",
    "x-edge-detailed-result-type": "OriginDnsError",
    "x-forwarded-for": "198.51.100.1,198.51.100.2",
    "ssl-protocol": "TLSv1.3",
    "ssl-cipher": "TLS_AES_128_GCM_SHA256",
    "fle-encrypted-fields": "2",
    "fle-status": "Processed",
    "sc-content-type": "Text/HTML;%20charset=utf-8",
    "sc-content-len": "1971",
    "sc-range-start": "0",
    "sc-range-end": "1970",
    "c-port": "51234",
    "c-country": "DE",
    "cs-accept-encoding": "gzip,%20br",
    "cs-accept": "*/*",
    "cache-behavior-path-pattern": "/images/*",
    "cs-headers": "host:www.example.com%0Aaccept:*/*%0A",
    "cs-header-names": "host%0Aaccept%0A",
    "cs-headers-count": "2",
    "primary-distribution-id": "EDFDVBD6EXAMPLE",
    "primary-distribution-dns-name": "d111111abcdef8.cloudfront.net",
    "origin-fbl": "0.031",
    "origin-lbl": "0.032",
    "asn": "64500",
    "cmcd-encoded-bitrate": "4500",
    "cmcd-buffer-length": "21300",
    "cmcd-buffer-starvation": "true",
    "cmcd-content-id": "%22film-1%22",
    "cmcd-object-duration": "4000",
    "cmcd-deadline": "12000",
    "cmcd-measured-throughput": "25000",
    "cmcd-next-object-request": "%22../12.m4s%22",
    "cmcd-next-range-request": "%220-999%22",
    "cmcd-object-type": "v",
    "cmcd-playback-rate": "1.5",
    "cmcd-requested-maximum-throughput": "9000",
    "cmcd-streaming-format": "h",
    "cmcd-session-id": "%226e2fb550-c457-11e9-bb97-0800200c9a66%22",
    "cmcd-stream-type": "v",
    "cmcd-startup": "true",
    "cmcd-top-bitrate": "8000",
    "cmcd-version": "1",
    "r-host": "origin.example.com",
    "sr-reason": "Failover:502",
    "x-edge-mqcs": "87",
    "distribution-tenant-id": "dt_2wjDZi3hD1ivOXf6rpZJO1AB",
    "connection-id": "c-7f3a",
    "viewer-request-log-data": "visits=3",
    "viewer-response-log-data": "cached=no",
    "eventTimestamp": "1768507267148",
    "connectionId": "oLHiEKbQSn8lkvJfA3D4gFowK3_iZ0g4i5nMUjE1Akod8TuAzn5nzg==",
    "connectionStatus": "Failed:ClientCertExpired",
    "clientIp": "192.0.2.10",
    "clientPort": "51234",
    "serverIp": "203.0.113.20",
    "distributionId": "EDFDVBD6EXAMPLE",
    "distributionTenantId": "dt_2wjDZi3hD1ivOXf6rpZJO1AB",
    "tlsProtocol": "TLSv1.3",
    "tlsCipher": "TLS_AES_128_GCM_SHA256",
    "tlsHandshakeDuration": "153",
    "tlsSni": "mtls.example.com",
    "clientLeafCertSerialNumber": "00:B1:43:ed:93:d2:d8:f3:9d",
    "clientLeafCertSubject": "C=US, ST=WA, L=Seattle, O=Example, CN=client.example.com",
    "clientLeafCertIssuer": "C=US, ST=WA, L=Seattle, O=Example, CN=ca.example.com",
    "clientLeafCertValidity": "NotBefore=2025-06-05T23:28:21Z;NotAfter=2026-06-05T23:28:21Z",
    "connectionLogCustomData": "REVOKED:00:b1",
    **api_values.VALUES,
}
"""A valid value of every column."""


@dataclass(slots=True)
class Outcome:
    """All that became of one payload."""

    documents: list[Document] = field(default_factory=list)
    rejects: list[RejectedLine] = field(default_factory=list)
    read: int = 0
    skipped: int = 0
    filtered: int = 0

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The documents as flat names and values, without the time of reading."""
        return [flat(document) for document in self.documents]

    @property
    def reasons(self) -> list[str]:
        """Why lines were refused."""
        return [reject.reason for reject in self.rejects]


def convert(
    data: bytes | Sequence[bytes],
    fields: Iterable[str] = (),
    *,
    decoder: Decoder | None = None,
    origin: Origin | None = None,
    original: bool = False,
) -> Outcome:
    """Convert the bytes of one object."""
    chunks = [data] if isinstance(data, bytes) else data
    origin = origin or Origin("logs/example.log", ("logs", "example.log"))
    payload = Payload(Receipt("example", 0), origin, chunks=chunks)
    decoder = decoder or AutoDecoder(AutoOptions(fields=tuple(fields)))
    return collect(Conversion(decoder, (), original=original), payload)


def collect(conversion: Conversion, payload: Payload) -> Outcome:
    """Return all that *conversion* makes of *payload*."""
    outcome = Outcome()
    for part in conversion.convert(payload):
        outcome.documents += part.documents
        outcome.rejects += part.rejects
        outcome.read += part.read
        outcome.skipped += part.skipped
        outcome.filtered += part.filtered
    return outcome


def flat(document: Document) -> dict[str, Any]:
    """Return a document as JSON has it, with dotted names, without what the clock here says."""
    found: dict[str, Any] = {}
    text = json_line(document)
    assert text == msgspec.json.encode(document.body), "the text is not that of the typed body"
    _flatten(msgspec.json.decode(text), "", found)
    found.pop("aws.cloudfront.ingest_delay", None)
    if found.pop("event.created") == found["@timestamp"]:  # nothing else told the time
        found["@timestamp"] = "when it was read"
    return found


def _flatten(value: Any, name: str, found: dict[str, Any]) -> None:
    if isinstance(value, dict) and name not in WHOLE:
        for key, inner in value.items():
            _flatten(inner, f"{name}.{key}" if name else key, found)
    else:
        found[name] = value


def header(columns: Iterable[str]) -> bytes:
    """Return the header line of a standard log."""
    return ("#Fields: " + " ".join(columns) + "\n").encode()


def line(columns: Iterable[str], values: Mapping[str, str] | None = None) -> bytes:
    """Return a record with valid values, except for those given."""
    texts = VALUES | dict(values or {})
    return ("\t".join(texts[column] for column in columns) + "\n").encode(
        "utf-8", "surrogateescape"
    )


def standard(*values: Mapping[str, str], columns: Sequence[str] | None = None) -> Outcome:
    """Convert a standard log with a line for each of *values*."""
    names = columns or legacy_columns()
    return convert(header(names) + b"".join(line(names, one) for one in values))


def realtime(*values: Mapping[str, str], columns: Sequence[str]) -> Outcome:
    """Convert real-time records, one for each of *values*."""
    decoder = RealtimeDecoder(RealtimeOptions(fields=tuple(columns)))
    return convert(b"".join(line(columns, one) for one in values), decoder=decoder)
