"""ECS documents as typed values: one class for each object of the document.

One object encodes to JSON and to MessagePack in C, with absent fields left out, so no
sink needs a second model.  Every leaf stands in ``mappings/fields.csv`` and the other way
round; a test compares them.  Nested objects are frozen because documents share them (the
TLS pair, the user agent, the edge location); a transform replaces, it never changes.

Source: ECS 9.4 field reference; ``aws.*`` stands in ``aws_fields``.
"""

from __future__ import annotations

import msgspec

from cloudfront_ecs.normalize.documents.aws_fields import Aws  # noqa: TC001 - msgspec reads the annotations
from cloudfront_ecs.normalize.documents.object import Object


class Geo(Object, frozen=True):
    """``source.geo``, ``client.geo``: where the viewer is."""

    country_iso_code: str | None = None
    country_name: str | None = None
    continent_code: str | None = None
    continent_name: str | None = None
    region_iso_code: str | None = None
    region_name: str | None = None
    city_name: str | None = None
    postal_code: str | None = None
    location: dict[str, float] | None = None
    timezone: str | None = None


class Place(Object, frozen=True):
    """``observer.geo``: where the edge location is; ``location`` has ``lat`` and ``lon``."""

    name: str | None = None
    city_name: str | None = None
    country_iso_code: str | None = None
    location: dict[str, float] | None = None


class Organization(Object, frozen=True):
    """``*.as.organization``: who runs the system."""

    name: str | None = None


class AutonomousSystem(Object, frozen=True):
    """``*.as``."""

    number: int | None = None
    organization: Organization | None = None


class Endpoint(Object, frozen=True, rename={"autonomous_system": "as"}):
    """``source``, ``client``: the viewer's side of the connection."""

    address: str | None = None
    ip: str | None = None
    port: int | None = None
    bytes: int | None = None
    geo: Geo | None = None
    autonomous_system: AutonomousSystem | None = None
    domain: str | None = None


class Server(Object, frozen=True):
    """``destination``, ``server``: CloudFront's side of the connection."""

    address: str | None = None
    ip: str | None = None
    bytes: int | None = None
    domain: str | None = None


class Observer(Object, frozen=True):
    """``observer``: the edge location that wrote the line."""

    vendor: str | None = None
    product: str | None = None
    type: str | None = None
    name: str | None = None
    ip: list[str] | None = None
    geo: Place | None = None


class Url(Object, frozen=True):
    """``url``: what the viewer asked for."""

    domain: str | None = None
    port: int | None = None
    registered_domain: str | None = None
    subdomain: str | None = None
    top_level_domain: str | None = None
    original: str | None = None
    path: str | None = None
    query: str | None = None
    extension: str | None = None
    full: str | None = None
    scheme: str | None = None


class Body(Object, frozen=True):
    """``http.response.body``."""

    bytes: int | None = None


class HttpRequest(Object, frozen=True):
    """``http.request``."""

    method: str | None = None
    id: str | None = None
    bytes: int | None = None
    referrer: str | None = None


class HttpResponse(Object, frozen=True):
    """``http.response``."""

    bytes: int | None = None
    body: Body | None = None
    status_code: int | None = None


class Http(Object, frozen=True):
    """``http``."""

    response: HttpResponse | None = None
    request: HttpRequest | None = None
    version: str | None = None


class Certificate(Object, frozen=True):
    """``tls.client.x509``: the viewer's certificate."""

    serial_number: str | None = None


class TlsClient(Object, frozen=True):
    """``tls.client``: what the viewer showed in the handshake."""

    server_name: str | None = None
    subject: str | None = None
    issuer: str | None = None
    not_before: str | None = None
    not_after: str | None = None
    x509: Certificate | None = None


class Tls(Object, frozen=True):
    """``tls``."""

    established: bool | None = None
    version: str | None = None
    version_protocol: str | None = None
    cipher: str | None = None
    next_protocol: str | None = None
    client: TlsClient | None = None


class Network(Object, frozen=True):
    """``network``."""

    transport: str | None = None
    iana_number: str | None = None
    protocol: str | None = None
    bytes: int | None = None
    type: str | None = None
    forwarded_ip: list[str] | None = None


class OperatingSystem(Object, frozen=True):
    """``user_agent.os``."""

    name: str | None = None
    version: str | None = None
    full: str | None = None


class Device(Object, frozen=True):
    """``user_agent.device``."""

    name: str | None = None


class UserAgent(Object, frozen=True):
    """``user_agent``."""

    original: str | None = None
    name: str | None = None
    version: str | None = None
    device: Device | None = None
    os: OperatingSystem | None = None


class User(Object, frozen=True):
    """``user``: who called the API."""

    id: str | None = None
    name: str | None = None
    domain: str | None = None


class Related(Object, frozen=True):
    """``related``: every address, host and user of the document, without repeats."""

    ip: list[str] | None = None
    hosts: list[str] | None = None
    user: list[str] | None = None


class Event(Object, frozen=True):
    """``event``."""

    created: str | None = None
    kind: str | None = None
    module: str | None = None
    dataset: str | None = None
    provider: str | None = None
    category: list[str] | None = None
    id: str | None = None
    start: str | None = None
    end: str | None = None
    duration: int | None = None
    original: str | None = None
    type: list[str] | None = None
    action: str | None = None
    outcome: str | None = None
    reason: str | None = None


class Error(Object, frozen=True):
    """``error``: what went wrong with the request (code) or with reading the line (message)."""

    code: str | None = None
    message: str | None = None


class CloudService(Object, frozen=True):
    """``cloud.service``."""

    name: str | None = None


class CloudAccount(Object, frozen=True):
    """``cloud.account``."""

    id: str | None = None


class Cloud(Object, frozen=True):
    """``cloud``."""

    provider: str | None = None
    region: str | None = None
    service: CloudService | None = None
    account: CloudAccount | None = None


class DataStream(Object, frozen=True):
    """``data_stream``: the three parts of the data stream's name."""

    type: str | None = None
    dataset: str | None = None
    namespace: str | None = None


class Ecs(Object, frozen=True):
    """``ecs``."""

    version: str | None = None


class LogFile(Object, frozen=True):
    """``log.file``."""

    path: str | None = None


class Log(Object, frozen=True):
    """``log``."""

    file: LogFile | None = None


class EcsDocument(msgspec.Struct, omit_defaults=True, gc=False, rename={"timestamp": "@timestamp"}):
    """The document of one request, from a standard or a real-time access log."""

    timestamp: str
    message: str | None = None
    http: Http | None = None
    tls: Tls | None = None
    network: Network | None = None
    source: Endpoint | None = None
    client: Endpoint | None = None
    related: Related | None = None
    destination: Server | None = None
    server: Server | None = None
    observer: Observer | None = None
    url: Url | None = None
    user_agent: UserAgent | None = None
    aws: Aws | None = None
    ecs: Ecs | None = None
    data_stream: DataStream | None = None
    cloud: Cloud | None = None
    log: Log | None = None
    tags: list[str] | None = None
    labels: dict[str, str] | None = None
    event: Event | None = None
    error: Error | None = None
    user: User | None = None
