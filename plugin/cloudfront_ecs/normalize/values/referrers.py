"""The host that a referrer names: who links here, or takes pictures from here."""

from __future__ import annotations

import re

_HOST = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[^/?#@]*@)?(?P<host>\[[0-9a-f:.]+\]|[^/?#@:\\%\s]+)(?::\d*)?(?:[/?#]|$)"
)


def referrer_domain(value: str) -> str | None:
    """Return the host of a referrer in lower case, without user and port.

    The header is the viewer's own text: what is no URL with a host names none.
    """
    match = _HOST.match(value.lower())
    return match["host"] if match else None
