"""Three lines written by hand, and by hand what must become of them, field by field."""

from __future__ import annotations

from typing import Any

from cloudfront_ecs.demo.columns import STANDARD_COLUMNS
from cloudfront_ecs.demo.day import DAY_COLUMNS

_CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.6099.71 Safari/537.36"
)
_IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1"
)


def _line(columns: tuple[str, ...], values: dict[str, str]) -> bytes:
    assert set(values) <= set(columns)
    return "\t".join(values.get(name, "-") for name in columns).encode()


HIT = _line(
    STANDARD_COLUMNS,
    {
        "date": "2026-01-15",
        "time": "20:10:05",
        "x-edge-location": "LHR62-C3",
        "sc-bytes": "5120",
        "c-ip": "2001:DB8:0:0::7",
        "cs-method": "GET",
        "cs(Host)": "D111111ABCDEF8.cloudfront.net",
        "cs-uri-stem": "/art/caf%25C3%25A9%2520noir.tar.gz",
        "sc-status": "200",
        "cs(Referer)": "https://www.example.com/list?page=2",
        "cs(User-Agent)": _CHROME.replace(" ", "%20"),
        "cs-uri-query": "q=a%2520b&sort=up+down",
        "cs(Cookie)": "session=abc;%20theme=dark",
        "x-edge-result-type": "RefreshHit",
        "x-edge-request-id": "hand-made_1AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
        "x-host-header": "WWW.example.com",
        "cs-protocol": "https",
        "cs-bytes": "412",
        "time-taken": "1.006",
        "x-forwarded-for": "198.51.100.7,%20203.0.113.9",
        "ssl-protocol": "TLSv1.3",
        "ssl-cipher": "TLS_AES_128_GCM_SHA256",
        "x-edge-response-result-type": "Hit",
        "cs-protocol-version": "HTTP/2.0",
        "fle-status": "Processed",
        "fle-encrypted-fields": "2",
        "c-port": "50123",
        "time-to-first-byte": "0.250",
        "x-edge-detailed-result-type": "RefreshHit",
        "sc-content-type": "Application/GZIP;%20charset=binary",
        "sc-content-len": "4096",
        "sc-range-start": "0",
        "sc-range-end": "4095",
    },
)

FAILURE = _line(
    STANDARD_COLUMNS,
    {
        "date": "2026-01-15",
        "time": "20:10:06",
        "x-edge-location": "FRA56-P9",
        "sc-bytes": "931",
        "c-ip": "192.0.2.77",
        "cs-method": "POST",
        "cs(Host)": "d111111abcdef8.cloudfront.net",
        "cs-uri-stem": "/v1/orders",
        "sc-status": "502",
        "x-edge-result-type": "Error",
        "x-edge-request-id": "hand-made_2BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB==",
        "x-host-header": "api.example.com:8080",
        "cs-protocol": "http",
        "cs-bytes": "-",
        "time-taken": "0.000",
        "x-edge-response-result-type": "Error",
        "cs-protocol-version": "HTTP/1.1",
        "c-port": "1024",
        "time-to-first-byte": "0.000",
        "x-edge-detailed-result-type": "OriginConnectError",
        "sc-content-type": "text/html",
    },
)

