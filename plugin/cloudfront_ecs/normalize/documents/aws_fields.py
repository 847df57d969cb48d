"""``aws.*``: CloudFront's own values and where a line was read, as typed objects.

The names are this project's and Elastic's; every leaf stands in ``mappings/fields.csv``.
"""

from __future__ import annotations

from cloudfront_ecs.normalize.documents.cloudtrail_fields import (  # noqa: TC001 - msgspec reads them
    Change,
    CloudTrail,
    Invalidation,
)
from cloudfront_ecs.normalize.documents.object import Object


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


class CloudWatch(Object, frozen=True):
    """``aws.cloudwatch``: the log group and stream that CloudWatch Logs names."""

    log_group: str | None = None
    log_stream: str | None = None


class Cmcd(Object, frozen=True):
    """``aws.cloudfront.cmcd``: Common Media Client Data (CTA-5004) as CloudFront logs it."""

    encoded_bitrate: int | None = None
    buffer_length: int | None = None
    buffer_starvation: bool | None = None
    starved: int | None = None
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
    """``aws.cloudfront.function``: its name, and what it wrote into the access log."""

    name: str | None = None
    viewer_request_log: str | None = None
    viewer_response_log: str | None = None


class CloudFront(Object, frozen=True):
    """``aws.cloudfront``: CloudFront's own values, not renamed and not merged."""

    bot_class: str | None = None
    edge_result_type: str | None = None
    edge_response_result_type: str | None = None
    edge_detailed_result_type: str | None = None
    cache_status: str | None = None
    cache_hit: int | None = None
    status_class: str | None = None
    error: int | None = None
    error_4xx: int | None = None
    error_5xx: int | None = None
    error_side: str | None = None
    content_type: str | None = None
    content_type_full: str | None = None
    fle_status: str | None = None
    fle_encrypted_fields: int | None = None
    origin_response_reason: str | None = None
    range_start: int | None = None
    range_end: int | None = None
    slow: int | None = None
    ingest_delay: int | None = None
    time_to_first_byte: float | None = None
    origin_first_byte_latency: float | None = None
    origin_last_byte_latency: float | None = None
    request_flags: list[str] | None = None
    cookies: str | None = None
    referrer_domain: str | None = None
    forwarded_for: str | None = None
    request_accept: str | None = None
    request_accept_encoding: str | None = None
    cache_behavior_path_pattern: str | None = None
    request_header_names: list[str] | None = None
    request_headers_count: int | None = None
    request_headers: dict[str, str | list[str]] | None = None
    media_quality_score: int | None = None
    connection_id: str | None = None
    edge_location: str | None = None
    pop: str | None = None
    billing_region: str | None = None
    domain: str | None = None
    host: str | None = None
    origin_host: str | None = None
    primary_distribution_domain: str | None = None
    distribution_tenant_id: str | None = None
    distribution_id: str | None = None
    sampling_rate: int | None = None
    sampling_weight: float | None = None
    connection_status: str | None = None
    connection_log_custom_data: str | None = None
    client_certificate_serial_number: str | None = None
    cmcd: Cmcd | None = None
    function: EdgeFunction | None = None
    change: Change | None = None
    invalidation: Invalidation | None = None
    other: dict[str, str] | None = None


class Aws(Object, frozen=True):
    """``aws``."""

    cloudfront: CloudFront | None = None
    s3: AwsS3 | None = None
    kinesis: Kinesis | None = None
    cloudwatch: CloudWatch | None = None
    cloudtrail: CloudTrail | None = None
