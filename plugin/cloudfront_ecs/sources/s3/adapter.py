"""The ``aws_s3`` source: log files in S3, found through a queue or by listing a bucket."""

from __future__ import annotations

import re
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from cloudfront_ecs import aws
from cloudfront_ecs.adapters import SourceSpec
from cloudfront_ecs.errors import ConfigError, PayloadError, SourceError
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.options import option
from cloudfront_ecs.sources.s3.courses import LONGEST_LOOK_BACK, Floors, Scope
from cloudfront_ecs.sources.s3.errors import s3_error
from cloudfront_ecs.sources.s3.listing import S3Listing
from cloudfront_ecs.sources.s3.objects import S3Objects, requester_pays
from cloudfront_ecs.sources.s3.prefetch import THREADS, WINDOW
from cloudfront_ecs.sources.s3.settled import SettledObjects
from cloudfront_ecs.sources.s3.survey import Pages
from cloudfront_ecs.sources.sqs.attributes import check_queue
from cloudfront_ecs.sources.sqs.calls import SqsCalls
from cloudfront_ecs.sources.sqs.claims import Rules
from cloudfront_ecs.sources.sqs.messages import SqsMessages
from cloudfront_ecs.sources.sqs.queue import SqsQueue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from cloudfront_ecs.adapters import AdapterContext, Source
    from cloudfront_ecs.sources.s3.courses import Course

_QUEUE_REGION = re.compile(r"^https://sqs\.(?P<region>[a-z0-9-]+)\.amazonaws\.com")
_LISTING = ("prefix", "start_after")


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsS3Options(aws.AwsOptions):
    """Options of the ``aws_s3`` source: ``queue_url``, or ``bucket``."""

    queue_url: str | None = option(
        None,
        doc="SQS queue that receives S3's notices, directly or through SNS or EventBridge.",
        example="https://sqs.eu-west-1.amazonaws.com/123456789012/cloudfront",
    )
    buckets: tuple[str, ...] = option(
        (), doc="Queue: the only buckets read from; none allows every bucket a notice names."
    )
    visibility_timeout: int = option(
        120,
        doc="Queue: seconds for which a message is hidden at a time; renewed at half of it.",
        least=1,
        most=43_200,
    )
    wait_seconds: int = option(
        2,
        doc="Queue: seconds that one receive waits for a message; stopping waits for its end.",
        least=1,
        most=20,
    )
    max_receives: int = option(
        5,
        doc="Queue: receives of an unreadable message, or of one whose object is gone, until it "
        "is a dead letter.",
        least=1,
    )
    poison: Literal["dead_letter", "redrive"] = option(
        "dead_letter",
        doc="Queue: what becomes of such a message then; `redrive` never makes it a dead letter "
        "and leaves it to the queue's own redrive policy.",
    )
    concurrency: int = option(
        500,
        doc="Queue: most messages held at once, until their last line is written everywhere.",
        least=1,
        most=100_000,
    )
    prefetch_bytes: int = option(
        16 * WINDOW,
        doc="Bytes of objects fetched while earlier ones are converted; 1 MiB of each at most.",
        least=WINDOW,
    )
    requester_pays: bool = option(
        default=False,
        doc="Say with each request to S3 that this account pays, as requester-pays buckets ask.",
    )
    bucket: str | None = option(
        None, doc="Bucket to list, again and again; what is settled is remembered."
    )
    prefix: str = option("", doc="Bucket: only keys that start with this.", example="cloudfront/")
    start_after: str = option(
        "", doc="Bucket: only keys that come after this one in the order of the alphabet."
    )
    poll_seconds: float = option(
        60.0, doc="Bucket: seconds from the end of one listing to the next.", least=0
    )
    look_back: float = option(
        LONGEST_LOOK_BACK,
        doc="Bucket: hours by which a file may be late, beside newer ones of its distribution, "
        "to be found by the next listing.",
        least=0,
        most=LONGEST_LOOK_BACK,
    )
    whole_hours: float = option(
        24.0,
        doc="Bucket: hours from one listing of everything to the next; it finds later files, too.",
        least=0,
    )
    most_remembered: int = option(
        10_000_000,
        doc="Bucket: objects remembered as settled; with more in the bucket nothing new is read.",
        least=1,
    )

    def __post_init__(self) -> None:
        """Refuse options of both modes, or of none."""
        if bool(self.queue_url) == bool(self.bucket):
            raise ValueError("either 'queue_url' or 'bucket' is needed, and not both")
        for name in _LISTING:
            if self.queue_url and getattr(self, name):
                raise ValueError(f"option {name!r} belongs to 'bucket', not to 'queue_url'")
        if self.bucket and self.buckets:
            raise ValueError("option 'buckets' belongs to 'queue_url', not to 'bucket'")


