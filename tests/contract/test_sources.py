"""What every source promises; see ``cloudfront_ecs.adapters.Source``."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs import Payload
from cloudfront_ecs.errors import SourceError
from contract.configured import closed_port, kinds, opened

if TYPE_CHECKING:
    from pathlib import Path

WITHIN = 30.0

every_source = pytest.mark.parametrize("kind", kinds("source"))


@pytest.fixture(name="port")
def _port(monkeypatch: pytest.MonkeyPatch) -> int:
    """Return a port at which nobody listens, also for what talks to AWS."""
    port = closed_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return port


@every_source
def test_closing_twice_is_harmless(kind: str, tmp_path: Path, port: int) -> None:
    source = opened("source", kind, tmp_path, port)

    source.close()
    source.close()


@every_source
def test_a_source_whose_other_end_is_away_says_so_and_nothing_else(
    kind: str, tmp_path: Path, port: int
) -> None:
    began = time.monotonic()
    results: list[object] = []

    with closing(opened("source", kind, tmp_path, port)) as source:
        for _ in range(3):
            try:
                results.append(source.poll(0.1))
            except SourceError:
                results.append(None)

    assert all(each is None or isinstance(each, Payload) for each in results)
    assert time.monotonic() - began < WITHIN


@every_source
def test_a_source_that_was_never_polled_is_not_drained(
    kind: str, tmp_path: Path, port: int
) -> None:
    with closing(opened("source", kind, tmp_path, port)) as source:
        assert source.drained() is False


@every_source
def test_a_source_that_was_polled_can_be_closed_twice(kind: str, tmp_path: Path, port: int) -> None:
    source = opened("source", kind, tmp_path, port)

    with suppress(SourceError):
        source.poll(0.0)
    source.close()
    source.close()
