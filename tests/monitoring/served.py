"""Asks the endpoint of a run that is a process of its own."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

from monitoring.scrapes import Scrape

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"


def with_metrics(path: Path, port: int) -> Path:
    """Add ``[metrics]`` to a configuration."""
    text = path.read_text("utf-8")
    path.write_text(f'{text}\n[metrics]\nlisten = "{HOST}:{port}"\n', "utf-8")
    return path


def ask(port: int, path: str) -> tuple[int, bytes]:
    """Return status and body; 0 where nobody answers."""
    connection = HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, HTTPException):
        return 0, b""
    finally:
        connection.close()


def health(port: int) -> tuple[int, dict[str, Any]]:
    """Return the status of ``/healthz`` and what it says."""
    status, body = ask(port, "/healthz")
    return status, json.loads(body or b"{}")


def components(port: int) -> list[str]:
    """Return what does not work, by the words of ``/healthz``; its status must agree."""
    status, told = health(port)
    problems = [each["component"] for each in told["problems"]]
    assert (status, told["status"]) == ((503, "failing") if problems else (200, "ok"))
    return problems


def scraped(port: int) -> Scrape:
    """Return what ``/metrics`` says."""
    status, body = ask(port, "/metrics")
    assert status == 200
    return Scrape(body.decode())
