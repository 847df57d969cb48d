"""Edits that spoil a valid line: what networks, viewers and careless writers do to logs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

VALUES = (
    b"", b"-", b"--", b" ", b"0", b"00", b"000", b"-1", b"+1", b"1.5.5", b"1e9", b"0x10", b"1_0", b"NaN", b"inf",
    b"9223372036854775807", b"9223372036854775808", b"9" * 40, b"0.0000000001", b"1" * 15, b"1" * 18, b"999999999.999999999",
    b"true", b"false", b"null", b"None", b"undefined", b"{}", b"[]", b'"', b'""', b"'", b"\\", b"\\u0000", b"{", b"[", b"#", b"#Fields:",
    b"%", b"%2", b"%00", b"%FF", b"%0A", b"%0a", b"%09", b"%22", b"%25", b"%2525", b"%E6%97", b"%ED%A0%80", b"%zz", b"%2D", b"a%0Ab:c%0A", b":%0A", b"%0A%0A",
    b"\x00", b"\x01", b"\x1b[31m", b"\x7f", b"\x85", b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xff", b"\xc3", b"\xc3\xa9", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xf4\x90\x80\x80",
    b"192.0.2.1", b"192.0.2.256", b"192.0.2.01", b"192.0.2.1:80", b"2001:db8::1", b"2001:DB8:0::1", b"[2001:db8::1]:443", b"::ffff:192.0.2.1", b"fe80::1%25eth0", b"::", b"localhost",
    b"192.0.2.1,%20unknown,%20192.0.2.1", b",", b"1768507267.148", b"1768507267148", b"1768507267", b"-62135596801", b"253402300800", b"2026-02-30", b"9999-12-31", b"0000-00-00", b"23:59:60", b"24:00:00",
    b"Error", b"Hit", b"OriginDnsError", b"https", b"wss", b"HTTP/3.0", b"HTTP/9", b"TLSv1.3", b"SSLv3", b"IPv6", b"DE", b"/a?b=c", b"?", b"*", b"//", b"/.", b"www.example.com:8443", b":", b"[", b"]", b"\xd9\xa3",
    b"x" * 1100, b"%41" * 300, b"y" * 33_000,
)  # fmt: skip
"""What stands in the place of a value."""

PARTS: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 2**64, 1e308, 0.1, "", "-", " ", "x", "192.0.2.1", "\x00", "\ud800", [], [None], [1, "a", {}], {}, {"": 1}, {"a": None}, {"a.b": {"c": [[]]}}, "z" * 33_000,
)  # fmt: skip
"""What stands in the place of a value of a JSON object."""


def separator_of(line: bytes) -> bytes:
    """Return what most likely stands between the values of a line."""
    if line.startswith((b"{", b"[")):
        return b'"'
    return b"\t" if b"\t" in line else b" "


def _replace(line: bytes, at: int, value: bytes) -> bytes:
    parts = line.split(separator_of(line))
    parts[_of_value(line, at, len(parts))] = value
    return separator_of(line).join(parts)


def _append(line: bytes, at: int, value: bytes) -> bytes:
    parts = line.split(separator_of(line))
    parts[_of_value(line, at, len(parts))] += value
    return separator_of(line).join(parts)


def _of_value(line: bytes, at: int, count: int) -> int:
    """Return the index of a value; in JSON mostly no key, for new keys are a new layout."""
    if separator_of(line) == b'"' and count > 4 and at % 20:
        return at % ((count - 1) // 4) * 4 + 3
    return at % count


def _swap(line: bytes, at: int, _: bytes) -> bytes:
    parts = line.split(separator_of(line))
    one, other = at % len(parts), (at // len(parts)) % len(parts)
    parts[one], parts[other] = parts[other], parts[one]
    return separator_of(line).join(parts)


def _drop(line: bytes, at: int, _: bytes) -> bytes:
    parts = line.split(separator_of(line))
    del parts[at % len(parts)]
    return separator_of(line).join(parts)


def _double(line: bytes, at: int, _: bytes) -> bytes:
    parts = line.split(separator_of(line))
    parts.insert(at % len(parts), parts[at % len(parts)])
    return separator_of(line).join(parts)


def _insert(line: bytes, at: int, value: bytes) -> bytes:
    place = at % (len(line) + 1)
    return line[:place] + value + line[place:]


def _flip(line: bytes, at: int, _: bytes) -> bytes:
    if not line:
        return line
    place, bit = at % len(line), (at // len(line)) % 8
    return line[:place] + bytes([line[place] ^ (1 << bit)]) + line[place + 1 :]


def _cut(line: bytes, at: int, _: bytes) -> bytes:
    return line[: at % (len(line) + 1)]


def _behead(line: bytes, at: int, _: bytes) -> bytes:
    return line[at % (len(line) + 1) :]


def _remove(line: bytes, at: int, value: bytes) -> bytes:
    place = at % (len(line) + 1)
    return line[:place] + line[place + len(value) % 9 + 1 :]


def _blank_tabs(line: bytes, at: int, _: bytes) -> bytes:
    return line.replace(b"\t", b" ", at % 3 + 1)


def _more_tabs(line: bytes, at: int, _: bytes) -> bytes:
    place = at % (len(line) + 1)
    return line[:place] + b"\t" * (at % 3 + 1) + line[place:]


def _carriage_return(line: bytes, at: int, _: bytes) -> bytes:
    return line + b"\r" * (at % 2 + 1)


def _twice(line: bytes, at: int, _: bytes) -> bytes:
    return line + (b"\t" if at % 2 else b"") + line


def _other_part(line: bytes, at: int, value: bytes) -> bytes:
    """Replace a value of a JSON object, at any depth; other lines are spoilt as text."""
    try:
        document = json.loads(line)
    except ValueError:
        return _replace(line, at, value)
    holder: Any = {"root": document}
    key: Any = "root"
    while isinstance(holder[key], (dict, list)) and holder[key] and at % 5:
        holder = holder[key]
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        at //= 5
        key = keys[at % len(keys)]
        at //= len(keys)
    if holder is not None and key != "root":
        holder[key] = PARTS[at % len(PARTS)]
    return json.dumps(document).encode()


EDITS: dict[str, Callable[[bytes, int, bytes], bytes]] = {
    "replace": _replace,
    "append": _append,
    "swap": _swap,
    "drop": _drop,
    "double": _double,
    "insert": _insert,
    "flip": _flip,
    "cut": _cut,
    "behead": _behead,
    "remove": _remove,
    "blank_tabs": _blank_tabs,
    "more_tabs": _more_tabs,
    "carriage_return": _carriage_return,
    "twice": _twice,
    "other_part": _other_part,
}
"""Each takes a line, any number that says where, and a value."""

_OFTEN = ("replace", "append", "other_part", "replace", "flip", "insert")
_ANY = (*EDITS, *_OFTEN, *_OFTEN)


def spoilt(line: bytes, random: Random) -> bytes:
    """Return *line* with some edits, or now and then as it is; it may have become several."""
    choice = random.random
    for _ in range(int(choice() * 2.6)):
        name = _ANY[int(choice() * len(_ANY))]
        value = VALUES[int(choice() * len(VALUES))]
        line = EDITS[name](line, int(choice() * 1_000_003), value)
    return line
