"""ECS documents as typed values: one class for each object of the document.

One object encodes to JSON and to MessagePack in C, with absent fields left out, so no
sink needs a second model.  Every leaf stands in ``mappings/fields.csv`` and the other way
round; a test compares them.  Nested objects are frozen because documents share them (the
TLS pair, the user agent, the edge location); a transform replaces, it never changes.

Source: ECS 9.4 field reference; ``aws.*`` fields are this project's and Elastic's own.
"""

from __future__ import annotations

import msgspec


class Object(msgspec.Struct, omit_defaults=True, gc=False, frozen=True):
    """The base of all nested objects: shared between documents, absent fields left out."""


class Geo(Object, frozen=True):
    """``source.geo``, ``client.geo``: where the viewer is."""

    country_iso_code: str | None = None


class Place(Object, frozen=True):
    """``observer.geo``: where the edge location is."""

    name: str | None = None


class AutonomousSystem(Object, frozen=True):
    """``*.as``."""

    number: int | None = None


class Endpoint(Object, frozen=True, rename={"autonomous_system": "as"}):
    """``source``, ``client``: the viewer's side of the connection."""

    address: str | None = None
    ip: str | None = None
    port: int | None = None
    bytes: int | None = None
    geo: Geo | None = None
    autonomous_system: AutonomousSystem | None = None


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

    original: str | None = None
    path: str | None = None
    query: str | None = None
    extension: str | None = None
    domain: str | None = None
    port: int | None = None
    scheme: str | None = None
    full: str | None = None


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

    status_code: int | None = None
    bytes: int | None = None
    body: Body | None = None


class Http(Object, frozen=True):
    """``http``."""

    version: str | None = None
    request: HttpRequest | None = None
    response: HttpResponse | None = None


class Tls(Object, frozen=True):
    """``tls``."""

    established: bool | None = None
    version: str | None = None
    version_protocol: str | None = None
    cipher: str | None = None
    next_protocol: str | None = None


class Network(Object, frozen=True):
    """``network``."""

    type: str | None = None
    transport: str | None = None
    iana_number: str | None = None
    protocol: str | None = None
    bytes: int | None = None
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


class Related(Object, frozen=True):
    """``related``: every address and host of the document, without repeats."""

    ip: list[str] | None = None
    hosts: list[str] | None = None


class Event(Object, frozen=True):
    """``event``."""

    id: str | None = None
    kind: str | None = None
    module: str | None = None
    dataset: str | None = None
    provider: str | None = None
    category: list[str] | None = None
    type: list[str] | None = None
    outcome: str | None = None
    reason: str | None = None
    start: str | None = None
    end: str | None = None
    duration: int | None = None
    created: str | None = None
    original: str | None = None


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


class S3Bucket(Object, frozen=True):
    """``aws.s3.bucket``."""

    name: str | None = None
    arn: str | None = None


class S3Object(Object, frozen=True):
    """``aws.s3.object``."""

    key: str | None = None


class AwsS3(Object, frozen=True):
    """``aws.s3``: the object a line was read from."""

    bucket: S3Bucket | None = None
    object: S3Object | None = None


class Kinesis(Object, frozen=True):
    """``aws.kinesis``: the stream, shard and sequence number a line was read from."""

    stream: str | None = None
    shard_id: str | None = None
    sequence_number: str | None = None


class Cmcd(Object, frozen=True):
    """``aws.cloudfront.cmcd``: Common Media Client Data (CTA-5004) as CloudFront logs it."""

    encoded_bitrate: int | None = None
    buffer_length: int | None = None
    buffer_starvation: bool | None = None
    content_id: str | None = None
    object_duration: int | None = None
    deadline: int | None = None
    measured_throughput: int | None = None
    next_object_request: str | None = None
    next_range_request: str | None = None
    object_type: str | None = None
    playback_rate: float | None = None
    requested_maximum_throughput: int | None = None
    streaming_format: str | None = None
    session_id: str | None = None
    stream_type: str | None = None
    startup: bool | None = None
    top_bitrate: int | None = None
    version: str | None = None


class EdgeFunction(Object, frozen=True):
    """``aws.cloudfront.function``: what CloudFront Functions wrote into the access log."""

    viewer_request_log: str | None = None
    viewer_response_log: str | None = None


class CloudFront(Object, frozen=True):
    """``aws.cloudfront``: CloudFront's own values, not renamed and not merged."""

    distribution_id: str | None = None
    domain: str | None = None
    edge_location: str | None = None
    edge_result_type: str | None = None
    edge_response_result_type: str | None = None
    edge_detailed_result_type: str | None = None
    time_to_first_byte: float | None = None
    origin_first_byte_latency: float | None = None
    origin_last_byte_latency: float | None = None
    origin_host: str | None = None
    origin_response_reason: str | None = None
    content_type: str | None = None
    content_type_full: str | None = None
    range_start: int | None = None
    range_end: int | None = None
    fle_status: str | None = None
    fle_encrypted_fields: int | None = None
    cookies: str | None = None
    cache_behavior_path_pattern: str | None = None
    request_accept: str | None = None
    request_accept_encoding: str | None = None
    request_headers: dict[str, str | list[str]] | None = None
    request_header_names: list[str] | None = None
    request_headers_count: int | None = None
    primary_distribution_domain: str | None = None
    distribution_tenant_id: str | None = None
    connection_id: str | None = None
    media_quality_score: int | None = None
    cmcd: Cmcd | None = None
    function: EdgeFunction | None = None
    other: dict[str, str] | None = None


class Aws(Object, frozen=True):
    """``aws``."""

    cloudfront: CloudFront | None = None
    s3: AwsS3 | None = None
    kinesis: Kinesis | None = None


class AccessDocument(
    msgspec.Struct, omit_defaults=True, gc=False, rename={"timestamp": "@timestamp"}
):
    """The document of one request, from a standard or a real-time access log."""

    timestamp: str
    ecs: Ecs | None = None
    event: Event | None = None
    data_stream: DataStream | None = None
    source: Endpoint | None = None
    client: Endpoint | None = None
    destination: Server | None = None
    server: Server | None = None
    url: Url | None = None
    http: Http | None = None
    tls: Tls | None = None
    network: Network | None = None
    user_agent: UserAgent | None = None
    observer: Observer | None = None
    related: Related | None = None
    cloud: Cloud | None = None
    aws: Aws | None = None
    log: Log | None = None
    error: Error | None = None
    tags: list[str] | None = None
    labels: dict[str, str] | None = None
