"""How the values of columns become the fields of a document: the text of the compiler.

For every layout ``compile`` writes one straight-line function.  This module holds what it
may write: statements that turn raw columns (``{sc-status}`` stands for the raw text) into
local variables, and the expression that fills each field from them.  What a plain column
becomes stands in ``mappings/fields.csv`` alone; here is what needs more than one column, or
more than one value from a column.
"""

from __future__ import annotations

from dataclasses import dataclass

from cloudfront_ecs.normalize.values.plain import LARGEST

PLAIN = {
    "text": "({0} if {0} != '-' and {0} else None)",
    "percent": "(({0} if {0} != '-' and {0} else None) if '%' not in {0} else c_decoded({0}))",
    "query": "(({0} if {0} != '-' and {0} else None) if '%' not in {0} else c_unquote_once({0}))",
    "integer": "(None if {0} == '-' else int({0}) if {0}.isdigit() and len({0}) < 16"
    " else c_integer({0}))",
    "port": "(number if {0}.isdigit() and len({0}) < 6 and (number := int({0})) < 65536"
    " else c_port({0}))",
    "domain": "m_domain[{0}]",
    "seconds": "m_seconds[{0}]",
}
"""Expressions of conversions that give one value; others are called by name."""

COMPOSED = frozenset(
    {
        "date", "time", "epoch_seconds", "epoch_milliseconds", "address", "host", "status",
        "http_version", "media_type", "path", "target", "forwarded", "duration", "ip_version",
        "event_time", "connection_status", "milliseconds", "serial_number", "validity",
    }
)  # fmt: skip
"""Conversions whose values reach their fields through the statements below."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A line of the compiled function.

    Attributes:
        gives: The variables it sets.
        needs: Columns and variables that must be there, or the statement is left out.
        code: The line; ``{name}`` stands for a column's raw text, bare names for variables.
        log: The logs it is for, as in the table: ``access`` is both access logs.
    """

    gives: tuple[str, ...]
    needs: tuple[str, ...]
    code: str
    log: str = "access"


# Names in braces that are no columns are f-strings of the compiled function itself.
def _line(gives: str, needs: str, code: str, log: str = "access") -> Statement:
    return Statement(tuple(gives.split()), tuple(needs.split()), code, log)


_TIMES = {
    "timestamp(ms)": "c_epoch_milliseconds({timestamp(ms)})",
    "timestamp": "c_epoch_seconds({timestamp})",
    "date time": "m_moment[f'{{date}}T{{time}}']",
}

_CHECKS = {
    "timestamp": "m_epoch_seconds[{timestamp}]",
    "date time": "m_date[{date}]; m_time[{time}]",
    "date": "m_date[{date}]",
    "time": "m_time[{time}]",
}


def _when(*columns: str) -> Statement:
    """Return the statement that takes the time from the first column that has it."""
    ways = [_TIMES[column] for column in columns if column in _TIMES]
    if columns[-1] != "date time":  # which refuses what is absent itself
        ways.append("undated()")
    # What the others say is not needed, but must be readable, as in any column.
    checks = "".join(f"{_CHECKS[column]}; " for column in columns[1:])
    code = f"{checks}end, end_ns, end_ms = {' or '.join(ways)}"
    return _line("end end_ns end_ms", " ".join(columns), code)


