"""The ``fluentd`` sink against the FluentServer of npm."""

from __future__ import annotations

import re
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from cloudfront_ecs.batches import Document, WriteResult
from cloudfront_ecs.errors import SinkBlockedError, SinkUnavailableError
from cloudfront_ecs.normalize.documents import ecs
from cloudfront_ecs.sinks.fluentd import check_sink, open_sink
from servers.forward import HOSTNAME, Security
from sinks.forward_parts import CONTEXT, fluentd_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cloudfront_ecs.sinks.fluentd import FluentdSink
    from servers.certificates import Certificate
    from servers.forward import ForwardServer
    from servers.process import Process

    Start = Callable[[Security], ForwardServer]

pytestmark = pytest.mark.integration

KEY = Security(shared_key="k3y")
USER = Security(shared_key="k3y", users={"bob": "pässword"})
LOGIN = {"shared_key": "k3y", "username": "bob", "password": "pässword"}


def address(server: ForwardServer) -> str:
    return f"{server.host}:{server.port}"


@contextmanager
def sink(server: ForwardServer, **table: Any) -> Iterator[FluentdSink]:
    options = fluentd_options(address(server), tag="cdn.{dataset}", **table)
    with closing(open_sink(options, CONTEXT)) as opened:
        yield opened


def documents(count: int, first: int = 0) -> list[Document]:
    return [document(number) for number in range(first, first + count)]


def document(number: int) -> Document:
    dataset = ("cloudfront.standard", "cloudfront.realtime")[number % 2]
    body = ecs.EcsDocument(
        timestamp="2023-11-14T22:13:20Z",
        event=ecs.Event(id=f"{number:030}", dataset=dataset, duration=number * 1_000_003),
        url=ecs.Url(path=f"/ä/{number}", query="q=%20" * (number % 50)),
        http=ecs.Http(response=ecs.HttpResponse(status_code=200, bytes=2**40 + number)),
        network=ecs.Network(forwarded_ip=["2001:db8::1"]),
    )
    return Document(f"{number:030}", dataset, 1_700_000_000_000_000_000 + number * 7_000_001, body)


def as_json(batch: list[Document]) -> list[tuple[str, int, Any]]:
    """Return what must arrive: tag, nanoseconds, and the JSON form of the body."""
    rows = [
        (f"cdn.{doc.dataset}", doc.time_ns, msgspec.json.decode(msgspec.json.encode(doc.body)))
        for doc in batch
    ]
    return sorted(rows, key=lambda row: row[1])


def arrived(server: ForwardServer, count: int) -> list[tuple[str, int, Any]]:
    rows = []
    for entry in server.wait_for(count):
        assert entry.nanoseconds is not None
        rows.append((entry.tag, entry.seconds * 10**9 + entry.nanoseconds, entry.record))
    return sorted(rows, key=lambda row: row[1])


@pytest.mark.parametrize("compress", ["none", "gzip"])
@pytest.mark.parametrize(
    ("security", "login"),
    [
        pytest.param(Security(), {}, id="plain"),
        pytest.param(KEY, {"shared_key": "k3y"}, id="key"),
        pytest.param(USER, LOGIN, id="user"),
    ],
)
def test_every_document_arrives_once_and_unchanged(
    forward_server: Start, security: Security, login: dict[str, Any], compress: str
) -> None:
    server = forward_server(security)
    batch = documents(5_000)

    with sink(server, compress=compress, chunk_bytes=65_536, **login) as forward:
        result = forward.write(batch)

    assert result == WriteResult(acked=5_000)
    assert arrived(server, 5_000) == as_json(batch)


@pytest.mark.parametrize("login", [pytest.param({}, id="no-user"), pytest.param(LOGIN, id="user")])
def test_documents_travel_over_tls(
    forward_server: Start, certificate: Certificate, login: dict[str, str]
) -> None:
    key = USER if login else Security()
    server = forward_server(replace(key, certificate=certificate))
    batch = documents(5_000)

    with sink(server, tls={"ca": str(certificate.authority)}, **login) as forward:
        result = forward.write(batch)
        found = check_sink(
            fluentd_options(address(server), tls={"ca": str(certificate.authority)}, **login),
            CONTEXT,
        )

    assert result == WriteResult(acked=5_000)
    assert arrived(server, 5_000) == as_json(batch)
    assert "connected over TLSv1.3" in found


