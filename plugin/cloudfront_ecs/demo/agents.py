"""The programs that send requests: 400 user agents of browsers, apps, players, bots and tools."""

from __future__ import annotations

from typing import NamedTuple

_WINDOWS = "Windows NT 10.0; Win64; x64"
_MAC = "Macintosh; Intel Mac OS X 10_15_7"
_LINUX = "X11; Linux x86_64"
_ANDROID = "Linux; Android 10; K"
_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko)"

_MODELS = (
    "Android 16; Pixel 9",
    "Android 15; Pixel 8a",
    "Android 15; SM-S921B",
    "Android 14; SM-A546B",
    "Android 14; moto g54 5G",
    "Android 13; 2201117TY",
    "Android 13; CPH2481",
    "Android 12; M2102J20SG",
    "Android 11; SM-T510",
)

_NEWEST = 144  # of Chrome, in the demo's January 2026
_TOTAL = 400


class Agent(NamedTuple):
    """A program, as it names itself.

    Attributes:
        text: The User-Agent header; empty where the program sends none.
        device: ``desktop``, ``mobile``, ``tablet``, ``tv`` or empty.
        weight: How common it is among its kind.
        old: It speaks HTTP/1.1 over TLS before 1.3 only.
    """

    text: str
    device: str = ""
    weight: float = 1.0
    old: bool = False


def _chromes() -> list[Agent]:
    """Return Chrome, Edge and Opera; the newest versions are the most common."""
    made = []
    for age in range(26):
        version = f"{_NEWEST - age}.0.0.0"
        weight = 0.7**age + 0.004
        for system, share in ((_WINDOWS, 30.0), (_MAC, 8.0), (_LINUX, 2.0)):
            text = f"Mozilla/5.0 ({system}) {_WEBKIT} Chrome/{version} Safari/537.36"
            made.append(Agent(text, "desktop", share * weight))
        text = f"Mozilla/5.0 ({_ANDROID}) {_WEBKIT} Chrome/{version} Mobile Safari/537.36"
        made.append(Agent(text, "mobile", 30.0 * weight))
        text = f"Mozilla/5.0 ({_ANDROID}) {_WEBKIT} Chrome/{version} Safari/537.36"
        made.append(Agent(text, "tablet", 2.0 * weight))
        edge = f"Mozilla/5.0 ({_WINDOWS}) {_WEBKIT} Chrome/{version} Safari/537.36 Edg/{version}"
        made.append(Agent(edge, "desktop", 7.0 * weight))
    return made


def _safaris() -> list[Agent]:
    """Return Safari on phones, tablets and desktops."""
    made = []
    versions = ["26.2", "26.1", "26.0", *(f"18.{minor}" for minor in range(6, -1, -1))]
    versions += [*(f"17.{minor}" for minor in range(6, 0, -1)), "16.6", "16.3", "15.6", "14.1"]
    for age, version in enumerate(versions):
        weight = 0.8**age + 0.01
        system = "18_6" if version.startswith("26") else version.replace(".", "_")
        tail = f"like Mac OS X) {_SAFARI} Version/{version} Mobile/15E148 Safari/604.1"
        phone = f"Mozilla/5.0 (iPhone; CPU iPhone OS {system} {tail}"
        tablet = f"Mozilla/5.0 (iPad; CPU OS {system} {tail}"
        desktop = f"Mozilla/5.0 ({_MAC}) {_SAFARI} Version/{version} Safari/605.1.15"
        made += [Agent(phone, "mobile", 22.0 * weight), Agent(tablet, "tablet", 3.0 * weight)]
        made.append(Agent(desktop, "desktop", 6.0 * weight))
    return made


def _others() -> list[Agent]:
    """Return Firefox, Samsung Internet and the browsers inside apps."""
    made = []
    for age in range(18):
        rv = f"{146 - age}.0"
        weight = 0.75**age + 0.01
        for system, device, share in (
            (_WINDOWS, "desktop", 5.0),
            (_LINUX, "desktop", 2.0),
            ("Android 14; Mobile", "mobile", 1.0),
        ):
            text = f"Mozilla/5.0 ({system}; rv:{rv}) Gecko/20100101 Firefox/{rv}"
            made.append(Agent(text, device, share * weight))
    for age in range(8):
        text = (
            f"Mozilla/5.0 ({_ANDROID}) {_WEBKIT} SamsungBrowser/{29 - age}.0 "
            f"Chrome/{136 - 4 * age}.0.0.0 Mobile Safari/537.36"
        )
        made.append(Agent(text, "mobile", 4.0 * 0.7**age))
    return made


