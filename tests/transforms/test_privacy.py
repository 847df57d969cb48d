"""The privacy transform changes what its rules name, and every copy of it."""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.batches import Document
from normalize.converting import flat
from transforms.transforming import documents, opened, problems_of

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "a key of the test"
RULES: list[dict[str, Any]] = [
    {"field": "source.ip", "action": "truncate"},
    {"field": "aws.cloudfront.cookies", "action": "redact", "names": ["session", "auth*"]},
    {"field": "url.query", "action": "redact", "names": ["token", "sig*"]},
    {"field": "aws.cloudfront.request_headers", "action": "drop", "names": ["authorization"]},
    {"field": "user_agent.original", "action": "hash"},
]
ORIGINAL = "event.original"


def hashed(value: str) -> str:
    return hmac.new(KEY.encode(), value.encode(), "sha256").hexdigest()


def cleaned(
    rules: list[dict[str, Any]], values: Mapping[str, str] | None = None, *, original: bool = True
) -> dict[str, Any]:
    """Return the flat document of a record after *rules*."""
    [document] = documents(values or {}, original=original)
    transform = opened("privacy", rules=rules, key=KEY)
    assert transform.apply([document]) == [document]
    return flat(document)


def one(field: str, action: str, *names: str) -> list[dict[str, Any]]:
    rule: dict[str, Any] = {"field": field, "action": action}
    return [rule | {"names": list(names)} if names else rule]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("::ffff:203.0.113.77", "::ffff:203.0.113.0"),
    ],
)
def test_a_truncated_address_is_truncated_in_every_copy(address: str, network: str) -> None:
    found = cleaned(
        one("source.ip", "truncate"),
        {
            "c-ip": address,
            "x-forwarded-for": f"{address},%20198.51.100.77",
            "cs-headers": f"x-real-ip:{address}%0Aaccept:*/*%0A",
            "cs-uri-query": f"viewer={address}&a=1",
        },
    )

    for name in ("source.ip", "source.address", "client.ip", "client.address"):
        assert found[name] == network
    assert found["network.forwarded_ip"] == [network, "198.51.100.0"]
    assert found["related.ip"][:2] == [network, "198.51.100.0"]
    assert found["aws.cloudfront.request_headers"]["x-real-ip"] == network
    assert found["url.query"] == f"viewer={network}&a=1"
    assert address not in json.dumps(found)
    assert f"\t{network}\t" in found[ORIGINAL]
    assert f"\t{network},%20198.51.100.0\t" in found[ORIGINAL]
    assert found["source.geo.country_iso_code"] == "DE"
    assert found["destination.ip"] == "203.0.113.20"


def test_an_address_that_only_begins_like_another_stays() -> None:
    found = cleaned(
        one("source.ip", "truncate"), {"c-ip": "192.0.2.1", "cs-uri-query": "a=192.0.2.10"}
    )

    assert found["url.query"] == "a=192.0.2.10"


@pytest.mark.parametrize("action", ["hash", "mask"])
def test_an_address_that_becomes_a_text_stands_only_where_texts_may(action: str) -> None:
    found = cleaned(one("source.address", action), {"c-ip": "198.51.100.77"})

    wanted = hashed("198.51.100.77") if action == "hash" else "REDACTED"
    assert (found["source.address"], found["client.address"]) == (wanted, wanted)
    assert not {"source.ip", "client.ip", "network.forwarded_ip"} & set(found)
    assert found["related.ip"] == ["203.0.113.20"]
    assert "198.51.100.77" not in json.dumps(found)


def test_named_cookies_are_redacted_and_others_stay_as_they_are() -> None:
    found = cleaned(
        one("aws.cloudfront.cookies", "redact", "session", "auth*"),
        {
            "cs-cookie": "a=%2520b;%20Session=s3cr3t-1;%20auth_x=s3cr3t-2;theme=dark",
            "cs-headers": "cookie:a=%2520b;%20Session=s3cr3t-1%0Ahost:www.example.com%0A",
        },
    )

    assert found["aws.cloudfront.cookies"] == "a=%20b; Session=REDACTED; auth_x=REDACTED;theme=dark"
    assert found["aws.cloudfront.request_headers"]["cookie"] == "a=%20b; Session=REDACTED"
    assert "\ta=%2520b;%20Session=REDACTED;%20auth_x=REDACTED;theme=dark\t" in found[ORIGINAL]
    assert "cookie:a=%2520b;%20Session=REDACTED%0Ahost:www.example.com%0A" in found[ORIGINAL]


