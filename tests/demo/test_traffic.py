from __future__ import annotations

import ipaddress
import re
from collections import Counter
from datetime import UTC, datetime
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import pytest

from cloudfront_ecs.demo import agents, traffic
from cloudfront_ecs.demo.columns import ORIGINAL_COLUMNS, REALTIME_COLUMNS, STANDARD_COLUMNS
from cloudfront_ecs.demo.render import encode, in_order, realtime_line, standard_line
from cloudfront_ecs.normalize import layouts

NETWORKS = [
    ipaddress.ip_network(text)
    for text in (
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "198.18.0.0/15",
        "2001:db8::/32",
    )
]
SAME = (
    "c-ip",
    "c-port",
    "cs-method",
    "cs-protocol",
    "cs-protocol-version",
    "cs-uri-query",
    "cs-bytes",
    "sc-bytes",
    "sc-status",
    "sc-content-type",
    "sc-content-len",
    "sc-range-start",
    "sc-range-end",
    "ssl-protocol",
    "ssl-cipher",
    "time-taken",
    "time-to-first-byte",
    "x-edge-location",
    "x-edge-request-id",
    "x-edge-result-type",
    "x-edge-response-result-type",
    "x-edge-detailed-result-type",
    "x-forwarded-for",
    "fle-status",
    "fle-encrypted-fields",
)


@pytest.fixture(scope="module")
def made() -> list[traffic.Request]:
    return traffic.requests(seed=3, count=20_000)


@pytest.fixture(scope="module")
def standard(made: list[traffic.Request]) -> list[dict[str, str]]:
    lines = (standard_line(request) for request in made)
    return [dict(zip(STANDARD_COLUMNS, line.split("\t"), strict=True)) for line in lines]


@pytest.fixture(scope="module")
def realtime(made: list[traffic.Request]) -> list[dict[str, str]]:
    lines = (realtime_line(request) for request in made)
    return [dict(zip(REALTIME_COLUMNS, line.split("\t"), strict=True)) for line in lines]


def documented(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return any(address in network for network in NETWORKS)


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, second = (traffic.requests(seed=7, count=2000) for _ in range(2))

    assert [realtime_line(r) for r in first] == [realtime_line(r) for r in second]


def test_another_seed_gives_other_traffic() -> None:
    first, second = (traffic.requests(seed=seed, count=100) for seed in (1, 2))

    assert {r.id for r in first}.isdisjoint(r.id for r in second)


def test_the_columns_are_those_of_the_field_table() -> None:
    assert layouts.legacy_columns() == STANDARD_COLUMNS
    assert layouts.realtime_columns() == REALTIME_COLUMNS
    assert (len(STANDARD_COLUMNS), len(REALTIME_COLUMNS), len(ORIGINAL_COLUMNS)) == (33, 71, 40)


def test_every_column_says_something_and_no_line_is_broken(
    made: list[traffic.Request], standard: list[dict[str, str]], realtime: list[dict[str, str]]
) -> None:
    assert len(made) == len(standard) == len(realtime) == 20_000
    for row in (*standard, *realtime):
        text = "".join(row.values())
        assert all(row.values())
        assert text.isascii()
        assert text.isprintable()


def test_requests_end_within_the_time_asked_for_and_in_order() -> None:
    made = traffic.requests(seed=2, count=3000, start=1_768_500_000, seconds=3600)

    ended = [request.ended for request in made]
    assert len(made) == 3000
    assert ended == sorted(ended)
    assert ended[0] >= 1_768_500_000_000
    assert ended[-1] < 1_768_503_600_000


def test_both_formats_tell_the_same_of_a_request(
    standard: list[dict[str, str]], realtime: list[dict[str, str]]
) -> None:
    for row, record in zip(standard, realtime, strict=True):
        assert [row[name] for name in SAME] == [record[name] for name in SAME]
        assert row["cs(Host)"] == record["x-host-header"] == "d111111abcdef8.cloudfront.net"
        assert row["x-host-header"] == record["cs-host"]
        assert row["cs(User-Agent)"] == record["cs-user-agent"]
        assert row["cs(Referer)"] == record["cs-referer"]
        assert row["cs(Cookie)"] == record["cs-cookie"]


def test_only_the_real_time_stem_carries_the_query(
    standard: list[dict[str, str]], realtime: list[dict[str, str]]
) -> None:
    for row, record in zip(standard, realtime, strict=True):
        query = row["cs-uri-query"]
        added = "" if query == "-" else f"?{query}"
        assert record["cs-uri-stem"] == row["cs-uri-stem"] + added


def test_both_formats_tell_the_same_time(
    standard: list[dict[str, str]], realtime: list[dict[str, str]]
) -> None:
    for row, record in zip(standard, realtime, strict=True):
        moment = datetime.fromisoformat(f"{row['date']}T{row['time']}").replace(tzinfo=UTC)
        assert re.fullmatch(r"\d{10}\.\d{3}", record["timestamp"])
        assert int(moment.timestamp()) == int(record["timestamp"].split(".")[0])


def test_headers_are_listed_as_cloudfront_lists_them(realtime: list[dict[str, str]]) -> None:
    for record in realtime:
        headers = record["cs-headers"].split("%0A")
        names = record["cs-header-names"].split("%0A")
        assert headers.pop() == names.pop() == ""
        assert len(names) == int(record["cs-headers-count"])
        assert [header.partition(":")[0] for header in headers] == names[: len(headers)]
        assert len(record["cs-headers"]) <= 800


def test_a_subset_of_columns_keeps_the_order_of_aws(made: list[traffic.Request]) -> None:
    columns = in_order(["asn", "timestamp", "cs-host"])

    line = realtime_line(made[0], columns)

    assert columns == ("timestamp", "cs-host", "asn")
    assert line.split("\t")[1:] == [made[0].resource.host, str(made[0].viewer.asn)]
    with pytest.raises(ValueError, match="fixed order"):
        realtime_line(made[0], ("asn", "timestamp"))


def test_columns_of_standard_logging_v2_can_be_added(made: list[traffic.Request]) -> None:
    line = standard_line(made[0], ("timestamp(ms)", "DistributionId", "c-country"))

    assert line == f"{made[0].ended}\tEDFDVBD6EXAMPLE\t{made[0].viewer.country}"


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        pytest.param("", "-", id="nothing"),
        pytest.param("a b", "a%20b", id="space"),
        pytest.param("a%20b", "a%2520b", id="percent-of-the-client"),
        pytest.param("a+b;c=d&e:(f),@/*!$", "a+b;c=d&e:(f),@/*!$", id="left-alone"),
        pytest.param(
            "<>\"#%{}|\\^~[]`'", "%3C%3E%22%23%25%7B%7D%7C%5C%5E%7E%5B%5D%60%27", id="special"
        ),
        pytest.param("é\x7f\t\n", "%C3%A9%7F%09%0A", id="control-and-high"),
        pytest.param("\udcff", "%FF", id="not-utf-8"),
    ],
)
def test_text_is_encoded_as_cloudfront_encodes(text: str, encoded: str) -> None:
    assert encode(text) == encoded


