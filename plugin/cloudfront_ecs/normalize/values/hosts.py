"""Hosts and ports, as a Host header and a URL have them."""

from __future__ import annotations

import re
from socket import AF_INET6, inet_pton

from cloudfront_ecs.normalize.values.escapes import unquote_once
from cloudfront_ecs.normalize.values.plain import absent, integer

_MAX_PORT = 65_535
_NAME = re.compile(r"""[^\s\x00-\x20\x7f"#%/<>?@\[\\\]^`{|}]+""")
"""What no name holds: blanks, control characters, and what ends a host in a URL."""


def port(value: str) -> int | None:
    """Return a port number, 0 to 65535."""
    number = integer(value)
    if number is not None and number > _MAX_PORT:
        raise ValueError("not a port number")
    return number


def host(value: str) -> tuple[str | None, int | None, str | None]:
    """Return ``(name, port, name:port as it stands in a URL)`` of a Host header.

    An IPv6 address has brackets in both, as ECS wants it for ``url.domain`` and RFC 3986 in a
    URL, though some viewers leave them out.
    """
    if absent(value):
        return None, None, None
    plain = unquote_once(value).lower()
    name, port_text = plain, ""
    if plain.startswith("[") and "]" in plain:
        name, _, rest = plain.partition("]")
        name, mark, port_text = f"{name}]", rest[:1], rest[1:]
        if mark not in ("", ":"):
            raise ValueError("not a host name")
    elif plain.count(":") == 1:
        name, _, port_text = plain.partition(":")
    elif ":" in plain:
        name = plain = f"[{_ipv6(plain)}]"
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    if not _NAME.fullmatch(bare):
        raise ValueError("not a host name")
    return name, _port_of(port_text), plain


def _ipv6(name: str) -> str:
    try:
        inet_pton(AF_INET6, name)
    except (OSError, ValueError):
        raise ValueError("not a host name") from None
    return name


def _port_of(text: str) -> int | None:
    """Return the port of a host; nothing after the colon is no port."""
    try:
        number = port(text)
    except ValueError:
        raise ValueError("not a port number") from None
    if number is None and text:
        raise ValueError("not a port number")
    return number
