"""The ``fluentd`` sink: documents to Forward receivers, acknowledged chunk by chunk.

An ack means that the receiver took the chunk into its own buffer, not that it is stored
anywhere.  fluent-logger has no acks; ``cloudfront_ecs.sinks.forward`` says what of it is
used.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections import deque
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from cloudfront_ecs.adapters import SinkSpec
from cloudfront_ecs.batches import Rejection, WriteResult
from cloudfront_ecs.errors import ConfigError, SinkBlockedError, SinkUnavailableError
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.options import Secret, option
from cloudfront_ecs.sinks.forward import TAG, Chunk, Compression, Credentials, Packer, acknowledged
from cloudfront_ecs.sinks.forward_connection import Connection, Server, Terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Document

log = logging.getLogger(__name__)

IN_FLIGHT = 8
"""Chunks on the way before the first of their acks is read."""

GREETING_WAIT = 0.5
"""Seconds in which a receiver that demands a handshake has begun it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """TLS of the ``fluentd`` sink; the table may be empty."""

    ca: str | None = option(None, doc="PEM file to trust; else the system's authorities.")
    cert: str | None = option(None, doc="PEM file with our certificate, if one is asked for.")
    key: str | None = option(None, doc="PEM file with its private key; else in `cert`.")
    verify: bool = option(default=True, doc="Check the receiver's certificate and name.")

    def __post_init__(self) -> None:
        """Refuse a key that belongs to nothing."""
        if self.key and not self.cert:
            raise ValueError("'key' is of no use without 'cert'")


@dataclass(frozen=True, slots=True, kw_only=True)
class FluentdOptions:
    """Options of the ``fluentd`` sink."""

    servers: tuple[str, ...] = option(
        doc="Addresses, host:port; the next one is used when one fails.",
        least=1,
        example='["127.0.0.1:24224"]',
    )
    tag: str = option("cloudfront", doc="Tag; {dataset} stands for the document's dataset.")
    require_ack: bool = option(
        default=True,
        doc="Wait until the receiver has taken each chunk. Without, documents count as acked "
        "once this machine has sent them, and are lost when the connection breaks.",
    )
    ack_timeout: float = option(60.0, doc="Seconds to wait for an ack.", least=0.1, most=3600)
    connect_timeout: float = option(
        10.0, doc="Seconds for connecting, and for each step of a handshake.", least=0.1, most=300
    )
    compress: Compression = option("none", doc="Compression of chunks.")
    chunk_bytes: int = option(
        1_048_576,
        doc="Most bytes in a chunk before compression; Fluent Bit takes no more than 6144000.",
        least=1024,
        most=4_194_304,
    )
    shared_key: Secret | None = option(None, doc="Shared key of a receiver that asks for one.")
    username: str | None = option(None, doc="User name, together with `password`.")
    password: Secret | None = option(None, doc="Password of that user.")
    client_hostname: str | None = option(
        None,
        doc="Our name in the handshake, different from the receiver's; "
        "else cloudfront-ecs. and this machine's name.",
    )
    tls: TlsOptions | None = option(None, doc="TLS; plain TCP without this table.")

    def __post_init__(self) -> None:
        """Refuse what could never work."""
        for server in self.servers:
            Server.parse(server)
        if not TAG.fullmatch(self.tag.replace("{dataset}", "x")):
            raise ValueError(
                f"tag {self.tag!r} has characters other than A-Z a-z 0-9 _ . - and {{dataset}}"
            )
        if bool(self.username) != bool(self.password):
            raise ValueError("'username' and 'password' go together")
        if self.username and not self.shared_key:
            raise ValueError("'username' needs a 'shared_key': the protocol has no other login")