def test_a_receiver_may_be_stopped_between_two_batches(forward_server: Start) -> None:
    server = forward_server(Security())
    batch = documents(2_000)

    with sink(server) as forward:
        first = forward.write(batch[:1_000])
        server.process.stop()
        with pytest.raises(SinkUnavailableError, match="Connection refused"):
            forward.write(batch[1_000:])
        server.process.start()
        second = forward.write(batch[1_000:])

    assert first == second == WriteResult(acked=1_000)
    assert arrived(server, 2_000) == as_json(batch)


def test_a_receiver_may_be_restarted_between_two_batches(forward_server: Start) -> None:
    server = forward_server(USER)
    batch = documents(2_000)

    with sink(server, **LOGIN) as forward:
        first = forward.write(batch[:1_000])
        server.process.restart()
        second = forward.write(batch[1_000:])

    assert first == second == WriteResult(acked=1_000)
    assert arrived(server, 2_000) == as_json(batch)


def test_nothing_is_lost_when_the_receiver_is_restarted_in_mid_batch(
    forward_server: Start,
) -> None:
    server = forward_server(Security())
    issued = interruptions = 0
    waiting: Sequence[Document] = ()

    with sink(server, chunk_bytes=65_536) as forward, restarts(server.process, pause=0.3):
        while waiting or interruptions < 3:
            if not waiting:
                waiting = documents(5_000, first=issued)
                issued += 5_000
            try:
                waiting = forward.write(waiting).retry
            except SinkUnavailableError:
                time.sleep(0.02)
            interruptions += bool(waiting)
    server.process.stop()

    # A lost ack costs a duplicate, so each document is looked for, not counted.
    found = {int(entry.record["event"]["id"]) for entry in server.entries()}
    assert found == set(range(issued))


@contextmanager
def restarts(process: Process, pause: float) -> Iterator[None]:
    """Restart a process again and again in the background."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(pause):
            process.restart()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize(
    ("security", "table", "problem"),
    [
        pytest.param(KEY, {"shared_key": "other"}, "shared key mismatch", id="key"),
        pytest.param(USER, LOGIN | {"password": "x"}, "username/password mismatch", id="password"),
        pytest.param(KEY, {}, "demands a handshake", id="no-key"),
        pytest.param(KEY, {"require_ack": False}, "demands a handshake", id="no-key-no-ack"),
        pytest.param(
            KEY, {"shared_key": "k3y", "client_hostname": HOSTNAME}, "hostname|own name", id="name"
        ),
        pytest.param(
            Security(),
            {"shared_key": "k3y", "connect_timeout": 0.5},
            "no HELO within",
            id="no-helo",
        ),
        pytest.param(Security(), {"tls": {}}, "TLS", id="no-tls"),
    ],
)
def test_a_receiver_that_refuses_us_blocks_the_sink(
    forward_server: Start, security: Security, table: dict[str, Any], problem: str
) -> None:
    server = forward_server(security)

    with sink(server, **table) as forward, pytest.raises(SinkUnavailableError) as caught:
        forward.write(documents(100))
    with pytest.raises(SinkUnavailableError):
        check_sink(fluentd_options(address(server), **table), CONTEXT)

    assert isinstance(caught.value, SinkBlockedError)
    assert re.search(problem, str(caught.value))
    assert "k3y" not in str(caught.value)
    assert server.entries() == []


def test_a_certificate_nobody_vouches_for_is_refused_by_default(
    forward_server: Start, certificate: Certificate
) -> None:
    server = forward_server(Security(certificate=certificate))

    with sink(server, tls={}) as forward, pytest.raises(SinkBlockedError, match="certificate"):
        forward.write(documents(1))
    with sink(server, tls={"verify": False}) as forward:
        result = forward.write(documents(1))

    assert result == WriteResult(acked=1)


def test_check_sends_nothing_to_a_receiver(forward_server: Start) -> None:
    server = forward_server(USER)

    found = check_sink(fluentd_options(address(server), **LOGIN), CONTEXT)

    assert f"shared key accepted by {HOSTNAME!r}" in found
    assert server.entries() == []
