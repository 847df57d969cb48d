"""A host name apart: what was registered, what stands before it, and the public suffix.

The suffixes are those of the Public Suffix List (publicsuffix.org) as the package
``publicsuffixlist`` ships it, its private part included: ``d111111abcdef8.cloudfront.net``
is a registered domain of its own, as ``example.com`` is.  Nothing is asked of the network.
"""

from __future__ import annotations

import re
from functools import cache

from publicsuffixlist import PublicSuffixList

Domains = tuple[str | None, str | None, str | None]
"""``(registered domain, subdomain, top-level domain)`` as ECS means them."""

_NAME = re.compile(r"[\w-]+(?:\.[\w-]+)*")


@cache
def _suffixes(*, encoded: bool) -> PublicSuffixList:
    """Return the list; with *encoded* also in Punycode, which takes three times as long to read."""
    return PublicSuffixList(accept_unknown=False, accept_encoded_idn=encoded)


def domains(name: str) -> Domains:
    """Return the parts of a host name in lower case.

    An address, what cannot be a name, a name of one label and a suffix that the list does
    not know have none; a name that is a public suffix itself has only that.
    """
    labels = name.removesuffix(".")
    if not _NAME.fullmatch(labels):
        return None, None, None
    suffixes = _suffixes(encoded="xn--" in labels)
    suffix, registered = suffixes.publicsuffix(labels), suffixes.privatesuffix(labels)
    if suffix is None or registered is None:
        return None, None, suffix
    return registered, labels.removesuffix(registered).removesuffix(".") or None, suffix