def test_named_parameters_are_redacted_wherever_a_url_stands() -> None:
    found = cleaned(
        one("url.query", "redact", "token", "sig*"),
        {
            "cs-uri-stem": "/a%2520b?x=1&token=s3cr3t&y=%2561",
            "cs-uri-query": "x=1&token=s3cr3t&y=%2561",
            "cs-referer": "https://www.example.com/?signature=s3cr3t-2&q=1",
            "cs-headers": "referer:https://www.example.com/?signature=s3cr3t-2&q=1%0Ax-a:1%0A",
        },
    )

    assert found["url.query"] == "x=1&token=REDACTED&y=%61"
    assert found["url.original"] == "/a%2520b?x=1&token=REDACTED&y=%2561"
    assert found["url.full"].endswith("?x=1&token=REDACTED&y=%61")
    assert found["http.request.referrer"] == "https://www.example.com/?signature=REDACTED&q=1"
    assert found["aws.cloudfront.request_headers"]["x-a"] == "1"
    assert "\t/a%2520b?x=1&token=REDACTED&y=%2561\t" in found[ORIGINAL]
    assert "s3cr3t" not in json.dumps(found)


def test_dropped_parameters_cookies_and_headers_leave_nothing() -> None:
    rules = [
        *one("url.query", "drop", "token"),
        *one("aws.cloudfront.cookies", "drop", "session"),
        *one("aws.cloudfront.request_headers", "drop", "authorization"),
    ]

    found = cleaned(
        rules,
        {
            "cs-uri-stem": "/a?token=s3cr3t&b=1",
            "cs-uri-query": "token=s3cr3t&b=1",
            "cs-cookie": "session=s3cr3t;%20b=1",
            "cs-headers": "authorization:Basic%20s3cr3t%0Ahost:x%0A",
        },
    )

    assert found["url.original"] == "/a?b=1"
    assert found["aws.cloudfront.cookies"] == "b=1"
    assert found["aws.cloudfront.request_headers"] == {"host": "x"}
    assert "\tb=1\thost:x" not in found[ORIGINAL]
    assert "\thost:x%0A\t" in found[ORIGINAL]
    assert "s3cr3t" not in json.dumps(found)


def test_a_hash_is_keyed_and_the_same_for_the_same_value() -> None:
    found = cleaned(
        one("user_agent.original", "hash"),
        {"cs-user-agent": "curl/8.5.0%20(x)", "cs-headers": "user-agent:curl/8.5.0%20(x)%0A"},
    )

    wanted = hashed("curl/8.5.0 (x)")
    assert found["user_agent.original"] == wanted
    assert found["aws.cloudfront.request_headers"] == {"user-agent": wanted}
    assert f"\t{wanted}\t" in found[ORIGINAL]
    assert f"\tuser-agent:{wanted}%0A\t" in found[ORIGINAL]


def test_a_field_that_is_dropped_takes_its_column_out_of_the_line() -> None:
    found = cleaned(one("event.duration", "drop"), {"time-taken": "0.777"})

    assert "event.duration" not in found
    assert "0.777" not in found[ORIGINAL]
    assert found[ORIGINAL].count("\t") == 70


def test_a_path_that_is_dropped_takes_the_urls_with_it() -> None:
    found = cleaned(
        one("url.path", "drop"), {"cs-uri-stem": "/users/jane-doe.html", "cs-uri-query": "-"}
    )

    assert not {"url.path", "url.original", "url.full", "url.extension"} & set(found)
    assert "jane-doe" not in json.dumps(found)


def test_a_whole_query_goes_from_every_url() -> None:
    found = cleaned(
        one("url.query", "drop"),
        {
            "cs-uri-stem": "/a?q=jane-doe",
            "cs-uri-query": "q=jane-doe",
            "cs-referer": "https://www.example.com/b?q=jane-doe",
        },
    )

    assert found["url.original"] == "/a"
    assert found["http.request.referrer"] == "https://www.example.com/b"
    assert "jane-doe" not in json.dumps(found)


def test_what_could_not_be_read_goes_with_its_column() -> None:
    found = cleaned(one("source.ip", "drop"), {"c-ip": "jane-doe-of-198.51.100.77"})

    assert found["error.message"].startswith("c-ip: not an IP address")
    assert "jane-doe" not in json.dumps(found)


def test_parts_of_x_forwarded_for_that_are_no_addresses_go_too() -> None:
    found = cleaned(one("source.ip", "truncate"), {"x-forwarded-for": "198.51.100.77,%20jane-doe"})

    assert found["network.forwarded_ip"] == ["198.51.100.0"]
    assert found["aws.cloudfront.forwarded_for"] == "198.51.100.0,%20REDACTED"
    assert "jane-doe" not in json.dumps(found)