# Several statements may give the same variable: the first whose needs are met is taken.
STATEMENTS = (
    # When: the end of the response, as exactly as the line tells it.
    *(
        _when(*finer, *coarser)
        for finer in (("timestamp(ms)", "timestamp"), ("timestamp(ms)",), ("timestamp",))
        for coarser in (("date time",), ("date",), ("time",), ())
    ),
    _when("date time"),
    _line("taken taken_ms", "time-taken", "taken, taken_ms = m_duration[{time-taken}]"),
    _line("start", "taken end_ns",
          "start = (None if taken is None else c_instant(end_ns - taken)"
          " if taken_ms is None or end_ms is None"
          " else SECOND[(begun := end_ms - taken_ms) // 1000] + FRACTION[begun % 1000])"),
    _line("end end_ns end_ms", "eventTimestamp",
          "end, end_ns, end_ms = m_event_time[{eventTimestamp}] or undated()", "connection"),
    _line("taken", "tlsHandshakeDuration",
          "taken = m_milliseconds[{tlsHandshakeDuration}]", "connection"),
    _line("start", "taken end_ns",
          "start = None if taken is None else c_instant(end_ns - taken)", "connection"),
    _line("slow", "taken", "slow = None if taken is None else 1 if taken > 1000000000 else 0"),
    _line("delay", "end_ns", "delay = (k_created_ns - end_ns) // 1000000000"),
    # Who: the viewer, the edge, the hosts.
    _line("c_address c_ip c_kind c_only", "clientIp",
          "c_address, c_ip, c_kind, c_only = m_address[{clientIp}]", "connection"),
    _line("s_address s_ip s_kind observed", "serverIp",
          "s_address, s_ip, s_kind, observed = m_address[{serverIp}]", "connection"),
    _line("c_address c_ip c_kind c_only", "c-ip",
          "c_address, c_ip, c_kind, c_only = m_address[{c-ip}]"),
    _line("s_address s_ip s_kind observed", "s-ip",
          "s_address, s_ip, s_kind, observed = m_address[{s-ip}]"),
    _line("kind", "c-ip-version c_kind",
          "kind = m_ip_version[{c-ip-version}] or c_kind"),
    _line("kind", "c-ip-version", "kind = m_ip_version[{c-ip-version}]"),
    _line("kind", "c_kind", "kind = c_kind", "access connection"),
    _line("forwarded forwarded_text", "x-forwarded-for",
          "forwarded, forwarded_text ="
          " m_forwarded[{x-forwarded-for}] if {x-forwarded-for} != '-' else (None, None)"),
    _line("addresses", "c_ip s_ip forwarded", "addresses = c_unique(c_ip, s_ip, forwarded)"),
    _line("addresses", "c_ip s_ip", "addresses = c_unique(c_ip, s_ip, None)", "access connection"),
    _line("addresses", "c_ip forwarded",
          "addresses = c_only if forwarded is None else c_unique(c_ip, None, forwarded)"),
    _line("addresses", "s_ip forwarded", "addresses = c_unique(None, s_ip, forwarded)"),
    _line("addresses", "c_ip", "addresses = c_only", "access connection"),
    _line("addresses", "s_ip", "addresses = observed", "access connection"),
    _line("addresses", "forwarded", "addresses = forwarded"),
    _line("host_name host_port host_text", "cs-host",
          "host_name, host_port, host_text = m_host[{cs-host}]", "realtime"),
    _line("host_name host_port host_text", "x-host-header",
          "host_name, host_port, host_text = m_host[{x-host-header}]", "standard"),
    _line("host_logged", "host_name host_port host_text cs-host",
          "host_logged = None if host_name == {cs-host} or host_text is None"
          " or f'{host_name}:{host_port}' == {cs-host} else {cs-host}", "realtime"),
    _line("host_logged", "host_name host_port host_text x-host-header",
          "host_logged = None if host_name == {x-host-header} or host_text is None"
          " or f'{host_name}:{host_port}' == {x-host-header} else {x-host-header}", "standard"),
    _line("pop billing_region", "x-edge-location",
          "pop, billing_region = m_site[{x-edge-location}]"),
    _line("registered subdomain suffix_domain", "host_name",
          "registered, subdomain, suffix_domain ="
          " m_domains[host_name] if host_name is not None else (None, None, None)"),
    _line("bot_class", "cs-user-agent", "bot_class = m_bot_class[{cs-user-agent}]", "realtime"),
    _line("bot_class", "cs(User-Agent)", "bot_class = m_bot_class[{cs(User-Agent)}]", "standard"),
    _line("referrer_domain", "cs-referer",
          "referrer_domain = m_referrer_domain[{cs-referer}]", "realtime"),
    _line("referrer_domain", "cs(Referer)",
          "referrer_domain = m_referrer_domain[{cs(Referer)}]", "standard"),
    # What: the request line.
    _line("scheme", "cs-protocol", "scheme = " + PLAIN["text"].format("{cs-protocol}")),
    _line("stem query_text mark", "cs-uri-stem cs-uri-query",
          "stem, mark, query_text = {cs-uri-stem}.partition('?');"
          " query_text = query_text if mark else {cs-uri-query}", "realtime"),
    _line("stem query_text mark", "cs-uri-stem",
          "stem, mark, query_text = {cs-uri-stem}.partition('?')", "realtime"),
    _line("stem query_text", "cs-uri-stem cs-uri-query",
          "stem = {cs-uri-stem}; query_text = {cs-uri-query}", "standard"),
    _line("stem", "cs-uri-stem", "stem = {cs-uri-stem}", "standard"),
    _line("query_text", "cs-uri-query", "query_text = {cs-uri-query}"),
    _line("path_flags", "stem", "path_flags = m_path_flags[stem]"),
    _line("flags", "path_flags query_text",
          "flags = path_flags if query_text == '-' else c_request_flags(path_flags, query_text)"),
    _line("flags", "path_flags", "flags = path_flags"),
    _line("flags", "query_text", "flags = c_request_flags(None, query_text)"),
    _line("path suffix", "stem", "path, suffix = m_path[stem]"),
    _line("query", "query_text", "query = " + PLAIN["query"].format("query_text")),
    _line("original", "mark stem query_text",
          "original = {cs-uri-stem} if mark else None if path is None"
          " else {cs-uri-stem} if query_text == '-' or not query_text"
          " else f'{stem}?{query_text}'"),
    _line("original", "stem query_text",
          "original = (stem if query_text == '-' or not query_text else f'{stem}?{query_text}')"
          " if path is not None else None"),
    _line("original", "stem", "original = stem if path is not None else None"),
    _line("full", "scheme host_text path query",
          "full = None if scheme is None or host_text is None or path is None"
          " else f'{scheme}://{host_text}{path}' if query is None"
          " else f'{scheme}://{host_text}{path}?{query}'"),
    _line("full", "scheme host_text path",
          "full = None if scheme is None or host_text is None or path is None"
          " else f'{scheme}://{host_text}{path}'"),
    _line("version transport iana alpn", "cs-protocol-version",
          "version, transport, iana, alpn = m_http_version[{cs-protocol-version}]"),
    _line("header_list", "cs-header-names cs-headers",
          "header_list = m_header_names[{cs-header-names}] or c_headers_named({cs-headers})",
          "realtime"),
    _line("header_list", "cs-header-names",
          "header_list = m_header_names[{cs-header-names}]", "realtime"),
    _line("header_list", "cs-headers",
          "header_list = c_headers_named({cs-headers})", "realtime"),
    # The answer.
    _line("code outcome", "sc-status", "code, outcome = m_status[{sc-status}]"),
    _line("media media_full", "sc-content-type",
          "media, media_full = m_media_type[{sc-content-type}]"),
    _line("code_text", "sc-status", "code_text = {sc-status}"),
    _line("code_text", "", "code_text = '-'"),
    _line("result", "x-edge-result-type", "result = {x-edge-result-type}"),
    _line("result", "", "result = '-'"),
    _line("answer", "x-edge-response-result-type", "answer = {x-edge-response-result-type}"),
    _line("answer", "", "answer = '-'"),
    _line("detail", "x-edge-detailed-result-type", "detail = {x-edge-detailed-result-type}"),
    _line("detail", "", "detail = '-'"),
    _line("types action error_code error_side cache_status cache_hit"
          " status_class error_4xx error_5xx erred", "code_text result answer detail",
          "types, action, error_code, error_side, cache_status, cache_hit,"
          " status_class, error_4xx, error_5xx, erred"
          " = m_verdict[f'{code_text}\\t{result}\\t{answer}\\t{detail}']"),
    _line("reason", "error_code sr-reason", "reason = error_code or c_percent({sr-reason})"),
    _line("reason", "error_code", "reason = error_code"),
    _line("reason", "sr-reason", "reason = c_percent({sr-reason})"),
    # What the player said.
    _line("starvation", "cmcd-buffer-starvation", "starvation = c_flag({cmcd-buffer-starvation})"),
    _line("played", "cmcd-session-id cmcd-object-type",
          "played = {cmcd-session-id} not in ('-', '') or {cmcd-object-type} not in ('-', '')"),
    _line("played", "cmcd-session-id", "played = {cmcd-session-id} not in ('-', '')"),
    _line("played", "cmcd-object-type", "played = {cmcd-object-type} not in ('-', '')"),
    _line("starved", "starvation played",
          "starved = 1 if starvation else 0 if played or starvation is False else None"),
    _line("starved", "starvation",
          "starved = None if starvation is None else 1 if starvation else 0"),
    # How much.
    _line("received", "cs-bytes", "received = " + PLAIN["integer"].format("{cs-bytes}")),
    _line("sent", "sc-bytes", "sent = " + PLAIN["integer"].format("{sc-bytes}")),
    _line("moved", "received sent",
          "moved = sent if received is None else received if sent is None"
          f" else received + sent if received <= {LARGEST // 2} >= sent else None"),
    _line("moved", "received", "moved = received"),
    _line("moved", "sent", "moved = sent"),
    # The handshake of a mutual-TLS connection.
    _line("status_text outcome error_code found established judged", "connectionStatus",
          "status_text, outcome, error_code, found, established, judged"
          " = m_connection_status[{connectionStatus}]", "connection"),
    _line("types", "found", "types = found or ['connection']", "connection"),
    _line("tls_version tls_protocol", "tlsProtocol",
          "tls_version, tls_protocol = m_tls_version[{tlsProtocol}]", "connection"),
    _line("cipher", "tlsCipher", "cipher = " + PLAIN["text"].format("{tlsCipher}"), "connection"),
    _line("server_name", "tlsSni",
          "server_name = " + PLAIN["text"].format("{tlsSni}"), "connection"),
    _line("serial serial_text", "clientLeafCertSerialNumber",
          "serial, serial_text = c_serial_number({clientLeafCertSerialNumber})", "connection"),
    _line("subject", "clientLeafCertSubject",
          "subject = " + PLAIN["text"].format("{clientLeafCertSubject}"), "connection"),
    _line("issuer", "clientLeafCertIssuer",
          "issuer = " + PLAIN["text"].format("{clientLeafCertIssuer}"), "connection"),
    _line("not_before not_after", "clientLeafCertValidity",
          "not_before, not_after = m_validity[{clientLeafCertValidity}]", "connection"),
    # It was an authentication where a certificate was shown, or where it was what failed.
    _line("shown", "subject serial", "shown = subject or serial", "connection"),
    _line("shown", "subject", "shown = subject", "connection"),
    _line("shown", "serial", "shown = serial", "connection"),
    _line("categories", "judged outcome shown",
          "categories = ['network', 'authentication']"
          " if judged or (outcome == 'success' and shown) else ['network']", "connection"),
    _line("categories", "judged",
          "categories = ['network', 'authentication'] if judged else ['network']", "connection"),
)  # fmt: skip

