"""The values of the demo's traffic: dice, viewers, resources, and one request with its answer."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudfront_ecs.demo.agents import Agent

T = TypeVar("T")


class Dice(random.Random):
    """Seeded chance."""

    def chance(self, share: float) -> bool:
        """Return True for *share* of the calls."""
        return self.random() < share

    def below(self, top: int) -> int:
        """Return a whole number from 0 to *top* - 1; much faster than ``randrange``."""
        return int(self.random() * top)

    def any(self, choice: Sequence[T]) -> T:
        """Return one of *choice*, each as likely as the other."""
        return choice[int(self.random() * len(choice))]

    def popular(self, choice: Sequence[T]) -> T:
        """Return one of *choice*, the first ones far more often than the last ones."""
        return choice[int(self.random() ** 2 * len(choice))]


class Viewer(NamedTuple):
    """Somebody who sends requests.

    Attributes:
        address: The address that connects.
        country: Where it is, ISO 3166-1 alpha-2.
        asn: The network it belongs to.
        agent: The program.
        location: The edge location that answers.
        server: The address of the edge that answers.
        version: The HTTP version, such as ``HTTP/2.0``.
        tls: The TLS version.
        cipher: The TLS cipher.
        forwarded: The X-Forwarded-For header, or empty.
        cookie: The Cookie header on pages and calls, or empty.
        speed: How many bytes reach it in a millisecond.
    """

    address: str
    country: str
    asn: int
    agent: Agent
    location: str
    server: str
    version: str
    tls: str
    cipher: str
    forwarded: str
    cookie: str
    speed: int


class Outcome(NamedTuple):
    """How CloudFront ends a request.

    Attributes:
        status: The HTTP status; 0 when the viewer left before any.
        result: ``x-edge-result-type``.
        detailed: ``x-edge-detailed-result-type``.
        origin: The origin was asked.
        wait: Typical milliseconds to the first byte.
        size: The length of the answer where it is not the resource's.
        reason: ``sr-reason``: why another origin was asked.
    """

    status: int
    result: str
    detailed: str
    origin: bool = False
    wait: float = 3.0
    size: int = -1
    reason: str = ""


class Resource(NamedTuple):
    """Something that can be asked for.

    Attributes:
        host: The site.
        path: The path as viewers send it, so with their own percent-encoding.
        content_type: The type of the answer.
        size: The length of the answer in bytes.
        cached: The share of requests that an edge cache answers.
        behavior: The path pattern of the cache behaviour.
        outcome: How every request for it ends, where it is always the same.
    """

    host: str
    path: str
    content_type: str
    size: int
    cached: float
    behavior: str = "*"
    outcome: Outcome | None = None


class Request(NamedTuple):
    """One request and its answer: what every log format tells in its own way.

    Texts are as the viewer sent them, empty when missing; times are milliseconds, sizes
    bytes.

    Attributes:
        ended: When the answer was complete, since 1970.
        viewer: Who asked.
        port: The viewer's port.
        resource: What was asked for.
        method: The HTTP method.
        scheme: ``http`` or ``https``.
        query: The query string without question mark.
        referrer: The Referer header.
        cookie: The Cookie header.
        span: The first and last byte of the part that was asked for.
        received: The size of the request.
        id: The request id.
        outcome: How it ended.
        content_type: The type of the answer.
        content_length: Its length, where the answer named it.
        sent: The size of the answer, with headers.
        first_byte: How long the first byte took.
        taken: How long all of it took.
        cmcd: What a media player told about itself, by column.
        cmcd_headers: The same as request headers, where it was sent so.
        log_data: What the viewer-request function added to the log.
    """

    ended: int
    viewer: Viewer
    port: int
    resource: Resource
    method: str
    scheme: str
    query: str
    referrer: str
    cookie: str
    span: tuple[int, int] | None
    received: int
    id: str
    outcome: Outcome
    content_type: str
    content_length: int | None
    sent: int
    first_byte: int
    taken: int
    cmcd: Mapping[str, str]
    cmcd_headers: tuple[tuple[str, str], ...]
    log_data: str
