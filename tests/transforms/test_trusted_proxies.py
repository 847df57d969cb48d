"""The trusted_proxies transform finds the client behind proxies, and believes nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from transforms.transforming import applied, opened, problems_of

PROXY, OTHER_PROXY, VIEWER = "192.0.2.10", "192.0.2.20", "198.51.100.7"


def found(peer: str, forwarded: str, **more: str) -> dict[str, Any]:
    transform = opened("trusted_proxies", networks=["192.0.2.0/24", "2001:db8:ffff::/48"])
    [document] = applied(transform, {"c-ip": peer, "x-forwarded-for": forwarded, **more})
    return document


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        pytest.param(PROXY, VIEWER, VIEWER, id="one-proxy"),
        pytest.param(PROXY, f"{VIEWER},%20{OTHER_PROXY}", VIEWER, id="two-proxies"),
        pytest.param(PROXY, f"203.0.113.9,%20{VIEWER}", VIEWER, id="what-the-viewer-claims"),
        pytest.param(PROXY, "-", PROXY, id="no-header"),
        pytest.param(VIEWER, "203.0.113.9", VIEWER, id="a-stranger-is-not-believed"),
        pytest.param(PROXY, f"{OTHER_PROXY},%20{PROXY}", OTHER_PROXY, id="all-trusted"),
        pytest.param(PROXY, f"{VIEWER},%20unknown", PROXY, id="no-address-at-the-end"),
        pytest.param(PROXY, f"unknown,%20{VIEWER}", VIEWER, id="no-address-before"),
        pytest.param(PROXY, f"{VIEWER}:4711", VIEWER, id="with-a-port"),
        pytest.param("2001:db8:ffff::1", "2001:DB8::5", "2001:db8::5", id="ipv6"),
        # The addresses of the document have no repeats; the header's own order counts.
        pytest.param(PROXY, f"{VIEWER},%20203.0.113.9,%20{VIEWER}", VIEWER, id="a-repeated-claim"),
    ],
)
def test_the_client_is_the_last_that_is_not_trusted(peer: str, forwarded: str, client: str) -> None:
    document = found(peer, forwarded)

    assert (document["client.ip"], document["client.address"]) == (client, client)
    assert document["source.ip"] == peer
    assert {peer, client} <= set(document["related.ip"])


def test_what_was_known_of_the_peer_is_not_said_of_the_client() -> None:
    document = found(PROXY, VIEWER, **{"c-country": "DE", "asn": "64500", "c-port": "4711"})

    assert document["source.geo.country_iso_code"] == "DE"
    assert not {"client.geo.country_iso_code", "client.as.number", "client.port"} & set(document)
    assert document["client.bytes"] == document["source.bytes"]


def test_a_wrong_network_is_named() -> None:
    [problem] = problems_of("trusted_proxies", networks=["192.0.2.0/24", "192.0.2.1/24"])

    assert problem == "transforms.here: networks[1]: 192.0.2.1/24 has host bits set"
