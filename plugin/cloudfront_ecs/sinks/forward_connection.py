"""Connections to Forward receivers: sockets, TLS, the handshake on the wire, answers.

Whatever goes wrong leaves this module as one of two errors, with the receiver's address in
front: ``SinkUnavailableError`` when waiting may help, ``SinkBlockedError`` when somebody
has to change something.
"""

from __future__ import annotations

import secrets
import socket
import ssl
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgpack

from cloudfront_ecs.errors import SinkBlockedError, SinkUnavailableError
from cloudfront_ecs.failpoints import sending
from cloudfront_ecs.sinks.forward import ping, read_hello, read_pong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs.sinks.forward import Credentials, Hello

DEFAULT_PORT = 24224
FAREWELL = 1.0  # seconds to wait for the other side to end TLS
LARGEST_ANSWER = 65_536  # an ack has 30 bytes, a HELO 64
LARGEST_PORT = 65_535

_NOTHING = object()


class Server(NamedTuple):
    """Where a receiver listens."""

    host: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        """Return the address as it is written in the configuration."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Server:
        """Read ``host``, ``host:port``, ``[::1]:port`` or ``::1``.

        Raises:
            ValueError: It is none of these.
        """
        host, port = text, ""
        if text.startswith("["):
            host, bracket, port = text[1:].partition("]")
            if not bracket or (port and not port.startswith(":")):
                raise ValueError(f"{text!r} is no address (expected '[::1]:{DEFAULT_PORT}')")
            port = port.removeprefix(":")
        elif text.count(":") == 1:
            host, _, port = text.partition(":")
        if not host or "/" in host or (text.endswith(":") and text.count(":") == 1):
            raise ValueError(f"{text!r} is no address (expected 'host:{DEFAULT_PORT}')")
        try:
            host.encode("idna")
        except UnicodeError as error:
            raise ValueError(f"{text!r} holds no host name") from error
        if not port:
            return cls(host)
        if not (port.isascii() and port.isdigit() and 0 < int(port) <= LARGEST_PORT):
            raise ValueError(f"{text!r} has no port between 1 and {LARGEST_PORT}")
        return cls(host, int(port))


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How to connect.

    Attributes:
        tls: None for plain TCP.
        credentials: None for a receiver that asks for no shared key.
        timeout: Seconds for each step until the connection can be used.
    """

    tls: ssl.SSLContext | None = None
    credentials: Credentials | None = None
    timeout: float = 10.0