def test_decoding_once_gives_what_the_viewer_sent(
    made: list[traffic.Request], standard: list[dict[str, str]]
) -> None:
    for request, row in zip(made, standard, strict=True):
        for column, sent in (
            ("cs-uri-stem", request.resource.path),
            ("cs-uri-query", request.query),
            ("cs(User-Agent)", request.viewer.agent.text),
            ("cs(Referer)", request.referrer),
            ("cs(Cookie)", request.cookie),
            ("x-forwarded-for", request.viewer.forwarded),
        ):
            assert unquote_to_bytes(row[column]) == (sent or "-").encode()


def test_only_documentation_addresses_occur(realtime: list[dict[str, str]]) -> None:
    for record in realtime:
        assert documented(record["c-ip"])
        assert documented(record["s-ip"])
        assert record["c-ip-version"] == ("IPv6" if ":" in record["c-ip"] else "IPv4")
        for text in re.findall(r"\d+\.\d+\.\d+\.\d+", unquote(record["x-forwarded-for"])):
            assert documented(text)


def test_only_documentation_names_occur(realtime: list[dict[str, str]]) -> None:
    names = {record[name] for record in realtime for name in ("cs-host", "r-host")}
    names |= {urlsplit(record["cs-referer"]).netloc for record in realtime}

    assert all(re.search(r"(^|\.)example\.(com|net|org)$", name) for name in names - {"-", ""})


def test_there_are_400_user_agents() -> None:
    kinds = (agents.BROWSERS, agents.OLD_BROWSERS, agents.APPS, agents.PLAYERS, agents.BOTS)
    rest = (agents.SCANNERS, agents.MONITORS, agents.TOOLS)

    texts = {agent.text for kind in kinds + rest for agent in kind if agent.text}

    assert len(texts) == 400


@pytest.mark.parametrize(
    ("column", "least", "most"),
    [
        ("cs-uri-query", 0.28, 0.42),
        ("cs-referer", 0.38, 0.55),
        ("cs-cookie", 0.05, 0.12),
        ("x-forwarded-for", 0.02, 0.08),
        ("sc-range-start", 0.01, 0.05),
        ("cmcd-session-id", 0.04, 0.14),
    ],
)
def test_optional_values_are_there_as_often_as_on_real_sites(
    realtime: list[dict[str, str]], column: str, least: float, most: float
) -> None:
    share = sum(record[column] != "-" for record in realtime) / len(realtime)

    assert least < share < most


def test_results_are_shared_as_on_real_sites(realtime: list[dict[str, str]]) -> None:
    total = len(realtime)
    results = Counter(record["x-edge-result-type"] for record in realtime)

    assert 0.62 < results["Hit"] / total < 0.80
    assert 0.10 < results["Miss"] / total < 0.25
    assert 0.03 < results["RefreshHit"] / total < 0.10
    assert 0.01 < results["Error"] / total < 0.08
    assert results["Redirect"]
    assert results["FunctionGeneratedResponse"]
    assert {"000", "206", "304", "403", "404"} <= {record["sc-status"] for record in realtime}
    assert {"TLSv1", "TLSv1.1", "-"} <= {record["ssl-protocol"] for record in realtime}


def test_the_evening_is_busier_than_the_night(made: list[traffic.Request]) -> None:
    hours = Counter(request.ended // 3_600_000 % 24 for request in made)

    assert hours[20] > 4 * hours[3]


def test_the_origin_fails_for_some_minutes_only(made: list[traffic.Request]) -> None:
    begin, end = traffic.outage()
    failed = [r for r in made if r.outcome.detailed in {"OriginConnectError", "OriginReadError"}]

    assert failed
    assert all(begin <= r.ended - r.taken < end for r in failed)
