"""Documents of what functions write: one for each writing, ``message`` is the text.

``@timestamp`` is the time that the log gives.  Where it gives none, it is the time of
reading, which is another one at the next attempt; so it takes no part in the id.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from cloudfront_ecs.batches import Document, Layout
from cloudfront_ecs.normalize.compiling.shared import VENDOR
from cloudfront_ecs.normalize.documents import aws_fields, ecs
from cloudfront_ecs.normalize.documents.object import Object
from cloudfront_ecs.normalize.identity import TIME_PREFIX
from cloudfront_ecs.normalize.normalized import NormalizedBatch
from cloudfront_ecs.normalize.rebuilding.as_logged import escaped
from cloudfront_ecs.normalize.values.connection_values import event_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudfront_ecs.batches import RecordBatch
    from cloudfront_ecs.normalize.compiling.payload_constants import Constants
    from cloudfront_ecs.normalize.values.moments import Moment

DATASET = "cloudfront.function"

_Part = TypeVar("_Part", bound=Object)

_ECS = ecs.Ecs("9.4.0")
_OBSERVER = ecs.Observer(VENDOR["vendor"], VENDOR["product"], VENDOR["type"])

_BILLION = 1_000_000_000
_LONGEST_QUOTE = 64
_GROUP = re.compile(r"/aws/cloudfront/(connection-)?function/(.+)", re.DOTALL)
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Written(NamedTuple):
    """What a function wrote at one time; the empty text stands for what is not known.

    Attributes:
        message: The text, without the request id.
        time: Milliseconds since 1970 or ISO 8601.
        request_id: The request's id; the connection's, for connection functions.
        distribution_id: What the START line of the same request names.
        log_group: The log group, which names the function.
        log_stream: The log stream.
        function: The function's name, where no log group tells it.
        event_id: CloudWatch's id of the event; ``#`` and its place among the events of the
            same line where it has none.
    """

    message: str
    time: str = ""
    request_id: str = ""
    distribution_id: str = ""
    log_group: str = ""
    log_stream: str = ""
    function: str = ""
    event_id: str = ""


LAYOUT = Layout("function", Written._fields)
"""The columns of a record."""


def function_documents(
    batch: RecordBatch, keys: Sequence[str], shared: Constants, *, original: bool
) -> NormalizedBatch:
    """Return the documents of *batch*, see ``builders.Builder``; none is refused."""
    documents = []
    for index, row in enumerate(batch.rows):
        written, problems = _readable(Written(*row))
        moment = _moment(written.time, problems)
        if note := batch.notes.get(index):
            problems.append(note)
        key = _key(keys[index], written)
        ident = TIME_PREFIX[moment[1] // _BILLION if moment else 0] + key
        stamp, time_ns, _ = moment or _read_at(shared)
        event = ecs.Event(
            id=ident,
            kind="pipeline_error" if problems else "event",
            module="cloudfront",
            dataset=DATASET,
            provider="cloudfront.amazonaws.com",
            category=["web"],
            type=["info"],
            created=shared.created,
            original=_escaped(batch.lines[index]) if original else None,
        )
        body = ecs.EcsDocument(
            timestamp=stamp,
            message=written.message or None,
            ecs=_ECS,
            event=event,
            data_stream=shared.data_stream,
            http=_http(written),
            observer=_OBSERVER,
            cloud=shared.cloud,
            aws=_aws(written, shared, batch.positions[index] if batch.positions else None),
            log=shared.log,
            error=ecs.Error(message="; ".join(problems)) if problems else None,
            tags=shared.tags,
            labels=shared.labels,
        )
        documents.append(Document(ident, DATASET, time_ns, body))
    return NormalizedBatch(documents, [], range(len(documents)))


def _readable(written: Written) -> tuple[Written, list[str]]:
    """Return *written* as text that JSON can hold, and what was not."""
    if "".join(written).isascii():
        return written, []
    texts = Written(*map(_escaped, written))
    odd = [
        name for name, old, new in zip(Written._fields, written, texts, strict=True) if old != new
    ]
    return texts, [f"{name}: bytes that are not UTF-8 stand as escapes" for name in odd]


def _escaped(text: str) -> str:
    """Return *text* with bytes that are not UTF-8, and halves of characters, as escapes."""
    return escaped(_HALF.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Surrogates that stand for no byte; only JSON can hold them."""


def _moment(text: str, problems: list[str]) -> Moment | None:
    if not text:
        return None
    try:
        return event_time(text)
    except ValueError as error:
        quoted = repr(text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…")
        problems.append(f"timestamp: {error} ({quoted})")
        return None


def _read_at(shared: Constants) -> Moment:
    moment = event_time(shared.created)
    assert moment is not None
    return moment


def _key(key: str, written: Written) -> str:
    """Return the end of the id.

    An event of CloudWatch is the same one in whatever object it was read; without an id its
    place tells it from others of the same line.
    """
    if not written.event_id:
        return key
    parts = [written.event_id, key]
    if not written.event_id.startswith("#"):
        parts = [written.event_id, written.log_group, written.log_stream, written.message]
    digest = blake2b("\0".join(parts).encode(), digest_size=16).digest()
    return b2a_base64(digest, newline=False)[:22].translate(_URL_SAFE).decode("ascii")


def _http(written: Written) -> ecs.Http | None:
    if not written.request_id or _of_connection(written):
        return None
    return ecs.Http(request=ecs.HttpRequest(id=written.request_id))


def _of_connection(written: Written) -> bool:
    group = _GROUP.fullmatch(written.log_group)
    return group is not None and group[1] is not None


def _aws(written: Written, shared: Constants, position: str | None) -> aws_fields.Aws | None:
    group = _GROUP.fullmatch(written.log_group)
    name = group[2] if group else written.function
    aws = aws_fields.Aws(
        cloudfront=_unless_empty(
            aws_fields.CloudFront(
                distribution_id=written.distribution_id or shared.distribution_id,
                connection_id=(written.request_id or None) if _of_connection(written) else None,
                function=aws_fields.EdgeFunction(name=name) if name else None,
            )
        ),
        s3=shared.s3,
        kinesis=_unless_empty(aws_fields.Kinesis(shared.stream, shared.shard, position)),
        cloudwatch=_unless_empty(
            aws_fields.CloudWatch(written.log_group or None, written.log_stream or None)
        ),
    )
    return _unless_empty(aws)


def _unless_empty(part: _Part) -> _Part | None:
    return None if part == type(part)() else part
