"""Objects that many documents share: made once for each combination of column values.

The TLS pair, the edge location, the user agent, the hosts: few values, many requests.  An
object here is looked up by the raw text of its columns and put into every document that
has the same text, so nothing may change it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.normalize.documents import ecs
from cloudfront_ecs.normalize.layouts import rows_by_column
from cloudfront_ecs.normalize.values import convert
from cloudfront_ecs.normalize.values.locations import place

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudfront_ecs.batches import Layout

VENDOR = {"vendor": "Amazon", "product": "CloudFront", "type": "cdn"}


@dataclass(frozen=True, slots=True)
class Shared:
    """How one object of the document is found.

    Attributes:
        variable: The variable that holds it in the compiled function.
        columns: The columns whose raw texts, joined by tabs, are the key.
        make: From key to object; None where the variable is set elsewhere.
        older: The same for records of before ``convert.ONCE_SINCE``, where it differs.
    """

    variable: str
    columns: tuple[str, ...] = ()
    make: Callable[[str], Any] | None = None
    older: Callable[[str], Any] | None = None


def shared_objects(layout: Layout, *, has_server_address: bool) -> dict[str, Shared]:
    """Return the shared objects of a layout, by their path in the document."""
    have = rows_by_column(layout.log).keys() & set(layout.columns)
    objects = {
        "ecs": Shared("ECS"),
        "data_stream": Shared("k_data_stream"),
        "cloud": Shared("k_cloud"),
        "log": Shared("k_log"),
        "aws.s3": Shared("k_s3"),
    }
    tls = tuple(name for name in _TLS_COLUMNS if name in have)
    if have.intersection(("ssl-protocol", "ssl-cipher", "cs-protocol")):
        objects["tls"] = Shared("tls", tls, _tls_of(tls))
    if "x-edge-location" in have and has_server_address:
        objects["observer.geo"] = Shared("place", ("x-edge-location",), place)
    elif "x-edge-location" in have:
        objects["observer"] = Shared("observer", ("x-edge-location",), _observer)
    if layout.log == "standard" and "cs(User-Agent)" in have:
        agents, older = _user_agent, _old_user_agent
        objects["user_agent"] = Shared("agent", ("cs(User-Agent)",), agents, older)
    if layout.log == "realtime" and "cs-user-agent" in have:
        objects["user_agent"] = Shared("agent", ("cs-user-agent",), _user_agent)
    if "c-country" in have:
        geo = Shared("country", ("c-country",), _geo)
        objects |= {"source.geo": geo, "client.geo": Shared("country")}
    if "asn" in have:
        autonomous = Shared("autonomous", ("asn",), _autonomous_system)
        objects |= {"source.as": autonomous, "client.as": Shared("autonomous")}
    hosts = _host_columns(layout)
    if hosts:
        readers = tuple(reader for _, reader in hosts)
        columns = tuple(column for column, _ in hosts)
        objects["related.hosts"] = Shared("hosts", columns, _hosts_of(readers))
    return objects


_TLS_COLUMNS = ("ssl-protocol", "ssl-cipher", "cs-protocol", "cs-protocol-version")


def _tls_of(columns: tuple[str, ...]) -> Any:
    def tls(key: str) -> ecs.Tls | None:
        """``-`` on http means that there was no TLS; on https only that it is not known."""
        raw = dict(zip(columns, key.split("\t"), strict=True))
        version, protocol = convert.tls_version(raw.get("ssl-protocol", "-"))
        cipher = convert.text(raw.get("ssl-cipher", "-"))
        if version is None and cipher is None:
            plain = raw.get("cs-protocol") in ("http", "ws")
            return ecs.Tls(established=False) if plain else None
        alpn = convert.http_version(raw.get("cs-protocol-version", "-"))[3]
        return ecs.Tls(True, version, protocol, cipher, alpn)  # noqa: FBT003

    return tls


def _observer(location: str) -> ecs.Observer:
    observer = ecs.Observer(name=convert.text(location), geo=place(location))
    return msgspec.structs.replace(observer, **VENDOR)


def _user_agent(raw: str) -> ecs.UserAgent | None:
    original = convert.agent(raw)
    return ecs.UserAgent(original=original) if original else None


def _old_user_agent(raw: str) -> ecs.UserAgent | None:
    original = convert.old_agent(raw)
    return ecs.UserAgent(original=original) if original else None


def _geo(raw: str) -> ecs.Geo | None:
    country = convert.text(raw)
    return ecs.Geo(country_iso_code=country) if country else None


def _autonomous_system(raw: str) -> ecs.AutonomousSystem | None:
    number = convert.integer(raw)
    return None if number is None else ecs.AutonomousSystem(number)


def _host_columns(layout: Layout) -> tuple[tuple[str, Any], ...]:
    """Return the columns that name hosts, each with what reads it."""
    known = rows_by_column(layout.log)
    found = []
    for column in layout.columns:
        row = known.get(column)
        if row and any(name == "related.hosts" for name, _ in row.targets):
            found.append((column, _host_name if row.conversion == "host" else convert.domain))
    return tuple(found)


def _host_name(raw: str) -> str | None:
    return convert.host(raw)[0]


def _hosts_of(readers: tuple[Any, ...]) -> Any:
    def hosts(key: str) -> list[str] | None:
        parts = key.split("\t") if len(readers) > 1 else [key]
        names = (reader(part) for reader, part in zip(readers, parts, strict=True))
        return list(dict.fromkeys(name for name in names if name)) or None

    return hosts
