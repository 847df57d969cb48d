"""The ``fluentd`` sink: documents to Forward receivers, acknowledged chunk by chunk.

An ack means that the receiver took the chunk into its own buffer, not that it is stored
anywhere.  fluent-logger has no acks; ``cloudfront_ecs.sinks.forward`` says what of it is
used.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudfront_ecs.adapters import SinkSpec
from cloudfront_ecs.batches import WriteResult
from cloudfront_ecs.errors import SinkBlockedError, SinkUnavailableError
from cloudfront_ecs.failpoints import reach
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.sinks.fluentd_options import FluentdOptions, connection_terms
from cloudfront_ecs.sinks.forward import Packer, acknowledged
from cloudfront_ecs.sinks.forward_connection import Connection, Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Document, Rejection
    from cloudfront_ecs.sinks.forward import Chunk
    from cloudfront_ecs.sinks.forward_connection import Terms

log = logging.getLogger(__name__)

IN_FLIGHT = 8
"""Chunks on the way before the first of their acks is read."""

GREETING_WAIT = 0.5
"""Seconds in which a receiver that demands a handshake has begun it."""

GLANCE = 0.1
"""The same where acks would show it later, only less clearly."""


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
        sent = _Sent()
        try:
            for chunk in chunks:
                sent.in_flight.append(chunk)  # before sending: half of it may have arrived
                self._send(chunk, sent)
            while sent.in_flight:
                self._settle_oldest(sent, self._ack_timeout)
        except SinkUnavailableError as error:
            self._fail_over()
            if not sent.acked:
                raise
            retry = tuple(doc for chunk in (*sent.in_flight, *chunks) for doc in chunk.documents)
            log.warning("%s; %d documents are offered again", error, len(retry))
            return WriteResult(acked=sent.acked, retry=retry, rejected=tuple(rejected))
        except BaseException:
            self._fail_over()  # it may hold half a message
            raise
        return WriteResult(acked=sent.acked, rejected=tuple(rejected))

    def close(self) -> None:
        """Disconnect.  Safe to call twice."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _send(self, chunk: Chunk, sent: _Sent) -> None:
        """Send a chunk, and wait for the oldest ack when too many are due."""
        connection = self._connected(idle=len(sent.in_flight) == 1)
        try:
            connection.send(chunk.message, self._ack_timeout)
        except SinkUnavailableError:
            if self._require_ack:
                self._settle_what_is_there(sent)
            raise
        allowed = IN_FLIGHT if connection.keepalive and self._require_ack else 1
        if len(sent.in_flight) >= allowed:
            self._settle_oldest(sent, self._ack_timeout)

    def _settle_oldest(self, sent: _Sent, timeout: float) -> None:
        """Wait for the oldest ack, where acks are asked for."""
        connection = self._connection
        assert connection is not None
        if self._require_ack:
            answer = connection.answer(timeout)
            reach("answered")
            # Only the ack that is due will do: with any other one, nobody knows any more
            # which chunk an answer belongs to.
            if acknowledged(answer) != sent.in_flight[0].id:
                raise SinkUnavailableError(f"{connection.server}: answer is not the ack expected")
        sent.acked += len(sent.in_flight.popleft().documents)
        if sent.in_flight:
            reach("half_counted")
        if not connection.keepalive:
            self.close()

    def _settle_what_is_there(self, sent: _Sent) -> None:
        """Read what the receiver said before it stopped listening: acks, or why it did."""
        try:
            while sent.in_flight:
                self._settle_oldest(sent, timeout=0)
        except SinkBlockedError:
            raise
        except SinkUnavailableError as error:
            log.debug("no more acks: %s", error)

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
                if not self._terms.credentials:
                    # Without acks nobody reads a refusal: every document would be lost.
                    wait = GLANCE if self._require_ack else GREETING_WAIT
                    _expect_silence(connection, wait)
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


@dataclass(slots=True)
class _Sent:
    """How far one batch has come."""

    in_flight: deque[Chunk] = field(default_factory=deque)
    acked: int = 0


def _expect_silence(connection: Connection, seconds: float) -> None:
    try:
        connection.expect_silence(seconds)
    except BaseException:
        connection.abandon()
        raise


def _together(problems: Sequence[SinkUnavailableError]) -> SinkUnavailableError:
    """Return one error for several servers: blocked only when all of them are."""
    blocked = all(isinstance(problem, SinkBlockedError) for problem in problems)
    kind = SinkBlockedError if blocked else SinkUnavailableError
    return kind("; ".join(str(problem) for problem in problems))


def open_sink(options: FluentdOptions, context: AdapterContext) -> FluentdSink:
    """Return a sink that is not connected yet."""
    return FluentdSink(options, connection_terms(options, context))


def check_sink(options: FluentdOptions, context: AdapterContext) -> str:
    """Connect to every server, shake hands, send nothing, and say what was found.

    Raises:
        SinkUnavailableError: Not one server can be used.
    """
    terms = connection_terms(options, context)
    found: list[str] = []
    problems: list[SinkUnavailableError] = []
    for server in map(Server.parse, options.servers):
        try:
            connection = Connection(server, terms)
            if not terms.credentials:
                _expect_silence(connection, GREETING_WAIT)
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
