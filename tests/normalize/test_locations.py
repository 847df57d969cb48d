"""Edge locations have places and billing regions, by the three letters they begin with."""

from __future__ import annotations

import re

import pytest

from cloudfront_ecs.normalize.values.locations import place, site
from cloudfront_ecs.resources import locations
from normalize.converting import realtime, standard

REGIONS = {
    "North America",
    "Europe and Israel",
    "Africa and Middle East",
    "South America",
    "Japan",
    "Australia and New Zealand",
    "Asia Pacific",
    "India",
    "China",
}
KNOWN = (
    "AKL AMS ARN ATH ATL BAH BCN BKK BLR BNA BNE BOG BOM BOS BRU BUD CCU CDG CGK CMH CPH CPT DEL "
    "DEN DFW DTW DUB DUS DXB EWR EZE FCO FJR FOR FRA GIG GRU HAM HAN HEL HIO HKG HYD IAD IAH ICN "
    "IST JFK JNB KIX KUL LAX LHR LIM LIS LOS MAA MAD MAN MCI MCT MEL MIA MNL MRS MSP MUC MXP NBO "
    "NRT ORD OSL OTP PEK PER PHL PHX PIT PMO PNQ PRG PVG QRO SCL SEA SFO SGN SIN SLC SOF SYD SZX "
    "TLV TPA TPE TXL VIE WAW YTO YUL YVR ZAG ZHY ZRH"
)
"""Codes that edge locations of CloudFront are known to have."""


@pytest.mark.parametrize(
    ("location", "pop", "region"),
    [
        ("FRA56-P4", "FRA", "Europe and Israel"),
        ("DFW3", "DFW", "North America"),
        ("YTO50-C1", "YTO", "North America"),
        ("TLV50-C1", "TLV", "Europe and Israel"),
        ("NBO50-P1", "NBO", "Africa and Middle East"),
        ("DXB52-P2", "DXB", "Africa and Middle East"),
        ("GRU1-C1", "GRU", "South America"),
        ("NRT57-C1", "NRT", "Japan"),
        ("AKL50-C1", "AKL", "Australia and New Zealand"),
        ("HKG60-P1", "HKG", "Asia Pacific"),
        ("BOM78-P1", "BOM", "India"),
        ("PVG52-D1", "PVG", "China"),
        ("CAI50-C1", "CAI", None),
        ("XXX1-C1", "XXX", None),
        ("FRA", "FRA", "Europe and Israel"),
        ("FRANKFURT", None, None),
        ("fra56", None, None),
        ("56FRA", None, None),
        ("-", None, None),
        ("", None, None),
    ],
)
def test_the_three_letters_tell_the_billing_region(
    location: str, pop: str | None, region: str | None
) -> None:
    assert site(location) == (pop, region)


def test_a_known_location_has_a_place() -> None:
    found = place("NRT57-C1")

    assert found is not None
    assert (found.name, found.city_name, found.country_iso_code) == ("NRT57-C1", "Tokyo", "JP")
    assert found.location == {"lat": 35.7647, "lon": 140.386}


@pytest.mark.parametrize("location", ["XXX1-C1", "somewhere"])
def test_an_unknown_location_has_only_its_name(location: str) -> None:
    found = place(location)

    assert found is not None
    assert (found.name, found.city_name, found.location) == (location, None, None)


def test_what_is_not_logged_is_nowhere() -> None:
    assert place("-") is None


def test_every_known_location_has_a_place_and_a_billing_region() -> None:
    assert [code for code in KNOWN.split() if site(f"{code}1-C1")[1] is None] == []


def test_every_place_is_on_earth() -> None:
    assert {row.billing_region for row in locations().values()} == {*REGIONS, ""}
    for code, row in locations().items():
        assert re.fullmatch("[A-Z]{3}", code)
        assert re.fullmatch("[A-Z]{2}", row.country)
        assert row.city
        assert abs(row.latitude) <= 90
        assert abs(row.longitude) <= 180


@pytest.mark.parametrize("log", ["standard", "realtime"])
def test_both_logs_tell_where_the_edge_is(log: str) -> None:
    clock = ["date", "time"] if log == "standard" else ["timestamp", "s-ip"]
    convert = standard if log == "standard" else realtime

    [body] = convert({}, columns=[*clock, "x-edge-location"]).bodies

    assert body["observer.name"] == body["observer.geo.name"] == "FRA56-P4"
    assert body["observer.geo.city_name"] == "Frankfurt am Main"
    assert body["observer.geo.country_iso_code"] == "DE"
    assert body["observer.geo.location"] == {"lat": 50.0264, "lon": 8.5431}
    assert body["aws.cloudfront.pop"] == "FRA"
    assert body["aws.cloudfront.billing_region"] == "Europe and Israel"
