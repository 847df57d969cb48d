"""What parsers of CloudFront logs get wrong, each with the behaviour that is right."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.decoders.realtime.decoder import RealtimeDecoder, RealtimeOptions
from cloudfront_ecs.normalize.layouts import legacy_columns, realtime_columns
from cloudfront_ecs.resources import field_table
from cloudfront_ecs.sources.s3.notices import read_notice
from normalize.converting import VALUES, convert, header, line, realtime, standard
from sources.s3_world import World, read_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.aws import MotoServer

LEGACY = legacy_columns()
REALTIME = realtime_columns()


def of_standard(**values: str) -> dict[str, Any]:
    names = {name.replace("-", "_").replace("(", "_").replace(")", ""): name for name in VALUES}
    [body] = standard({names[name]: value for name, value in values.items()}).bodies
    return body


def of_realtime(columns: tuple[str, ...] = REALTIME, **values: str) -> dict[str, Any]:
    texts = {name.replace("_", "-"): value for name, value in values.items()}
    [body] = realtime(texts, columns=columns).bodies
    return body


def test_the_two_host_columns_are_swapped_between_the_logs() -> None:
    viewer, distribution = "www.example.com", "d111111abcdef8.cloudfront.net"

    in_standard = of_standard(x_host_header=viewer, cs_Host=distribution)
    in_realtime = of_realtime(cs_host=viewer, x_host_header=distribution)

    for body in (in_standard, in_realtime):
        assert body["url.domain"] == viewer
        assert body["aws.cloudfront.domain"] == distribution


def test_the_query_in_a_real_time_stem_is_not_doubled() -> None:
    body = of_realtime(cs_uri_stem="/a?b=c", cs_uri_query="b=c", cs_host="www.example.com")

    assert body["url.original"] == "/a?b=c"
    assert body["url.path"] == "/a"
    assert body["url.query"] == "b=c"
    assert body["url.full"] == "https://www.example.com/a?b=c"


def test_a_real_time_query_without_a_path_is_read_as_one() -> None:
    body = of_realtime(cs_uri_stem="?a=b", cs_uri_query="a=b", cs_host="www.example.com")

    assert body["url.original"] == "?a=b"
    assert body["url.query"] == "a=b"
    assert "url.path" not in body
    assert "url.full" not in body


def test_real_time_columns_have_the_order_of_aws_not_of_the_configuration() -> None:
    data = line(("timestamp", "c-ip", "s-ip", "sc-status"))

    [body] = convert(data, ("sc-status", "s-ip", "timestamp", "c-ip")).bodies

    assert (body["source.ip"], body["server.ip"]) == ("192.0.2.10", "203.0.113.20")


def test_a_configuration_changed_in_mid_stream_shifts_no_columns() -> None:
    before = line(REALTIME)
    without_one = line([column for column in REALTIME if column != "s-ip"])
    another_one = line([column for column in REALTIME if column != "s-ip"] + ["c-ip"])

    outcome = convert(before + without_one + another_one + before, REALTIME)

    assert len(outcome.documents) == 2
    assert sorted((r.reason, r.line) for r in outcome.rejects) == [("columns", 2), ("layout", 3)]


def test_only_tabs_separate_columns() -> None:
    body = of_standard(cs_User_Agent="a b  c", cs_uri_query="x y")

    assert body["user_agent.original"] == "a b  c"
    assert body["url.query"] == "x y"


def test_an_empty_last_column_is_a_column() -> None:
    columns = ("timestamp", "c-ip", "sr-reason")

    outcome = realtime({"sr-reason": ""}, columns=columns)

    assert outcome.rejects == []
    assert "aws.cloudfront.origin_response_reason" not in outcome.bodies[0]


@pytest.mark.parametrize("agent", ["Bot%20(+http://www.example.com/bot)", "C++%20%2B1"])
def test_a_plus_in_a_user_agent_stays_a_plus(agent: str) -> None:
    expected = agent.replace("%20", " ").replace("%2B", "+")

    assert of_standard(cs_User_Agent=agent)["user_agent.original"] == expected
    assert of_realtime(cs_user_agent=agent)["user_agent.original"] == expected


@pytest.mark.parametrize(
    ("day", "raw", "shown"),
    [
        pytest.param("2018-11-07", "a%2520b", "a b", id="encoded-twice"),
        pytest.param("2018-11-07", "a%20b%2520c", "a b%20c", id="evidence-of-once"),
        pytest.param("2026-01-15", "a%2520b", "a%20b", id="today"),
        pytest.param("2026-01-15", "a%20b", "a b", id="encoded-once"),
    ],
)
def test_text_is_decoded_once_but_for_user_agents_of_before_2020(
    day: str, raw: str, shown: str
) -> None:
    body = of_standard(date=day, cs_User_Agent=raw, cs_Referer="a%2520b", cs_uri_query="a%2520b")

    assert body["user_agent.original"] == shown
    assert body["http.request.referrer"] == "a%20b"
    assert body["url.query"] == "a%20b"


@pytest.mark.parametrize(
    ("times", "shown"),
    [
        pytest.param({"timestamp": "1541620867"}, "a b", id="seconds-of-2018"),
        pytest.param({"timestamp": "1768507267"}, "a%20b", id="seconds-of-today"),
        pytest.param({"timestamp(ms)": "1541620867148"}, "a b", id="milliseconds-of-2018"),
        pytest.param({"timestamp(ms)": "1768507267148"}, "a%20b", id="milliseconds-of-today"),
        pytest.param({"date": "-", "timestamp": "1768507267"}, "a%20b", id="no-date-today"),
        pytest.param({"date": "-", "timestamp(ms)": "1541620867148"}, "a b", id="no-date-2018"),
    ],
)
def test_without_a_date_the_timestamp_tells_how_user_agents_are_encoded(
    times: dict[str, str], shown: str
) -> None:
    columns = (*times, "c-ip", "sc-status", "cs(User-Agent)")
    values = times | {"cs(User-Agent)": "a%2520b"}

    found = convert(header(columns) + line(columns, values), original=True)
    plain = convert(header(columns) + line(columns, values))

    assert [body["user_agent.original"] for body in (*found.bodies, *plain.bodies)] == [shown] * 2


def test_real_time_user_agents_were_never_encoded_twice() -> None:
    assert of_realtime(cs_user_agent="a%2520b")["user_agent.original"] == "a%20b"


def test_no_value_can_forge_a_header() -> None:
    body = of_realtime(cs_headers="host:www.example.com%0Ax:a%250Aauthorization:forged%0A")

    assert body["aws.cloudfront.request_headers"] == {
        "host": "www.example.com",
        "x": "a%0Aauthorization:forged",
    }


def test_quotes_are_text() -> None:
    body = of_standard(cs_Referer='"https://www.example.com/', cs_Cookie='a="b')

    assert body["http.request.referrer"] == '"https://www.example.com/'
    assert body["aws.cloudfront.cookies"] == 'a="b'


@pytest.mark.parametrize("width", [18, 19, 24, 26, 33])
def test_the_number_of_columns_is_what_the_header_says(width: int) -> None:
    columns = (*LEGACY[:width], "x-new")

    outcome = convert(header(columns) + line(LEGACY[:width]).rstrip() + b"\tvalue\n")

    [body] = outcome.bodies
    assert body["aws.cloudfront.other"] == {"x-new": "value"}


def test_a_short_row_keeps_what_it_has() -> None:
    [body] = convert(header(LEGACY) + line(LEGACY[:31])).bodies

    assert body["http.response.body.bytes"] == 1971
    assert body["error.message"] == "the row ends before sc-range-start, sc-range-end"


def test_what_is_absent_is_never_zero() -> None:
    body = of_standard(sc_content_len="-", sc_range_start="-", sc_range_end="-", sc_bytes="-")

    assert "http.response.body.bytes" not in body
    assert "aws.cloudfront.range_start" not in body
    assert "http.response.bytes" not in body
    assert body["network.bytes"] == 311


def test_all_members_of_a_gzip_file_are_read() -> None:
    members = [header(LEGACY) + line(LEGACY), line(LEGACY), header(LEGACY) + line(LEGACY)]

    outcome = convert(b"".join(map(gzip.compress, members)))

    assert len(outcome.documents) == 3


def test_headers_may_be_one_line_or_come_again() -> None:
    few = ("date", "time", "c-ip")
    data = header(LEGACY) + line(LEGACY) + b"#Version: 1.0\n" + header(few) + line(few)

    outcome = convert(data)

    assert (len(outcome.documents), outcome.skipped) == (2, 3)


@pytest.mark.parametrize("separator", ["\t", "\u200b ", "  "], ids=["tab", "zero-width", "two"])
def test_the_names_in_a_header_may_be_apart_by_other_than_one_blank(separator: str) -> None:
    text = "#Fields: " + separator.join(LEGACY) + "\n"

    [body] = convert(text.encode() + line(LEGACY)).bodies

    assert "aws.cloudfront.other" not in body


def test_status_000_is_a_failure_without_an_answer() -> None:
    body = of_standard(sc_status="000")

    assert (body["http.response.status_code"], body["event.outcome"]) == (0, "failure")


def test_forwarded_for_is_text_of_the_viewer() -> None:
    text = "localhost:8080,%20198.51.100.1:80,[2001:db8::1]:443,junk,\\x20198.51.100.2"

    body = of_standard(x_forwarded_for=text)

    assert body["network.forwarded_ip"] == ["198.51.100.1", "2001:db8::1", "198.51.100.2"]
    assert "('localhost:8080,junk')" in body["error.message"]
    assert body["source.ip"] == "192.0.2.10"


def test_milliseconds_and_durations_are_exact() -> None:
    body = of_realtime(timestamp="1671005351.148", time_taken="1.047")

    assert body["@timestamp"] == "2022-12-14T08:09:11.148Z"
    assert body["event.duration"] == 1_047_000_000


def test_the_logged_time_is_the_end_of_the_response() -> None:
    body = of_standard(date="2026-01-15", time="20:01:07", time_taken="2.500")

    assert body["event.end"] == body["@timestamp"] == "2026-01-15T20:01:07Z"
    assert body["event.start"] == "2026-01-15T20:01:04.500Z"


def test_the_number_of_encrypted_fields_is_kept() -> None:
    body = of_standard(fle_encrypted_fields="3", fle_status="Processed")

    assert body["aws.cloudfront.fle_encrypted_fields"] == 3


def test_a_long_row_takes_no_more_than_its_time() -> None:
    body = of_standard(cs_uri_query="%" * 8192, cs_Referer="%FF" * 8192, x_forwarded_for="," * 8192)

    assert body["url.query"] == "%" * 8192
    assert body["http.request.referrer"] == "%FF" * 8192


def test_a_sample_says_how_many_requests_it_stands_for() -> None:
    columns = ("timestamp", "c-ip", "sc-status")
    sampled = RealtimeDecoder(RealtimeOptions(fields=columns, sampling_rate=5))

    [body] = convert(line(columns), decoder=sampled).bodies
    [unknown] = convert(line(columns), columns).bodies

    assert body["aws.cloudfront.sampling_rate"] == 5
    assert body["aws.cloudfront.sampling_weight"] == 20.0
    assert "aws.cloudfront.sampling_weight" not in unknown


def test_the_same_request_id_may_come_again() -> None:
    outcome = standard({}, {})

    assert len({document.id for document in outcome.documents}) == 2
    assert len({body["http.request.id"] for body in outcome.bodies}) == 1


def test_texts_of_json_logs_become_numbers_and_a_dash_becomes_nothing() -> None:
    absent = ("fle-encrypted-fields", "sc-content-len", "sc-range-start", "sc-range-end")
    latencies = ("origin-fbl", "origin-lbl")
    values = {name: VALUES[name] for name in (*LEGACY, "asn")} | dict.fromkeys(absent, "-")

    [body] = convert(json.dumps(values | dict.fromkeys(latencies, "-")).encode() + b"\n").bodies

    assert (body["http.response.status_code"], body["source.as.number"]) == (200, 64500)
    assert body["http.response.bytes"] == 2390
    for name in ("fle_encrypted_fields", "range_start", "origin_first_byte_latency"):
        assert f"aws.cloudfront.{name}" not in body
    assert "http.response.body.bytes" not in body
    assert "error.message" not in body


@pytest.mark.integration
def test_keys_are_decoded_in_notices_once_and_in_listings_never(
    aws: MotoServer, unique: Callable[[str], str], tmp_path: Path
) -> None:
    stored = {"bucket": {"name": "logs"}, "object": {"key": "year%3D2026/a+b%252B", "size": 1}}
    record = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": stored}
    world = World(aws, unique, tmp_path)
    world.put("year%3D2026/a+b%252B", b"x")

    [noticed] = read_notice(json.dumps({"Records": [{"eventVersion": "2.1", **record}]})).objects
    [(listed, _)] = read_all(world.source(bucket=world.bucket))
    world.close()

    assert noticed.key == "year=2026/a b%2B"
    assert listed == f"s3://{world.bucket}/year%3D2026/a+b%252B"


@pytest.mark.parametrize("column", REALTIME)
def test_real_time_logs_are_read_in_all_their_columns(column: str) -> None:
    targets = {
        name
        for row in field_table()
        if row.column == column and "realtime" in row.logs
        for name, _ in row.targets
    }

    body = of_realtime(tuple(dict.fromkeys(("timestamp", column))))

    assert targets & set(body)
    assert "error.message" not in body


QUIRKS = {
    1: ("host columns swapped", test_the_two_host_columns_are_swapped_between_the_logs),
    2: ("the query twice", test_the_query_in_a_real_time_stem_is_not_doubled),
    3: ("order of columns", test_real_time_columns_have_the_order_of_aws_not_of_the_configuration),
    4: ("no mark of the layout", test_a_configuration_changed_in_mid_stream_shifts_no_columns),
    5: ("splitting at blanks", test_only_tabs_separate_columns),
    6: ("stripped empty last column", test_an_empty_last_column_is_a_column),
    7: ("plus eaten", test_a_plus_in_a_user_agent_stays_a_plus),
    8: ("decoded twice or never", test_text_is_decoded_once_but_for_user_agents_of_before_2020),
    9: ("forged headers", test_no_value_can_forge_a_header),
    10: ("quotes as in CSV", test_quotes_are_text),
    11: ("thirty-three columns", test_the_number_of_columns_is_what_the_header_says),
    12: ("short rows", test_a_short_row_keeps_what_it_has),
    13: ("a dash as 0", test_what_is_absent_is_never_zero),
    14: ("texts in JSON", test_texts_of_json_logs_become_numbers_and_a_dash_becomes_nothing),
    15: ("first gzip member only", test_all_members_of_a_gzip_file_are_read),
    16: ("two header lines", test_headers_may_be_one_line_or_come_again),
    17: ("odd headers", test_the_names_in_a_header_may_be_apart_by_other_than_one_blank),
    18: ("status 000", test_status_000_is_a_failure_without_an_answer),
    19: ("forwarded-for", test_forwarded_for_is_text_of_the_viewer),
    20: ("milliseconds lost", test_milliseconds_and_durations_are_exact),
    21: ("time of the start", test_the_logged_time_is_the_end_of_the_response),
    22: ("encrypted fields forgotten", test_the_number_of_encrypted_fields_is_kept),
    23: ("time on long rows", test_a_long_row_takes_no_more_than_its_time),
    24: ("keys of objects", test_keys_are_decoded_in_notices_once_and_in_listings_never),
    25: ("sampling ignored", test_a_sample_says_how_many_requests_it_stands_for),
    26: ("ids that come again", test_the_same_request_id_may_come_again),
    27: ("no real-time logs", test_real_time_logs_are_read_in_all_their_columns),
}
"""What other parsers are known to get wrong, and the test of each."""


def test_every_known_quirk_has_a_test_of_its_own() -> None:
    tests = [test for _, test in QUIRKS.values()]

    assert sorted(QUIRKS) == list(range(1, 28))
    assert len(set(tests)) == len(tests)
    assert all(test.__name__.startswith("test_") for test in tests)
