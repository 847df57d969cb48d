from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from cloudfront_ecs.batches import Document, WriteResult
from cloudfront_ecs.errors import SinkBlockedError, SinkUnavailableError
from servers.process import free_port
from sinks.forward_parts import SIZE, ack_all, documents, silent, sink
from sinks.scripted_receiver import Peer, receiver


def acks(count: int) -> Any:
    """Return a script that acknowledges *count* chunks and closes."""

    def script(peer: Peer) -> None:
        for _ in range(count):
            message = peer.message()
            assert message
            peer.ack(message)

    return script


def answers(*values: Any) -> Any:
    """Return a script that gives wrong answers, one for each chunk."""

    def script(peer: Peer) -> None:
        for value in values:
            peer.message()
            peer.raw(value) if isinstance(value, bytes) else peer.say(value)
        peer.wait_for_end()

    return script


def reset_after_message(peer: Peer) -> None:
    peer.message()
    peer.reset()


def test_a_batch_is_acked_chunk_by_chunk() -> None:
    batch = documents()

    with receiver(ack_all) as server, sink(server.address) as forward:
        result = forward.write(batch)

    assert result == WriteResult(acked=SIZE)
    assert len(server.messages) == 3
    assert len(set(server.chunks)) == 3


def test_nothing_is_connected_before_the_first_document() -> None:
    with receiver(ack_all) as server, sink(server.address) as forward:
        result = forward.write([])

    assert result == WriteResult()
    assert server.connections == 0


def test_one_connection_serves_many_batches() -> None:
    with receiver(ack_all) as server, sink(server.address) as forward:
        for _ in range(5):
            forward.write(documents())

    assert server.connections == 1


def test_chunks_are_sent_ahead_of_their_acks() -> None:
    def late(peer: Peer) -> None:
        messages = [peer.message() for _ in range(8)]
        peer.raw(b"".join(b"\x81\xa3ack\xb8" + m.option["chunk"].encode() for m in messages if m))
        peer.ack_all()

    with receiver(late) as server, sink(server.address) as forward:
        result = forward.write(documents(48))

    assert result == WriteResult(acked=48)


def test_an_ack_may_come_byte_by_byte() -> None:
    def slow(peer: Peer) -> None:
        message = peer.message()
        assert message
        for byte in b"\x81\xa3ack\xb8" + message.option["chunk"].encode():
            peer.raw(bytes([byte]))
            time.sleep(0.005)
        peer.wait_for_end()

    with receiver(slow) as server, sink(server.address) as forward:
        result = forward.write(documents(1))

    assert result == WriteResult(acked=1)


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        pytest.param(answers({}), "not the ack expected", id="empty"),
        pytest.param(answers({"ack": "AAECAwQFBgcICQoLDA0ODw=="}), "not the ack", id="wrong"),
        pytest.param(answers(b"HTTP/1.1 400"), "not the ack", id="http"),
        pytest.param(answers(b"\xc1"), "not in MessagePack", id="no-msgpack"),
        pytest.param(answers(b"\xdb\xff\xff\xff\xff" + b"x" * 70_000), "without end", id="endless"),
        pytest.param(answers(b"\x81\xa3ack\xb8AAEC"), "no ack within 0.5 s", id="half"),
        pytest.param(silent, "no ack within 0.5 s", id="none"),
        pytest.param(acks(0), "connection", id="closed"),
        pytest.param(reset_after_message, "connection|sending failed", id="reset"),
    ],
)
def test_without_its_ack_nothing_is_taken(script: Any, problem: str) -> None:
    batch = documents(4)

    with receiver(script, ack_all) as server, sink(server.address, ack_timeout=0.5) as forward:
        with pytest.raises(SinkUnavailableError, match=problem) as caught:
            forward.write(batch)
        result = forward.write(batch)

    assert not isinstance(caught.value, SinkBlockedError)
    assert str(caught.value).startswith(f"{server.address}: ")
    assert result == WriteResult(acked=4)
    assert server.connections == 2
    assert len(set(server.chunks)) == 1


@pytest.mark.parametrize("taken", [1, 2])
def test_unacknowledged_documents_are_offered_again_under_the_same_ids(taken: int) -> None:
    batch = documents()

    with receiver(acks(taken), ack_all) as server, sink(server.address) as forward:
        first = forward.write(batch)
        second = forward.write(first.retry)

    assert first == WriteResult(acked=4 * taken, retry=tuple(batch[4 * taken :]))
    assert second == WriteResult(acked=SIZE - 4 * taken)
    assert len(set(server.chunks)) == 3


def test_an_ack_out_of_order_drops_the_connection() -> None:
    def swapped(peer: Peer) -> None:
        first, second = peer.message(), peer.message()
        assert first
        assert second
        peer.ack(second)
        peer.ack(first)
        peer.wait_for_end()

    with receiver(swapped, ack_all) as server, sink(server.address) as forward:
        with pytest.raises(SinkUnavailableError, match="not the ack expected"):
            forward.write(documents())
        forward.write(documents())

    assert server.connections == 2