def test_a_line_whose_columns_cannot_be_told_apart_goes_as_a_whole() -> None:
    [document] = documents({"c-ip": "198.51.100.77"}, original=True)
    line = flat(document)[ORIGINAL].replace("\t", "|")
    body = {"source": {"ip": "198.51.100.77"}, "event": {"original": line, "created": "x"}}
    stranger = Document("a" * 30, "cloudfront.standard", 0, body)

    opened("privacy", rules=one("source.ip", "truncate")).apply([stranger])

    assert body == {"source": {"ip": "198.51.100.0"}, "event": {"created": "x"}}


def test_a_line_in_json_is_cleaned_value_by_value() -> None:
    line = '{"c-ip":"198.51.100.77","cs(Cookie)":"session=s3cr3t;%20a=\\u0062","x":"-"}'
    body = {
        "source": {"ip": "198.51.100.77"},
        "aws": {"cloudfront": {"cookies": "session=s3cr3t; a=b"}},
        "event": {"original": line},
    }
    stranger = Document("a" * 30, "cloudfront.standard", 0, body)

    opened("privacy", rules=RULES, key=KEY).apply([stranger])

    cookies = "session=REDACTED;%20a=b"
    assert json.loads(body["event"]["original"]) == {
        "c-ip": "198.51.100.0", "cs(Cookie)": cookies, "x": "-",
    }  # fmt: skip


def test_shared_parts_of_other_documents_stay_as_they_are() -> None:
    first, second = documents({}, {})
    before = flat(second)

    opened("privacy", rules=RULES, key=KEY).apply([first])

    assert flat(second) == before


def test_a_document_without_the_field_stays_as_it_is() -> None:
    values = dict.fromkeys(("c-ip", "x-forwarded-for", "cs-cookie", "cs-headers"), "-")
    [document] = documents({**values, "cs-user-agent": "-"}, original=True)
    before = flat(document)

    opened("privacy", rules=RULES, key=KEY).apply([document])

    assert flat(document) == before


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ({"field": "source.ipp", "action": "drop"}, "unknown field 'source.ipp' (did you mean"),
        ({"field": "source.ip", "action": "hash"}, "cannot hash 'source.ip', it takes addresses"),
        ({"field": "related.ip", "action": "mask"}, "cannot mask 'related.ip'"),
        ({"field": "http.response.status_code", "action": "mask"}, "its type is long and takes no"),
        ({"field": "url.path", "action": "truncate"}, "'truncate' is for addresses"),
        ({"field": "aws.cloudfront.cookies", "action": "redact"}, 'give names, ["*"] for all'),
        ({"field": "user_agent.original", "action": "redact"}, "use mask or drop"),
        ({"field": "url.path", "action": "drop", "names": ["a"]}, "'url.path' has no named parts"),
        ({"field": "@timestamp", "action": "drop"}, "cannot be changed: documents need it"),
        ({"field": "source.ip", "action": "truncat"}, "unknown value 'truncat' (did you mean"),
        ({"field": "source.ip"}, "option 'action' is missing"),
    ],
)
def test_a_wrong_rule_is_named_with_its_place(rule: dict[str, Any], problem: str) -> None:
    [found] = problems_of("privacy", rules=[*RULES[:1], rule], key=KEY)

    assert found.startswith("transforms.here.rules[1]")
    assert problem in found


@pytest.mark.parametrize("key", [{}, {"key": ""}])
def test_hashing_needs_a_key(key: dict[str, str]) -> None:
    assert problems_of("privacy", rules=RULES, **key) == [
        "transforms.here: rules[4].action: 'hash' needs the option 'key'"
    ]


def test_texts_with_equals_signs_that_are_no_parameters_stay() -> None:
    values = {"cs-uri-query": "q=jane-doe", "cs-uri-stem": "/a?q=jane-doe"}

    found = cleaned(one("url.query", "redact", "*"), values)

    assert "\tk6WGMNkEzR5BEM_SaF47gjtX9zBDO2m349OY2an0QPEaUum1ZOLrow==\t" in found[ORIGINAL]
    assert "\tText/HTML;%20charset=utf-8\t" in found[ORIGINAL]
    assert "\tq=REDACTED\t" in found[ORIGINAL]


def test_a_host_that_goes_takes_its_parts_with_it() -> None:
    found = cleaned(one("url.domain", "hash"), {"cs-host": "jane-doe.example.com:8443"})

    assert found["url.domain"] == hashed("jane-doe.example.com")
    assert found["destination.domain"] == found["url.domain"]
    assert "jane-doe" not in json.dumps(found)
