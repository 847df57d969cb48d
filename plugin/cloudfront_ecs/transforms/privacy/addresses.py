"""Rules about addresses: every spelling of the viewer's, or of the server's, follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudfront_ecs.normalize.documents.field_paths import path_of, put, value_at
from cloudfront_ecs.normalize.memo import Memo
from cloudfront_ecs.normalize.values import convert
from cloudfront_ecs.transforms.privacy.rules import ADDRESSES, TEXT_ADDRESSES
from cloudfront_ecs.transforms.privacy.text import REDACTED, canonical, truncated
from cloudfront_ecs.transforms.privacy.work import Work, columns_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudfront_ecs.transforms.privacy.rules import PrivacyRule
    from cloudfront_ecs.transforms.privacy.text import Change

FORWARDED_FOR = "aws.cloudfront.forwarded_for"


def address_effect(rule: PrivacyRule, change: Change) -> Callable[[Any, Work], None]:
    """Return what a rule about addresses does.

    Truncated addresses stay addresses.  Where the address becomes a text (mask, hash), that
    text stands in ``source.address`` and ``client.address`` alone, and the fields that take
    addresses only lose it.
    """
    names = ADDRESSES[rule.field]
    fields = [(path_of(name), name in TEXT_ADDRESSES) for name in names if name != FORWARDED_FOR]
    columns = columns_of(frozenset(names))
    short = Memo(_short)
    truncates = rule.action == "truncate"

    def effect(body: Any, work: Work) -> None:
        found: dict[str, str | None] = {}
        for path, _ in fields:
            held = value_at(body, path)
            for item in held if isinstance(held, list) else [held]:
                if isinstance(item, str):
                    found[item] = short[item] if truncates else change(item)
        text = value_at(body, path_of(FORWARDED_FOR)) if FORWARDED_FOR in names else None
        for part in convert.forwarded_parts(text)[::2] if isinstance(text, str) else ():
            address = convert.forwarded_address(part)
            if address is not None:
                found[address] = short[address] if truncates else change(address)
        for path, takes_text in fields:
            _put_new(body, path, found, keep=truncates or takes_text)
        _put_new(body, path_of("related.ip"), found, keep=truncates)
        if isinstance(text, str):
            put(body, path_of(FORWARDED_FOR), _forwarded(text, found))
        for address, new in found.items():
            _note(work, address, REDACTED if new is None else new)
        work.columns |= columns

    return effect


def _short(address: str) -> str | None:
    """Return a truncated address; what is no address cannot be truncated, so it goes."""
    return None if canonical(address) is None else truncated(address)


def _put_new(body: Any, path: tuple[str, ...], found: dict[str, str | None], *, keep: bool) -> None:
    held = value_at(body, path)
    if isinstance(held, list):
        new = [found[item] if keep else None for item in held if item in found]
        new += [item for item in held if item not in found]
        put(body, path, list(dict.fromkeys(item for item in new if item is not None)) or None)
    elif isinstance(held, str):
        put(body, path, found.get(held) if keep else None)


def _forwarded(text: str, found: dict[str, str | None]) -> str:
    """Return X-Forwarded-For with new addresses; what is none may be anything, so it goes."""
    parts = convert.forwarded_parts(text)
    for index in range(0, len(parts), 2):
        if parts[index]:
            address = convert.forwarded_address(parts[index])
            parts[index] = (found.get(address) if address else None) or REDACTED
    return "".join(parts)


def _note(work: Work, address: str, new: str) -> None:
    """Note an address for all texts, with the IPv4 address that it may embed."""
    known = canonical(address)
    if known is None:
        work.note(address, new)
        return
    work.addresses[known] = new
    mapped = known.removeprefix("::ffff:")
    if mapped != known and "." in mapped:
        work.addresses.setdefault(mapped, new.removeprefix("::ffff:"))
