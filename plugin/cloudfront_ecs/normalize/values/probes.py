"""Marks of probing and attack in the path and the query of a request.

A flag says that a text looks like an attempt, not that it was one or that it worked: a
site that runs WordPress sees ``wordpress`` from its own editors.

Most texts hold nothing that an attack needs, and most paths have no segment that a prober
asks for: fast searches send those away.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from cloudfront_ecs.normalize.values.plain import absent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_LAYERS = 3
"""How often a text is decoded: once for the log, and twice for what hides by encoding."""

PATHS: Mapping[str, tuple[str, ...]] = {
    "env_file": (r"/\.env(?:[^a-z]|$)",),
    "version_control": (r"/\.(?:git|svn|hg|bzr)(?:/|$)", r"/\.gitconfig$"),
    "secret_file": (
        r"/\.(?:aws|ssh|docker|kube)/", r"/id_(?:rsa|ed25519)", r"/\.ht(?:passwd|access)",
        r"/\.npmrc", r"/\.ds_store", r"/web\.config$", r"/docker-compose\.ya?ml", r"/wp-config\.",
        r"/(?:credentials|secrets?)(?:\.(?:json|ya?ml|txt))?$",
    ),
    "backup_file": (
        r"\.(?:bak|old|orig|save|swp|sql)(?:\.(?:gz|zip|bz2))?$",
        r"/(?:backup|dump|database|db|site|www)\.(?:zip|rar|7z|tgz|tar(?:\.gz)?)$",
    ),
    "wordpress": (r"/wp-login\.php", r"/xmlrpc\.php", r"/wlwmanifest\.xml", r"/wp-admin/install"),
    "database_console": (r"/php-?my-?admin", r"/pma/", r"/adminer(?:[.-]|$)", r"/mysql-?admin"),
    "server_console": (
        r"/actuator(?:/|$)", r"/manager/html", r"/jmx-console", r"/solr/admin",
        r"/server-status$", r"/_ignition/", r"/telescope/requests", r"/phpinfo",
    ),
    "device": (r"/cgi-bin/", r"/hnap1", r"/boaform/", r"/goform/", r"/gponform/"),
    "code_execution": (
        r"/eval-stdin\.php", r"/(?:shell|cmd|c99|r57|wso|alfa)\.(?:php|jsp|aspx?)$",
        r"/vendor/phpunit/", r"/think\\app/", r"/bin/(?:ba)?sh$",
    ),
}  # fmt: skip
"""What those ask for who look for a way in; searched in decoded paths in lower case."""

MARKS: Mapping[str, tuple[str, ...]] = {
    "traversal": (r"\.\.[/\\]", r"/\.\.(?:;|$)"),
    "file_inclusion": (
        r"/etc/(?:passwd|shadow)", r"/proc/self/", r"/win\.ini", r"php://",
        r"file:///", r"phar://",
    ),
    "sql_injection": (
        r"union[\s+(/*]+(?:all[\s+(/*]+)?select[\s+(/*]", r"[\s+(`]information_schema",
        r"[\s+;(.]xp_cmdshell", r"'[\s+)/*]*(?:or|and)[\s+(/*]+['\w]+\s*(?:=|like|<|>)",
        r"[\s+'\")]or[\s+]+1\s*=\s*1", r"'[\s+;)]*--", r"';", r"[^a-z]sleep\(\d",
        r"benchmark\(\d", r"waitfor[\s+]+delay",
    ),
    "cross_site_scripting": (
        r"<\s*/?(?:script|iframe|svg|img|body|object)[\s+/>]", r"javascript:",
        r"[\s+\"'/]on(?:error|load|click|focus|mouseover)\s*=",
    ),
    "template_injection": (r"\$\{(?:jndi|env|sys|lower|upper|::-)", r"\{\{[^{}]*\*[^{}]*\}\}"),
    "command_injection": (
        r"[;|`](?:cat|wget|curl|nc|bash|sh|id|whoami|uname|ping)(?:[\s+`]|$)",
        r"\$\((?:cat|wget|curl|id|whoami)",
    ),
    "internal_address": (r"//169\.254\.169\.254", r"//metadata\.google\.internal"),
    "control_character": ("\x00", r"\r\n[a-z-]+:"),
}  # fmt: skip
"""What has no business in a request; searched in decoded paths and queries.

Each needs a character that no ordinary text has, however often it is encoded, or begins with
a slash or a dot; ``_HINT`` has to know of what is added.
"""

_ODD_IN_PATH = re.compile(r"[^\w/.,~@-]")
_WORDS = r"(?:select|or|on|delay|xp_|info)"
_HINT = re.compile(
    # Nobody needs to encode letters and digits, so these are hints as well.
    rf"%(?:25){{0,2}}(?:0[09a-d]|2(?:[478ae]|[29]o|[0b]{_WORDS}|f(?:etc|proc|win|on|select))"
    rf"|3[\dbc]|4[1-9a-f]|5[\dac]|6[\da-f]|7[\da-c])|\+{_WORDS}| {_WORDS}"
    r"""|\x00|\t|\n|\x0b|\x0c|\r|'|\(|;|<|\||`|\$|\\|\*|\{|"o|\)o|/(?:etc|proc|win|on|select)"""
    r"|\.(?:\.|254\.|google\.i|xp_)|javascript|phar|php|file"
)
"""What every mark has of in a query as logged, in lower case, however it is spelt.

Each way begins with a plain character, and few letters are among them: so the search skips
the rest in C.
"""

_BY_NAME = {
    name: re.compile("|".join(group), re.ASCII) for name, group in {**PATHS, **MARKS}.items()
}
_EACH = [pattern for group in (*PATHS.values(), *MARKS.values()) for pattern in group]
_FROM_SLASH_OR_DOT = re.compile(
    f"/(?:{'|'.join(p[1:] for p in _EACH if p[0] == '/')})"
    f"|\\.(?:{'|'.join(p[2:] for p in _EACH if p[:2] == chr(92) + '.')})",
    re.ASCII,
)
_MARKED = re.compile("|".join(pattern for group in MARKS.values() for pattern in group), re.ASCII)


def _plain(value: str) -> str:
    """Return a logged text decoded until nothing is left to decode, in lower case."""
    for _ in range(MOST_LAYERS):
        if "%" not in value:
            break
        value = unquote(value, errors="replace")
    return value.lower()


def path_flags(path: str) -> list[str] | None:
    """Return the names of the marks in a path as logged."""
    plain = _plain(path)
    if _FROM_SLASH_OR_DOT.search(plain) is None and (
        _ODD_IN_PATH.search(plain) is None or _MARKED.search(plain) is None
    ):
        return None
    return _flags_of(plain, _BY_NAME) or None


def request_flags(path_flags: list[str] | None, query: str) -> list[str] | None:
    """Return the names of the marks in a path or in a query as logged, without repeats."""
    if absent(query) or _HINT.search(query.lower()) is None:
        return path_flags
    plain = _plain(query)
    if _MARKED.search(plain) is None:
        return path_flags
    return list(dict.fromkeys((*(path_flags or ()), *_flags_of(plain, MARKS))))


def _flags_of(plain: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if _BY_NAME[name].search(plain)]