SEGMENT = _line(
    DAY_COLUMNS,
    {
        "timestamp": "1768507861.042",
        "c-ip": "203.0.113.5",
        "s-ip": "192.0.2.10",
        "time-to-first-byte": "0.120",
        "sc-status": "206",
        "sc-bytes": "1049001",
        "cs-method": "GET",
        "cs-protocol": "https",
        "cs-host": "Media.example.com:8443",
        "cs-uri-stem": "/live/ch%2520one/seg-7.m4s?token=a%2520b&x=1",
        "cs-bytes": "612",
        "x-edge-location": "VIE50-C1",
        "x-edge-request-id": "hand-made_3CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC==",
        "x-host-header": "d111111abcdef8.cloudfront.net",
        "time-taken": "0.250",
        "cs-protocol-version": "HTTP/3.0",
        "c-ip-version": "IPv4",
        "cs-user-agent": _IPHONE.replace(" ", "%20"),
        "cs-referer": "https://www.example.com/watch?t=1%2520s",
        "cs-cookie": "session=abc%2520d;%20theme=dark",
        "cs-uri-query": "token=a%2520b&x=1",
        "x-edge-response-result-type": "Miss",
        "x-forwarded-for": "198.51.100.7,%20192.0.2.44",
        "ssl-protocol": "TLSv1.3",
        "ssl-cipher": "TLS_CHACHA20_POLY1305_SHA256",
        "x-edge-result-type": "Miss",
        "sc-content-type": "video/mp4;%20codecs=%22avc1%22",
        "sc-content-len": "1048576",
        "sc-range-start": "1048576",
        "sc-range-end": "2097151",
        "c-port": "443",
        "x-edge-detailed-result-type": "Miss",
        "c-country": "AT",
        "cs-accept-encoding": "identity;q=1,%20*;q=0",
        "cs-accept": "*/*",
        "cache-behavior-path-pattern": "/live/*",
        "cs-headers": "Host:media.example.com:8443%0AX-Test:one%0Ax-test:two%20words%0A",
        "cs-header-names": "Host%0AX-Test%0Ax-test%0A",
        "cs-headers-count": "3",
        "origin-fbl": "0.100",
        "origin-lbl": "0.200",
        "asn": "64500",
        "cmcd-encoded-bitrate": "5000",
        "cmcd-buffer-length": "12000",
        "cmcd-buffer-starvation": "true",
        "cmcd-content-id": "%22movie-7%22",
        "cmcd-object-duration": "4000",
        "cmcd-deadline": "2000",
        "cmcd-measured-throughput": "25000",
        "cmcd-next-object-request": "%22seg-8.m4s%22",
        "cmcd-next-range-request": "%220-4095%22",
        "cmcd-object-type": "v",
        "cmcd-playback-rate": "1.5",
        "cmcd-requested-maximum-throughput": "10000",
        "cmcd-streaming-format": "d",
        "cmcd-session-id": "%226e2fb550-c457-11e9-bb97-0800200c9a66%22",
        "cmcd-stream-type": "l",
        "cmcd-startup": "false",
        "cmcd-top-bitrate": "8000",
        "cmcd-version": "1",
        "r-host": "Origin.example.com",
        "sr-reason": "Failover:503",
        "x-edge-mqcs": "97",
        "viewer-request-log-data": "%7B%22ab%22:%22b%22%7D",
    },
)


def hit(bucket: str, key: str, namespace: str) -> dict[str, Any]:
    """Return the document of ``HIT``, without ``event.id`` and ``event.created``."""
    viewer = {
        "address": "2001:DB8:0:0::7",
        "ip": "2001:db8::7",
        "port": 50123,
        "bytes": 412,
    }
    site = {"address": "www.example.com", "domain": "www.example.com", "bytes": 5120}
    return {
        "@timestamp": "2026-01-15T20:10:05Z",
        "ecs": {"version": "9.4.0"},
        "event": {
            "kind": "event",
            "module": "cloudfront",
            "dataset": "cloudfront.standard",
            "provider": "cloudfront.amazonaws.com",
            "category": ["web"],
            "type": ["access"],
            "outcome": "success",
            "start": "2026-01-15T20:10:03.994Z",
            "end": "2026-01-15T20:10:05Z",
            "duration": 1_006_000_000,
        },
        "data_stream": {
            "type": "logs",
            "dataset": "cloudfront.standard",
            "namespace": namespace,
        },
        "source": viewer,
        "client": viewer,
        "destination": site,
        "server": site,
        "url": {
            "original": "/art/caf%25C3%25A9%2520noir.tar.gz?q=a%2520b&sort=up+down",
            "path": "/art/caf%C3%A9%20noir.tar.gz",
            "query": "q=a%20b&sort=up+down",
            "extension": "gz",
            "domain": "www.example.com",
            "scheme": "https",
            "full": "https://www.example.com/art/caf%C3%A9%20noir.tar.gz?q=a%20b&sort=up+down",
        },
        "http": {
            "version": "2.0",
            "request": {
                "method": "GET",
                "id": "hand-made_1AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
                "bytes": 412,
                "referrer": "https://www.example.com/list?page=2",
            },
            "response": {"status_code": 200, "bytes": 5120, "body": {"bytes": 4096}},
        },
        "tls": {
            "established": True,
            "version": "1.3",
            "version_protocol": "tls",
            "cipher": "TLS_AES_128_GCM_SHA256",
            "next_protocol": "h2",
        },
        "network": {
            "type": "ipv6",
            "transport": "tcp",
            "iana_number": "6",
            "protocol": "https",
            "bytes": 5532,
            "forwarded_ip": ["198.51.100.7", "203.0.113.9"],
        },
        "user_agent": {
            "original": _CHROME,
            "name": "Chrome",
            "version": "120.0.6099",
            "device": {"name": "Other"},
            "os": {"name": "Windows", "version": "10", "full": "Windows 10"},
        },
        "observer": {
            "vendor": "Amazon",
            "product": "CloudFront",
            "type": "cdn",
            "name": "LHR62-C3",
            "geo": {"name": "LHR62-C3"},
        },
        "related": {
            "ip": ["2001:db8::7", "198.51.100.7", "203.0.113.9"],
            "hosts": ["d111111abcdef8.cloudfront.net", "www.example.com"],
        },
        "cloud": {"provider": "aws", "service": {"name": "cloudfront"}},
        "aws": {
            "cloudfront": {
                "distribution_id": key.removeprefix("cdn/").partition(".")[0],
                "domain": "d111111abcdef8.cloudfront.net",
                "edge_location": "LHR62-C3",
                "edge_result_type": "RefreshHit",
                "edge_response_result_type": "Hit",
                "edge_detailed_result_type": "RefreshHit",
                "time_to_first_byte": 0.25,
                "content_type": "application/gzip",
                "content_type_full": "Application/GZIP; charset=binary",
                "range_start": 0,
                "range_end": 4095,
                "fle_status": "Processed",
                "fle_encrypted_fields": 2,
                "cookies": "session=abc; theme=dark",
            },
            "s3": {
                "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                "object": {"key": key},
            },
        },
    }


