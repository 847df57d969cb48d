"""What an API operation does and to what: verbs, nouns and the categories of change.

An operation's name is a verb and a noun; the noun may be followed by what selects
(``ListDistributionsByKeyGroup``).  Source: CloudFront API reference 2020-05-31, CloudFront
KeyValueStore API reference, CloudWatch Logs API reference (deliveries); categories of ECS 9.4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_DATED = re.compile(r"\d{4}_\d{2}_\d{2}\Z", re.ASCII)
_PARTS = re.compile(r"([A-Z][a-z]+)(.+?)(?:By[A-Z]\w*|With[A-Z]\w*)?\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Verb:
    """What is done.

    Attributes:
        past: For sentences: ``changed``.
        infinitive: For sentences about what failed: ``change``.
        event_type: One of ECS's ``event.type``.
    """

    past: str
    infinitive: str
    event_type: str


@dataclass(frozen=True, slots=True)
class Noun:
    """What it is done to.

    Attributes:
        category: ``aws.cloudfront.change.category``.
        name: What people call it.
    """

    category: str
    name: str

    @property
    def resource_type(self) -> str:
        """``aws.cloudfront.change.resource_type``: what an id of it identifies."""
        return self.name.rpartition(" of ")[2].lower().replace(" ", "_").replace("-", "_")


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as its name tells it.

    Attributes:
        action: The name without the API's date, which events of 2014 carry at its end.
        verb: What is done, or None where the name begins with no verb known here.
        noun: What it is done to, or None where it is nothing known here.
        kind: The noun as the name has it, in the singular.
    """

    action: str
    verb: Verb | None
    noun: Noun | None
    kind: str

    @property
    def event_type(self) -> str | None:
        """One of ECS's ``event.type``, or None; an invalidation changes what is cached."""
        if self.verb is None:
            return None
        made = self.verb.event_type == "creation"
        return "change" if made and self.kind.startswith("Invalidation") else self.verb.event_type

    @property
    def changes(self) -> bool:
        """Whether the call changes something."""
        return self.event_type in CHANGING


CHANGING = ("creation", "change", "deletion")
"""Types of calls that change something."""

VERBS = {
    "Create": Verb("created", "create", "creation"),
    "Copy": Verb("copied", "copy", "creation"),
    "Update": Verb("changed", "change", "change"),
    "Put": Verb("set", "set", "change"),
    "Associate": Verb("associated", "associate", "change"),
    "Disassociate": Verb("disassociated", "disassociate", "change"),
    "Publish": Verb("published", "publish", "change"),
    "Tag": Verb("tagged", "tag", "change"),
    "Untag": Verb("untagged", "untag", "change"),
    "Delete": Verb("deleted", "delete", "deletion"),
    "Get": Verb("read", "read", "access"),
    "List": Verb("listed", "list", "access"),
    "Describe": Verb("read", "read", "access"),
    "Test": Verb("tested", "test", "info"),
    "Verify": Verb("verified", "verify", "info"),
}

NOUNS = {
    "Distribution": Noun("distribution", "distribution"),
    "DistributionWebACL": Noun("distribution", "web ACL of distribution"),
    "StreamingDistribution": Noun("distribution", "streaming distribution"),
    "Alias": Noun("distribution", "alias"),
    "ConflictingAlias": Noun("distribution", "conflicting alias"),
    "DomainAssociation": Noun("distribution", "domain association"),
    "DomainConflict": Noun("distribution", "domain conflict"),
    "DnsConfiguration": Noun("distribution", "DNS configuration"),
    "DistributionTenant": Noun("tenants", "distribution tenant"),
    "DistributionTenantWebACL": Noun("tenants", "web ACL of distribution tenant"),
    "ConnectionGroup": Noun("tenants", "connection group"),
    "ManagedCertificateDetails": Noun("tenants", "managed certificate"),
    "InvalidationForDistributionTenant": Noun("tenants", "invalidation"),
    "Invalidation": Noun("cache", "invalidation"),
    "CachePolicy": Noun("cache", "cache policy"),
    "OriginRequestPolicy": Noun("cache", "origin request policy"),
    "ResponseHeadersPolicy": Noun("cache", "response headers policy"),
    "ContinuousDeploymentPolicy": Noun("cache", "continuous deployment policy"),
    "OriginAccessControl": Noun("origin_access", "origin access control"),
    "CloudFrontOriginAccessIdentity": Noun("origin_access", "origin access identity"),
    "VpcOrigin": Noun("origin_access", "VPC origin"),
    "KeyGroup": Noun("origin_access", "key group"),
    "PublicKey": Noun("origin_access", "public key"),
    "TrustStore": Noun("origin_access", "trust store"),
    "AnycastIpList": Noun("origin_access", "anycast IP list"),
    "ResourcePolicy": Noun("origin_access", "resource policy"),
    "Function": Noun("edge_code", "function"),
    "ConnectionFunction": Noun("edge_code", "connection function"),
    "KeyValueStore": Noun("key_value_store", "key-value store"),
    "Key": Noun("key_value_store", "keys of key-value store"),
    "RealtimeLogConfig": Noun("logging", "real-time log configuration"),
    "MonitoringSubscription": Noun("logging", "monitoring subscription"),
    "Delivery": Noun("logging", "log delivery"),
    "DeliveryConfiguration": Noun("logging", "log delivery"),
    "DeliverySource": Noun("logging", "log delivery source"),
    "DeliveryDestination": Noun("logging", "log delivery destination"),
    "DeliveryDestinationPolicy": Noun("logging", "log delivery destination policy"),
    "FieldLevelEncryption": Noun("encryption", "field-level encryption configuration"),
    "FieldLevelEncryptionConfig": Noun("encryption", "field-level encryption configuration"),
    "FieldLevelEncryptionProfile": Noun("encryption", "field-level encryption profile"),
    "Resource": Noun("tags", "resource"),
    "TagsForResource": Noun("tags", "tags"),
}
"""What stands after the verb, in the singular."""

CATEGORIES = tuple(dict.fromkeys(noun.category for noun in NOUNS.values()))
"""All values of ``aws.cloudfront.change.category``."""

_PLURALS = (("ies", "y"), ("ses", "s"), ("s", ""))


@lru_cache(maxsize=512)
def operation(event_name: str) -> Operation:
    """Return what an event's name says."""
    action = _DATED.sub("", event_name) or event_name
    match = _PARTS.fullmatch(action)
    if match is None:
        return Operation(action, None, None, "")
    verb = VERBS.get(match[1])
    kind = next((kind for kind in _spellings(match[2]) if kind in NOUNS), match[2])
    return Operation(action, verb, NOUNS.get(kind), kind)


def _spellings(kind: str) -> list[str]:
    """Return a noun as it is, without ``Config`` and in the singular."""
    found = [kind]
    if kind.endswith("Config"):  # GetDistributionConfig reads the distribution
        found.append(kind.removesuffix("Config"))
    head, middle, rest = kind.partition("For")
    found += [
        head.removesuffix(ending) + singular + middle + rest
        for ending, singular in _PLURALS
        if head.endswith(ending)
    ]
    return found
