"""What visitors do: read pages, use an app, watch, crawl, probe, monitor and download."""

from __future__ import annotations

import uuid
from itertools import accumulate
from typing import TYPE_CHECKING
from urllib.parse import quote

from cloudfront_ecs.demo.edge import Ask
from cloudfront_ecs.demo.request import Resource
from cloudfront_ecs.demo.sites import PROBE_QUERIES, SEARCH_ENGINE, VIDEO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudfront_ecs.demo.edge import Edge
    from cloudfront_ecs.demo.request import Dice, Request, Viewer
    from cloudfront_ecs.demo.sites import Page

_WORDS = (
    "red%20shoes",
    "zelt%202%20personen",
    "rain+jacket",
    "caf%C3%A9",
    "socks",
    "map%3A%20alps",
)
_CAMPAIGNS = ("newsletter", "spring26", "retargeting", "partner%20week")
_SEGMENT_MS = 4000


def browse(edge: Edge, at: int) -> Iterator[Request]:
    """Read a few pages of one site with everything that belongs to them."""
    dice = edge.dice
    viewer = edge.pool.next(edge.pool.people)
    pages = edge.sites.www if dice.chance(0.6) else edge.sites.shop
    page = dice.popular(pages)
    fresh, private = dice.chance(0.45), dice.chance(0.2)
    referrer = SEARCH_ENGINE if dice.chance(0.4) else ""
    query = _campaign(dice) if dice.chance(0.3) else ""
    if dice.chance(0.08):
        yield edge.answer(at, viewer, page.resource, Ask(scheme="http"))
        at += 120
    for _ in range(1 + dice.below(4)):
        yield from _page(edge, at, viewer, page, referrer, query)
        if fresh:
            yield from _parts(edge, at + 150, viewer, page)
        address = "" if private else _address(page.resource)
        for picture in page.pictures:
            width = "w=640&q=75" if dice.chance(0.2) else ""
            ask = Ask(query=width, referrer=address, again=dice.chance(0.12))
            yield edge.answer(at + 400 + dice.below(900), viewer, picture, ask)
        if dice.chance(0.45):
            ask = Ask(query=_search(dice), referrer=f"https://{page.resource.host}/")
            yield edge.answer(at + 1200, viewer, dice.popular(edge.sites.calls), ask)
        referrer, query, fresh = address, "", False
        page = dice.popular(pages)
        at += 5000 + dice.below(60_000)


def _page(
    edge: Edge, at: int, viewer: Viewer, page: Page, referrer: str, query: str
) -> Iterator[Request]:
    """Ask for the page itself, sometimes by an address that has moved."""
    if edge.dice.chance(0.05):
        yield edge.answer(at, viewer, edge.dice.any(edge.sites.moved), Ask(referrer=referrer))
    note = f"variant={'ab'[edge.dice.below(2)]}" if edge.dice.chance(0.3) else ""
    ask = Ask(query=query, referrer=referrer, cookie=viewer.cookie, log_data=note)
    yield edge.answer(at, viewer, page.resource, ask)


def _parts(edge: Edge, at: int, viewer: Viewer, page: Page) -> Iterator[Request]:
    """Load styles, scripts and fonts, asking again for those that are kept."""
    dice = edge.dice
    referrer = _address(page.resource)
    for basic in page.basics:
        version = f"v={basic.size:x}" if dice.chance(0.6) else ""
        ask = Ask(query=version, referrer=referrer, again=dice.chance(0.15))
        yield edge.answer(at + dice.below(300), viewer, basic, ask)


def use_app(edge: Edge, at: int) -> Iterator[Request]:
    """Call the API from a phone."""
    dice = edge.dice
    viewer = edge.pool.next(edge.pool.apps)
    for _ in range(1 + dice.below(6)):
        call = dice.popular(edge.sites.calls)
        ask = Ask("GET", _search(dice) if dice.chance(0.7) else "", cookie=viewer.cookie)
        if not call.cached:
            ask = Ask("OPTIONS" if dice.chance(0.1) else "POST", cookie=viewer.cookie)
        yield edge.answer(at, viewer, call, ask)
        at += 300 + dice.below(8000)


def drop_in(edge: Edge, at: int) -> Iterator[Request]:
    """Ask for a single thing, as previews, feed readers and other sites do."""
    dice = edge.dice
    viewer = edge.pool.next(edge.pool.people if dice.chance(0.95) else edge.pool.tools)
    page = dice.popular(edge.sites.www)
    picture = dice.any(page.pictures)
    referrer = "https://forum.example.org/t/" + str(dice.below(9000)) if dice.chance(0.3) else ""
    query = _campaign(dice) if dice.chance(0.3) else ""
    thing = picture if dice.chance(0.6) else page.resource
    yield edge.answer(at, viewer, thing, Ask(query=query, referrer=referrer))


