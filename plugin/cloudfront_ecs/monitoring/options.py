"""The section ``[metrics]`` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from cloudfront_ecs.options import option

_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return it as it is written in URLs."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def address(text: str) -> Address:
    """Read ``HOST:PORT``; an IPv6 host stands in brackets.

    Raises:
        ValueError: It is something else.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()):
        raise ValueError(f"listen: {text!r} is not HOST:PORT (such as '127.0.0.1:9464')")
    if not 1 <= int(port) <= _HIGHEST_PORT:
        raise ValueError(f"listen: {port} is not a port (1 to {_HIGHEST_PORT})")
    bare = host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host
    if not bare:
        raise ValueError(f"listen: {text!r} names no host ('0.0.0.0:{port}' listens everywhere)")
    if (":" in bare) != (bare is not host):
        raise ValueError(f"listen: {text!r}: an IPv6 address stands in brackets ('[::1]:{port}')")
    return Address(bare, int(port))


@dataclass(frozen=True, slots=True)
class MetricsOptions:
    """Where metrics and health are served."""

    listen: str | None = option(
        None,
        doc="Address for `/metrics` and `/healthz`; nothing listens without it.",
        example='"127.0.0.1:9464"',
    )

    def __post_init__(self) -> None:
        """Check the address.

        Raises:
            ValueError: It is none.
        """
        if self.listen is not None:
            address(self.listen)

    @property
    def address(self) -> Address | None:
        """Where to listen, if anywhere."""
        return None if self.listen is None else address(self.listen)
