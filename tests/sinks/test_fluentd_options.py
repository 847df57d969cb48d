from __future__ import annotations

from hashlib import sha512
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.batches import WriteResult
from cloudfront_ecs.errors import ConfigError, SinkBlockedError, SinkUnavailableError
from cloudfront_ecs.options import parse
from cloudfront_ecs.sinks.fluentd import check_sink, open_sink, sink_specs
from cloudfront_ecs.sinks.fluentd_options import FluentdOptions
from cloudfront_ecs.sinks.forward_connection import Server
from servers.process import free_port
from sinks.forward_parts import CONTEXT, SIZE, documents, fluentd_options, silent, sink
from sinks.scripted_receiver import receiver

if TYPE_CHECKING:
    from pathlib import Path

    from sinks.scripted_receiver import Peer


def greet(keepalive: bool = True) -> Any:  # noqa: FBT001, FBT002 - as the protocol has it
    return ["HELO", {"nonce": b"n" * 16, "auth": b"", "keepalive": keepalive}]


def greet_only(peer: Peer) -> None:
    peer.say(greet())
    peer.wait_for_end()


def close_after_ping(peer: Peer) -> None:
    peer.say(greet())
    assert peer.read()[0] == "PING"


@pytest.mark.parametrize(
    ("script", "table", "problem"),
    [
        pytest.param(silent, {"shared_key": "k"}, "no HELO within 0.5 s .has", id="no-helo"),
        pytest.param(lambda peer: peer.say({}), {"shared_key": "k"}, "not HELO", id="not-helo"),
        pytest.param(close_after_ping, {"shared_key": "k"}, "authentication failed", id="no-pong"),
        pytest.param(greet_only, {}, "demands a handshake .set shared_key", id="no-key-here"),
        pytest.param(greet_only, {"require_ack": False}, "demands a handshake", id="nobody-reads"),
    ],
)
def test_a_handshake_that_cannot_succeed_blocks(script: Any, table: Any, problem: str) -> None:
    with (
        receiver(script) as server,
        sink(server.address, connect_timeout=0.5, **table) as forward,
        pytest.raises(SinkBlockedError, match=problem),
    ):
        forward.write(documents())

    assert server.messages == []


def test_a_handshake_demanded_late_still_says_so() -> None:
    def late(peer: Peer) -> None:
        peer.message()
        peer.say(["PONG", False, "invalid ping message", "", ""])

    with (
        receiver(late) as server,
        sink(server.address) as forward,
        pytest.raises(SinkBlockedError, match="demands a handshake"),
    ):
        forward.write(documents(4))


def test_a_connection_for_one_chunk_is_closed_after_it() -> None:
    def once(peer: Peer) -> None:
        peer.say(greet(keepalive=False))
        _, name, salt, _, _, _ = peer.read()
        assert name.startswith("cloudfront-ecs.")
        proof = sha512(salt.encode() + b"there" + b"n" * 16 + b"k").hexdigest()
        peer.say(["PONG", True, "", "there", proof])
        peer.ack_all()

    with receiver(once) as server, sink(server.address, shared_key="k") as forward:
        result = forward.write(documents())

    assert result == WriteResult(acked=SIZE)
    assert server.connections == 3


def test_tls_against_a_plain_server_is_no_hang(tmp_path: Path) -> None:
    with (
        receiver(lambda peer: peer.raw(b"no TLS")) as server,
        sink(server.address, tls={}) as forward,
        pytest.raises(SinkBlockedError, match="TLS"),
    ):
        forward.write(documents())
    with pytest.raises(ConfigError, match=r"^sinks\.forward\.tls\.ca: cannot be read"):
        open_sink(fluentd_options("a:1", tls={"ca": str(tmp_path / "none")}), CONTEXT)


def test_check_sends_nothing() -> None:
    with receiver(silent) as server:
        found = check_sink(fluentd_options(server.address), CONTEXT)

    assert found == f"{server.address}: connected over plain TCP, no login"
    assert server.messages == []


def test_check_says_which_server_fails() -> None:
    nobody = f"127.0.0.1:{free_port()}"

    with receiver(silent) as server:
        found = check_sink(fluentd_options(nobody, server.address), CONTEXT)
    with pytest.raises(SinkUnavailableError, match=nobody):
        check_sink(fluentd_options(nobody), CONTEXT)

    assert f"{nobody}: cannot connect: Connection refused" in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a.example", ("a.example", 24224), id="name"),
        pytest.param("a.example:1", ("a.example", 1), id="port"),
        pytest.param("[::1]:65535", ("::1", 65535), id="ipv6-port"),
        pytest.param("[::1]", ("::1", 24224), id="ipv6"),
        pytest.param("::1", ("::1", 24224), id="bare-ipv6"),
    ],
)
def test_addresses_are_read(text: str, expected: tuple[str, int]) -> None:
    server = Server.parse(text)

    assert server == expected
    assert Server.parse(str(server)) == server


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        pytest.param({"servers": []}, "at least 1 needed", id="no-server"),
        pytest.param({"servers": ["a:b"]}, "'a:b' has no port", id="port"),
        pytest.param({"servers": ["a:0"]}, "'a:0' has no port", id="port-zero"),
        pytest.param({"servers": ["a:"]}, "'a:' is no address", id="port-empty"),
        pytest.param({"servers": ["tcp://a:1"]}, "is no address", id="url"),
        pytest.param({"servers": ["[::1"]}, "is no address", id="bracket"),
        pytest.param({"servers": ["a..b"]}, "holds no host name", id="name"),
        pytest.param({"tag": "a b"}, "tag 'a b' has characters", id="tag"),
        pytest.param({"tag": ""}, "tag '' has characters", id="no-tag"),
        pytest.param({"username": "u"}, "go together", id="no-password"),
        pytest.param({"username": "u", "password": "p"}, "needs a 'shared_key'", id="no-key"),
        pytest.param({"tls": {"key": "k"}}, "without 'cert'", id="no-cert"),
        pytest.param({"compress": "zstd"}, "unknown value 'zstd'", id="compress"),
    ],
)
def test_what_could_never_work_is_refused_at_start(table: Any, problem: str) -> None:
    problems: list[str] = []

    parse(FluentdOptions, {"servers": ["a"]} | table, "sinks.forward", problems)

    assert len(problems) == 1
    assert problems[0].startswith("sinks.forward")
    assert problem in problems[0]


def test_the_plugin_offers_the_sink() -> None:
    [spec] = sink_specs()

    assert (spec.kind, spec.options, spec.open) == ("fluentd", FluentdOptions, open_sink)
