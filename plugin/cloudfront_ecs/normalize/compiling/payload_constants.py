"""What all documents of one payload have in common, made once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cloudfront_ecs.normalize.documents import ecs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudfront_ecs.batches import Origin
    from cloudfront_ecs.normalize.documents.aws_fields import AwsS3

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Constants:
    """What all documents of a payload have in common; ``created_ns`` is since 1970."""

    created: str
    created_ns: int
    data_stream: ecs.DataStream
    cloud: ecs.Cloud
    log: ecs.Log | None
    s3: AwsS3 | None
    stream: str | None
    shard: str | None
    distribution_id: str | None
    tags: list[str] | None
    labels: dict[str, str] | None


def constants(
    origin: Origin,
    dataset: str,
    created: str,
    tags: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
) -> Constants:
    """Return the common parts of all documents read from *origin*."""
    account = ecs.CloudAccount(origin.account_id) if origin.account_id else None
    return Constants(
        created=created,
        created_ns=(datetime.fromisoformat(created) - _EPOCH) // _MICROSECOND * 1000,
        data_stream=ecs.DataStream("logs", dataset, "default"),
        cloud=ecs.Cloud("aws", origin.region, ecs.CloudService("cloudfront"), account),
        log=ecs.Log(ecs.LogFile(origin.file_path)) if origin.file_path else None,
        s3=origin.s3,
        stream=origin.kinesis.stream if origin.kinesis else None,
        shard=origin.kinesis.shard_id if origin.kinesis else None,
        distribution_id=origin.distribution_id,
        tags=list(tags) or None,
        labels=dict(labels or {}) or None,
    )
