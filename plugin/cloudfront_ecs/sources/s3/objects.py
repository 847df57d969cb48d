"""S3 objects: what they are called, what makes them the same object, and how they are read.

The only module that asks S3 for bytes.

Facts: a body cut in transit is never fetched again by boto3 and surfaces as one of several
exceptions, so it is continued here, from the byte reached and only for the same content.
Where the content has been replaced meanwhile, what was read of the former one keeps its ids,
the new one is read from its beginning under ids of its own, and the rest of the former one is
gone unless the bucket keeps versions.

Source: Amazon S3 API reference (GetObject, HeadObject), botocore 1.44 ``response.py``.
"""

from __future__ import annotations

import logging
import re
import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's, for an endpoint that is away
    HTTPClientError,
    IncompleteReadError,
)
from urllib3.exceptions import HTTPError as TransportError

from cloudfront_ecs.batches import Origin
from cloudfront_ecs.errors import SourceError
from cloudfront_ecs.failpoints import reach
from cloudfront_ecs.normalize.documents.aws_fields import AwsS3, S3Bucket, S3Object
from cloudfront_ecs.sources.s3.errors import error_code, s3_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

CHUNK = 256 * 1024
"""Bytes in a piece of a body; memory per object stays near this."""

ATTEMPTS = 5
"""How often a body may break off without progress before the object goes back to its source."""

_REMEMBERED = 10_000
_CUT = (IncompleteReadError, HTTPClientError, TransportError, OSError)