def failure(bucket: str, key: str, namespace: str) -> dict[str, Any]:
    """Return the document of ``FAILURE``, without ``event.id`` and ``event.created``."""
    viewer = {"address": "192.0.2.77", "ip": "192.0.2.77", "port": 1024}
    site = {"address": "api.example.com", "domain": "api.example.com", "bytes": 931}
    return {
        "@timestamp": "2026-01-15T20:10:06Z",
        "ecs": {"version": "9.4.0"},
        "event": {
            "kind": "event",
            "module": "cloudfront",
            "dataset": "cloudfront.standard",
            "provider": "cloudfront.amazonaws.com",
            "category": ["web"],
            "type": ["access", "error"],
            "outcome": "failure",
            "reason": "OriginConnectError",
            "start": "2026-01-15T20:10:06.000Z",
            "end": "2026-01-15T20:10:06Z",
            "duration": 0,
        },
        "data_stream": {
            "type": "logs",
            "dataset": "cloudfront.standard",
            "namespace": namespace,
        },
        "source": viewer,
        "client": viewer,
        "destination": site,
        "server": site,
        "url": {
            "original": "/v1/orders",
            "path": "/v1/orders",
            "domain": "api.example.com",
            "port": 8080,
            "scheme": "http",
            "full": "http://api.example.com:8080/v1/orders",
        },
        "http": {
            "version": "1.1",
            "request": {
                "method": "POST",
                "id": "hand-made_2BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB==",
            },
            "response": {"status_code": 502, "bytes": 931},
        },
        "tls": {"established": False},
        "network": {
            "type": "ipv4",
            "transport": "tcp",
            "iana_number": "6",
            "protocol": "http",
            "bytes": 931,
        },
        "observer": {
            "vendor": "Amazon",
            "product": "CloudFront",
            "type": "cdn",
            "name": "FRA56-P9",
            "geo": {"name": "FRA56-P9"},
        },
        "related": {
            "ip": ["192.0.2.77"],
            "hosts": ["d111111abcdef8.cloudfront.net", "api.example.com"],
        },
        "cloud": {"provider": "aws", "service": {"name": "cloudfront"}},
        "aws": {
            "cloudfront": {
                "distribution_id": key.removeprefix("cdn/").partition(".")[0],
                "domain": "d111111abcdef8.cloudfront.net",
                "edge_location": "FRA56-P9",
                "edge_result_type": "Error",
                "edge_response_result_type": "Error",
                "edge_detailed_result_type": "OriginConnectError",
                "time_to_first_byte": 0.0,
                "content_type": "text/html",
            },
            "s3": {
                "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                "object": {"key": key},
            },
        },
        "error": {"code": "OriginConnectError"},
    }


