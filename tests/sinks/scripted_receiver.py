"""A Forward receiver that does what a test tells it, also what no real one would admit to."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgpack

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    Script = Callable[["Peer"], None]

PATIENCE = 20.0


class Message(NamedTuple):
    """One PackedForward message."""

    tag: str
    entries: bytes
    option: dict[str, Any]

    @property
    def records(self) -> list[Any]:
        """The records of an uncompressed message."""
        unpacker = msgpack.Unpacker()
        unpacker.feed(self.entries)
        return [record for _, record in unpacker]


@dataclass(slots=True)
class Peer:
    """One connection, seen from the receiver."""

    connection: socket.socket
    messages: list[Message]
    unpacker: Any = field(default_factory=msgpack.Unpacker)

    def read(self) -> Any:
        """Return the next MessagePack value, or None when the client is gone."""
        while True:
            value = next(self.unpacker, None)
            if value is not None:
                return value
            try:
                data = self.connection.recv(65_536)
            except ConnectionError:
                return None
            if not data:
                return None
            self.unpacker.feed(data)

    def message(self) -> Message | None:
        """Return the next message and remember it."""
        value = self.read()
        if value is None:
            return None
        message = Message(*value)
        self.messages.append(message)
        return message

    def say(self, value: Any) -> None:
        """Send a value."""
        self.raw(msgpack.packb(value))

    def raw(self, data: bytes) -> None:
        """Send bytes as one packet."""
        with suppress(ConnectionError):
            self.connection.sendall(data)

    def ack(self, message: Message) -> None:
        """Acknowledge a message."""
        self.say({"ack": message.option["chunk"]})

    def ack_all(self) -> None:
        """Acknowledge everything until the client goes."""
        while message := self.message():
            self.ack(message)

    def wait_for_end(self) -> None:
        """Take messages, say nothing, until the client goes."""
        while self.message():
            pass

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()


@dataclass(slots=True)
class Receiver:
    """What the test sees of it.

    Attributes:
        messages: Every whole message of every connection.
        connections: How many were accepted.
    """

    address: str
    messages: list[Message] = field(default_factory=list)
    connections: int = 0

    @property
    def chunks(self) -> list[str]:
        """The chunk ids, in the order of arrival."""
        return [message.option["chunk"] for message in self.messages]


@contextmanager
def receiver(
    *scripts: Script, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    """Run a receiver: the first connection follows the first script, and so on.

    Connections beyond the last script follow it too; those that fail in TLS follow none.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)
    port = listener.getsockname()[1]
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    server = Receiver(address)
    thread = threading.Thread(target=_serve, args=(listener, server, scripts, tls), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        # A listening socket that is closed does not wake accept; one shut down does.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the script has not ended: was the client closed?"


def _serve(
    listener: socket.socket,
    server: Receiver,
    scripts: tuple[Script, ...],
    tls: ssl.SSLContext | None,
) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.settimeout(PATIENCE)
        if tls:
            try:
                connection = tls.wrap_socket(connection, server_side=True)
            except OSError:
                connection.close()
                continue
        script = scripts[min(server.connections, len(scripts) - 1)]
        server.connections += 1
        with connection:
            script(Peer(connection, server.messages))
