from __future__ import annotations

import pytest

from cloudfront_ecs.monitoring.options import Address, MetricsOptions, address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9464", Address("127.0.0.1", 9464)),
        ("localhost:1", Address("localhost", 1)),
        ("[::1]:65535", Address("::1", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, expected: Address) -> None:
    assert address(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'' is not HOST:PORT (such as '127.0.0.1:9464')"),
        ("9464", "'9464' is not HOST:PORT"),
        ("127.0.0.1", "'127.0.0.1' is not HOST:PORT"),
        ("localhost:http", "'localhost:http' is not HOST:PORT"),
        ("localhost:٣", "is not HOST:PORT"),
        ("localhost:0", "0 is not a port (1 to 65535)"),
        ("localhost:65536", "65536 is not a port"),
        (":9464", "':9464' names no host ('0.0.0.0:9464' listens everywhere)"),
        ("[]:9464", "names no host"),
        ("::1:9464", "an IPv6 address stands in brackets ('[::1]:9464')"),
        ("[localhost]:9464", "an IPv6 address stands in brackets"),
    ],
)
def test_what_is_no_address_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match="listen: ") as caught:
        MetricsOptions(listen=text)

    assert problem in str(caught.value)


def test_nothing_listens_without_an_address() -> None:
    assert MetricsOptions().address is None
