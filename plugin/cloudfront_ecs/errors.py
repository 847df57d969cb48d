"""Every exception that is raised on purpose.

Texts have the form ``place: problem (hint)``: lower case, no full stop, and never
the content of a log line, which holds addresses, cookies and queries.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class CloudFrontEcsError(Exception):
    """The base of all errors of this package."""


class ConfigError(CloudFrontEcsError):
    """The configuration cannot be used; the text has a line for each problem."""


class PluginError(CloudFrontEcsError):
    """A plugin could not be loaded, or offers something that does not fit."""


class SourceError(CloudFrontEcsError):
    """A payload could not be read this time; the source should be asked again."""


class CheckpointError(SourceError):
    """What is settled could not be stored; nothing more is read until it can be."""


class PayloadError(CloudFrontEcsError):
    """What remains of a payload can never be read.

    Attributes:
        reason: A dead-letter reason: ``not_gzip``, ``truncated``, ``missing``, …
        detail: What exactly was wrong, in words.
        raw: The bytes that could not be used, as far as they are known.
    """

    def __init__(self, reason: str, detail: str, raw: bytes = b"") -> None:
        """Keep the parts apart, for the dead letter."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.raw = raw


class SinkUnavailableError(CloudFrontEcsError):
    """The sink did not take the batch now, or its answer was lost; offer it again.

    Attributes:
        retry_after: How many seconds the other end asked to be left alone, if it did.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        """Keep the wish of the other end apart."""
        super().__init__(message)
        self.retry_after = retry_after


class SinkBlockedError(SinkUnavailableError):
    """The sink takes nothing until somebody acts: credentials, templates, disk."""


class AccountingError(CloudFrontEcsError):
    """Documents went missing between two counters: a defect, so everything stops."""


class StateError(CloudFrontEcsError):
    """A file of the state directory is corrupt, locked, or of another version."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the closest known name, or the choices."""
    choices = sorted(known)
    found = difflib.get_close_matches(name, choices, n=1)
    if found:
        return f" (did you mean {found[0]!r}?)"
    return f" (known: {', '.join(choices)})" if choices else ""
