"""What each privacy rule does to a document."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.normalize.documents.field_paths import field_type, path_of, put, value_at
from cloudfront_ecs.resources import field_table
from cloudfront_ecs.transforms.privacy.addresses import address_effect
from cloudfront_ecs.transforms.privacy.edits import (
    changed,
    edit_at,
    edit_field,
    edit_headers,
    follow,
    forget_unread_headers,
    texts_in,
)
from cloudfront_ecs.transforms.privacy.rules import (
    ADDRESSES,
    COOKIES,
    HEADERS,
    NEXT_OBJECT,
    QUERY,
    URLS,
)
from cloudfront_ecs.transforms.privacy.text import (
    REDACTED,
    changed_cookies,
    changed_query,
    decoded,
    names_matching,
)
from cloudfront_ecs.transforms.privacy.work import (
    OTHER,
    Work,
    columns_of,
    cookie_texts,
    free_names,
)

if TYPE_CHECKING:
    from cloudfront_ecs.options import Secret
    from cloudfront_ecs.transforms.privacy.rules import PrivacyRule
    from cloudfront_ecs.transforms.privacy.text import Change

Effect = Callable[[Any, Work], None]

_HEADER_OF = {
    COOKIES: "cookie",
    "user_agent.original": "user-agent",
    "http.request.referrer": "referer",
    "aws.cloudfront.request_accept": "accept",
    "aws.cloudfront.request_accept_encoding": "accept-encoding",
    "url.domain": "host",
    "aws.cloudfront.host": "host",
}
"""Fields whose value is also a request header."""

_OWN_COLUMNS = frozenset((*_HEADER_OF.values(), "x-forwarded-for"))
"""Headers that have columns of their own, for which rules of their own are written."""

_HOLDERS = {
    "url.path": ("url.original", "url.full", "url.extension"),
    "url.domain": (
        "url.full", "url.registered_domain", "url.subdomain", "url.top_level_domain",
    ),
    "http.request.referrer": ("aws.cloudfront.referrer_domain",),
}  # fmt: skip
"""Fields that have the value of another one as a part."""

_SOUGHT = frozenset(
    {"http.request.id", "aws.cloudfront.connection_id", "aws.cloudfront.distribution_tenant_id"}
)
_SOUGHT_CONVERSIONS = ("agent", "percent", "path", "target", "host", "domain", "quoted")


def effect_of(rule: PrivacyRule, key: Secret | None) -> Effect:
    """Return what *rule* does."""
    change = _change(rule.action, key)
    if rule.field in ADDRESSES and (rule.action != "drop" or rule.field != "related.ip"):
        return address_effect(rule, change)
    if rule.names:
        makers = {COOKIES: _named_cookies, QUERY: _named_parameters, HEADERS: _named_headers}
        return makers[rule.field](rule, change)
    if rule.field == QUERY:
        return _whole_query(change)
    return _whole_field(rule.field, change)


def _change(action: str, key: Secret | None) -> Change:
    if action == "drop":
        return lambda _: None
    if action == "hash":
        secret = key.reveal().encode() if key else b""
        return lambda value: hmac.new(
            secret, value.encode("utf-8", "surrogatepass"), "sha256"
        ).hexdigest()
    return lambda _: REDACTED


def _named_cookies(rule: PrivacyRule, change: Change) -> Effect:
    matches = names_matching(rule.names)
    columns = columns_of(frozenset([COOKIES]))

    def effect(body: Any, work: Work) -> None:
        noted = work.noting(change)

        def edit(text: str) -> str:
            return changed_cookies(text, matches, noted)

        if edit_field(body, COOKIES, edit):
            work.located.append(set(cookie_texts(work.before)))
        if edit_headers(body, lambda name, text: edit(text) if name == "cookie" else text):
            forget_unread_headers(body, work)
        for column in columns:
            edit_at(body, (*OTHER, column), edit)
        work.cookie_edits.append(edit)

    return effect


def _named_parameters(rule: PrivacyRule, change: Change) -> Effect:
    matches = names_matching(rule.names)
    fields = (QUERY, *URLS, NEXT_OBJECT)
    apart = columns_of(frozenset([COOKIES, HEADERS]))

    def effect(body: Any, work: Work) -> None:
        noted = work.noting(change)

        def edit(text: str) -> str:
            return changed_query(text, matches, noted)

        for name in fields:
            edit_field(body, name, edit)
        if edit_headers(body, lambda name, text: text if name == "cookie" else edit(text)):
            forget_unread_headers(body, work)
        for column in value_at(body, OTHER) or ():
            if column not in apart:
                edit_at(body, (*OTHER, column), edit)
        work.query_edits.append(edit)

    return effect


def _named_headers(rule: PrivacyRule, change: Change) -> Effect:
    matches = names_matching(rule.names)

    def effect(body: Any, work: Work) -> None:
        noted = work.noting(change)

        def edit(name: str, text: str) -> str | None:
            if not matches(name):
                return text
            return change(decoded(text)) if name in _OWN_COLUMNS else noted(decoded(text))

        before = value_at(work.before, path_of(HEADERS))
        if edit_headers(body, edit) and isinstance(before, dict):
            work.columns_checked(before)
        forget_unread_headers(body, work)

    return effect


def _whole_query(change: Change) -> Effect:
    columns = frozenset(["cs-uri-query"])

    def effect(body: Any, work: Work) -> None:
        noted = work.noting(change)

        def edit(text: str) -> str:
            head, mark, query = text.partition("?")
            new = noted(decoded(query)) if query else None
            return head if not mark or new is None else f"{head}?{new}"

        query = value_at(body, path_of(QUERY))
        if isinstance(query, str):
            put(body, path_of(QUERY), noted(query))
        for name in URLS:
            edit_field(body, name, edit)
        if edit_headers(body, lambda name, text: edit(text) if name == "referer" else text):
            forget_unread_headers(body, work)
        for column in value_at(body, OTHER) or ():
            edit_at(body, (*OTHER, column), edit)
        work.columns |= columns

    return effect


def _whole_field(name: str, change: Change) -> Effect:
    path, kind = path_of(name), field_type(name)
    columns = columns_of(frozenset([name]))
    sought = _is_sought(name)
    copies = [path_of(each) for each in _copies(name)]
    holders = [path_of(each) for each in _HOLDERS.get(name, ())]
    header = _HEADER_OF.get(name)

    def effect(body: Any, work: Work) -> None:
        work.columns |= columns
        value = value_at(body, path)
        if value is None:
            return
        texts = work.column_texts(columns) if value_at(body, ("event", "original")) else set()
        work.cells |= texts if not isinstance(value, str) else set()
        if columns:
            work.located.append({*texts, str(value)})
        new = changed(value, change)
        put(body, path, new)
        for text in texts_in(value) if sought else ():
            work.note(text, change(text))
        for copy in copies:
            follow(body, copy, value, new)
        for holder in holders:
            put(body, holder, None)
        if header is not None and isinstance(value, str):
            edit_headers(body, lambda key, text: change(value) if key == header else text)

    if kind == "flattened" and name == HEADERS:
        return _named_headers_whole(change)
    return effect


def _named_headers_whole(change: Change) -> Effect:
    columns = columns_of(frozenset([HEADERS]))

    def effect(body: Any, work: Work) -> None:
        work.columns |= columns
        before = value_at(work.before, path_of(HEADERS))
        noted = work.noting(change)

        def edit(name: str, text: str) -> str | None:
            return change(decoded(text)) if name in _OWN_COLUMNS else noted(decoded(text))

        if edit_headers(body, edit) and isinstance(before, dict):
            work.columns_checked(before)

    return effect


def _is_sought(name: str) -> bool:
    """Say whether the values of a field are worth looking for in other texts."""
    if name in _SOUGHT or name in free_names() or name.startswith(("tls.client.", "user.")):
        return True
    return any(
        row.conversion in _SOUGHT_CONVERSIONS
        for row in field_table()
        if any(target == name for target, _ in row.targets)
    )


@cache
def _copies(name: str) -> tuple[str, ...]:
    """Return the fields that may have the same value from the same column."""
    found: dict[str, None] = {}
    for row in field_table():
        names = [target for target, _ in row.targets]
        if name in names and not row.column.startswith("("):
            found |= dict.fromkeys(names)
    top, _, rest = name.partition(".")
    twin = {
        "source": "client",
        "client": "source",
        "destination": "server",
        "server": "destination",
    }
    if top in twin:
        found[f"{twin[top]}.{rest}"] = None
    found.pop(name, None)
    return tuple(found)