def segment(stream: str, place: tuple[str, str], account: str, namespace: str) -> dict[str, Any]:
    """Return the document of ``SEGMENT``, without ``event.id`` and ``event.created``."""
    shard, sequence = place
    viewer = {
        "address": "203.0.113.5",
        "ip": "203.0.113.5",
        "port": 443,
        "bytes": 612,
        "geo": {"country_iso_code": "AT"},
        "as": {"number": 64500},
    }
    site = {
        "address": "media.example.com",
        "ip": "192.0.2.10",
        "domain": "media.example.com",
        "bytes": 1_049_001,
    }
    return {
        "@timestamp": "2026-01-15T20:11:01.042Z",
        "ecs": {"version": "9.4.0"},
        "event": {
            "kind": "event",
            "module": "cloudfront",
            "dataset": "cloudfront.realtime",
            "provider": "cloudfront.amazonaws.com",
            "category": ["web"],
            "type": ["access"],
            "outcome": "success",
            "reason": "Failover:503",
            "start": "2026-01-15T20:11:00.792Z",
            "end": "2026-01-15T20:11:01.042Z",
            "duration": 250_000_000,
        },
        "data_stream": {
            "type": "logs",
            "dataset": "cloudfront.realtime",
            "namespace": namespace,
        },
        "source": viewer,
        "client": viewer,
        "destination": site,
        "server": site,
        "url": {
            "original": "/live/ch%2520one/seg-7.m4s?token=a%2520b&x=1",
            "path": "/live/ch%20one/seg-7.m4s",
            "query": "token=a%20b&x=1",
            "extension": "m4s",
            "domain": "media.example.com",
            "port": 8443,
            "scheme": "https",
            "full": "https://media.example.com:8443/live/ch%20one/seg-7.m4s?token=a%20b&x=1",
        },
        "http": {
            "version": "3.0",
            "request": {
                "method": "GET",
                "id": "hand-made_3CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC==",
                "bytes": 612,
                "referrer": "https://www.example.com/watch?t=1%20s",
            },
            "response": {"status_code": 206, "bytes": 1_049_001, "body": {"bytes": 1_048_576}},
        },
        "tls": {
            "established": True,
            "version": "1.3",
            "version_protocol": "tls",
            "cipher": "TLS_CHACHA20_POLY1305_SHA256",
            "next_protocol": "h3",
        },
        "network": {
            "type": "ipv4",
            "transport": "udp",
            "iana_number": "17",
            "protocol": "https",
            "bytes": 1_049_613,
            "forwarded_ip": ["198.51.100.7", "192.0.2.44"],
        },
        "user_agent": {
            "original": _IPHONE,
            "name": "Mobile Safari",
            "version": "17.4",
            "device": {"name": "iPhone"},
            "os": {"name": "iOS", "version": "17.4", "full": "iOS 17.4"},
        },
        "observer": {
            "vendor": "Amazon",
            "product": "CloudFront",
            "type": "cdn",
            "name": "VIE50-C1",
            "ip": ["192.0.2.10"],
            "geo": {"name": "VIE50-C1"},
        },
        "related": {
            "ip": ["203.0.113.5", "192.0.2.10", "198.51.100.7", "192.0.2.44"],
            "hosts": ["media.example.com", "d111111abcdef8.cloudfront.net", "origin.example.com"],
        },
        "cloud": {
            "provider": "aws",
            "region": "us-east-1",
            "service": {"name": "cloudfront"},
            "account": {"id": account},
        },
        "aws": {
            "cloudfront": {
                "domain": "d111111abcdef8.cloudfront.net",
                "edge_location": "VIE50-C1",
                "edge_result_type": "Miss",
                "edge_response_result_type": "Miss",
                "edge_detailed_result_type": "Miss",
                "time_to_first_byte": 0.12,
                "origin_first_byte_latency": 0.1,
                "origin_last_byte_latency": 0.2,
                "origin_host": "origin.example.com",
                "origin_response_reason": "Failover:503",
                "content_type": "video/mp4",
                "content_type_full": 'video/mp4; codecs="avc1"',
                "range_start": 1_048_576,
                "range_end": 2_097_151,
                "cookies": "session=abc%20d; theme=dark",
                "cache_behavior_path_pattern": "/live/*",
                "request_accept": "*/*",
                "request_accept_encoding": "identity;q=1, *;q=0",
                "request_headers": {
                    "host": "media.example.com:8443",
                    "x-test": ["one", "two words"],
                },
                "request_header_names": ["Host", "X-Test", "x-test"],
                "request_headers_count": 3,
                "media_quality_score": 97,
                "cmcd": {
                    "encoded_bitrate": 5000,
                    "buffer_length": 12_000,
                    "buffer_starvation": True,
                    "content_id": "movie-7",
                    "object_duration": 4000,
                    "deadline": 2000,
                    "measured_throughput": 25_000,
                    "next_object_request": "seg-8.m4s",
                    "next_range_request": "0-4095",
                    "object_type": "v",
                    "playback_rate": 1.5,
                    "requested_maximum_throughput": 10_000,
                    "streaming_format": "d",
                    "session_id": "6e2fb550-c457-11e9-bb97-0800200c9a66",
                    "stream_type": "l",
                    "startup": False,
                    "top_bitrate": 8000,
                    "version": "1",
                },
                "function": {"viewer_request_log": '{"ab":"b"}'},
            },
            "kinesis": {"stream": stream, "shard_id": shard, "sequence_number": sequence},
        },
    }
