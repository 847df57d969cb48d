"""The ``elastic`` sink: data streams of Elasticsearch and OpenSearch, by bulk requests."""

from __future__ import annotations

import copy
import logging
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.adapters import SinkSpec
from cloudfront_ecs.batches import Rejection
from cloudfront_ecs.encoding import json_line
from cloudfront_ecs.errors import SinkBlockedError, SinkUnavailableError
from cloudfront_ecs.failpoints import reach
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.normalize.documents.ecs import DataStream
from cloudfront_ecs.setup.install import install
from cloudfront_ecs.setup.removal import remove
from cloudfront_ecs.setup.templates import DATASETS
from cloudfront_ecs.sinks.bulk import (
    BULK_PATH,
    Prepared,
    RequestEnd,
    Tally,
    error_of,
    parse_answer,
    request_end,
    requests,
)
from cloudfront_ecs.sinks.cluster import Cluster, Reply, refused
from cloudfront_ecs.sinks.elastic_options import DEFAULT_NAMESPACE, ElasticOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Document, WriteResult

log = logging.getLogger(__name__)

__all__ = ["ElasticOptions", "ElasticSink", "check", "open_sink", "sink_specs"]


class ElasticSink:
    """Writes documents into data streams, each under its own id, with ``create``.

    Writing a document again is answered 409 and counts as a duplicate, as long as its data
    stream still writes into the same index.  With ``id = "auto"`` the server makes the ids
    and nothing is noticed; ``event.id`` still tells.
    """

    def __init__(self, options: ElasticOptions, name: str) -> None:
        """Prepare the connection; nothing is sent before the first write."""
        self._name = name
        self._cluster = Cluster(options, name)
        self._namespace = options.namespace
        self._most = options.bulk_bytes
        self._compress = options.compress
        self._with_id = options.id == "position"
        self._gzip_understood = False
        self._encode = msgspec.json.Encoder().encode
        self._streams: dict[str, tuple[bytes, DataStream]] = {}

    def write(self, documents: Sequence[Document]) -> WriteResult:
        """Write *documents* and account for each of them, in as many requests as it takes.

        When something goes wrong on the way, what was settled before is returned and the
        rest is in *retry*; so an exception means that nothing was settled.

        Raises:
            SinkUnavailableError: The outcome is unknown or nothing was taken.
            SinkBlockedError: Nothing can be written until somebody acts.
        """
        self._require_templates({document.dataset for document in documents})
        tally = Tally()
        queue = deque(requests(list(self._prepare(documents, tally)), self._most))
        while queue and tally.blocked is None:
            try:
                smaller = self._send(queue[0], tally)
            except SinkUnavailableError as error:
                if not tally.settled:
                    raise
                log.warning("%s; the rest of the batch is offered again", error)
                break
            queue.popleft()
            queue.extendleft(reversed(smaller))
            if queue:
                reach("half_counted")
        tally.retry.extend(one.document for request in queue for one in request)
        if tally.blocked is not None and not tally.settled:
            hint = _BLOCKED_HINTS.get(tally.blocked.status, "see the server's reason")
            if tally.blocked.cause.refuses_ids:
                hint = "set id = 'auto'"
            answer = f"{tally.blocked.status} {tally.blocked.cause}"
            raise SinkBlockedError(f"sinks.{self._name}: documents are refused: {answer} ({hint})")
        return tally.result()

    def close(self) -> None:
        """Disconnect.  Safe to call twice."""
        self._cluster.close()

    def _require_templates(self, datasets: set[str]) -> None:
        """See that new data streams come with our mappings, before the first document does.

        Without a template both products would make a plain index and guess the types; later
        no data stream of that name could be made any more.
        """
        for dataset in sorted(datasets - self._streams.keys()):
            stream = f"logs-{dataset}-{self._namespace}"
            if _exists(self._cluster, f"/{stream}") is False and (
                _exists(self._cluster, f"/_index_template/logs-{dataset}") is False
            ):
                raise SinkBlockedError(
                    f"sinks.{self._name}: no index template for {stream} ({_SETUP})"
                )
            self._streams[dataset] = self._stream(stream, dataset)

    def _prepare(self, documents: Iterable[Document], tally: Tally) -> Iterator[Prepared]:
        for document in documents:
            try:
                yield Prepared(document, self._lines(document))
            except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
                detail = f"cannot be written as JSON: {type(error).__name__}"
                tally.rejected.append(Rejection(document, detail))

    def _lines(self, document: Document) -> bytes:
        """Return the action and the body of a bulk request."""
        action, data_stream = self._streams[document.dataset]
        if self._namespace != DEFAULT_NAMESPACE:
            document = _with_data_stream(document, data_stream)
        ident = b',"_id":' + self._encode(document.id) if self._with_id else b""
        return b"%b%b}}\n%b\n" % (action, ident, json_line(document))

    def _stream(self, stream: str, dataset: str) -> tuple[bytes, DataStream]:
        """Return the start of the action line, and what the body says of its data stream."""
        action = b'{"create":{"_index":%b' % self._encode(stream)
        return action, DataStream(type="logs", dataset=dataset, namespace=self._namespace)

    def _send(self, request: Sequence[Prepared], tally: Tally) -> Sequence[Sequence[Prepared]]:
        """Send one request and count its documents; return smaller ones to send instead."""
        size = sum(len(one.lines) for one in request)
        if size > self._most and len(request) > 1:  # the limit was learnt after the split
            return list(requests(request, self._most))
        reply = self._post(b"".join(one.lines for one in request))
        end = request_end(reply.status, reply.body)
        if end is RequestEnd.ANSWERED:
            self._count(request, reply, tally)
            return ()
        if end is RequestEnd.TOO_LARGE and len(request) > 1:
            self._most = size // 2
            log.info("sinks.%s: requests of %d bytes are too large, halving", self._name, size)
            return list(requests(request, self._most))
        if end is RequestEnd.MALFORMED and len(request) > 1:
            middle = len(request) // 2
            return request[:middle], request[middle:]
        if end in (RequestEnd.TOO_LARGE, RequestEnd.MALFORMED):
            detail = str(error_of(reply.body) or f"{size} bytes are more than the server takes")
            tally.rejected.append(Rejection(request[0].document, detail, reply.status))
            return ()
        raise refused(reply)

    def _post(self, body: bytes) -> Reply:
        """Send a body, compressed until it turns out that nobody there understands gzip."""
        reply = self._bulk(body, compress=self._compress)
        if not self._compress or self._gzip_understood:
            return reply
        if reply.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNSUPPORTED_MEDIA_TYPE):
            self._gzip_understood = reply.status == HTTPStatus.OK
            return reply
        plain = self._bulk(body, compress=False)
        if plain.status == HTTPStatus.OK:
            log.warning("%s: does not take gzip, sending plain from now on", plain.place)
            self._compress = False
        return plain

    def _bulk(self, body: bytes, *, compress: bool) -> Reply:
        reply = self._cluster.call(
            "POST", BULK_PATH, body, content_type="application/x-ndjson", compress=compress
        )
        reach("answered")
        return reply

    def _count(self, request: Sequence[Prepared], reply: Reply, tally: Tally) -> None:
        try:
            items = parse_answer(reply.body, len(request))
        except ValueError as error:
            raise SinkUnavailableError(f"{reply.place}: {error}; sending again") from error
        tally.add(request, items)


