"""Options of the ``fluentd`` sink, and what they mean for its connections."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudfront_ecs.errors import ConfigError
from cloudfront_ecs.options import Secret, option
from cloudfront_ecs.sinks.forward import TAG, Compression, Credentials
from cloudfront_ecs.sinks.forward_connection import Server, Terms

if TYPE_CHECKING:
    from cloudfront_ecs.adapters import AdapterContext


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


def connection_terms(options: FluentdOptions, context: AdapterContext) -> Terms:
    """Return how to connect, with every file of the ``tls`` table read.

    Raises:
        ConfigError: One of the files cannot be used.
    """
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
