"""The geoip transform knows what its databases know, also after they have changed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.batches import Document
from cloudfront_ecs.errors import ConfigError
from cloudfront_ecs.plugins import load_plugins
from cloudfront_ecs.transforms.geoip.databases import Database
from transforms.places import BERLIN, CITIES, FLAT, LYON, SYSTEMS, write_database
from transforms.transforming import applied, documents, opened, problems_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloudfront_ecs.adapters import Transform

UNKNOWN = {"c-country": "-", "asn": "-", "x-forwarded-for": "-"}


@pytest.fixture(name="city")
def _city(tmp_path: Path) -> Path:
    path = tmp_path / "city.mmdb"
    write_database(path, CITIES)
    return path


@pytest.fixture(name="geoip")
def _geoip(tmp_path: Path, city: Path) -> Transform:
    systems = write_database(tmp_path / "asn.mmdb", SYSTEMS)
    return opened("geoip", database=str(city), asn_database=systems)


def located(transform: Transform, address: str, **values: str) -> dict[str, Any]:
    """Return what the transform says of an address, without ``source.``."""
    [found] = applied(transform, {**UNKNOWN, "c-ip": address, **values})
    sides = [
        {
            name.removeprefix(side): value
            for name, value in found.items()
            if name.startswith((f"{side}geo.", f"{side}as."))
        }
        for side in ("source.", "client.")
    ]
    assert sides[0] == sides[1]
    return sides[0]


@pytest.mark.parametrize("address", ["203.0.113.77", "2001:db8::7"])
def test_an_address_gets_its_place_and_its_system(geoip: Transform, address: str) -> None:
    assert located(geoip, address) == {
        "geo.city_name": "Berlin",
        "geo.continent_code": "EU",
        "geo.continent_name": "Europe",
        "geo.country_iso_code": "DE",
        "geo.country_name": "Germany",
        "geo.location.lat": 52.52,
        "geo.location.lon": 13.405,
        "geo.postal_code": "10115",
        "geo.region_iso_code": "DE-BE",
        "geo.region_name": "Land Berlin",
        "geo.timezone": "Europe/Berlin",
        "as.number": 64500,
        "as.organization.name": "Example Net",
    }


def test_an_address_that_no_database_knows_gets_nothing(geoip: Transform) -> None:
    assert located(geoip, "192.0.2.1") == {}


def test_what_cloudfront_says_wins(geoip: Transform) -> None:
    found = located(geoip, "203.0.113.77", **{"c-country": "FR", "asn": "64999"})

    assert found == {"geo.country_iso_code": "FR", "as.number": 64999}


def test_the_database_adds_to_what_cloudfront_says(geoip: Transform) -> None:
    found = located(geoip, "203.0.113.77", **{"c-country": "DE", "asn": "64500"})

    assert (found["geo.city_name"], found["as.organization.name"]) == ("Berlin", "Example Net")


def test_flat_records_with_place_and_system_in_one_file_are_read(tmp_path: Path) -> None:
    path = write_database(tmp_path / "flat.mmdb", {"198.51.100.0/24": FLAT})

    assert located(opened("geoip", database=path), "198.51.100.7") == {
        "geo.city_name": "Perth",
        "geo.continent_code": "OC",
        "geo.continent_name": "Oceania",
        "geo.country_iso_code": "AU",
        "geo.country_name": "Australia",
        "geo.location.lat": -31.95,
        "geo.location.lon": 115.86,
        "geo.region_name": "Western Australia",
        "geo.timezone": "Australia/Perth",
        "as.number": 64511,
        "as.organization.name": "Example Six",
    }


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"country": {"iso_code": ""}, "location": {"latitude": 91.0, "longitude": 0.0}},
        {"country": {"names": {"de": "x"}}, "subdivisions": [], "asn": "x", "city": 7},
        {"location": {"latitude": "nan", "longitude": "1"}, "subdivisions": ["x"]},
    ],
)
def test_records_without_anything_of_use_give_nothing(
    tmp_path: Path, record: dict[str, Any]
) -> None:
    path = write_database(tmp_path / "odd.mmdb", {"198.51.100.0/24": record})

    assert located(opened("geoip", database=path), "198.51.100.7") == {}


def test_a_database_of_ipv4_says_nothing_of_ipv6(tmp_path: Path) -> None:
    path = write_database(tmp_path / "four.mmdb", {"203.0.113.0/24": BERLIN}, ip_version=4)
    transform = opened("geoip", database=path)

    assert located(transform, "2001:db8::7") == {}
    assert located(transform, "203.0.113.7")["geo.city_name"] == "Berlin"


def test_another_client_than_the_peer_has_a_place_of_its_own(geoip: Transform) -> None:
    proxies = opened("trusted_proxies", networks=["198.51.100.0/24"])
    given = documents({**UNKNOWN, "c-ip": "198.51.100.7", "x-forwarded-for": "203.0.113.7"})
    [document] = geoip.apply(proxies.apply(given))

    assert document.body.source.geo.city_name == "Lyon"
    assert document.body.client.geo.city_name == "Berlin"


def test_documents_of_plugins_are_left_in_peace(geoip: Transform) -> None:
    stranger = Document("a" * 30, "cloudfront.other", 0, {"source": {"ip": "203.0.113.7"}})

    assert geoip.apply([stranger])[0].body == {"source": {"ip": "203.0.113.7"}}


class Clock:
    """A clock that only a test moves."""

    def __init__(self) -> None:
        """Start at midnight."""
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture(name="city_name")
def _city_name(city: Path) -> Callable[[float], object]:
    """Return a function that waits and then asks for the name of a city."""
    clock = Clock()
    database = Database(str(city), check_seconds=60, clock=clock)

    def city_name(seconds: float) -> object:
        clock.now += seconds
        database.refresh()
        return database.record("203.0.113.7").get("city", {}).get("names", {}).get("en")

    return city_name


def test_a_changed_file_is_used_when_it_is_time_to_look(
    city: Path, city_name: Callable[[float], object]
) -> None:
    assert city_name(0) == "Berlin"
    write_database(city, {"203.0.113.0/24": LYON})

    assert city_name(59) == "Berlin"
    assert city_name(2) == "Lyon"


@pytest.mark.parametrize("change", ["damaged", "cut", "empty", "gone"])
def test_a_broken_file_leaves_the_old_one_in_use(
    city: Path,
    city_name: Callable[[float], object],
    change: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = city.read_bytes()
    broken = {"damaged": b"no database" * 500, "cut": whole[:-100], "empty": b""}
    if change == "gone":
        city.unlink()
    else:
        city.write_bytes(broken[change])

    names = [city_name(61), city_name(61)]

    assert names == ["Berlin", "Berlin"]
    assert caplog.text.count("the one opened before stays in use") == 1
    write_database(city, {"203.0.113.0/24": LYON})
    assert city_name(61) == "Lyon"


def test_what_was_remembered_is_forgotten_with_the_old_file(city: Path) -> None:
    transform = opened("geoip", database=str(city), check_seconds=0)
    assert located(transform, "203.0.113.7")["geo.city_name"] == "Berlin"

    write_database(city, {"203.0.113.0/24": LYON})

    assert located(transform, "203.0.113.7")["geo.city_name"] == "Lyon"


@pytest.mark.parametrize("content", [None, b"", b"not a database"])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "places.mmdb"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"transforms.here.database: .*places.mmdb: "):
        opened("geoip", database=str(path))


def test_a_missing_package_is_named_with_the_way_to_get_it(
    city: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "maxminddb", None)

    with pytest.raises(ConfigError, match=r"pip install 'cloudfront-ecs\[geoip\]'"):
        opened("geoip", database=str(city))


def test_check_says_which_files_can_be_read(city: Path) -> None:
    spec = load_plugins().transforms["geoip"]
    assert spec.check is not None

    answer = spec.check(spec.options(database=str(city)), AdapterContext("here"))

    assert answer == f"can read {city}"


def test_a_file_must_be_given() -> None:
    assert problems_of("geoip") == ["transforms.here: give 'database', 'asn_database' or both"]
