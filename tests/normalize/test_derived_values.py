"""Values that boards ask for: hosts apart, delays, slowness, starved players."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs.normalize.documents.ecs import EcsDocument
from cloudfront_ecs.normalize.values.public_suffix import domains
from cloudfront_ecs.normalize.values.referrers import referrer_domain
from normalize.converting import realtime, standard

if TYPE_CHECKING:
    from cloudfront_ecs.batches import Document


@pytest.mark.parametrize(
    ("name", "registered", "subdomain", "suffix"),
    [
        ("www.example.com", "example.com", "www", "com"),
        ("example.com", "example.com", None, "com"),
        ("a.b.example.co.uk", "example.co.uk", "a.b", "co.uk"),
        ("www.example.com.", "example.com", "www", "com"),
        ("_dmarc.example.com", "example.com", "_dmarc", "com"),
        ("d111111abcdef8.cloudfront.net", "d111111abcdef8.cloudfront.net", None, "cloudfront.net"),
        ("www.ck", "www.ck", None, "ck"),
        ("a.b.other.ck", "b.other.ck", "a", "other.ck"),
        ("xn--bcher-kva.example.de", "example.de", "xn--bcher-kva", "de"),
        ("www.xn--85x722f.xn--55qx5d.cn", "xn--85x722f.xn--55qx5d.cn", "www", "xn--55qx5d.cn"),
        ("co.uk", None, None, "co.uk"),
        ("com", None, None, "com"),
        ("localhost", None, None, None),
        ("www.example.invalid", None, None, None),
        ("192.0.2.10", None, None, None),
        ("[2001:db8::1]", None, None, None),
        ("a..example.com", None, None, None),
        ("user@example.com", None, None, None),
        ("a b.example.com", None, None, None),
        (".", None, None, None),
    ],
)
def test_a_host_name_comes_apart_at_its_public_suffix(
    name: str, registered: str | None, subdomain: str | None, suffix: str | None
) -> None:
    assert domains(name) == (registered, subdomain, suffix)


@pytest.mark.parametrize(
    ("referrer", "host"),
    [
        ("https://www.Example.com/a?b=c", "www.example.com"),
        ("http://example.com:8080", "example.com"),
        ("https://user:secret@example.com/", "example.com"),
        ("https://[2001:db8::1]:443/", "[2001:db8::1]"),
        ("android-app://com.example.reader/", "com.example.reader"),
        ("https://example.com#x", "example.com"),
        ("www.example.com/a", None),
        ("https:///a", None),
        ("about:blank", None),
        ("https://example.com%0Aevil/", None),
        ("-", None),
        ("", None),
    ],
)
def test_a_referrer_names_its_host(referrer: str, host: str | None) -> None:
    assert referrer_domain(referrer) == host


@pytest.mark.parametrize(
    ("taken", "slow"), [("1.001", 1), ("1.000", 0), ("0.047", 0), ("-", None), ("60", 1)]
)
def test_slow_is_more_than_a_second(taken: str, slow: int | None) -> None:
    [body] = standard({"time-taken": taken}).bodies

    assert body.get("aws.cloudfront.slow") == slow


def test_the_delay_is_from_the_end_of_the_response_to_its_reading() -> None:
    [document] = standard({}, columns=["date", "time", "c-ip"]).documents
    body = _body(document)

    assert body.event is not None
    assert body.aws is not None
    assert body.aws.cloudfront is not None
    assert body.event.created is not None
    read, ended = (_seconds(text) for text in (body.event.created, body.timestamp))
    assert body.aws.cloudfront.ingest_delay == read - ended


@pytest.mark.parametrize(
    ("values", "starved"),
    [
        pytest.param({"cmcd-buffer-starvation": "true"}, 1, id="said-so"),
        pytest.param({"cmcd-buffer-starvation": "false"}, 0, id="said-no"),
        pytest.param({"cmcd-buffer-starvation": "-"}, 0, id="a-player-that-did-not-say"),
        pytest.param(
            {"cmcd-buffer-starvation": "-", "cmcd-session-id": "-"}, 0, id="no-session-but-a-type"
        ),
        pytest.param(
            {"cmcd-buffer-starvation": "-", "cmcd-session-id": "-", "cmcd-object-type": "-"},
            None,
            id="no-player",
        ),
        pytest.param(
            {"cmcd-buffer-starvation": "false", "cmcd-session-id": "-", "cmcd-object-type": "-"},
            0,
            id="only-a-no",
        ),
    ],
)
def test_a_player_starved_or_did_not(values: dict[str, str], starved: int | None) -> None:
    columns = ["timestamp", "cmcd-buffer-starvation", "cmcd-object-type", "cmcd-session-id"]

    [body] = realtime(values, columns=columns).bodies

    assert body.get("aws.cloudfront.cmcd.starved") == starved


@pytest.mark.parametrize("more", [[], ["cmcd-session-id"], ["cmcd-object-type"]])
def test_starvation_is_told_with_whatever_columns_there_are(more: list[str]) -> None:
    columns = ["timestamp", "cmcd-buffer-starvation", *more]

    [body] = realtime({}, columns=columns).bodies
    [without] = realtime({"cmcd-buffer-starvation": "-"}, columns=columns).bodies

    assert body["aws.cloudfront.cmcd.starved"] == 1
    assert without.get("aws.cloudfront.cmcd.starved") == (0 if more else None)


@pytest.mark.parametrize("log", ["standard", "realtime"])
def test_both_logs_take_hosts_and_referrers_apart(log: str) -> None:
    clock = ["date", "time"] if log == "standard" else ["timestamp"]
    host, referrer = ("x-host-header", "cs(Referer)") if log == "standard" else (
        "cs-host", "cs-referer")  # fmt: skip
    convert = standard if log == "standard" else realtime
    values = {host: "shop.example.com:8443", referrer: "https://www.example.org/a"}

    [body] = convert(values, columns=[*clock, host, referrer]).bodies

    assert body["url.registered_domain"] == "example.com"
    assert body["url.subdomain"] == "shop"
    assert body["url.top_level_domain"] == "com"
    assert body["aws.cloudfront.referrer_domain"] == "www.example.org"


def _body(document: Document) -> EcsDocument:
    assert isinstance(document.body, EcsDocument)
    return document.body


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
