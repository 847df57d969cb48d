from __future__ import annotations

import json
import socket
import threading
import time
from http import HTTPStatus
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs.errors import CloudFrontEcsError
from cloudfront_ecs.monitoring.endpoint import MOST_AT_ONCE, Answer, Endpoint
from cloudfront_ecs.monitoring.monitor import address_use
from cloudfront_ecs.monitoring.options import Address
from servers.process import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import Message

    Opened = Callable[..., Endpoint]

HOST = "127.0.0.1"


def hello(_: Message) -> Answer:
    return Answer(HTTPStatus.OK, "text/plain", b"hello\n")


@pytest.fixture(name="opened")
def _opened() -> Iterator[Opened]:
    """Return a function that serves pages on a free port."""
    endpoints: list[Endpoint] = []

    def opened(page: Callable[[Message], Answer] = hello) -> Endpoint:
        endpoint = Endpoint(Address(HOST, free_port()))
        endpoints.append(endpoint)
        endpoint.serve({"/metrics": page})
        return endpoint

    yield opened
    for endpoint in endpoints:
        endpoint.close()


def ask(
    port: int, path: str = "/metrics", method: str = "GET"
) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_a_page_is_answered_with_its_length_and_type(opened: Opened) -> None:
    status, headers, body = ask(opened().port)

    assert (status, body) == (200, b"hello\n")
    assert headers["Content-Length"] == "6"
    assert headers["Content-Type"] == "text/plain"
    assert headers["Server"] == "cloudfront-ecs"


def test_a_question_mark_ends_the_path(opened: Opened) -> None:
    assert ask(opened().port, "/metrics?name=a")[0] == 200


def test_head_gives_the_headers_alone(opened: Opened) -> None:
    status, headers, body = ask(opened().port, method="HEAD")

    assert (status, headers["Content-Length"], body) == (200, "6", b"")


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metricsx", "/..%2fmetrics"])
def test_other_paths_are_not_found_and_not_repeated(opened: Opened, path: str) -> None:
    status, _, body = ask(opened().port, path)

    assert (status, body) == (404, b"404 Not Found\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_not_allowed(opened: Opened, method: str) -> None:
    status, headers, _ = ask(opened().port, method=method)

    assert status == 405
    assert headers["Allow"] == "GET, HEAD"


def test_a_page_that_fails_is_an_error_without_details(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(_: Message) -> Answer:
        raise RuntimeError("inside")

    status, _, body = ask(opened(failing).port)

    assert (status, body) == (500, b"500 Internal Server Error\n")
    assert "/metrics cannot be told" in caplog.text


def test_what_is_no_http_is_refused(opened: Opened) -> None:
    with socket.create_connection((HOST, opened().port), timeout=10) as client:
        client.sendall(b"\x16\x03\x01\x00\xa5 \x01\x00\x00\r\n\r\n")
        answer = client.recv(10_000)

    assert b"400" in answer


def test_an_address_in_use_is_told_with_what_to_do(opened: Opened) -> None:
    port = opened().port

    with pytest.raises(CloudFrontEcsError) as caught:
        Endpoint(Address(HOST, port))

    assert str(caught.value) == (
        f"metrics.listen: cannot listen on 127.0.0.1:{port}: Address already in use "
        "(give another port)"
    )


@pytest.mark.parametrize("host", ["192.0.2.1", "nobody.invalid"])
def test_an_address_that_is_not_ours_is_told(host: str) -> None:
    with pytest.raises(CloudFrontEcsError, match=f"cannot listen on {host}:9464: "):
        Endpoint(Address(host, 9464))


def test_only_the_address_given_is_bound(opened: Opened) -> None:
    port = opened().port

    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.2", port)):
        pass


def test_clients_that_say_nothing_are_few_and_hold_up_nobody(opened: Opened) -> None:
    endpoint = opened()
    silent = [socket.create_connection((HOST, endpoint.port)) for _ in range(MOST_AT_ONCE - 1)]

    assert ask(endpoint.port)[0] == 200

    silent += [socket.create_connection((HOST, endpoint.port), timeout=10) for _ in range(5)]
    assert silent[-1].recv(1) == b""  # hung up on
    began = time.monotonic()
    endpoint.close()
    assert time.monotonic() - began < 1
    for client in silent:
        client.close()


def test_it_can_be_closed_twice_and_also_unserved() -> None:
    endpoint = Endpoint(Address(HOST, free_port()))

    endpoint.close()
    endpoint.close()

    assert not any(thread.name == "metrics" for thread in threading.enumerate())


def test_a_free_address_can_be_used() -> None:
    assert address_use(Address(HOST, free_port())) == "nobody listens there yet"


def test_an_address_on_which_a_run_answers_is_right() -> None:
    healthy = Answer(HTTPStatus.OK, "application/json", json.dumps({"status": "ok"}).encode())
    endpoint = Endpoint(Address(HOST, free_port()))
    endpoint.serve({"/healthz": lambda _: healthy})

    assert address_use(endpoint.address) == "a cloudfront-ecs that runs answers there"

    endpoint.close()


def test_an_address_on_which_another_program_answers_is_wrong(opened: Opened) -> None:
    with pytest.raises(CloudFrontEcsError, match="Address already in use"):
        address_use(opened().address)
