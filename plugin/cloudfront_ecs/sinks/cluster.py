"""The connection to Elasticsearch or OpenSearch: requests in, statuses and bytes out.

Over ``elastic-transport`` with its retries off: it knows nodes, TLS and which node is
down, but it re-sends without a pause and without telling.  Answers are read as bytes, since
its own deserializers raise on a truncated answer with the whole content in the text.
"""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from botocore.exceptions import BotoCoreError
from elastic_transport import (
    ConnectionError,  # noqa: A004 - the package's own, not the built-in one
    ConnectionTimeout,
    NodeConfig,
    Serializer,
    TlsError,
    Transport,
    TransportError,
    Urllib3HttpNode,
)
from isal import igzip

from cloudfront_ecs.errors import ConfigError, SinkBlockedError, SinkUnavailableError
from cloudfront_ecs.failpoints import chosen, sending
from cloudfront_ecs.sinks.bulk import error_of
from cloudfront_ecs.sinks.signing import signed_node, signer_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudfront_ecs.sinks.elastic_options import ElasticOptions
    from cloudfront_ecs.sinks.signing import Signer

_PRODUCT_HEADER = "x-elastic-product"


class Reply(NamedTuple):
    """What a node answered.

    Attributes:
        place: The node, for messages.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    place: str

    def json(self) -> Any:
        """Return the body as JSON, or None where it is not JSON."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None


@dataclass(frozen=True, slots=True)
class Product:
    """What runs at the other end.

    Attributes:
        kind: ``elasticsearch`` or ``opensearch``: the variant of templates it takes.
        version: Empty where it does not say.
    """

    kind: str
    version: str

    def __str__(self) -> str:
        """Return name and version for people."""
        name = {"elasticsearch": "Elasticsearch", "opensearch": "OpenSearch"}[self.kind]
        return f"{name} {self.version}".rstrip()


class Cluster:
    """One cluster, by all its configured nodes."""

    def __init__(self, options: ElasticOptions, name: str) -> None:
        """Prepare connections; nothing is sent yet.

        Raises:
            ConfigError: A certificate or key cannot be used.
        """
        self._place = f"sinks.{name}"
        self._timeout = options.timeout
        self._headers = {"accept": "application/json", "accept-encoding": "gzip"}
        authorization = _authorization(options)
        if authorization:
            self._headers["authorization"] = authorization
        self._signer = _signer(options, self._place)
        self._transport = Transport(
            [_node(url, options, self._place) for url in options.hosts],
            node_class=signed_node(self._signer) if self._signer else Urllib3HttpNode,
            max_retries=0,
            retry_on_status=(),
            retry_on_timeout=False,
            meta_header=False,
            serializers=dict.fromkeys(
                ("application/json", "application/x-ndjson", "application/*", "text/*"), _Bytes()
            ),
        )

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        content_type: str = "application/json",
        compress: bool = False,
    ) -> Reply:
        """Send one request, once, to a node that is believed to be up.

        Raises:
            SinkUnavailableError: No answer came, or not a whole one.
        """
        headers = dict(self._headers)
        if body is not None:
            headers["content-type"] = content_type
            if compress:
                headers["content-encoding"] = "gzip"
                body = igzip.compress(body, 1, mtime=0)
            if chosen():
                headers["content-length"] = str(len(body))
        try:
            answer = self._transport.perform_request(
                method,
                path,
                body=sending(body) if body is not None and chosen() else body,
                headers=headers,
                request_timeout=self._timeout,
            )
        except TransportError as error:
            raise SinkUnavailableError(f"{self._place}: {_reason(error)}") from error
        except BotoCoreError as error:
            raise SinkUnavailableError(f"{self._place}.aws: {error}") from error
        if self._signer and answer.meta.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            self._look_again(self._signer, answer.meta.headers.get("date"))
        node = answer.meta.node
        place = f"{self._place} ({node.scheme}://{node.host}:{node.port})"
        return Reply(answer.meta.status, answer.meta.headers, answer.body or b"", place)

    def _look_again(self, signer: Signer, date: str | None) -> None:
        try:
            signer.refused(date)
        except BotoCoreError as error:
            raise SinkUnavailableError(f"{self._place}.aws: {error}") from error

    def product(self) -> Product:
        """Ask what runs at the other end.

        Raises:
            SinkUnavailableError: No answer, or one that comes and goes (429, 5xx).
            SinkBlockedError: The credentials are refused, or it is neither product.
        """
        reply = self.call("GET", "/")
        if reply.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise refused(reply)
        about = reply.json() if reply.status == HTTPStatus.OK else None
        version = about.get("version") if isinstance(about, dict) else None
        version = version if isinstance(version, dict) else {}
        number = str(version.get("number", ""))
        if version.get("distribution") == "opensearch":
            return Product("opensearch", number)
        # A node without the module rest-root answers 405 but still carries the header.
        if reply.headers.get(_PRODUCT_HEADER) == "Elasticsearch":
            return Product("elasticsearch", number)
        if reply.status != HTTPStatus.OK:
            raise refused(reply)
        raise SinkBlockedError(
            f"{reply.place}: answers, but is neither Elasticsearch (8 or newer) nor OpenSearch "
            f"(check 'hosts')"
        )

    def close(self) -> None:
        """Close all connections.  Safe to call twice."""
        self._transport.close()