def watch(edge: Edge, at: int) -> Iterator[Request]:
    """Play a video: a manifest, then a segment every four seconds, told with CMCD."""
    dice = edge.dice
    viewer = edge.pool.next(edge.pool.players)
    title = f"tour-{int(80 * dice.random() ** 2):02d}"
    live = dice.chance(0.3)
    folder = f"/live/{title}" if live else f"/vod/{title}"
    behavior = "/live/*" if live else "/vod/*"
    kind = "application/vnd.apple.mpegurl"
    manifest = Resource(VIDEO, f"{folder}/index.m3u8", kind, 2900, 0.8, behavior)
    yield edge.answer(at, viewer, manifest)
    session = _session(dice, title, live=live)
    as_query = dice.chance(0.5)
    first = at // _SEGMENT_MS % 100_000 if live else 0
    for number in range(first, first + 5 + dice.below(26)):
        rate = dice.any((1800, 3200, 3200, 6000, 6000))
        size = rate * _SEGMENT_MS // 8
        path = f"{folder}/{rate}k/seg-{number:05d}.m4s"
        segment = Resource(VIDEO, path, "video/mp4", size, 0.9, behavior)
        told = _cmcd(dice, session, rate, starting=number == first)
        told["cmcd-next-object-request"] = f"seg-{number + 1:05d}.m4s"
        span = (0, size // 2 - 1) if dice.chance(0.2) else None
        at += _SEGMENT_MS
        ask = _told(told, span, as_query=as_query)
        yield edge.answer(at, viewer, segment, ask)


def _session(dice: Dice, title: str, *, live: bool) -> dict[str, str]:
    number = uuid.UUID(int=dice.getrandbits(128), version=4)
    return {
        "cmcd-content-id": f'"{title}"',
        "cmcd-streaming-format": "h",
        "cmcd-session-id": f'"{number}"',
        "cmcd-stream-type": "l" if live else "v",
        "cmcd-top-bitrate": "6000",
        "cmcd-version": "1",
    }


def _cmcd(dice: Dice, session: dict[str, str], rate: int, *, starting: bool) -> dict[str, str]:
    told = {
        **session,
        "cmcd-encoded-bitrate": str(rate),
        "cmcd-buffer-length": str(dice.below(250) * 100),
        "cmcd-object-duration": str(_SEGMENT_MS),
        "cmcd-measured-throughput": str((rate + dice.below(20_000)) // 100 * 100),
        "cmcd-object-type": "v",
        "cmcd-playback-rate": "1",
    }
    if starting:
        told["cmcd-startup"] = "true"
    if dice.chance(0.02):
        told["cmcd-buffer-starvation"] = "true"
    return told


_KEYS = {
    "cmcd-encoded-bitrate": "br",
    "cmcd-buffer-length": "bl",
    "cmcd-buffer-starvation": "bs",
    "cmcd-measured-throughput": "mtp",
    "cmcd-object-duration": "d",
    "cmcd-object-type": "ot",
    "cmcd-next-object-request": "nor",
    "cmcd-session-id": "sid",
    "cmcd-startup": "su",
}


def _told(told: dict[str, str], span: tuple[int, int] | None, *, as_query: bool) -> Ask:
    """Return a request that carries *told* in its query or in its headers."""
    pairs = ((_KEYS[column], text) for column, text in told.items() if column in _KEYS)
    joined = ",".join(key if text == "true" else f"{key}={text}" for key, text in sorted(pairs))
    if as_query:
        return Ask(query=f"CMCD={quote(joined, safe='')}", span=span, cmcd=told)
    return Ask(span=span, cmcd=told, cmcd_headers=(("CMCD-Request", joined),))


def crawl(edge: Edge, at: int) -> Iterator[Request]:
    """Follow links as a search engine does, starting at robots.txt."""
    dice = edge.dice
    viewer = edge.pool.next(edge.pool.bots)
    yield edge.answer(at, viewer, edge.sites.robots)
    for _ in range(3 + dice.below(25)):
        at += 500 + dice.below(10_000)
        page = dice.any(edge.sites.www if dice.chance(0.7) else edge.sites.shop)
        yield edge.answer(at, viewer, page.resource, Ask(again=dice.chance(0.2)))
        if dice.chance(0.1):
            yield edge.answer(at + 700, viewer, dice.any(edge.sites.gone + edge.sites.moved))


def scan(edge: Edge, at: int) -> Iterator[Request]:
    """Probe for doors left open, fast."""
    dice = edge.dice
    viewer = edge.pool.next(edge.pool.scanners)
    for _ in range(10 + dice.below(90)):
        at += 20 + dice.below(200)
        method = dice.popular(("GET", "GET", "HEAD", "POST", "PROPFIND"))
        yield edge.answer(
            at, viewer, dice.any(edge.sites.probes), Ask(method, dice.any(PROBE_QUERIES))
        )


def monitor(edge: Edge, at: int) -> Iterator[Request]:
    """Check every ten seconds that the API is alive."""
    viewer = edge.pool.next(edge.pool.monitors)
    for number in range(6):
        yield edge.answer(at + number * 10_000, viewer, edge.sites.health, Ask("HEAD"))


def download(edge: Edge, at: int) -> Iterator[Request]:
    """Fetch a large file in parts."""
    dice = edge.dice
    viewer = edge.pool.next(edge.pool.people)
    file = dice.popular(edge.sites.downloads)
    part = 8 * 2**20
    for start in range(0, min(file.size, part * (2 + dice.below(6))), part):
        span = (start, min(start + part, file.size) - 1)
        answered = edge.answer(at, viewer, file, Ask(span=span))
        at = answered.ended + 1
        yield answered


def _address(page: Resource) -> str:
    return f"https://{page.host}{page.path}"


def _search(dice: Dice) -> str:
    return f"q={dice.any(_WORDS)}&page={dice.below(9)}&id={dice.below(2**30)}"


def _campaign(dice: Dice) -> str:
    return f"utm_source={dice.any(_CAMPAIGNS)}&utm_medium=email&id={dice.below(2**30)}"


# Of a thousand visits.
_SHARES: tuple[tuple[Callable[[Edge, int], Iterator[Request]], float], ...] = (
    (browse, 220),
    (use_app, 400),
    (drop_in, 480),
    (watch, 36),
    (crawl, 22),
    (monitor, 10),
    (download, 7),
    (scan, 4),
)
VISITS = tuple(visit for visit, _ in _SHARES)
WEIGHTS = tuple(accumulate(share for _, share in _SHARES))
