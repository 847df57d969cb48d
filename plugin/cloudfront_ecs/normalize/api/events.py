"""One CloudTrail event becomes one document.

Source of the members: CloudTrail user guide, "CloudTrail record contents".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.batches import Document
from cloudfront_ecs.normalize.api.calls import Call, cloudtrail
from cloudfront_ecs.normalize.api.configurations import configuration
from cloudfront_ecs.normalize.api.operations import CHANGING
from cloudfront_ecs.normalize.api.parts import number_at, text_at, texts_at, unique
from cloudfront_ecs.normalize.api.risks import risks
from cloudfront_ecs.normalize.api.sentences import sentence
from cloudfront_ecs.normalize.api.subjects import hosts, origin_hosts
from cloudfront_ecs.normalize.documents import aws_fields, ecs
from cloudfront_ecs.normalize.documents.cloudtrail_fields import Change, Invalidation
from cloudfront_ecs.normalize.identity import TIME_PREFIX
from cloudfront_ecs.normalize.normalized import NormalizedBatch, refused
from cloudfront_ecs.normalize.values import convert
from cloudfront_ecs.normalize.values.connection_values import event_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudfront_ecs.batches import RecordBatch, RejectedLine
    from cloudfront_ecs.normalize.compiling.payload_constants import Constants

DATASET = "cloudfront.api"

_ECS = ecs.Ecs("9.4.0")
_BILLION = 1_000_000_000
_ID = re.compile(r"[\x21-\x7e]{1,128}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SERVICE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.IGNORECASE)
_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Forbidden")


def api_documents(
    batch: RecordBatch, keys: Sequence[str], shared: Constants, *, original: bool
) -> NormalizedBatch:
    """Return the documents of *batch*, see ``builders.Builder``.

    The id is CloudTrail's ``eventID``, so that an event which two trails deliver, or one
    trail twice, is one document; the usual id where there is none.
    """
    documents: list[Document] = []
    rejects: list[RejectedLine] = []
    indexes: list[int] = []
    for index, line in enumerate(batch.lines):
        try:
            event = msgspec.json.decode(_readable(line))
            call = Call.of(event)
            moment = event_time(call.text("eventTime") or "")
            if moment is None:
                raise convert.UndatedError("absent")
        except (msgspec.MsgspecError, RecursionError, TypeError) as error:
            rejects.append(refused(batch, index, "json", _why(error)))
            continue
        except ValueError as error:
            why = f"a document needs a time (eventTime: {error})"
            rejects.append(refused(batch, index, "timestamp", why))
            continue
        stamp, time_ns, _ = moment
        ident = call.text("eventID") or ""
        if not _ID.fullmatch(ident):
            if ident:
                call.problems.append("eventID: no id of at most 128 plain characters")
            ident = TIME_PREFIX[time_ns // _BILLION] + keys[index]
        if not line.isascii() and _SURROGATE.search(line):
            call.problems.append("event: bytes that are not UTF-8 stand as escapes")
        position = batch.positions[index] if batch.positions is not None else None
        body = _body(call, ident, stamp, shared, position)
        if original:
            body.event = msgspec.structs.replace(body.event or ecs.Event(), original=_shown(line))
        documents.append(Document(ident, DATASET, time_ns, body))
        indexes.append(index)
    return NormalizedBatch(documents, rejects, indexes)


def _readable(line: str) -> str:
    """Return JSON with bytes that are not UTF-8 as escapes that a text shows."""
    if line.isascii():
        return line
    return _SURROGATE.sub(lambda match: f"\\\\x{ord(match[0]) - 0xDC00:02x}", line)


def _shown(line: str) -> str:
    return line.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _why(error: Exception) -> str:
    """Return a parser's complaint; it names a place, never content."""
    if isinstance(error, RecursionError):
        return "JSON is nested too deep"
    return str(error)


