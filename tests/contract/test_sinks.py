"""What every sink promises; see ``cloudfront_ecs.adapters.Sink``."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.realtime.decoder import RealtimeDecoder, RealtimeOptions
from cloudfront_ecs.errors import SinkUnavailableError
from contract.configured import closed_port, kinds, opened
from pipeline_parts import FIELDS, lines

if TYPE_CHECKING:
    from pathlib import Path

    from cloudfront_ecs import Document

WITHIN = 30.0
"""Seconds; a refused connection is known at once, a busy machine is not quick."""

every_sink = pytest.mark.parametrize("kind", kinds("sink"))


@pytest.fixture(name="port")
def _port(monkeypatch: pytest.MonkeyPatch) -> int:
    """Return a port at which nobody listens, also for what talks to AWS."""
    port = closed_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return port


@pytest.fixture(name="documents")
def _documents() -> list[Document]:
    origin = Origin("here", ("here",))
    conversion = Conversion(RealtimeDecoder(RealtimeOptions(fields=FIELDS)), [])
    parts = conversion.convert(Payload(Receipt("here", 1), origin, [lines(3)]))
    return [document for part in parts for document in part.documents]


@every_sink
def test_closing_twice_is_harmless(kind: str, tmp_path: Path, port: int) -> None:
    sink = opened("sink", kind, tmp_path, port)

    sink.close()
    sink.close()


@every_sink
def test_documents_are_accounted_for_or_offered_again(
    kind: str, tmp_path: Path, port: int, documents: list[Document]
) -> None:
    began = time.monotonic()

    with closing(opened("sink", kind, tmp_path, port)) as sink:
        try:
            accounted = sink.write(documents).total
        except SinkUnavailableError:
            accounted = len(documents)

    assert accounted == len(documents)
    assert time.monotonic() - began < WITHIN


@every_sink
def test_a_sink_that_failed_can_be_asked_again_and_closed(
    kind: str, tmp_path: Path, port: int, documents: list[Document]
) -> None:
    sink = opened("sink", kind, tmp_path, port)
    outcomes = []

    for _ in range(2):
        try:
            outcomes.append(sink.write(documents).total)
        except SinkUnavailableError:
            outcomes.append(0)
    sink.close()
    sink.close()

    assert outcomes in ([0, 0], [len(documents)] * 2)


@every_sink
def test_an_error_shows_nothing_of_a_document(
    kind: str, tmp_path: Path, port: int, documents: list[Document]
) -> None:
    told = ""

    with closing(opened("sink", kind, tmp_path, port)) as sink:
        try:
            sink.write(documents)
        except SinkUnavailableError as error:
            told = str(error)

    assert "203.0.113.7" not in told
