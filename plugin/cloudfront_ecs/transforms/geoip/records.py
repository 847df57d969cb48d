"""Records of MMDB files become ``geo`` and ``as``.

Two shapes are known: nested objects with names by language, as MaxMind and DB-IP have them,
and flat texts, as IPinfo has them.  Any other value is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudfront_ecs.normalize.documents.ecs import AutonomousSystem, Geo, Organization

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_LATITUDE, _MOST_LONGITUDE = 90.0, 180.0


def geo_of(record: Mapping[str, Any]) -> Geo | None:
    """Return the place that a record tells, or None where it tells none."""
    country = _object(record, "country") or _object(record, "registered_country")
    code = _text(country.get("iso_code")) or _text(record.get("country_code"))
    named = _name(country) or _text(record.get("country_name"))
    flat = _text(record.get("country"))
    if flat is not None and code is None and len(flat) == len("XX"):
        code = flat
    elif flat is not None:
        named = named or flat
    continent, region = _object(record, "continent"), _first(record.get("subdivisions"))
    flat_continent = _text(record.get("continent"))
    short = flat_continent if flat_continent and len(flat_continent) == len("XX") else None
    location = _object(record, "location")
    geo = Geo(
        city_name=_name(_object(record, "city")) or _text(record.get("city")),
        continent_code=_text(continent.get("code")) or _text(record.get("continent_code")) or short,
        continent_name=_name(continent) or (None if short else flat_continent),
        country_iso_code=code,
        country_name=named,
        location=_location(location) or _location(record),
        postal_code=_text(_object(record, "postal").get("code"))
        or _text(record.get("postal_code")),
        region_iso_code=_region(code, _text(region.get("iso_code"))),
        region_name=_name(region) or _text(record.get("region")),
        timezone=_text(location.get("time_zone")) or _text(record.get("timezone")),
    )
    return None if geo == Geo() else geo


def autonomous_system_of(record: Mapping[str, Any]) -> AutonomousSystem | None:
    """Return the autonomous system that a record names, or None where it names none."""
    number = _number(record.get("autonomous_system_number", record.get("asn")))
    named = _text(record.get("autonomous_system_organization")) or _text(record.get("as_name"))
    if number is None:
        return None
    return AutonomousSystem(number, Organization(named) if named else None)


def _object(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def _first(value: Any) -> Mapping[str, Any]:
    """Return the first of a list: the largest subdivision, such as a state."""
    return value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else {}


def _name(part: Mapping[str, Any]) -> str | None:
    return _text(_object(part, "names").get("en"))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    digits = value.upper().removeprefix("AS") if isinstance(value, str) else ""
    return int(digits) if digits.isascii() and digits.isdigit() else None


def _region(country: str | None, region: str | None) -> str | None:
    """Return the whole code of ISO 3166-2; the databases give its second half."""
    if region is None or country is None or "-" in region:
        return region
    return f"{country}-{region}"


def _location(part: Mapping[str, Any]) -> dict[str, float] | None:
    lat, lon = _degrees(part, "latitude", "lat"), _degrees(part, "longitude", "lng")
    if lat is None or lon is None:
        return None
    on_earth = abs(lat) <= _MOST_LATITUDE and abs(lon) <= _MOST_LONGITUDE  # also no NaN
    return {"lat": lat, "lon": lon} if on_earth else None


def _degrees(part: Mapping[str, Any], *names: str) -> float | None:
    for name in names:
        value = part.get(name)
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            try:
                return float(value)
            except ValueError:
                return None
    return None