class FluentdSink:
    """Sends chunks over one connection, several ahead of their acks.

    A server is kept as long as it works.  When it fails, what it has not acknowledged is
    offered again, by the pipeline and under the same chunk ids, to the next server; that
    one may get documents that the first had taken without a word.
    """

    def __init__(self, options: FluentdOptions, terms: Terms) -> None:
        """Prepare; nothing is connected before the first document."""
        self._servers = deque(Server.parse(server) for server in options.servers)
        self._terms = terms
        self._require_ack = options.require_ack
        self._ack_timeout = options.ack_timeout
        self._packer = Packer(
            tag=options.tag,
            chunk_bytes=options.chunk_bytes,
            compress=options.compress,
            require_ack=options.require_ack,
        )
        self._connection: Connection | None = None

    def write(self, documents: Sequence[Document]) -> WriteResult:
        """Send *documents* and wait for their acks."""
        rejected: list[Rejection] = []
        chunks = self._packer.chunks(documents, rejected)
        in_flight: deque[Chunk] = deque()
        acked = 0
        try:
            for chunk in chunks:
                in_flight.append(chunk)  # before sending: half a message may have arrived
                acked += self._send(in_flight)
            while in_flight:
                acked += self._settle_oldest(in_flight)
        except SinkUnavailableError as error:
            self._fail_over()
            if not acked:
                raise
            retry = tuple(_documents(chain(in_flight, chunks)))
            log.warning("%s; %d documents are offered again", error, len(retry))
            return WriteResult(acked=acked, retry=retry, rejected=tuple(rejected))
        except BaseException:
            self._fail_over()  # it may hold half a message
            raise
        return WriteResult(acked=acked, rejected=tuple(rejected))

    def close(self) -> None:
        """Disconnect.  Safe to call twice."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _send(self, in_flight: deque[Chunk]) -> int:
        """Send the newest chunk; return how many documents ended meanwhile."""
        connection = self._connected(idle=len(in_flight) == 1)
        connection.send(in_flight[-1].message, self._ack_timeout)
        allowed = IN_FLIGHT if connection.keepalive and self._require_ack else 1
        return self._settle_oldest(in_flight) if len(in_flight) >= allowed else 0

    def _settle_oldest(self, in_flight: deque[Chunk]) -> int:
        """Wait for the oldest ack, where one is asked for, and return its documents' count."""
        connection = self._connection
        assert connection is not None
        if self._require_ack:
            answer = connection.answer(self._ack_timeout)
            # Only the ack that is due will do: with any other one, nobody knows any more
            # which chunk an answer belongs to.
            if acknowledged(answer) != in_flight[0].id:
                raise SinkUnavailableError(f"{connection.server}: answer is not the ack expected")
        if not connection.keepalive:
            self.close()
        return len(in_flight.popleft().documents)

    def _connected(self, *, idle: bool) -> Connection:
        """Return the open connection, or a new one when an *idle* one has been closed."""
        if self._connection and idle and not self._connection.usable():
            log.debug("%s: idle connection was closed", self._connection.server)
            self._connection.abandon()
            self._connection = None
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> Connection:
        """Connect to the first server that lets us."""
        problems: list[SinkUnavailableError] = []
        for _ in range(len(self._servers)):
            try:
                connection = Connection(self._servers[0], self._terms)
                if not (self._terms.credentials or self._require_ack):
                    # Nobody would read the refusal, and every document would be lost.
                    _expect_silence(connection)
            except SinkUnavailableError as error:
                problems.append(error)
                self._servers.rotate(-1)
                continue
            for problem in problems:
                log.warning("%s; using %s", problem, connection.server)
            return connection
        raise _together(problems)

    def _fail_over(self) -> None:
        """Drop the connection, if one is open, and begin with the next server next time."""
        if self._connection:
            self._connection.abandon()
            self._connection = None
            self._servers.rotate(-1)


def _documents(chunks: Iterable[Chunk]) -> Iterable[Document]:
    return chain.from_iterable(chunk.documents for chunk in chunks)


def _expect_silence(connection: Connection) -> None:
    try:
        connection.expect_silence(GREETING_WAIT)
    except BaseException:
        connection.abandon()
        raise


def _together(problems: Sequence[SinkUnavailableError]) -> SinkUnavailableError:
    """Return one error for several servers: blocked only when all of them are."""
    blocked = all(isinstance(problem, SinkBlockedError) for problem in problems)
    kind = SinkBlockedError if blocked else SinkUnavailableError
    return kind("; ".join(str(problem) for problem in problems))


def _terms(options: FluentdOptions, context: AdapterContext) -> Terms:
    credentials = None
    if options.shared_key:
        credentials = Credentials(
            hostname=options.client_hostname or f"cloudfront-ecs.{socket.gethostname()}",
            shared_key=options.shared_key,
            username=options.username or "",
            password=options.password,
        )
    tls = _tls_context(options.tls, f"sinks.{context.name}.tls") if options.tls else None
    return Terms(tls=tls, credentials=credentials, timeout=options.connect_timeout)


def _tls_context(options: TlsOptions, place: str) -> ssl.SSLContext:
    try:
        tls = ssl.create_default_context(cafile=options.ca)
    except OSError as error:
        raise ConfigError(f"{place}.ca: cannot be read: {options.ca!r}: {error}") from error
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    if not options.verify:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if options.cert:
        try:
            # An encrypted key would ask for its password on the terminal.
            tls.load_cert_chain(options.cert, options.key, password=lambda: "")
        except OSError as error:
            raise ConfigError(f"{place}.cert: cannot be read: {options.cert!r}: {error}") from error
    return tls


def open_sink(options: FluentdOptions, context: AdapterContext) -> FluentdSink:
    """Return a sink that is not connected yet."""
    return FluentdSink(options, _terms(options, context))


def check_sink(options: FluentdOptions, context: AdapterContext) -> str:
    """Connect to every server, shake hands, send nothing, and say what was found.

    Raises:
        SinkUnavailableError: Not one server can be used.
    """
    terms = _terms(options, context)
    found: list[str] = []
    problems: list[SinkUnavailableError] = []
    for server in map(Server.parse, options.servers):
        try:
            connection = Connection(server, terms)
            if not terms.credentials:
                _expect_silence(connection)
        except SinkUnavailableError as error:
            problems.append(error)
            continue
        transport = connection.tls_version or "plain TCP"
        login = f"shared key accepted by {connection.name!r}" if connection.name else "no login"
        found.append(f"{server}: connected over {transport}, {login}")
        connection.close()
    if not found:
        raise _together(problems)
    return "; ".join([*found, *map(str, problems)])


@hookimpl
def sink_specs() -> Iterable[SinkSpec]:
    """Offer the ``fluentd`` sink."""
    summary = "Send to Fluentd, Fluent Bit and other Forward receivers, with acks."
    return [SinkSpec("fluentd", summary, FluentdOptions, open_sink, check_sink)]