FIELDS = {
    "@timestamp": "end",
    "event.end": "end",
    "event.start": "start",
    "event.duration": "taken",
    "source.address": "c_address",
    "client.address": "c_address",
    "source.ip": "c_ip",
    "client.ip": "c_ip",
    "destination.ip": "s_ip",
    "server.ip": "s_ip",
    "network.type": "kind",
    "network.forwarded_ip": "forwarded",
    "aws.cloudfront.forwarded_for": "forwarded_text",
    "aws.cloudfront.request_header_names": "header_list",
    "aws.cloudfront.host": "host_logged",
    "related.ip": "addresses",
    "url.domain": "host_name",
    "url.port": "host_port",
    "url.scheme": "scheme",
    "url.path": "path",
    "url.query": "query",
    "url.original": "original",
    "url.extension": "suffix",
    "url.full": "full",
    "destination.address": "host_name",
    "destination.domain": "host_name",
    "server.address": "host_name",
    "server.domain": "host_name",
    "http.version": "version",
    "network.transport": "transport",
    "network.iana_number": "iana",
    "network.protocol": "scheme",
    "http.response.status_code": "code",
    "event.outcome": "outcome",
    "event.category": "categories",
    "event.type": "types",
    "event.action": "action",
    "event.reason": "reason",
    "error.code": "error_code",
    "url.registered_domain": "registered",
    "url.subdomain": "subdomain",
    "url.top_level_domain": "suffix_domain",
    "aws.cloudfront.slow": "slow",
    "aws.cloudfront.ingest_delay": "delay",
    "aws.cloudfront.bot_class": "bot_class",
    "aws.cloudfront.referrer_domain": "referrer_domain",
    "aws.cloudfront.request_flags": "flags",
    "aws.cloudfront.cmcd.buffer_starvation": "starvation",
    "aws.cloudfront.cmcd.starved": "starved",
    "aws.cloudfront.pop": "pop",
    "aws.cloudfront.billing_region": "billing_region",
    "aws.cloudfront.cache_hit": "cache_hit",
    "aws.cloudfront.cache_status": "cache_status",
    "aws.cloudfront.status_class": "status_class",
    "aws.cloudfront.error_4xx": "error_4xx",
    "aws.cloudfront.error_5xx": "error_5xx",
    "aws.cloudfront.error": "erred",
    "aws.cloudfront.error_side": "error_side",
    "aws.cloudfront.content_type": "media",
    "aws.cloudfront.content_type_full": "media_full",
    "http.request.bytes": "received",
    "source.bytes": "received",
    "client.bytes": "received",
    "http.response.bytes": "sent",
    "destination.bytes": "sent",
    "server.bytes": "sent",
    "network.bytes": "moved",
    "aws.cloudfront.connection_status": "status_text",
    "aws.cloudfront.client_certificate_serial_number": "serial_text",
    "tls.version": "tls_version",
    "tls.version_protocol": "tls_protocol",
    "tls.cipher": "cipher",
    "tls.established": "established",
    "tls.client.server_name": "server_name",
    "tls.client.subject": "subject",
    "tls.client.issuer": "issuer",
    "tls.client.not_before": "not_before",
    "tls.client.not_after": "not_after",
    "tls.client.x509.serial_number": "serial",
}
"""Fields filled from the variables above; all others come from their column alone."""

CONSTANTS: dict[str, dict[str, str | list[str]]] = {
    "standard": {"event.category": ["web"], "event.type": ["access"]},
    "realtime": {"event.category": ["web"], "event.type": ["access"]},
    "connection": {
        "event.category": ["network"],
        "event.type": ["connection"],
        "event.action": "tls-handshake",
    },
}
"""Fields that are the same in every document of a log, unless a variable above fills them."""
