"""Who visits: viewers with documentation addresses, spread over countries and networks."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from cloudfront_ecs.demo import agents
from cloudfront_ecs.demo.request import Viewer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudfront_ecs.demo.agents import Agent
    from cloudfront_ecs.demo.request import Dice

VIEWERS = 8000


class Place(NamedTuple):
    """A country, how many viewers of a hundred it has, and the edges that serve it."""

    country: str
    weight: float
    locations: tuple[str, ...]


PLACES = (
    Place("DE", 24, ("FRA56-P5", "FRA60-P9", "MUC50-P2", "HAM50-P1", "TXL50-P3")),
    Place("GB", 11, ("LHR61-P2", "LHR50-P7", "MAN51-P1")),
    Place("US", 16, ("IAD89-P1", "IAD12-P3", "SFO53-P4", "ORD58-P6", "DFW57-P3", "JFK52-P8")),
    Place("FR", 9, ("CDG50-P1", "CDG52-P4", "MRS52-P2")),
    Place("NL", 5, ("AMS58-P4", "AMS1-P2")),
    Place("AT", 4, ("VIE50-P1",)),
    Place("CH", 4, ("ZRH50-P1", "ZRH55-P2")),
    Place("ES", 4, ("MAD56-P2",)),
    Place("IT", 4, ("MXP63-P3",)),
    Place("PL", 4, ("WAW51-P3",)),
    Place("SE", 2, ("ARN56-P1",)),
    Place("JP", 3, ("NRT57-P3", "KIX50-P1")),
    Place("IN", 3, ("BOM78-P8", "DEL54-P2")),
    Place("BR", 3, ("GRU3-P1", "GIG52-P2")),
    Place("AU", 1.5, ("SYD62-P1",)),
    Place("SG", 1, ("SIN2-P1",)),
    Place("ZA", 0.8, ("JNB50-P1",)),
    Place("KR", 0.7, ("ICN57-P2",)),
    Place("KP", 0.3, ("ICN57-P2",)),
)
BLOCKED = "KP"  # the demo's sites block one country

# RFC 5398: autonomous system numbers for documentation.
NETWORKS = (*range(64496, 64512), *range(65536, 65552))

_DOCUMENTATION = ("192.0.2.", "198.51.100.", "203.0.113.")
_CIPHERS = ("TLS_AES_128_GCM_SHA256",) * 7 + (
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
)
_TLS12 = (
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
_OLD = (
    ("TLSv1", "ECDHE-RSA-AES128-SHA"),
    ("TLSv1.1", "ECDHE-RSA-AES256-SHA"),
    ("TLSv1.2", "AES128-SHA256"),
)
_VERSIONS = ("HTTP/2.0",) * 11 + ("HTTP/3.0",) * 7 + ("HTTP/1.1",) * 2

_IPV6_SHARE = 0.12
_FORWARDED_SHARE = 0.045
_MEMBER_SHARE = 0.34


class Pool:
    """Every viewer of a day."""

    def __init__(self, dice: Dice, size: int = VIEWERS) -> None:
        """Make *size* people with browsers or apps, and the machines."""
        self._dice = dice
        self._edges = [place.locations for place in PLACES]
        self._weights = list(accumulate(place.weight for place in PLACES))
        self._hosts = iter(dice.sample(range(2**17 - 256), size + 400))
        self._asked: Counter[int] = Counter()
        browsers = agents.BROWSERS + agents.OLD_BROWSERS
        self.people = self._many(browsers, size * 7 // 8)
        self.apps = self._many(agents.APPS, size - len(self.people))
        self.players = [
            viewer._replace(agent=agent)
            for viewer, agent in zip(self.people, self._draw(agents.PLAYERS, 1500), strict=False)
        ]
        self.bots = self._many(agents.BOTS, 120)
        self.scanners = self._many(agents.SCANNERS, 8)
        self.monitors = self._many(agents.MONITORS, 4)
        self.tools = self._many(agents.TOOLS, 40)

    def next(self, group: Sequence[Viewer]) -> Viewer:
        """Return a viewer of *group*: a regular one, or the next who has not been here yet."""
        if self._dice.chance(0.3):
            return self._dice.popular(group)
        self._asked[id(group)] += 1
        return group[self._asked[id(group)] % len(group)]

    def _draw(self, kinds: Sequence[Agent], count: int) -> list[Agent]:
        """Return *count* programs: each once where there is room, the common ones often."""
        weights = list(accumulate(agent.weight for agent in kinds))
        drawn = self._dice.choices(kinds, cum_weights=weights, k=count)
        drawn[: len(kinds)] = kinds[:count]
        self._dice.shuffle(drawn)
        return drawn

    def _many(self, kinds: Sequence[Agent], count: int) -> list[Viewer]:
        """Return *count* viewers with programs of *kinds*."""
        places = self._dice.choices(PLACES, cum_weights=self._weights, k=count)
        drawn = zip(places, self._draw(kinds, count), strict=True)
        return [self._viewer(place, agent) for place, agent in drawn]

    def _viewer(self, place: Place, agent: Agent) -> Viewer:
        dice = self._dice
        six = dice.chance(_IPV6_SHARE)
        version, tls, cipher = self._connection(agent)
        return Viewer(
            self._six() if six else self._four(),
            place.country,
            dice.popular(NETWORKS),
            agent,
            dice.any(place.locations),
            f"2001:db8:cf::{dice.below(4096) + 1:x}" if six else f"203.0.113.{dice.below(200) + 1}",
            version,
            tls,
            cipher,
            self._forwarded() if dice.chance(_FORWARDED_SHARE) else "",
            self._cookie() if agent.device and dice.chance(_MEMBER_SHARE) else "",
            int(dice.lognormvariate(7.5, 0.9)) + 60,
        )

    def _connection(self, agent: Agent) -> tuple[str, str, str]:
        """Return the HTTP version, the TLS version and the cipher that *agent* gets."""
        dice = self._dice
        if agent.old:
            return ("HTTP/1.1", *dice.any(_OLD))
        version = dice.any(_VERSIONS) if agent.device else "HTTP/1.1"
        if version == "HTTP/3.0" or dice.chance(0.88):
            return version, "TLSv1.3", dice.any(_CIPHERS)
        return version, "TLSv1.2", dice.any(_TLS12)

    def _four(self) -> str:
        """Return an address of the benchmark range, or sometimes of a documentation range."""
        host = next(self._hosts)
        if host < 2**17 // 20:
            return f"{_DOCUMENTATION[host % 3]}{host // 3 % 254 + 1}"
        return f"198.{18 + (host >> 16)}.{host >> 8 & 255}.{host & 255}"

    def _six(self) -> str:
        groups = (self._dice.getrandbits(16) | 1 for _ in range(6))
        return "2001:db8:" + ":".join(f"{group:x}" for group in groups)

    def _forwarded(self) -> str:
        """Return an X-Forwarded-For header: one address, a list, or what clients make up."""
        inner = f"198.19.{self._dice.below(256)}.{self._dice.below(254) + 1}"
        proxy = f"198.51.100.{self._dice.below(254) + 1}"
        forms = (inner, inner, inner, f"{inner}, {proxy}", f"{inner},{proxy}", self._six())
        return self._dice.any(
            (*forms, f"{inner}, {self._six()}", f"unknown, {inner}", f"{inner}:51123")
        )

    def _cookie(self) -> str:
        session = self._dice.getrandbits(60)
        return self._dice.any(
            (
                f"session={session:015x}; consent=1",
                f"session={session:015x}; consent=1; lang=de; cart=%5B{session % 97}%5D",
                f'_vid={session % 10**9}.{session % 10**7}; prefs="theme|dark"',
            )
        )
