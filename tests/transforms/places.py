"""MMDB files over documentation addresses, as their publishers shape them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BERLIN: dict[str, Any] = {
    "city": {"names": {"en": "Berlin", "de": "Berlin"}},
    "continent": {"code": "EU", "names": {"en": "Europe"}},
    "country": {"iso_code": "DE", "names": {"en": "Germany"}},
    "location": {"latitude": 52.52, "longitude": 13.405, "time_zone": "Europe/Berlin"},
    "postal": {"code": "10115"},
    "subdivisions": [{"iso_code": "BE", "names": {"en": "Land Berlin"}}],
}
LYON: dict[str, Any] = {
    "city": {"names": {"en": "Lyon"}},
    "country": {"iso_code": "FR", "names": {"en": "France"}},
}
FLAT: dict[str, Any] = {
    "asn": "AS64511", "as_name": "Example Six", "continent": "Oceania", "continent_code": "OC",
    "country": "Australia", "country_code": "AU", "city": "Perth", "region": "Western Australia",
    "latitude": "-31.95", "longitude": "115.86", "timezone": "Australia/Perth",
}  # fmt: skip
SYSTEM: dict[str, Any] = {
    "autonomous_system_number": 64500, "autonomous_system_organization": "Example Net",
}  # fmt: skip

CITIES = {"203.0.113.0/24": BERLIN, "198.51.100.0/24": LYON, "2001:db8::/32": BERLIN}
SYSTEMS = {"203.0.113.0/24": SYSTEM, "2001:db8::/32": SYSTEM}


def write_database(path: Path, records: Mapping[str, Any], *, ip_version: int = 6) -> str:
    """Write a database with a record for each network; return its path."""
    writer = MMDBWriter(ip_version, "Example-City", ipv4_compatible=ip_version == 6)
    for network, record in records.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return str(path)
