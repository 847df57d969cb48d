"""Where an edge location is: its name begins with the IATA code of an airport nearby.

Source: CloudFront developer guide, ``x-edge-location``; the places stand in
``mappings/locations.csv``.  A code that is not there has no place: none is guessed.
"""

from __future__ import annotations

import re

from cloudfront_ecs.normalize.documents.ecs import Place
from cloudfront_ecs.normalize.values.plain import text
from cloudfront_ecs.resources import locations

_CODE = re.compile(r"([A-Z]{3})(?![A-Za-z])")


def site(value: str) -> tuple[str | None, str | None]:
    """Return ``(three letters, billing region)`` of an edge location such as ``FRA56-P4``."""
    match = _CODE.match(value)
    if match is None:
        return None, None
    location = locations().get(match[1])
    return match[1], (location.billing_region or None) if location else None


def place(value: str) -> Place | None:
    """Return ``observer.geo`` of an edge location; its name is the location's own."""
    name = text(value)
    if name is None:
        return None
    match = _CODE.match(name)
    location = locations().get(match[1]) if match else None
    if location is None:
        return Place(name)
    point = {"lat": location.latitude, "lon": location.longitude}
    return Place(name, location.city, location.country, point)
