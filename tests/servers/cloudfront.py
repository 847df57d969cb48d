"""A server that answers ``GetRealtimeLogConfig`` as CloudFront does; moto has no such call."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from servers.process import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PATH = "/2020-05-31/get-realtime-log-config"
ARN = "arn:aws:cloudfront::123456789012:realtime-log-config/edge"
_NAMESPACE = "http://cloudfront.amazonaws.com/doc/2020-05-31/"


@dataclass(slots=True)
class CloudFront:
    """One real-time log configuration, to be changed at will.

    Attributes:
        endpoint: The URL that boto3 calls ``endpoint_url``.
        fields: Its columns, in the order in which they are told.
        rate: Its sampling rate.
        error: The status and the code of the answer while it refuses.
        asked: What was asked, in order.
    """

    endpoint: str = ""
    fields: Sequence[str] = ("timestamp", "c-ip")
    rate: int = 100
    error: tuple[int, str] | None = None
    asked: list[str] = field(default_factory=list[str])

    def answer(self, path: str, body: str) -> tuple[int, str]:
        """Return the status and the XML of an answer."""
        self.asked.append(body)
        if path.rstrip("/") != PATH:
            return 404, _error("UnknownOperation")
        if self.error is not None:
            return self.error[0], _error(self.error[1])
        if ARN not in body:
            return 404, _error("NoSuchRealtimeLogConfig")
        fields = "".join(f"<Field>{escape(name)}</Field>" for name in self.fields)
        return 200, (
            f'<GetRealtimeLogConfigResult xmlns="{_NAMESPACE}"><RealtimeLogConfig>'
            f"<ARN>{ARN}</ARN><Name>edge</Name><SamplingRate>{self.rate}</SamplingRate>"
            "<EndPoints><member><StreamType>Kinesis</StreamType><KinesisStreamConfig>"
            "<RoleARN>arn:aws:iam::123456789012:role/logs</RoleARN>"
            "<StreamARN>arn:aws:kinesis:us-east-1:123456789012:stream/edge</StreamARN>"
            f"</KinesisStreamConfig></member></EndPoints><Fields>{fields}</Fields>"
            "</RealtimeLogConfig></GetRealtimeLogConfigResult>"
        )


def _error(code: str) -> str:
    return (
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code>'
        "<Message>refused</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    )


@contextmanager
def cloudfront() -> Iterator[CloudFront]:
    """Run the server."""
    played = CloudFront()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status, text = played.answer(self.path, body)
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    played.endpoint = f"http://{HOST}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield played
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