_DISTRIBUTION = re.compile(
    r"(?:^|/)(?P<name>E[A-Z0-9]{6,20})\.\d{4}-\d{2}-\d{2}-\d{2}\.[^/]*$"
    r"|(?:^|/)(?i:distributionid)=(?P<hive>[A-Za-z0-9]+)/"
)
_ACCOUNT = re.compile(
    r"(?:^|/)AWSLogs/(?:o-[a-z0-9]+/)?(?P<path>\d{12})/"
    r"|(?:^|/)(?:aws-account-id|accountid)=(?P<hive>\d{12})/"
)
_NO_LOGS = re.compile(
    r"(?:^|/)CloudTrail-(?:Digest|Insight|NetworkActivity|Aggregated)/"
    r"|(?:^|/)AWSLogs/(?:o-[a-z0-9]+/)?(?:aws-account-id=)?\d{12}/(?:aws-service=)?"
    r"(?:elasticloadbalancing|vpcflowlogs|vpcdnsquerylogs|WAFLogs|Config|GuardDuty"
    r"|globalaccelerator|network-firewall|redshift|VpcLattice|verified-access)/"
    r"|(?:^|/)(?:aws-programmatic-access-test-object|ConfigWritabilityCheckFile"
    r"|ELBAccessLogTestFile)$"
    r"|/\d{4}-\d{2}-\d{2}T\d{2}-\d{2}Z/manifest\.(?:json|checksum)$"
    r"|/hive/dt=[0-9-]+/symlink\.txt$"
    r"|_\$folder\$$"
)
"""Other files of CloudTrail, logs of other services, test files, S3 Inventory, folder markers."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a notice or a listing names it.

    Attributes:
        bucket: The bucket's name.
        key: The key as S3 stores it, not encoded.
        version: The version id; None without versioning, ``null`` for a version from
            before versioning.
        etag: The entity tag without quotes, or None where it is not told.
        size: The length in bytes, or None where it is not told.
    """

    bucket: str
    key: str
    version: str | None = None
    etag: str | None = None
    size: int | None = None

    @property
    def place(self) -> str:
        """The object's name for people."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def true_version(self) -> str | None:
        """The version id where it tells versions apart."""
        return None if self.version == "null" else self.version

    @property
    def holds_logs(self) -> bool:
        """Whether the key can be one of a log.

        Buckets of logs also hold folder markers, CloudTrail's digest, insight, network
        activity and aggregated files, logs that other services write below ``AWSLogs/``,
        the files by which services test that they may write, and lists of S3 Inventory.
        What no rule knows is read, and judged by its content.
        """
        folder = self.key.endswith("/") and not self.size
        return not folder and _NO_LOGS.search(self.key) is None


class S3Objects:
    """Objects of any bucket, read through one client."""

    def __init__(self, client: Any, sleep: Callable[[float], None] = time.sleep) -> None:
        """Read with *client*, a boto3 client for S3; *sleep* waits between attempts."""
        self._client = client
        self._sleep = sleep
        self._overwritten: set[StoredObject] = set()

    def identified(self, stored: StoredObject, notice: bytes = b"") -> StoredObject:
        """Return *stored* with a version or an ETag, asking S3 where neither is known.

        An object found overwritten by an earlier ``read`` stands for what is there now.

        Args:
            stored: The object as it was named.
            notice: What named it; kept if it turns out to be gone.

        Raises:
            PayloadError: There is no such object.
            SourceError: S3 did not say.
        """
        if stored in self._overwritten:
            return self.current(replace(stored, version=None), notice)
        if stored.true_version or stored.etag:
            return stored
        return self.current(stored, notice)

    def current(self, stored: StoredObject, notice: bytes = b"") -> StoredObject:
        """Return the newest version of an object as S3 describes it now."""
        try:
            head = self._client.head_object(Bucket=stored.bucket, Key=stored.key)
        except (ClientError, BotoCoreError) as error:
            raise s3_error(stored.place, error, notice) from error
        return replace(
            stored,
            version=head.get("VersionId"),
            etag=head["ETag"].strip('"'),
            size=head["ContentLength"],
        )

    def origin(self, stored: StoredObject) -> Origin:
        """Return where the bytes of an identified object come from.

        The identity holds the version id, else the ETag, so an overwritten key gives new
        ids and the same content read twice gives the same ids.
        """
        partition = self._client.meta.partition
        distribution = _DISTRIBUTION.search(stored.key)
        account = _ACCOUNT.search(stored.key)
        return Origin(
            place=stored.place,
            identity=("s3", stored.bucket, stored.key, stored.true_version or stored.etag or ""),
            distribution_id=distribution and (distribution["name"] or distribution["hive"]),
            account_id=account and (account["path"] or account["hive"]),
            s3=AwsS3(
                bucket=S3Bucket(name=stored.bucket, arn=f"arn:{partition}:s3:::{stored.bucket}"),
                object=S3Object(key=stored.key),
            ),
        )

    def read(self, stored: StoredObject, notice: bytes = b"") -> Iterator[bytes]:
        """Yield the object's bytes as stored, in pieces; asks S3 at the first of them.

        A body that breaks off is continued from the byte reached, of the same version.

        Args:
            stored: An identified object.
            notice: What named the object; kept if it turns out to be gone.

        Raises:
            PayloadError: ``missing``: there is no such object (any more).
            SourceError: It cannot be read now, was overwritten since it was named, or
                broke off too often.
        """
        done = reached = 0
        whole: int | None = None
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = self._open(stored, done, whole, notice)
                if whole is None:
                    whole = int(answer["ContentLength"])
                    stored = replace(stored, etag=answer["ETag"].strip('"'))
                with closing(answer["Body"]) as body:
                    while piece := body.read(CHUNK):
                        done += len(piece)
                        reach("downloading")
                        yield piece
                if done >= whole:
                    return
                problem = f"ended after {done} of {whole} bytes"
            except _CUT as error:
                problem = f"broke off after {done} bytes: {type(error).__name__}"
            except BotoCoreError as error:  # a checksum that does not match, for one
                if not (done and isinstance(error, ConnectionError)):
                    raise s3_error(stored.place, error) from error
                problem = f"cannot go on after {done} bytes: {type(error).__name__}"
            if done - reached >= CHUNK:
                attempt = 1
            reached = done
            log.info("%s: %s (attempt %d of %d)", stored.place, problem, attempt, ATTEMPTS)
            if attempt == ATTEMPTS:
                raise SourceError(f"{stored.place}: {problem} (tried {ATTEMPTS} times)")
            self._sleep(0.1 * 2**attempt)

    def close(self) -> None:
        """Close the connections.  Safe to call twice."""
        self._client.close()

    def _open(self, stored: StoredObject, start: int, whole: int | None, notice: bytes) -> Any:
        """Ask for the object from byte *start*, and only for the content it is known by."""
        request: dict[str, Any] = {"Bucket": stored.bucket, "Key": stored.key}
        if stored.true_version:
            request["VersionId"] = stored.true_version
        if stored.etag and (start or not stored.true_version):
            request["IfMatch"] = f'"{stored.etag}"'
        if start:
            request["Range"] = f"bytes={start}-"
        try:
            answer = self._client.get_object(**request)
        except ClientError as error:
            if error_code(error) in {"PreconditionFailed", "412"}:
                raise self._overwritten_error(stored, start, whole) from error
            raise s3_error(stored.place, error, notice) from error
        if start and not answer.get("ContentRange", "").startswith(f"bytes {start}-"):
            answer["Body"].close()
            raise SourceError(f"{stored.place}: the server did not answer from byte {start}")
        return answer

    def _overwritten_error(
        self, stored: StoredObject, start: int, whole: int | None
    ) -> SourceError:
        """Remember that *stored* stands for what is there now, and say what that means."""
        if start:
            log.warning(
                "%s: was overwritten when %d of %d bytes had been read; the rest of the former "
                "content is gone (a bucket with versions would have kept it)",
                stored.place,
                start,
                whole,
            )
        if len(self._overwritten) >= _REMEMBERED:
            self._overwritten.clear()  # costs each of them one more refused request
        self._overwritten.add(stored)
        return SourceError(f"{stored.place}: was overwritten since it was named")


def requester_pays(client: Any) -> None:
    """Make each request of *client* that reads or lists say that its own account pays for it."""
    for operation in ("GetObject", "HeadObject", "ListObjectsV2"):
        client.meta.events.register(f"provide-client-params.s3.{operation}", _paying)


def _paying(params: dict[str, Any], **_: object) -> dict[str, Any]:
    return {**params, "RequestPayer": "requester"}