def test_a_late_ack_of_a_dropped_connection_is_never_seen() -> None:
    def late(peer: Peer) -> None:
        message = peer.message()
        assert message
        time.sleep(0.6)
        peer.ack(message)

    with (
        receiver(late, acks(1), ack_all) as server,
        sink(server.address, ack_timeout=0.3) as forward,
    ):
        with pytest.raises(SinkUnavailableError, match="no ack within"):
            forward.write(documents(4))
        result = forward.write(documents(4))

    assert result == WriteResult(acked=4)


def test_a_reset_in_mid_chunk_costs_only_a_retry() -> None:
    def cut(peer: Peer) -> None:
        peer.connection.recv(100)
        peer.reset()

    batch = [Document("a", "d", 1, {"text": "x" * 8_000_000})]

    with receiver(cut, ack_all) as server, sink(server.address) as forward:
        with pytest.raises(SinkUnavailableError, match=r"sending failed|connection lost"):
            forward.write(batch)
        result = forward.write(batch)

    assert result == WriteResult(acked=1)
    assert len(server.messages) == 1


def test_rejected_documents_do_not_stop_the_others() -> None:
    batch = documents()
    batch[5].body = {"text": "\udc80"}

    with receiver(ack_all) as server, sink(server.address) as forward:
        result = forward.write(batch)

    assert result.acked == SIZE - 1
    assert [rejection.document for rejection in result.rejected] == [batch[5]]
    assert result.total == SIZE


def test_rejections_are_counted_when_the_connection_breaks_before_them() -> None:
    batch = documents()
    batch[-1].time_ns = -1

    with receiver(acks(1)) as server, sink(server.address) as forward:
        result = forward.write(batch)

    assert (result.acked, len(result.retry), len(result.rejected)) == (4, 7, 1)


def test_an_idle_connection_that_was_closed_is_replaced_before_sending() -> None:
    with receiver(acks(1), ack_all) as server, sink(server.address) as forward:
        forward.write(documents(4))
        time.sleep(0.1)
        result = forward.write(documents(4))

    assert result == WriteResult(acked=4)
    assert server.connections == 2


def test_without_acks_a_batch_ends_when_it_is_sent() -> None:
    with receiver(silent) as server, sink(server.address, require_ack=False) as forward:
        result = forward.write(documents())

    assert result == WriteResult(acked=SIZE)
    assert [message.option for message in server.messages] == [{"size": 4}] * 3


def test_the_next_server_is_used_and_kept() -> None:
    nobody = f"127.0.0.1:{free_port()}"

    with receiver(ack_all) as server, sink(nobody, server.address) as forward:
        results = [forward.write(documents()) for _ in range(3)]

    assert results == [WriteResult(acked=SIZE)] * 3
    assert server.connections == 1


def test_a_server_that_takes_nothing_gives_way_to_the_next() -> None:
    with (
        receiver(silent) as deaf,
        receiver(ack_all) as server,
        sink(deaf.address, server.address, ack_timeout=0.3) as forward,
    ):
        with pytest.raises(SinkUnavailableError, match="no ack"):
            forward.write(documents())
        result = forward.write(documents())

    assert result == WriteResult(acked=SIZE)


def test_all_servers_are_named_when_none_answers() -> None:
    servers = [f"127.0.0.1:{free_port()}" for _ in range(2)]

    with sink(*servers) as forward, pytest.raises(SinkUnavailableError) as caught:
        forward.write(documents())

    assert all(server in str(caught.value) for server in servers)
    assert "Connection refused" in str(caught.value)


def test_ipv6_is_spoken() -> None:
    with receiver(ack_all, host="::1") as server, sink(server.address) as forward:
        assert forward.write(documents()) == WriteResult(acked=SIZE)


def test_what_could_not_be_sent_is_not_counted_without_acks() -> None:
    def cut(peer: Peer) -> None:
        peer.connection.recv(100)
        peer.reset()

    batch = [Document("a", "d", 1, {"text": "x" * 8_000_000})]

    with receiver(cut, silent) as server, sink(server.address, require_ack=False) as forward:
        with pytest.raises(SinkUnavailableError, match="sending failed"):
            forward.write(batch)
        result = forward.write(batch)

    assert result == WriteResult(acked=1)


def test_acks_that_came_before_a_broken_connection_count() -> None:
    batch = [*documents(4), Document("a", "d", 1, {"text": "x" * 8_000_000})]

    def cut(peer: Peer) -> None:
        message = peer.message()
        assert message
        peer.ack(message)
        peer.connection.shutdown(socket.SHUT_RD)

    with receiver(cut) as server, sink(server.address) as forward:
        result = forward.write(batch)

    assert result == WriteResult(acked=4, retry=(batch[4],))
