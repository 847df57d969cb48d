"""How the demo's edges answer: from the cache, from the origin, or with an error."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, NamedTuple

from cloudfront_ecs.demo.request import Outcome, Request
from cloudfront_ecs.demo.sites import Sites
from cloudfront_ecs.demo.viewers import BLOCKED, Pool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudfront_ecs.demo.request import Dice, Resource, Viewer

HIT = Outcome(200, "Hit", "Hit")
HIT_SAME = Outcome(304, "Hit", "Hit")
REFRESHED = (
    Outcome(200, "RefreshHit", "RefreshHit", origin=True, wait=45.0),
    Outcome(304, "RefreshHit", "RefreshHit", origin=True, wait=45.0),
)
MISS = Outcome(200, "Miss", "Miss", origin=True, wait=110.0)
SHIELDED = Outcome(200, "Miss", "OriginShieldHit", origin=True, wait=35.0)
STANDBY = Outcome(200, "Miss", "Miss", origin=True, wait=420.0, reason="Failover:502")
LEFT = (
    Outcome(0, "Error", "ClientHungUpRequest", size=0),
    Outcome(0, "Error", "ClientCommError", origin=True, wait=900.0, size=0),
)
GEO_BLOCKED = Outcome(403, "Error", "ClientGeoBlocked", size=919)
TO_HTTPS = Outcome(301, "Redirect", "Redirect", wait=0.4, size=167)
FAULTS = (
    Outcome(404, "Error", "Error", origin=True, wait=60.0, size=1245),
    Outcome(404, "Error", "Error", origin=True, wait=60.0, size=1245),
    Outcome(500, "Error", "Error", origin=True, wait=300.0, size=532),
    Outcome(502, "Error", "OriginInvalidResponseError", origin=True, wait=90.0, size=507),
    Outcome(503, "LimitExceeded", "LimitExceeded", size=512),
    Outcome(503, "FunctionExecutionError", "FunctionExecutionError", size=512),
    Outcome(416, "Error", "InvalidRequest", size=490),
)
OUTAGE = (
    Outcome(502, "Error", "OriginConnectError", origin=True, wait=3100.0, size=507),
    Outcome(502, "Error", "OriginConnectError", origin=True, wait=3100.0, size=507),
    Outcome(502, "Error", "OriginCommError", origin=True, wait=800.0, size=507),
    Outcome(504, "Error", "OriginCommError", origin=True, wait=29_500.0, size=508),
    Outcome(504, "Error", "OriginReadError", origin=True, wait=29_500.0, size=508),
)
_OK = 200
_PARTIAL = 206
_SAME = 304
_NOTHING: Mapping[str, str] = {}


class Ask(NamedTuple):
    """What a request adds to the resource it is for; attributes as in ``Request``.

    Attributes:
        again: The viewer holds a copy and asks whether it still is good.
    """

    method: str = "GET"
    query: str = ""
    referrer: str = ""
    cookie: str = ""
    scheme: str = "https"
    span: tuple[int, int] | None = None
    again: bool = False
    cmcd: Mapping[str, str] = _NOTHING
    cmcd_headers: tuple[tuple[str, str], ...] = ()
    log_data: str = ""


PLAIN = Ask()


class Edge:
    """Every edge location together, in front of the sites."""

    def __init__(self, dice: Dice, outage: tuple[int, int]) -> None:
        """Open the sites; between the two times of *outage* the origin is hardly there."""
        self.dice = dice
        self.sites = Sites(dice)
        self.pool = Pool(dice)
        self._outage = outage

    def answer(self, at: int, viewer: Viewer, resource: Resource, ask: Ask = PLAIN) -> Request:
        """Return what becomes of a request that *viewer* sends at *at*, in milliseconds."""
        dice = self.dice
        outcome = self._outcome(at, viewer, resource, ask)
        length = self._length(resource, outcome, ask)
        wait = int(outcome.wait * dice.lognormvariate(-0.1, 0.7))
        body = 0 if ask.method == "HEAD" or length <= 0 else length
        taken = wait + body // viewer.speed
        return Request(
            at + taken,
            viewer,
            1024 + dice.below(64_512),
            resource,
            ask.method,
            ask.scheme,
            ask.query,
            ask.referrer,
            ask.cookie,
            ask.span if outcome.status == _PARTIAL else None,
            180 + len(ask.query) + len(ask.referrer) + len(ask.cookie) + dice.below(500),
            urlsafe_b64encode(dice.randbytes(40)).decode(),
            outcome,
            self._content_type(resource, outcome),
            length if length > 0 and (resource.cached or outcome.size >= 0) else None,
            body + 300 + dice.below(400) if outcome.status else 0,
            wait,
            taken,
            ask.cmcd,
            ask.cmcd_headers,
            ask.log_data,
        )

    def _outcome(self, at: int, viewer: Viewer, resource: Resource, ask: Ask) -> Outcome:
        dice = self.dice
        if ask.scheme == "http":
            return TO_HTTPS
        if viewer.country == BLOCKED:
            return GEO_BLOCKED
        if resource.outcome:
            return resource.outcome
        if dice.chance(0.004):
            return dice.any(LEFT)
        if dice.chance(resource.cached) and ask.method in {"GET", "HEAD"}:
            found = HIT_SAME if ask.again else HIT
        else:
            found = self._from_origin(at, resource, ask)
        if ask.span and found.status == _OK:
            return found._replace(status=_PARTIAL)
        return found

    def _from_origin(self, at: int, resource: Resource, ask: Ask) -> Outcome:
        """Return what the origin says, when it says anything."""
        dice = self.dice
        if self._outage[0] <= at < self._outage[1] and dice.chance(0.93):
            return dice.any(OUTAGE) if dice.chance(0.85) else STANDBY
        if dice.chance(0.02):
            return dice.any(FAULTS)
        if resource.cached and dice.chance(0.3):
            return REFRESHED[ask.again]
        return SHIELDED if dice.chance(0.2) else MISS

    def _length(self, resource: Resource, outcome: Outcome, ask: Ask) -> int:
        """Return the length of the answer's body; -1 where it is not named."""
        if outcome.size >= 0:
            return outcome.size
        if outcome.status == _SAME:
            return -1
        if outcome.status == _PARTIAL and ask.span:
            return ask.span[1] - ask.span[0] + 1
        if resource.cached:
            return resource.size
        return int(resource.size * self.dice.lognormvariate(0.0, 0.3))

    @staticmethod
    def _content_type(resource: Resource, outcome: Outcome) -> str:
        if not outcome.status or outcome.status == _SAME or not outcome.size:
            return ""
        return resource.content_type if outcome.size < 0 else "text/html"