_SETUP = "run 'cloudfront-ecs setup'"
_BLOCKED_HINTS = {
    400: f"{_SETUP} and look at the data stream",
    401: "the credentials are refused",
    403: "the account lacks permissions, or the index is read-only",
    404: _SETUP,
    429: "the disk is full: make room, then take the block off the index",
}
"""What to do, by the status of an item."""


def _with_data_stream(document: Document, data_stream: DataStream) -> Document:
    """Return a copy of *document* that names *data_stream*; other sinks' threads share it."""
    changed = copy.copy(document)
    if document.text is not None:
        # No value can look like this object: within a text its quotes would be escaped.
        before = _DATA_STREAM % (document.dataset, DEFAULT_NAMESPACE)
        after = _DATA_STREAM % (document.dataset, data_stream.namespace)
        changed.text = document.text.replace(before, after, 1)
    elif isinstance(document.opened, dict):
        changed.opened = {**document.opened, "data_stream": data_stream}
    else:
        body: Any = copy.copy(document.opened)
        body.data_stream = data_stream
        changed.opened = body
    return changed


_DATA_STREAM = '"data_stream":{"type":"logs","dataset":"%s","namespace":"%s"}'


def open_sink(options: ElasticOptions, context: AdapterContext) -> ElasticSink:
    """Return the sink; it connects when it first writes."""
    return ElasticSink(options, context.name)


def check(options: ElasticOptions, context: AdapterContext) -> str:
    """Ask the cluster what it is and whether it is prepared; see ``SinkSpec.check``."""
    names = [f"logs-{dataset}" for dataset in DATASETS]
    cluster = Cluster(options, context.name)
    try:
        product = cluster.product()
        there = {name: _exists(cluster, f"/_index_template/{name}") for name in names}
    finally:
        cluster.close()
    found = f"{product} at {', '.join(options.hosts)}"
    missing = [name for name, is_there in there.items() if is_there is False]
    if missing:
        return f"{found}; warning: no index template {', '.join(missing)} ({_SETUP})"
    if None in there.values():
        return f"{found}; warning: this account may not see whether index templates are there"
    return f"{found}; index templates are there"


def _exists(cluster: Cluster, path: str) -> bool | None:
    """Say whether *path* is there; None where the account may not ask."""
    reply = cluster.call("HEAD", path)
    if reply.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return None
    if reply.status not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
        raise refused(reply)
    return reply.status == HTTPStatus.OK


@hookimpl
def sink_specs() -> Iterable[SinkSpec]:
    """Offer the ``elastic`` sink."""
    summary = "Data streams of Elasticsearch and OpenSearch."
    spec = SinkSpec("elastic", summary, ElasticOptions, open_sink, check, install, remove)
    return [spec]
