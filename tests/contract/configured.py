"""Every adapter that is known, with the fewest options it can be opened with."""

from __future__ import annotations

import socket
import threading
import tomllib
from contextlib import contextmanager
from dataclasses import MISSING, fields
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.errors import CloudFrontEcsError
from cloudfront_ecs.options import parse
from cloudfront_ecs.plugins import Plugins, load_plugins
from transforms.places import CITIES, write_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cloudfront_ecs.adapters import AdapterSpec

NEEDED: dict[tuple[str, str], dict[str, Any]] = {
    ("source", "files"): {"paths": ["{folder}/*.gz"]},
    ("source", "aws_s3"): {"bucket": "logs"},
    ("source", "aws_kinesis"): {"stream": "edge"},
    ("decoder", "realtime"): {"fields": ["timestamp", "c-ip", "sc-status"]},
    ("transform", "geoip"): {"database": "{folder}/places.mmdb"},
    ("transform", "filter"): {"keep": {"field": "http.response.status_code", "op": "exists"}},
    ("transform", "trusted_proxies"): {"networks": ["203.0.113.0/24"]},
    ("transform", "privacy"): {"rules": [{"field": "source.ip", "action": "truncate"}]},
    ("sink", "ndjson"): {"path": "{folder}/out.ndjson"},
    ("sink", "elastic"): {"hosts": ["http://127.0.0.1:{port}"]},
    ("sink", "fluentd"): {"servers": ["127.0.0.1:{port}"]},
}
"""Options that have no default; for adapters that are not listed, the options' examples serve."""


@cache
def known() -> Plugins:
    """Return all plugins that are installed."""
    return load_plugins()


def kinds(role: str) -> list[str]:
    """Return every known kind of a role."""
    return sorted(known().specs(role))


def minimal(role: str, kind: str, folder: Path, port: int) -> Any:
    """Return options that have only what is required."""
    spec = known().specs(role)[kind]
    if kind == "geoip":
        write_database(folder / "places.mmdb", CITIES)
    table = {
        name: _filled(value, folder, port)
        for name, value in (NEEDED.get((role, kind)) or _examples(spec)).items()
    }
    problems: list[str] = []
    options = parse(spec.options, table, f"{role} {kind}", problems)
    if problems:
        pytest.fail(
            f"{problems} (declare required options with example=, or add them to NEEDED in "
            f"{__name__})",
            pytrace=False,
        )
    return options


def opened(role: str, kind: str, folder: Path, port: int) -> Any:
    """Open an adapter; what it lacks on this machine skips the test."""
    spec = known().specs(role)[kind]
    options = minimal(role, kind, folder, port)
    try:
        return spec.open(options, AdapterContext("contract", folder / "state"))
    except CloudFrontEcsError as error:
        pytest.skip(f"{role} {kind} cannot be opened here: {error}")


def closed_port() -> int:
    """Return a port of this machine at which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def no_network() -> Iterator[list[object]]:
    """Note every address that is looked up or connected to, and refuse it.

    Threads that an earlier test has left to die are not the adapter's.
    """
    used: list[object] = []
    others = set(threading.enumerate()) - {threading.current_thread()}

    def refuse(*arguments: object, **_: object) -> None:
        if threading.current_thread() not in others:
            used.append(arguments[-1] if len(arguments) == 1 else arguments[1:])
        raise OSError("no network while an adapter is opened")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket.socket, "connect_ex", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield used


def _examples(spec: AdapterSpec) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for item in fields(spec.options):
        required = item.default is MISSING and item.default_factory is MISSING
        example = item.metadata.get("example")
        if required and example is not None:
            table |= tomllib.loads(f"{item.name} = {example}")
    return table


def _filled(value: Any, folder: Path, port: int) -> Any:
    if isinstance(value, list):
        return [_filled(item, folder, port) for item in value]
    if isinstance(value, str):
        return value.replace("{folder}", str(folder)).replace("{port}", str(port))
    return value
