"""Redaction of texts takes out what was named and changes no other byte."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cloudfront_ecs.normalize.rebuilding.rebuild_texts import encoded
from cloudfront_ecs.normalize.values.escapes import unquote_once
from cloudfront_ecs.transforms.privacy.text import (
    REDACTED,
    changed_addresses,
    changed_cookies,
    changed_query,
    decoded,
    holds,
    in_encoded,
    names_matching,
    swept,
    truncated,
)

TOKEN = names_matching(["token", "sig*"])


def redacted(text: str) -> str:
    return changed_query(text, TOKEN, lambda _: REDACTED)


def without(text: str) -> str:
    return changed_query(text, TOKEN, lambda _: None)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("token=s&a=1", "token=REDACTED&a=1"),
        ("a=1&token=s", "a=1&token=REDACTED"),
        ("a=1&TOKEN=s&signature=t&c", "a=1&TOKEN=REDACTED&signature=REDACTED&c"),
        ("/p?token=s", "/p?token=REDACTED"),
        ("https://x/p?a=1&token=s#t", "https://x/p?a=1&token=REDACTED"),
        ("to%6ben=s&a=1", "to%6ben=REDACTED&a=1"),
        ("to%256ben=s", "to%256ben=REDACTED"),
        ("token=a%26b&c=1", "token=REDACTED&c=1"),
        ("token=a=b==&c=1", "token=REDACTED&c=1"),
        ("token=&c=1", "token=REDACTED&c=1"),
        ("token&c=1", "token&c=1"),
        ("mytoken=1&tokens=2", "mytoken=1&tokens=2"),
        ("a;token=s&b=1", "a;token=REDACTED&b=1"),
        ("next=%2Fcb%3Ftoken%3Ds%26k%3D1&b=2", "next=%2Fcb%3Ftoken%3DREDACTED%26k%3D1&b=2"),
        ("next=token%3Ds&b=2", "next=token%3DREDACTED&b=2"),
        ("a%3Db%26token%3Ds%26c", "a%3Db%26token%3DREDACTED%26c"),
        ("n=x%253Ftoken%253Ds%2526k&b", "n=x%253Ftoken%253DREDACTED%2526k&b"),
        ("", ""),
        ("&&==&%", "&&==&%"),
    ],
)
def test_values_of_named_parameters_are_redacted(text: str, wanted: str) -> None:
    assert redacted(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("token=s&a=1", "a=1"),
        ("a=1&token=s", "a=1"),
        ("a=1&token=s&sig=t", "a=1"),
        ("a=1&token=s&b=2", "a=1&b=2"),
        ("/p?token=s", "/p"),
        ("/p?token=s&b=2", "/p?b=2"),
        ("next=%3Ftoken%3Ds%26k%3D1", "next=%3Fk%3D1"),
    ],
)
def test_named_parameters_are_dropped_with_one_separator(text: str, wanted: str) -> None:
    assert without(text) == wanted


names = st.text("abcxyz_%2", min_size=1, max_size=6).filter(lambda name: not TOKEN(name))
values = st.text(st.characters(exclude_characters="&=?;#%", exclude_categories=["Cs"]), max_size=12)
pairs = st.lists(st.tuples(names, values), max_size=6)


@given(before=pairs, after=pairs, secret=values)
def test_all_other_parameters_keep_their_order_and_bytes(
    before: list[tuple[str, str]], after: list[tuple[str, str]], secret: str
) -> None:
    def query(value: str) -> str:
        return "&".join(f"{n}={v}" for n, v in [*before, ("token", value), *after])

    assert redacted(query(secret)) == query(REDACTED)


@given(text=st.text(max_size=60))
def test_a_text_without_the_names_is_the_same_text(text: str) -> None:
    if "token" not in decoded(text).lower() and "sig" not in decoded(text).lower():
        assert redacted(text) == text
        assert without(text) == text


@given(text=st.text(st.sampled_from("?&=;#%2356dD tokensig"), max_size=80))
def test_redacting_again_changes_nothing(text: str) -> None:
    once = redacted(text)

    assert redacted(once) == once


@given(pairs=pairs, secret=st.text("XYZ0123456789&;%", min_size=8, max_size=20))
def test_no_encoding_of_a_parameter_lets_its_value_through(
    pairs: list[tuple[str, str]], secret: str
) -> None:
    query = "&".join([*(f"{n}={v}" for n, v in pairs), f"token={quote(secret, safe='')}"])

    others = "&".join(f"{name}={value}" for name, value in pairs)
    assume(not holds(others, decoded(secret)))
    for text in (query, quote(query, safe=""), f"u={quote('?' + query, safe='')}"):
        assert not holds(redacted(text), decoded(secret))


@given(query=st.text(max_size=40))
def test_a_logged_query_is_redacted_as_what_it_stands_for(query: str) -> None:
    raw = encoded(f"a=1&token={query}&sig=%2525&b=%20")

    assert unquote_once(in_encoded(raw, redacted, encoded)) == redacted(unquote_once(raw))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a=1; token=s; b=2", "a=1; token=REDACTED; b=2"),
        ("Token=s;b=2", "Token=REDACTED;b=2"),
        ("token=a=b", "token=REDACTED"),
        ("a=token=1", "a=token=1"),
        ("token", "token"),
        ("", ""),
    ],
)
def test_values_of_named_cookies_are_redacted(text: str, wanted: str) -> None:
    assert changed_cookies(text, TOKEN, lambda _: REDACTED) == wanted


def test_all_cookies_include_one_without_a_name() -> None:
    every = names_matching(["*"])

    assert changed_cookies("a=1; s3cr3t", every, lambda _: REDACTED) == "a=REDACTED; REDACTED"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("203.0.113.77", "N"),
        ("x 203.0.113.77, 1.203.0.113.77 203.0.113.77.1 203.0.113.770", None),
        ("203.0.113.77:4711", "N:4711"),
        ("a%20203.0.113.77%2C1", "a%20N%2C1"),
        ("for=%22[2001:DB8:0:0::7]%22", "for=%22[M]%22"),
        ("ip=2001%3Adb8%3A%3A7&a", "ip=M&a"),
        ("::ffff:203.0.113.77", "::ffff:N"),
        ("%32%30%33.0.113.77", REDACTED),
    ],
)
def test_addresses_are_found_in_every_spelling(text: str, wanted: str | None) -> None:
    new = {"203.0.113.77": "N", "2001:db8::7": "M"}

    found = changed_addresses(text, new)

    expected = "x N, 1.203.0.113.77 203.0.113.77.1 203.0.113.770" if wanted is None else wanted
    assert found == expected


@given(address=st.ip_addresses(v=6).map(str))
def test_a_truncated_address_keeps_48_bits(address: str) -> None:
    assert truncated(truncated(address)) == truncated(address)
    if "." not in truncated(address):
        assert truncated(address).endswith("::")


@pytest.mark.parametrize(
    "text",
    [
        "s3cr3t",
        "xS3CR3Tx",
        "%733cr3t",
        "%25733cr3t",
        "%73%33%63%72%33%74",
        quote("s3cr3t ü", safe=""),
    ],
)
def test_a_value_is_swept_out_in_every_spelling(text: str) -> None:
    secrets = {decoded(text).strip("x"): REDACTED}

    assert not holds(swept(f"before {text} after", secrets), "s3cr3t")