def _views() -> list[Agent]:
    """Return views inside Android apps, which name the device."""
    return [
        Agent(
            f"Mozilla/5.0 (Linux; {model}; wv) {_WEBKIT} Version/4.0 "
            f"Chrome/{_NEWEST - age}.0.{7559 - 61 * age}.{59 + age} Mobile Safari/537.36",
            "tablet" if "SM-T" in model else "mobile",
            0.4,
        )
        for model in _MODELS
        for age in range(11)
    ]


OLD_BROWSERS = (
    Agent(
        "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
        "desktop",
        2,
        old=True,
    ),
    Agent(
        f"Mozilla/5.0 (Linux; Android 4.4.2; GT-I9505) {_WEBKIT} Chrome/34.0.1847.114 "
        "Mobile Safari/537.36",
        "mobile",
        1,
        old=True,
    ),
    Agent(
        "Mozilla/5.0 (iPhone; CPU iPhone OS 9_3_5 like Mac OS X) AppleWebKit/601.1.46 "
        "(KHTML, like Gecko) Version/9.0 Mobile/13G36 Safari/601.1",
        "mobile",
        1,
        old=True,
    ),
)

APPS = tuple(
    Agent(text, "mobile", weight)
    for text, weight in (
        ("ExampleShop/8.4.1 (iPhone; iOS 18.6; Scale/3.00)", 9),
        ("ExampleShop/8.4.0 (iPhone; iOS 18.5; Scale/3.00)", 4),
        ("ExampleShop/8.3.2 (iPad; iOS 17.6; Scale/2.00)", 1),
        ("ExampleShop/1284 CFNetwork/1568.300.101 Darwin/24.6.0", 3),
        ("okhttp/4.12.0", 8),
        ("okhttp/5.1.0", 3),
        ("Dalvik/2.1.0 (Linux; U; Android 15; Pixel 8a Build/AP4A.250205.002)", 3),
        ("Dart/3.6 (dart:io)", 2),
    )
)

PLAYERS = tuple(
    Agent(text, device, weight)
    for text, device, weight in (
        ("AppleCoreMedia/1.0.0.22G86 (iPhone; U; CPU OS 18_6 like Mac OS X; en_us)", "mobile", 6),
        ("AppleCoreMedia/1.0.0.22M84 (Apple TV; U; CPU OS 18_6 like Mac OS X; de_de)", "tv", 4),
        ("ExampleTV/3.2.0 (Linux;Android 14) AndroidXMedia3/1.5.1", "tv", 4),
        (
            (
                "Mozilla/5.0 (SMART-TV; Linux; Tizen 7.0) AppleWebKit/537.36 (KHTML, like Gecko) "
                "94.0.4606.31/7.0 TV Safari/537.36"
            ),
            "tv",
            4,
        ),
        (
            (
                "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) "
                "Chrome/108.0.5359.211 Safari/537.36 WebAppManager"
            ),
            "tv",
            3,
        ),
        ("Roku/DVP-14.5 (14.5.4.5934-CU)", "tv", 2),
    )
)

BOTS = tuple(
    Agent(text, "", weight)
    for text, weight in (
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", 9),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", 5),
        ("Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", 4),
        ("Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)", 3),
        (
            (
                "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; "
                "+https://openai.com/gptbot)"
            ),
            3,
        ),
        ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", 2),
        ("Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)", 1),
    )
)

SCANNERS = (
    Agent("Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)"),
    Agent("Mozilla/5.0 zgrab/0.x"),
    Agent("python-requests/2.32.3"),
    Agent("curl/7.88.1"),
    Agent(""),
)

MONITORS = (
    Agent("ExampleUptime/2.0 (+https://status.example.org/about)"),
    Agent("kube-probe/1.31"),
)

TOOLS = (Agent("curl/8.5.0"), Agent("Wget/1.21.4"), Agent("Go-http-client/2.0"))


def _browsers() -> tuple[Agent, ...]:
    """Return the browsers, as many as are missing from the other kinds to make 400."""
    kinds = (OLD_BROWSERS, APPS, PLAYERS, BOTS, SCANNERS, MONITORS, TOOLS)
    named = sum(bool(agent.text) for kind in kinds for agent in kind)
    made = _chromes() + _safaris() + _others() + _views()
    return tuple(sorted(made, key=lambda agent: -agent.weight)[: _TOTAL - named])


BROWSERS = _browsers()
