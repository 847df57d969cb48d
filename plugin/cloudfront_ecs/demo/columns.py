"""The columns of the two log formats, in AWS's order."""

from __future__ import annotations

STANDARD = (
    "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status "
    "cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type "
    "x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for "
    "ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status "
    "fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type "
    "sc-content-type sc-content-len sc-range-start sc-range-end"
)
"""The legacy standard log's 33 columns, as they stand after ``#Fields:``."""

STANDARD_COLUMNS = tuple(STANDARD.split())

_REALTIME = (
    "timestamp c-ip s-ip time-to-first-byte sc-status sc-bytes cs-method cs-protocol "
    "cs-host cs-uri-stem cs-bytes x-edge-location x-edge-request-id x-host-header "
    "time-taken cs-protocol-version c-ip-version cs-user-agent cs-referer cs-cookie "
    "cs-uri-query x-edge-response-result-type x-forwarded-for ssl-protocol ssl-cipher "
    "x-edge-result-type fle-encrypted-fields fle-status sc-content-type sc-content-len "
    "sc-range-start sc-range-end c-port x-edge-detailed-result-type c-country "
    "cs-accept-encoding cs-accept cache-behavior-path-pattern cs-headers "
    "cs-header-names cs-headers-count primary-distribution-id "
    "primary-distribution-dns-name origin-fbl origin-lbl asn cmcd-encoded-bitrate "
    "cmcd-buffer-length cmcd-buffer-starvation cmcd-content-id cmcd-object-duration "
    "cmcd-deadline cmcd-measured-throughput cmcd-next-object-request "
    "cmcd-next-range-request cmcd-object-type cmcd-playback-rate "
    "cmcd-requested-maximum-throughput cmcd-streaming-format cmcd-session-id "
    "cmcd-stream-type cmcd-startup cmcd-top-bitrate cmcd-version r-host sr-reason "
    "x-edge-mqcs distribution-tenant-id connection-id viewer-request-log-data "
    "viewer-response-log-data"
)

REALTIME_COLUMNS = tuple(_REALTIME.split())
"""The 71 real-time columns: a stream has some of them, always in this order."""

ORIGINAL_COLUMNS = tuple(name for name in REALTIME_COLUMNS[:41] if name != "s-ip")
"""The 40 columns that real-time logs had in the beginning."""
