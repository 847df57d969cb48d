"""The ``geoip`` transform: place and network of addresses, from MMDB files of the user's.

No database is shipped.  Any MMDB with records like MaxMind's (GeoLite2, DB-IP) or with flat
ones (IPinfo) will do.  CloudFront's own ``c-country`` and ``asn`` win: where a document has
them, the database only adds to them, and only what belongs to the same country or system.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from cloudfront_ecs.adapters import TransformSpec
from cloudfront_ecs.errors import ConfigError
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.normalize.documents.ecs import EcsDocument
from cloudfront_ecs.normalize.memo import Memo
from cloudfront_ecs.options import option
from cloudfront_ecs.transforms.geoip.databases import Database, DatabaseError
from cloudfront_ecs.transforms.geoip.records import autonomous_system_of, geo_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Document
    from cloudfront_ecs.normalize.documents.ecs import AutonomousSystem, Endpoint, Geo

_MOST_ADDRESSES = 65_536
"""Answers that are remembered: some 40 MB at worst, when every address is another place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeoIpOptions:
    """Which files are asked."""

    database: str | None = option(
        None,
        doc="MMDB file with cities or countries.",
        example="/usr/share/GeoIP/GeoLite2-City.mmdb",
    )
    asn_database: str | None = option(
        None,
        doc="MMDB file with autonomous systems.",
        example="/usr/share/GeoIP/GeoLite2-ASN.mmdb",
    )
    check_seconds: float = option(
        60.0, doc="How often to look whether a file has changed.", least=0
    )

    def __post_init__(self) -> None:
        """Check that there is something to ask.

        Raises:
            ValueError: No file is given.
        """
        if self.database is None and self.asn_database is None:
            raise ValueError("give 'database', 'asn_database' or both")


class GeoIpTransform:
    """Completes ``source`` and ``client`` with ``geo`` and ``as``."""

    def __init__(self, places: Database | None, systems: Database | None) -> None:
        """Start with nothing remembered."""
        self._places, self._systems = places, systems
        self._known = Memo(self._look_up, _MOST_ADDRESSES)
        self._generations = self._current()

    def apply(self, documents: list[Document]) -> list[Document]:
        """Complete the documents that name an address."""
        self._refresh()
        for document in documents:
            body = document.body
            if isinstance(body, EcsDocument):
                source, client = body.source, body.client
                if source is not None:
                    body.source = self._completed(source)
                if client is not None:
                    same = source is not None and (client is source or client == source)
                    body.client = body.source if same else self._completed(client)
        return documents

    def _completed(self, endpoint: Endpoint) -> Endpoint:
        if endpoint.ip is None:
            return endpoint
        geo, system = self._known[endpoint.ip]
        return msgspec.structs.replace(
            endpoint,
            geo=_merged(endpoint.geo, geo),
            autonomous_system=_joined(endpoint.autonomous_system, system),
        )

    def _look_up(self, address: str) -> tuple[Geo | None, AutonomousSystem | None]:
        place = self._places.record(address) if self._places else {}
        system = self._systems.record(address) if self._systems else place
        return geo_of(place), autonomous_system_of(system)

    def _refresh(self) -> None:
        for database in filter(None, (self._places, self._systems)):
            database.refresh()
        if self._current() != self._generations:
            self._generations = self._current()
            self._known.clear()

    def _current(self) -> list[int]:
        return [each.generation for each in (self._places, self._systems) if each]


def _merged(logged: Geo | None, found: Geo | None) -> Geo | None:
    """Return what the log and the database say together; another country's place is not it."""
    if logged is None or logged.country_iso_code is None or found is None:
        return found or logged
    return found if found.country_iso_code == logged.country_iso_code else logged


def _joined(
    logged: AutonomousSystem | None, found: AutonomousSystem | None
) -> AutonomousSystem | None:
    if logged is None or logged.number is None or found is None:
        return found or logged
    return found if found.number == logged.number else logged


def _open(options: GeoIpOptions, context: AdapterContext) -> GeoIpTransform:
    def database(path: str | None, name: str) -> Database | None:
        if path is None:
            return None
        try:
            return Database(path, check_seconds=options.check_seconds)
        except DatabaseError as error:
            raise ConfigError(f"transforms.{context.name}.{name}: {error}") from error

    return GeoIpTransform(
        database(options.database, "database"), database(options.asn_database, "asn_database")
    )


def _check(options: GeoIpOptions, context: AdapterContext) -> str:
    _open(options, context)
    files = [path for path in (options.database, options.asn_database) if path]
    return f"can read {' and '.join(files)}"


@hookimpl
def transform_specs() -> Iterable[TransformSpec]:
    """Offer the ``geoip`` transform."""
    summary = "Add place and autonomous system of addresses, from your MMDB files."
    return [TransformSpec("geoip", summary, GeoIpOptions, _open, _check)]
