"""Requests that look like probing or attack, and agents that say what they are."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudfront_ecs.normalize.values.bots import KINDS, bot_class
from cloudfront_ecs.normalize.values.probes import MARKS, PATHS, path_flags, request_flags
from normalize.converting import realtime, standard

PROBES = {
    "env_file": (["/.env", "/api/.env.local", "/.ENV"], ["/.envoy", "/environment", "/a.env"]),
    "version_control": (["/.git/config", "/.svn/", "/.git"], ["/.github/a", "/git/config"]),
    "secret_file": (
        [
            "/.aws/credentials",
            "/home/.ssh/id_rsa",
            "/.htpasswd",
            "/.htaccess",
            "/wp-config.php.bak",
        ],
        ["/aws/credentials.html", "/credentials-help", "/dockers/"],
    ),
    "backup_file": (
        ["/index.php.bak", "/db.sql", "/db.sql.gz", "/backup.zip", "/site.tar.gz"],
        ["/bak/index.html", "/downloads/app.zip", "/sql", "/a.old-version"],
    ),
    "wordpress": (["/wp-login.php", "/blog/xmlrpc.php"], ["/wp-content/a.png", "/wp-login"]),
    "database_console": (
        ["/phpmyadmin/", "/phpMyAdmin-4.9/", "/pma/index.php", "/adminer.php"],
        ["/spma/", "/admin", "/administer"],
    ),
    "server_console": (
        ["/actuator/env", "/manager/html", "/server-status", "/phpinfo.php"],
        ["/actuators/valves", "/manager", "/server-status-page"],
    ),
    "device": (["/cgi-bin/luci", "/HNAP1/", "/boaform/admin"], ["/cgi-binary", "/device"]),
    "code_execution": (
        ["/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", "/shell.php", "/bin/sh"],
        ["/vendor/jquery.js", "/shell.html", "/seashell.php", "/bin/shop"],
    ),
}
"""For each mark of a path, paths that have it and paths that only look alike."""

ATTACKS = {
    "traversal": (
        ["../../etc/hosts", "..\\..\\boot.ini", "a/../b", "x=/..;/admin"],
        ["a..b", "1...2", "v=..", "..."],
    ),
    "file_inclusion": (
        ["/etc/passwd", "php://input", "file:///c:/windows", "/proc/self/environ"],
        ["/etcetera/passwd", "ophp:/", "file=a", "https://www.example.com/"],
    ),
    "sql_injection": (
        ["1' or '1'='1", "1 UNION SELECT a,b", "1 union/**/all/**/select (1)", "1;select sleep(5)",
         "a'--", "1 or 1=1", "x'; drop table a", "1 waitfor delay '0:0:5'"],
        ["reunion selection", "o'reilly", "select=from", "for 1 or 2", "rock'n'roll", "sleep"],
    ),
    "cross_site_scripting": (
        ["<script>alert(1)</script>", "<svg/onload=alert(1)>", "javascript:alert(1)",
         '" onerror=x', "<IMG src=x>"],
        ["javascript", "<3", "condition=1", "1<2", "script"],
    ),
    "template_injection": (
        ["${jndi:ldap://example.com/a}", "${lower:j}", "{{7*7}}"],
        ["${name}", "{{user}}", "$5", "{a}"],
    ),
    "command_injection": (
        ["a;cat /etc/hosts", "a|id", "`id`", "$(curl example.com)"],
        ["a;b", "cats|dogs", "identity", "$(x)"],
    ),
    "internal_address": (
        ["http://169.254.169.254/latest/meta-data", "http://metadata.google.internal/"],
        ["http://169.254.1.1/", "169.254"],
    ),
    "control_character": (["a\x00b", "a\r\nset-cookie: x"], ["a b", "a\r\n"]),
}  # fmt: skip
"""For each mark of any text, texts that have it and texts that only look alike."""

AGENTS = {
    "scanner": ["sqlmap/1.7", "Mozilla/5.0 zgrab/0.x", "${jndi:ldap://example.com/a}"],
    "ai": ["Mozilla/5.0 (compatible; GPTBot/1.2; +https://www.example.com)", "ClaudeBot/1.0"],
    "search": ["Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.example.com)", "bingbot/2.0"],
    "seo": ["Mozilla/5.0 (compatible; AhrefsBot/7.0)", "Screaming Frog SEO Spider/20.1"],
    "social": ["facebookexternalhit/1.1", "Slackbot-LinkExpanding 1.0"],
    "monitor": ["Pingdom.com_bot_version_1.4", "Amazon-Route53-Health-Check-Service (ref x)"],
    "feed": ["Feedly/1.0 (+http://www.example.com/fetcher.html)"],
    "tool": ["curl/8.5.0", "python-requests/2.31", "Go-http-client/2.0", "HeadlessChrome/120"],
    "other": ["MyBot/1.0", "Acme crawler", "x (+https://www.example.com)"],
    "none": [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0.0.0 Safari/537.36",
        "okhttp/4.12.0", "Cubot Note 20", "CFNetwork/1410 Darwin/22", "Robotics", "libcurl",
    ],
    "empty": [""],
}  # fmt: skip


def logged(text: str) -> str:
    """Return what CloudFront logs for what the viewer sent."""
    return quote(text, safe="!$&'()*+,-./:;=?@_")


def spellings(text: str) -> set[str]:
    """Return a text as it is logged when sent plain, encoded, encoded twice, with pluses."""
    return {
        logged(text),
        logged(quote(text, safe="")),
        logged(quote(quote(text, safe=""), safe="")),
        logged(text.replace(" ", "+")),
    }


def test_every_mark_has_an_example() -> None:
    assert set(PROBES) == set(PATHS)
    assert set(ATTACKS) == set(MARKS)


@pytest.mark.parametrize(
    ("name", "path"), [(name, path) for name, (paths, _) in PROBES.items() for path in paths]
)
def test_a_path_that_a_prober_asks_for_is_flagged(name: str, path: str) -> None:
    for text in (path, logged(quote(path)), f"/shop{path}"):
        assert name in (path_flags(text) or ()), text


@pytest.mark.parametrize(
    ("name", "path"), [(name, path) for name, (_, paths) in PROBES.items() for path in paths]
)
def test_a_path_that_only_looks_alike_is_not(name: str, path: str) -> None:
    assert name not in (path_flags(path) or ())


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, (texts, _) in ATTACKS.items() for text in texts]
)
def test_an_attack_is_flagged_however_it_is_encoded(name: str, text: str) -> None:
    for spelling in spellings(text):
        assert name in (request_flags(None, f"a=1&b={spelling}") or ()), spelling
        assert name in (path_flags(f"/shop/{spelling}") or ()), spelling


WORDS = [
    "union", "select", "information_schema", ".xp_cmdshell", "or", "and", "1=1", "--", "sleep(1",
    "benchmark(1", "waitfor", "delay", "<script ", "javascript:", "onload=", "${env", "{{7*7}}",
    ";id", "$(id", "//169.254.169.254", "//metadata.google.internal", "\0", "\r\n", "x:", "../",
    "/..;", "/etc/passwd", "/proc/self/", "/win.ini", "php://", "file:///", "phar://",
    " ", "+", "/", "(", ")", "'", '"', "\t", "\x0b", "\x1c", "\xa0", "a", ";",
]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 2)), max_size=6))
@example([("a", 0), ("\0", 0)])
@example([("javascript:", 1)])
@example([(")", 0), ("or", 0), (" ", 0), ("1=1", 0)])
@example([("waitfor", 0), ("+", 0), ("delay", 0)])
def test_the_marks_of_a_query_do_not_depend_on_its_spelling(words: list[tuple[str, int]]) -> None:
    text = "".join(word for word, _ in words)
    spelt = "".join(word if times == 0 else encoded(word, times) for word, times in words)

    assert request_flags(None, spelt) == request_flags(None, encoded(text, 1))


def encoded(text: str, times: int) -> str:
    """Return *text* with each of its bytes encoded."""
    return "".join(f"%{'25' * (times - 1)}{byte:02x}" for byte in text.encode())


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, (_, texts) in ATTACKS.items() for text in texts]
)
def test_a_text_that_only_looks_alike_is_no_attack(name: str, text: str) -> None:
    for spelling in spellings(text):
        assert name not in (request_flags(None, f"a=1&b={spelling}") or ()), spelling


@pytest.mark.parametrize(
    "query", ["q=red%2520shoes&page=2", "caf%25C3%25A9=1", "-", "", "a=%253A%252F", "x=(1)"]
)
def test_an_ordinary_query_has_no_flags(query: str) -> None:
    assert request_flags(None, query) is None
    assert request_flags(["env_file"], query) == ["env_file"]


def test_flags_of_path_and_query_come_together_without_repeats() -> None:
    flags = request_flags(path_flags("/a/../.env"), "f=../b&q='--")

    assert flags == ["env_file", "traversal", "sql_injection"]


@pytest.mark.parametrize(
    ("kind", "agent"), [(kind, agent) for kind, agents in AGENTS.items() for agent in agents]
)
def test_a_user_agent_is_of_the_kind_it_says(kind: str, agent: str) -> None:
    assert bot_class(logged(agent) or "-") == kind
    assert bot_class(logged(agent).replace("%", "%25") or "-") == kind


def test_every_kind_of_agent_has_an_example() -> None:
    assert set(AGENTS) == {*KINDS, "other", "none", "empty"}


@pytest.mark.parametrize("log", ["standard", "realtime"])
def test_both_logs_flag_requests_and_agents(log: str) -> None:
    clock = ["date", "time"] if log == "standard" else ["timestamp"]
    agent = "cs(User-Agent)" if log == "standard" else "cs-user-agent"
    convert = standard if log == "standard" else realtime
    values = {"cs-uri-stem": "/.env", "cs-uri-query": "a='--", agent: "sqlmap/1.7"}

    [body] = convert(values, columns=[*clock, "cs-uri-stem", agent, "cs-uri-query"]).bodies
    [plain] = convert({agent: "-"}, columns=[*clock, "cs-uri-stem", agent]).bodies

    assert body["aws.cloudfront.request_flags"] == ["env_file", "sql_injection"]
    assert body["aws.cloudfront.bot_class"] == "scanner"
    assert "aws.cloudfront.request_flags" not in plain
    assert plain["aws.cloudfront.bot_class"] == "empty"


def test_a_real_time_path_is_flagged_by_the_query_inside_it() -> None:
    columns = ["timestamp", "cs-uri-stem"]

    [body] = realtime({"cs-uri-stem": "/a?b=../c"}, columns=columns).bodies

    assert body["aws.cloudfront.request_flags"] == ["traversal"]