def _body(
    call: Call, ident: str, stamp: str, shared: Constants, position: str | None
) -> ecs.EcsDocument:
    source, network = _source(call)
    named = hosts(call.request, call.response)
    server = call.server_name
    failure = call.failure
    tags = [*(shared.tags or ()), *([] if failure else risks(call.operation, call.request))]
    body = ecs.EcsDocument(
        timestamp=stamp,
        ecs=_ECS,
        data_stream=shared.data_stream,
        source=source,
        client=source,
        destination=ecs.Server(address=server, domain=server) if server else None,
        server=ecs.Server(address=server, domain=server) if server else None,
        tls=call.tls(),
        network=network,
        user=call.caller.user,
        user_agent=_user_agent(call),
        related=_related(call, source, named),
        cloud=_cloud(call, shared),
        aws=_aws(call, shared, position),
        log=shared.log,
        tags=unique(tags) or None,
        labels=shared.labels,
    )
    # Last, since looking at the members found out which of them cannot be read.
    body.event = _event(call, ident, shared)
    messages = [text for text in (call.text("errorMessage"), *call.problems) if text]
    if call.text("errorCode") or messages:
        body.error = ecs.Error(call.text("errorCode"), "; ".join(messages) or None)
    return body


def _event(call: Call, ident: str, shared: Constants) -> ecs.Event:
    operation, failure = call.operation, call.failure
    read_only = call.flag("readOnly")
    kind = operation.event_type
    if kind is None:
        kind = {True: "access", False: "change", None: "info"}[read_only]
    changes = kind in CHANGING and read_only is not True
    if read_only is True and kind != "info":
        kind = "access"
    types = [kind, "denied"] if (failure or "").endswith(_DENIED) else [kind]
    return ecs.Event(
        id=ident,
        kind="pipeline_error" if call.problems else "event",
        module="cloudfront",
        dataset=DATASET,
        provider=call.text("eventSource") or "cloudfront.amazonaws.com",
        category=["api", "configuration"] if changes else ["api"],
        type=types,
        action=operation.action or None,
        outcome="failure" if failure else "success",
        reason=sentence(call.caller.shown, operation, call.subject, call.request, failure),
        created=shared.created,
    )


def _source(call: Call) -> tuple[ecs.Endpoint | None, ecs.Network | None]:
    """Return where the call came from: an address, or the name of a service."""
    given = call.text("sourceIPAddress")
    if given is None:
        return None, None
    try:
        _, address, kind, _ = convert.address(given)
    except ValueError:
        domain = given if _SERVICE.fullmatch(given) else None
        return ecs.Endpoint(address=given, domain=domain), None
    return ecs.Endpoint(address=given, ip=address), ecs.Network(type=kind) if kind else None


def _user_agent(call: Call) -> ecs.UserAgent | None:
    original = call.text("userAgent")
    return ecs.UserAgent(original=original) if original else None


def _related(call: Call, source: ecs.Endpoint | None, named: list[str]) -> ecs.Related | None:
    services = (source.domain if source else None, text_at(call.identity, "invokedBy"))
    names = (name for name in services if name and _SERVICE.fullmatch(name))
    found = ecs.Related(
        ip=[source.ip] if source and source.ip else None,
        hosts=unique((*named, *names, call.server_name)) or None,
        user=call.caller.related or None,
    )
    return found if found != ecs.Related() else None


def _cloud(call: Call, shared: Constants) -> ecs.Cloud:
    account = call.text("recipientAccountId") or text_at(call.identity, "accountId")
    return msgspec.structs.replace(
        shared.cloud,
        region=call.text("awsRegion") or shared.cloud.region,
        account=ecs.CloudAccount(account) if account else shared.cloud.account,
    )


def _aws(call: Call, shared: Constants, position: str | None) -> aws_fields.Aws:
    noun, subject = call.operation.noun, call.subject
    change = Change(
        category=noun.category if noun else None,
        resource_type=noun.resource_type if noun else None,
        resource_id=subject.resource,
        origins=origin_hosts(configuration(call.request)) or None,
    )
    front = aws_fields.CloudFront(
        distribution_id=subject.distribution,
        distribution_tenant_id=subject.tenant,
        change=change if change != Change() else None,
        invalidation=_invalidation(call),
    )
    kinesis: Any = None
    if shared.stream or position:
        kinesis = aws_fields.Kinesis(shared.stream, shared.shard, position)
    return aws_fields.Aws(
        cloudfront=front if front != aws_fields.CloudFront() else None,
        s3=shared.s3,
        kinesis=kinesis,
        cloudtrail=cloudtrail(call),
    )


def _invalidation(call: Call) -> Invalidation | None:
    if not call.operation.kind.startswith("Invalidation"):
        return None
    paths = texts_at(call.request, "invalidationBatch", "paths")
    given = number_at(call.request, "invalidationBatch", "paths", "quantity")
    found = Invalidation(
        id=call.subject.resource,
        paths=paths or None,
        count=len(paths) if paths else given,
    )
    return found if found != Invalidation() else None
