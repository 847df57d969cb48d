"""Conversions of single values at their edges."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudfront_ecs.normalize.memo import Memo
from cloudfront_ecs.normalize.values import convert


@given(st.text())
def test_encoding_undone_gives_what_was_encoded(text: str) -> None:
    assert (
        convert.unquote_once(quote_from_bytes(text.encode("utf-8", "replace")))
        == text.encode("utf-8", "replace").decode()
    )


@given(st.binary(max_size=60))
def test_any_bytes_survive_decoding(data: bytes) -> None:
    encoded = "".join(f"%{byte:02x}" for byte in data)

    decoded = convert.unquote_once(encoded)

    assert "\ufffd" not in decoded or "\ufffd".encode() in data
    if b"%" not in data:
        assert unquote_to_bytes(decoded) == data


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param("%41%c3%a4%FF%20", "Aä%FF ", id="bad-byte-between-good-ones"),
        pytest.param("%e2%82", "%e2%82", id="half-a-character"),
        pytest.param("%ED%A0%80", "%ED%A0%80", id="surrogate"),
        pytest.param("%", "%", id="lone"),
        pytest.param("%2", "%2", id="cut"),
        pytest.param("%zz%20", "%zz ", id="no-escape"),
        pytest.param("%2520", "%20", id="once"),
        pytest.param("a+b", "a+b", id="plus"),
        pytest.param("%c3%a4%", "ä%", id="lone-at-the-end"),
    ],
)
def test_escapes_are_undone_where_they_make_text(raw: str, expected: str) -> None:
    assert convert.unquote_once(raw) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("host", "Example.COM:443", ("example.com", 443, "example.com:443")),
        ("host", "example.com:", ("example.com", None, "example.com:")),
        ("host", "[2001:db8::1]", ("[2001:db8::1]", None, "[2001:db8::1]")),
        ("host", "2001:db8::1", ("[2001:db8::1]", None, "[2001:db8::1]")),
        ("integer", "9223372036854775807", 2**63 - 1),
        ("integer", "0" * 40 + "7", 7),
        ("quoted_number", "1.33333333333333", 1.33333333333333),
        ("tls_version", "TLSv1", ("1", "tls")),
        ("tls_version", "SSLv3", ("3", "ssl")),
        ("http_version", "HTTP/3.0", ("3.0", "udp", "17", "h3")),
        ("http_version", "HTTP/1.1", ("1.1", "tcp", "6", "http/1.1")),
        ("http_version", "HTTP/1.2", ("1.2", "tcp", "6", None)),
        ("status", "399", (399, "success")),
        ("status", "400", (400, "failure")),
        ("path", "/a.b/", ("/a.b/", None)),
        ("quoted", "%22%22", None),
        ("quoted", '"a\\"b"', 'a"b'),
        ("flag", "%22true%22", True),
        ("flag", "?0", False),
        ("header_names", "a%0aA%0Ab", ["a", "A", "b"]),
        ("header_names", "%0A", None),
        ("headers", "%0A", None),
        ("headers", "a:b%0AA:c%0A", {"a": ["b", "c"]}),
        ("headers_named", "Host:a%0Ahost:b%0Ax", ["Host", "host", "x"]),
        ("forwarded", ", ,", (None, ", ,")),
        ("forwarded", "192.0.2.1,%20192.0.2.2", (["192.0.2.1", "192.0.2.2"], None)),
        ("duration", "0.0000005", (500, None)),
        ("address", "::FFFF:192.0.2.1", ("::FFFF:192.0.2.1", "::ffff:192.0.2.1", "ipv6",
                                          ["::ffff:192.0.2.1"])),
    ],
)  # fmt: skip
def test_values_at_the_edges(name: str, value: str, expected: Any) -> None:
    assert getattr(convert, name)(value) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("integer", "1_000"),
        ("integer", "\u0661"),
        ("integer", " 1"),
        ("seconds", "nan"),
        ("seconds", ".5"),
        ("date", "2025-02-29"),
        ("date", "1969-12-31"),
        ("time", "23:59:60"),
        ("epoch_seconds", "253402300800"),
        ("epoch_milliseconds", "253402300800000"),
        ("address", "fe80::1%eth0"),
        ("address", "192.0.02.1"),
        ("address", "192.0.2.1 "),
        ("host", "[]:x"),
        ("host", ":80"),
        ("host", ":"),
        ("host", "[2001:db8::1]8443"),
        ("host", "a:b:c"),
        ("host", "2001:db8::g"),
        ("host", "a b"),
        ("host", "a%20b"),
        ("host", "a%00b"),
        ("host", "user@example.com"),
        ("host", "example.com/path"),
        ("host", "[a b]"),
        ("integer", "9223372036854775808"),
        ("duration", "0.0000000001"),
        ("quoted_number", "-1"),
    ],
)
def test_what_cannot_be_read_is_refused_without_repeating_it(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        getattr(convert, name)(value)

    assert value not in str(caught.value)


@pytest.mark.parametrize("port", ["x", "65536", "-", "99999999999999999999"])
def test_a_bad_port_of_a_host_is_called_one(port: str) -> None:
    for host in (f"example.com:{port}", f"[2001:db8::1]:{port}"):
        with pytest.raises(ValueError, match=r"^not a port number$"):
            convert.host(host)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("percent", "%FF"),
        ("percent", "%E2%82"),
        ("percent", "%"),
        ("old_agent", "%2520"),
        ("headers", "a:b%0A"),
        ("header_names", "a%0A"),
        ("media_type", ";%20"),
        ("host", "["),
        ("quoted", "%5C%22"),
    ],
)
def test_a_megabyte_of_junk_takes_no_more_than_its_time(name: str, part: str) -> None:
    junk = part * (1_048_576 // len(part))
    begin = time.process_time()

    with suppress(ValueError):
        getattr(convert, name)(junk)

    assert time.process_time() - begin < 3


@pytest.mark.parametrize(
    ("name", "value", "readable"),
    [
        ("percent", "%41%c3%a4%FF%20", "%41%c3%a4%25FF%20"),
        ("old_agent", "a%FF", "a%25FF"),
        ("quoted", "%22%E2%82%22", "%22%25E2%2582%22"),
        ("header_names", "a%FF%0A", "a%25FF"),
        ("header_names", "a%0a%0Ab%0A", "a%0Ab"),
        ("header_names", "%0A%FF", "%25FF"),
        ("headers", "a:b%0A%0A", "a:b%0A"),
        ("media_type", "text/%FF", "text/%25FF"),
        ("headers", "a:%FF%0Ab:c%0A", "a:%25FF%0Ab:c%0A"),
        ("headers", "no-colon%0Aempty:%0A:no-name", "-"),
        ("headers", "no-colon%0Aa:b%0Aempty:%0A", "a:b%0A"),
    ],
)
def test_a_text_that_its_value_does_not_tell_is_to_be_kept(
    name: str, value: str, readable: str
) -> None:
    with pytest.raises(convert.PartlyReadError) as caught:
        getattr(convert, name)(value)

    assert (caught.value.whole, str(caught.value)) == (value, "")
    assert caught.value.readable.startswith(readable)
    getattr(convert, name)(caught.value.readable)


def test_a_memo_forgets_when_it_is_full_and_never_keeps_what_is_long() -> None:
    calls: list[str] = []

    def shout(text: str) -> str:
        calls.append(text)
        return text.upper()

    memo = Memo(shout, limit=2)

    assert [memo["a"], memo["a"], memo["b"], memo["c"], memo["c"]] == ["A", "A", "B", "C", "C"]
    assert calls == ["a", "b", "c"]
    assert memo["x" * 1000] == "X" * 1000
    assert len(memo) == 1