class Connection:
    """One open connection, handshake done.

    Attributes:
        server: The other end.
        name: What the receiver calls itself; empty without a handshake.
        keepalive: Whether it may serve more than one chunk.
    """

    def __init__(self, server: Server, terms: Terms) -> None:
        """Connect, agree on TLS and shake hands.

        Raises:
            SinkUnavailableError: Nobody answers.
            SinkBlockedError: Certificate, TLS, shared key or user is refused.
        """
        self.server = server
        self.name = ""
        self.keepalive = True
        # A Fluent Bit nonce is a str of raw bytes, which only the raw mode can read.
        self._answers = msgpack.Unpacker(
            raw=True, strict_map_key=False, max_buffer_size=LARGEST_ANSWER
        )
        with self._errors_named("cannot connect"):
            self._socket = socket.create_connection(server, terms.timeout)
        try:
            with self._errors_named("cannot connect"):
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if terms.tls:
                self._start_tls(terms.tls)
            if terms.credentials:
                self._shake_hands(terms.credentials, terms.timeout)
        except BaseException:
            self.abandon()
            raise

    @property
    def tls_version(self) -> str | None:
        """The TLS version agreed on, or None on plain TCP."""
        return self._socket.version() if isinstance(self._socket, ssl.SSLSocket) else None

    def send(self, message: bytes, timeout: float) -> None:
        """Give all of *message* to the kernel."""
        with self._errors_named("sending failed", f"took no more bytes within {timeout:g} s"):
            self._socket.settimeout(timeout)
            for part in sending(message):
                self._socket.sendall(part)

    def answer(self, timeout: float) -> object:
        """Return the next answer, its text as bytes, however it is cut into packets.

        Raises:
            SinkUnavailableError: None came, or something that is no answer.
            SinkBlockedError: The receiver wants a handshake first.
        """
        with self._errors_named("connection lost", f"no ack within {timeout:g} s"):
            try:
                message = self._receive(timeout)
            except EOFError:
                raise self._unavailable("closed the connection without an ack") from None
        self._refuse_greeting(message)
        return message

    def expect_silence(self, seconds: float) -> None:
        """Make sure that the receiver does not greet: one with a shared key speaks first.

        Raises:
            SinkBlockedError: It does greet.
            SinkUnavailableError: It closed the connection.
        """
        with self._errors_named("connection lost"):
            try:
                message = self._receive(seconds)
            except TimeoutError:
                return
            except EOFError:
                raise self._unavailable("closed the connection at once") from None
        self._refuse_greeting(message)
        raise self._unavailable("speaks first, but not the Forward protocol")

    def usable(self) -> bool:
        """Say whether an idle connection still stands and nothing unexpected has come."""
        try:
            self._socket.settimeout(0)
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """End the connection in order: without close_notify Fluentd logs a warning."""
        with suppress(OSError, ValueError):
            self._socket.settimeout(FAREWELL)
            if isinstance(self._socket, ssl.SSLSocket):
                self._socket = self._socket.unwrap()
            self._socket.shutdown(socket.SHUT_RDWR)
        self.abandon()

    def abandon(self) -> None:
        """Drop the connection as it is."""
        self._socket.close()

    def _start_tls(self, context: ssl.SSLContext) -> None:
        try:
            with self._errors_named("TLS failed", "no TLS handshake (does it speak TLS?)"):
                self._socket = context.wrap_socket(self._socket, server_hostname=self.server.host)
        except SinkBlockedError:
            raise
        except SinkUnavailableError as error:
            # A receiver of plain Forward takes the ClientHello for noise and hangs up.
            if isinstance(error.__cause__, ssl.SSLError):
                raise SinkBlockedError(f"{error} (does it speak TLS 1.2 or later?)") from error
            raise

    def _shake_hands(self, credentials: Credentials, timeout: float) -> None:
        hello = self._greeting(timeout)
        salt = secrets.token_hex(16)
        self.send(ping(hello, credentials, salt), timeout)
        with self._errors_named("handshake failed", "no PONG"):
            try:
                pong = self._receive(timeout)
            except (EOFError, ConnectionError):
                # Fluent Bit closes without a word; a reset can overtake Fluentd's refusal.
                raise self._blocked(
                    "authentication failed: closed after PING (is shared_key right?)"
                ) from None
        try:
            self.name = read_pong(pong, hello, credentials, salt)
        except ValueError as error:
            raise self._blocked(str(error)) from None
        self.keepalive = hello.keepalive

    def _greeting(self, timeout: float) -> Hello:
        hint = "has the receiver a security section? if not, remove shared_key"
        with self._errors_named("handshake failed"):
            try:
                hello = read_hello(self._receive(timeout))
            except TimeoutError:
                raise self._blocked(f"no HELO within {timeout:g} s ({hint})") from None
            except EOFError:
                raise self._unavailable("closed the connection before HELO") from None
        if hello is None:
            raise self._blocked(f"speaks first, but not HELO ({hint})")
        return hello

    def _receive(self, timeout: float) -> Any:
        """Return the next whole message, or raise TimeoutError, EOFError or OSError."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                message = next(self._answers, _NOTHING)
            except (ValueError, TypeError, msgpack.UnpackException):
                raise self._unavailable("answers, but not in MessagePack") from None
            if message is not _NOTHING:
                return message
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self._socket.recv(LARGEST_ANSWER)
            if not data:
                raise EOFError
            try:
                self._answers.feed(data)
            except msgpack.BufferFull:
                raise self._unavailable("answers without end") from None

    def _refuse_greeting(self, message: object) -> None:
        if isinstance(message, list) and message[:1] in ([b"HELO"], [b"PONG"]):
            raise self._blocked("receiver demands a handshake (set shared_key)")

    @contextmanager
    def _errors_named(self, what: str, late: str | None = None) -> Iterator[None]:
        """Turn every error of the socket into one of ours."""
        try:
            yield
        except TimeoutError as error:
            raise self._unavailable(late or f"{what}: timed out") from error
        except ssl.SSLCertVerificationError as error:
            hint = "set tls.ca, or correct the name in servers"
            raise self._blocked(f"certificate refused: {error.verify_message} ({hint})") from error
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise self._unavailable(f"{what}: closed during TLS") from error
        except ssl.SSLError as error:
            reason = error.reason or "unknown error"
            readable = reason.replace("_", " ").lower()
            if "ALERT" in reason:  # sent by the receiver, such as CERTIFICATE_REQUIRED
                raise self._blocked(f"receiver refused TLS: {readable}") from error
            raise self._unavailable(f"{what}: {readable}") from error
        except OSError as error:
            raise self._unavailable(f"{what}: {error.strerror or error}") from error

    def _unavailable(self, problem: str) -> SinkUnavailableError:
        return SinkUnavailableError(f"{self.server}: {problem}")

    def _blocked(self, problem: str) -> SinkBlockedError:
        return SinkBlockedError(f"{self.server}: {problem}")
