"""What became of a request: its status and CloudFront's three result types, read together.

``x-edge-result-type`` says how the request ended, ``x-edge-response-result-type`` how the
answer began, and ``x-edge-detailed-result-type`` names the exact kind of error.  All three
are open lists: CloudFront adds values, so what is unknown is kept in words, never dropped.
Source: CloudFront developer guide, "Standard log file fields".
"""

from __future__ import annotations

import re
from typing import NamedTuple

from cloudfront_ecs.normalize.values.plain import integer, text

_FORBIDDEN = 403
_CLIENT_ERROR, _SERVER_ERROR, _MAX_STATUS = 400, 500, 999


def status(value: str) -> tuple[int | None, str | None]:
    """Return ``(status, success or failure)``.

    ``000``: the viewer left before an answer; status 0 and a failure.
    """
    code = integer(value)
    if code is None:
        return None, None
    if code > _MAX_STATUS:
        raise ValueError("not an HTTP status")
    return code, "failure" if code == 0 or code >= _CLIENT_ERROR else "success"  # RFC 9110, 15.5


class Verdict(NamedTuple):
    """What the status and the result types say together; None where they say nothing.

    Attributes:
        types: ``event.type``.
        action: What the edge did: the result type in words, ``refresh_hit``.
        error_code: The exact kind of error.
        error_side: Who is to blame: ``client``, ``edge`` or ``origin``.
        cache_status: What the caches had: ``hit``, ``refresh_hit``, ``shield_hit``, ``miss``;
            where none was asked, what happened instead: ``redirect``, ``generated``, ``error``
            or a result type of later, in words.
        cache_hit: 1 where the answer came out of a cache of CloudFront, else 0.
        status_class: ``2xx``; ``no answer`` where the viewer left before one.
        error_4xx: 1 for a status of 400 to 499, else 0.
        error_5xx: 1 for a status of 500 and above, else 0.
        error: 1 where one of these is.
    """

    types: list[str]
    action: str | None
    error_code: str | None
    error_side: str | None
    cache_status: str | None
    cache_hit: int | None
    status_class: str | None
    error_4xx: int | None
    error_5xx: int | None
    error: int | None


def verdict(key: str) -> Verdict:
    """Return what became of a request.

    Args:
        key: ``sc-status``, ``x-edge-result-type``, ``x-edge-response-result-type`` and
            ``x-edge-detailed-result-type`` as logged, joined by tabs; ``-`` for a column
            that the log does not have.
    """
    status_text, *others = key.split("\t", 3)
    code = status(status_text)[0]
    result, answer, detail = map(text, others)
    result = result or answer
    failing = result is not None and _failing(result)
    broken = code is not None and code >= _SERVER_ERROR
    types = ["access"]
    if failing or broken:
        types.append("error")
    if code == _FORBIDDEN or detail in _REFUSED or result in _REFUSED:
        types.append("denied")
    cache_status = _cache_status(detail, result, answer)
    return Verdict(
        types,
        words(result) if result else None,
        detail if failing else None,
        _side(code, result, detail, failing=failing),
        cache_status,
        None if cache_status is None else int(cache_status in _SERVED_FROM_CACHE),
        *_classes(code),
    )


_REFUSED = frozenset({"ClientGeoBlocked", "InvalidRequestBlocked", "LimitExceeded"})
"""Requests that CloudFront itself refused: by country, by block, by quota.

A 403 is refused as well, by whoever it was: CloudFront logs a block by AWS WAF and a
refusal by the origin alike.  A malformed request (InvalidRequest, 400) is an error only.
"""

_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def words(result: str) -> str:
    """Return a result type in words: ``RefreshHit`` is ``refresh_hit``."""
    return _CAPITAL.sub("_", result).lower()


def _failing(result: str) -> bool:
    """Say whether a result type is one of those that are errors."""
    return result.endswith("Error") or result in ("LimitExceeded", "CapacityExceeded")


_CACHES = {
    "OriginShieldHit": "shield_hit",
    "RefreshHit": "refresh_hit",
    "Hit": "hit",
    "MissGeneratedResponse": "generated",
    "LambdaGeneratedResponse": "generated",
    "FunctionGeneratedResponse": "generated",
    "Miss": "miss",
    "Redirect": "redirect",
}
"""Result types that tell what the caches had."""

_SERVED_FROM_CACHE = frozenset({"shield_hit", "refresh_hit", "hit"})


def _cache_status(*results: str | None) -> str | None:
    """Return what the first of *results* tells that knows of the caches.

    The last word comes first; where it is an error, the answer may still have begun as a
    hit, and stays one when the viewer leaves.
    """
    logged = [result for result in results if result is not None]
    for result in logged:
        if result in _CACHES:
            return _CACHES[result]
    if not logged:
        return None
    return "error" if any(map(_failing, logged)) else words(logged[0])


_SIDES = re.compile(
    r"(?P<client>Client|InvalidRequest|SlowReader)"
    r"|(?P<origin>Origin|AbortedOrigin)"
    r"|(?P<edge>Internal|Lambda|Function|LimitExceeded|CapacityExceeded)"
)


def _side(code: int | None, result: str | None, detail: str | None, *, failing: bool) -> str | None:
    """Return who is to blame for an error.

    An ``Error`` without a kind is an error answer passed on, from the origin or from the
    cache: below 500 it blames the request, from 500 the origin.
    """
    if failing:
        named = _SIDES.match(detail or result or "")
        if named:
            return named.lastgroup
    if code is None or 0 < code < _CLIENT_ERROR:
        return None
    if code < _SERVER_ERROR:
        return "client"
    return "edge" if "GeneratedResponse" in (result or "") else "origin"


def _classes(code: int | None) -> tuple[str | None, int | None, int | None, int | None]:
    if code is None:
        return None, None, None, None
    status_class = f"{code // 100}xx" if code else "no answer"
    error_4xx = int(_CLIENT_ERROR <= code < _SERVER_ERROR)
    error_5xx = int(code >= _SERVER_ERROR)
    return status_class, error_4xx, error_5xx, error_4xx + error_5xx