def open_source(options: AwsS3Options, context: AdapterContext) -> Source:
    """Open the source in the mode that *options* ask for; nothing is asked of AWS yet."""
    if options.queue_url:
        s3 = _client("s3", options, context)
        calls = SqsCalls(_client("sqs", options, context), options.queue_url)
        messages = SqsMessages(calls, options.visibility_timeout)
        return SqsQueue(messages, S3Objects(s3), _rules(options))
    path = context.state and context.state / f"s3-settled-{quote(context.name, safe='')}.sqlite3"
    return open_listing(options, context, path)


def open_listing(
    options: AwsS3Options, context: AdapterContext, path: Path | None, course: Course | None = None
) -> S3Listing:
    """Open the source in listing mode, with its record at *path*.

    Args:
        options: Those of listing mode.
        context: The source's surroundings.
        path: The file of what is settled, or None where it is to last one run.
        course: What is listed; else everything, again and again.

    Raises:
        StateError: The record cannot be used.
    """
    s3 = _client("s3", options, context)
    scope = _scope(options)
    try:
        settled = SettledObjects(path, scope.bucket)
    except BaseException:
        s3.close()
        raise
    return S3Listing(
        s3,
        S3Objects(s3),
        settled,
        scope,
        course or Floors(settled, scope),
        prefetch_bytes=options.prefetch_bytes,
    )


@contextmanager
def open_pages(options: AwsS3Options, context: AdapterContext) -> Iterator[tuple[Pages, S3Objects]]:
    """Give the pages of a listing and a reader of objects, for looking without a record."""
    s3 = _client("s3", options, context)
    with closing(S3Objects(s3)) as objects:
        yield Pages(s3, _scope(options)), objects


def listing_options(options: AwsS3Options, bucket: str, prefix: str) -> AwsS3Options:
    """Return *options* for one listing of *bucket*, whichever mode they are for."""
    return replace(
        _in_region(options), queue_url=None, buckets=(), bucket=bucket, prefix=prefix,
        start_after="", poll_seconds=86_400.0,
    )  # fmt: skip


def check_source(options: AwsS3Options, context: AdapterContext) -> str:
    """Ask for the queue's counters, or list one key; nothing is received or read.

    Raises:
        SourceError: The queue or bucket cannot be reached or used.
    """
    if options.queue_url:
        calls = SqsCalls(_client("sqs", options, context), options.queue_url)
        try:
            return check_queue(calls, _rules(options))
        finally:
            calls.close()
    scope = _scope(options)
    client = _client("s3", options, context)
    try:
        answer = client.list_objects_v2(
            Bucket=scope.bucket, Prefix=scope.prefix, StartAfter=scope.start_after, MaxKeys=1
        )
    except (ClientError, BotoCoreError) as error:
        meaning = s3_error(scope.place, error)
        text = meaning.detail if isinstance(meaning, PayloadError) else str(meaning)
        raise SourceError(text) from error
    finally:
        client.close()
    found = "holds objects" if answer.get("Contents") else "holds no object yet"
    return f"{scope.place}: can be listed, {found}"


@hookimpl
def source_specs() -> Iterable[SourceSpec]:
    """Offer the ``aws_s3`` source."""
    summary = "Log files in S3, named by the notices in an SQS queue or found by listing."
    return [SourceSpec("aws_s3", summary, AwsS3Options, open_source, check_source)]


def _rules(options: AwsS3Options) -> Rules:
    return Rules(
        wait_seconds=options.wait_seconds,
        max_receives=options.max_receives,
        buckets=frozenset(options.buckets),
        redrive=options.poison == "redrive",
        concurrency=options.concurrency,
        prefetch_bytes=options.prefetch_bytes,
    )


def _scope(options: AwsS3Options) -> Scope:
    assert options.bucket
    return Scope(
        bucket=options.bucket,
        prefix=options.prefix,
        start_after=options.start_after,
        poll_seconds=options.poll_seconds,
        look_back=options.look_back,
        whole_hours=options.whole_hours,
        most_remembered=options.most_remembered,
    )


def _client(service: str, options: AwsS3Options, context: AdapterContext) -> Any:
    """Return a client; without a region, that of the queue's address serves."""
    try:
        client = aws.client(
            service, _in_region(options), read_timeout=30, max_pool_connections=THREADS + 4
        )
    except BotoCoreError as error:
        raise ConfigError(f"sources.{context.name}: {error}") from error
    if service == "s3" and options.requester_pays:
        requester_pays(client)
    return client


def _in_region(options: AwsS3Options) -> AwsS3Options:
    region = _QUEUE_REGION.match(options.queue_url or "")
    if region and options.region is None:
        return replace(options, region=region["region"])
    return options