def refused(reply: Reply, doing: str = "") -> SinkUnavailableError:
    """Return the error for a request that was refused as a whole."""
    cause = error_of(reply.body)
    said = f" {cause.type}" if cause else ""
    during = f" to {doing}" if doing else ""
    text = f"{reply.place}: answered {reply.status}{said}{during}"
    if reply.status in (408, 429) or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return SinkUnavailableError(text, _retry_after(reply))
    hint = _HINTS.get(reply.status, "is a proxy or another service at 'hosts'?")
    return SinkBlockedError(f"{text} ({hint})")


def _retry_after(reply: Reply) -> float | None:
    """Return the seconds of ``Retry-After`` (RFC 9110, 10.2.3); a date is left to the backoff."""
    wish = reply.headers.get("retry-after", "").strip()
    return float(wish) if wish.isascii() and wish.isdigit() else None


_HINTS = {
    400: "is it TLS, or a proxy? see 'hosts'",
    401: "set 'username' and 'password', 'api_key', 'bearer_token' or 'aws_sigv4'",
    403: "the account needs more permissions, or an index is read-only",
    404: "check the path in 'hosts' and run 'cloudfront-ecs setup'",
}


class _Bytes(Serializer):
    """Lets bodies through as they are."""

    def loads(self, data: bytes) -> bytes:
        return data

    def dumps(self, data: bytes) -> bytes:
        return data


def _authorization(options: ElasticOptions) -> str | None:
    if options.username is not None and options.password is not None:
        pair = f"{options.username}:{options.password.reveal()}"
        return "Basic " + base64.b64encode(pair.encode()).decode()
    if options.api_key is not None:
        key = options.api_key.reveal()
        # As the servers print it (encoded) or in its two parts, id:key.
        encoded = base64.b64encode(key.encode()).decode() if ":" in key else key
        return f"ApiKey {encoded}"
    if options.bearer_token is not None:
        return f"Bearer {options.bearer_token.reveal()}"
    return None


def _signer(options: ElasticOptions, place: str) -> Signer | None:
    if options.aws_sigv4 is None:
        return None
    try:
        return signer_of(options.aws, options.aws_sigv4, options.hosts)
    except (ValueError, BotoCoreError) as error:
        raise ConfigError(f"{place}.aws: {error}") from error


def _node(url: str, options: ElasticOptions, place: str) -> NodeConfig:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    return NodeConfig(
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=parts.port or (443 if secure else 80),
        path_prefix=parts.path.rstrip("/"),
        connections_per_node=1,
        request_timeout=options.timeout,
        verify_certs=options.tls.verify,
        ssl_show_warn=False,
        ssl_assert_fingerprint=options.tls.fingerprint if secure else None,
        ssl_context=_tls_context(options, place) if secure else None,
    )


def _tls_context(options: ElasticOptions, place: str) -> ssl.SSLContext:
    tls = options.tls
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.cert:
            context.load_cert_chain(tls.cert, tls.key)
    except OSError as error:  # SSLError is one
        raise ConfigError(f"{place}.tls: ca, cert or key cannot be used: {error}") from error
    if not tls.verify or tls.fingerprint:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _reason(error: TransportError) -> str:
    """Say why no answer came.  Only the text of connection errors is free of content."""
    if isinstance(error, TlsError):
        return f"no TLS connection: {error.message} (check 'tls' and 'hosts')"
    if isinstance(error, (ConnectionError, ConnectionTimeout)):
        return f"no answer: {error.message}"
    return f"no usable answer: {type(error).__name__}"
