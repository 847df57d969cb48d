"""A distribution's configuration as a call gives it: what a reader wants to know of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudfront_ecs.normalize.api.parts import (
    flag_at,
    list_at,
    object_at,
    part,
    text_at,
    texts_at,
    unique,
)
from cloudfront_ecs.normalize.api.subjects import origin_hosts

if TYPE_CHECKING:
    from cloudfront_ecs.normalize.api.parts import Json

_SHOWN = 3
"""How many names of a list a sentence gives."""


def configuration(request: Json) -> Json:
    """Return the distribution's configuration in a request, or an empty object."""
    tagged = object_at(request, "distributionConfigWithTags", "distributionConfig")
    return object_at(request, "distributionConfig") or tagged


def behaviors(config: Json) -> list[Json]:
    """Return the default cache behavior and the others."""
    default = object_at(config, "defaultCacheBehavior")
    others = [item for item in list_at(config, "cacheBehaviors") if isinstance(item, dict)]
    return [default, *others] if default else others


def some(names: list[str]) -> str:
    """Return the first names of a list and how many more there are."""
    shown = ", ".join(names[:_SHOWN])
    left = len(names) - _SHOWN
    return f"{shown} and {left} more" if left > 0 else shown


def described(config: Json) -> list[str]:
    """Return what a configuration says, in words; nothing about what it does not mention."""
    facts: list[str | None] = [_switch(config, "enabled", "disabled", "enabled")]
    aliases, origins = texts_at(config, "aliases"), origin_hosts(config)
    facts.append(f"aliases {some(aliases)}" if aliases else None)
    facts.append(f"origins {some(origins)}" if origins else None)
    policies = unique(text_at(item, "viewerProtocolPolicy") for item in behaviors(config))
    facts.append(f"viewer protocol {' and '.join(policies)}" if policies else None)
    minimum = text_at(config, "viewerCertificate", "minimumProtocolVersion")
    facts.append(f"TLS from {minimum}" if minimum else None)
    facts.append(_web_acl(config))
    facts.append(
        _switch(config, "logging", "no standard logging (legacy)", "standard logging (legacy)")
    )
    realtime = unique(text_at(item, "realtimeLogConfigArn") for item in behaviors(config))
    names = [arn.rpartition("/")[2] for arn in realtime]
    facts.append(f"real-time logs {some(names)}" if names else None)
    facts.append(_geo_restriction(config))
    code = [
        text_at(item, "functionARN") or text_at(item, "lambdaFunctionARN")
        for behavior in behaviors(config)
        for kind in ("functionAssociations", "lambdaFunctionAssociations")
        for item in list_at(behavior, kind)
    ]
    names = [_last_name(arn) for arn in unique(code)]
    facts.append(f"functions {some(names)}" if names else None)
    return [fact for fact in facts if fact]


def _switch(config: Json, name: str, off: str, on: str) -> str | None:
    place = (name,) if name == "enabled" else (name, "enabled")
    state = flag_at(config, *place)
    return None if state is None else on if state else off


def _web_acl(config: Json) -> str | None:
    given = part(config, "webACLId")
    if not isinstance(given, str):
        return None
    return f"web ACL {acl_name(given)}" if given else "no web ACL"


def acl_name(given: str) -> str:
    """Return the name in a web ACL's ARN; WAF Classic has ids only."""
    parts = given.split("/")
    return parts[-2] if given.startswith("arn:") and len(parts) > _ACL_PARTS else given


_ACL_PARTS = 2


def _last_name(arn: str) -> str:
    """Return the name in a function's ARN; Lambda's ends in a version."""
    if ":function:" in arn:
        return arn.partition(":function:")[2]
    return arn.rpartition("/")[2]


def _geo_restriction(config: Json) -> str | None:
    kind = text_at(config, "restrictions", "geoRestriction", "restrictionType")
    countries = texts_at(config, "restrictions", "geoRestriction")
    if kind == "none":
        return "no geographic restriction"
    words = {"whitelist": "only countries", "blacklist": "no countries"}
    return f"{words[kind]} {some(countries)}" if kind in words and countries else None
