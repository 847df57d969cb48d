"""C2: credentials that end, that are not there yet, or that are replaced."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from faults.catalogue import fault
from faults.gate import HOST, Refusal, gate_to
from faults.program import Program
from faults.record_route import RecordRoute
from faults.routes import QueueRoute
from sinks.scripted_bulk import scripted_bulk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faults.gate import Asked, Gate
    from faults.lab import Lab
    from faults.program import Process
    from faults.routes import Route

PROFILE = "faults"
ENDED = "the token of the keys in use ends; new keys are there at once, the next time after 3 s"
RENEWED = "keys read again without a restart; health red only while there are none; nothing lost"


@dataclass
class Door:
    """Says who may come in.

    Attributes:
        spent: Keys that are let in no more.
        refused: How many requests were refused.
    """

    spent: set[str] = field(default_factory=set[str])
    refused: int = 0

    def refuse(self, asked: Asked) -> Refusal | None:
        """Refuse requests that are signed with spent keys."""
        authorization = asked.headers.get("authorization", "")
        if not any(f"Credential={key}/" in authorization for key in self.spent):
            return None
        self.refused += 1
        if "x-amz-target" in asked.headers:
            said = b'{"__type": "ExpiredTokenException", "message": "The token has expired"}'
            return Refusal(400, said, {"Content-Type": "application/x-amz-json-1.0"})
        body = b"<Error><Code>ExpiredToken</Code><Message>has expired</Message></Error>"
        return Refusal(400, body, {"Content-Type": "application/xml"})


@fault("C2", "credentials end, S3+SQS", made=ENDED, seen=RENEWED)
def ended_keys_queue(lab: Lab) -> str:
    return _ended_keys(lab, QueueRoute(lab.moto, lab.unique("keys"), 64), lab.moto.port)


@fault("C2", "credentials end, Kinesis", made=ENDED, seen=RENEWED, brief=False)
def ended_keys_stream(lab: Lab) -> str:
    route = RecordRoute(lab.kinesalite, lab.unique("keys"), 65)
    return _ended_keys(lab, route, lab.kinesalite.port)


def _ended_keys(lab: Lab, route: Route, target: int) -> str:
    keys = lab.folder / "keys.json"
    _write(keys, "AKIAFIRST")
    config = lab.folder / "config"
    config.write_text(f"[profile {PROFILE}]\nregion = us-east-1\ncredential_process = cat {keys}\n")
    door = Door()
    with scripted_bulk() as bulk, gate_to(target) as gate:
        gate.refuse = door.refuse
        program = _program(lab, route, gate, target, bulk, {"AWS_CONFIG_FILE": str(config)})
        with program.running() as process:
            _delivers(process, route, bulk.stored)
            _write(keys, "AKIASECOND")
            door.spent.add("AKIAFIRST")
            _delivers(process, route, bulk.stored)
            at_once = door.refused
            door.spent.add("AKIASECOND")
            named = program.await_troubles(["source logs"])
            _write(keys, "AKIATHIRD")
            well = program.await_troubles([])
            _delivers(process, route, bulk.stored)
            process.stopped(27)
        whole = program.judged()
    assert at_once, "the first keys were never refused"
    signed = {key for key in ("FIRST", "SECOND", "THIRD") if _signed(gate, f"AKIA{key}")}
    assert signed == {"FIRST", "SECOND", "THIRD"}, f"only {signed} have signed"
    return f"named after {named:.1f} s, well after {well:.1f} s, {door.refused} refused; {whole}"


@fault(
    "C2",
    "instance metadata is away, and the role's keys are replaced",
    made="a metadata service that answers 500 at the start, later other keys; old ones refused",
    seen="health names the source until there are keys; renewed keys are used; nothing lost",
    brief=False,
)
def metadata_away(lab: Lab) -> str:
    route = QueueRoute(lab.moto, lab.unique("role"), 66)
    config = lab.folder / "config"
    config.write_text(f"[profile {PROFILE}]\nregion = us-east-1\n")
    door = Door()
    with scripted_bulk() as bulk, gate_to(lab.moto.port) as gate, metadata_service() as metadata:
        gate.refuse = door.refuse
        environment = {
            "AWS_CONFIG_FILE": str(config),
            "AWS_EC2_METADATA_DISABLED": "false",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{HOST}:{metadata.port}",
        }
        program = _program(lab, route, gate, lab.moto.port, bulk, environment)
        route.issue(200)
        with program.running() as process:
            named = program.await_troubles(["source logs"])
            assert not bulk.stored, "something was read without keys"
            metadata.key = "ASIAFIRST"
            well = program.await_troubles([])
            _delivers(process, route, bulk.stored)
            metadata.key = "ASIASECOND"
            door.spent.add("ASIAFIRST")
            _delivers(process, route, bulk.stored)
            process.stopped(27)
        whole = program.judged()
    assert _signed(gate, "ASIASECOND"), "the new keys were never used"
    return f"named after {named:.1f} s, well after {well:.1f} s, {door.refused} refused; {whole}"


def _program(
    lab: Lab, route: Route, gate: Gate, target: int, bulk: object, environment: dict[str, str]
) -> Program:
    def through(text: str) -> str:
        led = gate.led_through(text, target)
        return led.replace("[sources.logs]", f'[sources.logs]\nprofile = "{PROFILE}"')

    return Program(
        lab.folder,
        route,
        bulk,  # type: ignore[arg-type]
        through=through,
        environment=environment,
    )


def _delivers(process: Process, route: Route, stored: object) -> None:
    """Issue lines and wait until they have arrived."""
    route.issue(150)
    wanted = len(route.oracle.issued) - route.oracle.refusals
    process.until(lambda: len(stored) >= wanted, 40)  # type: ignore[arg-type]


def _signed(gate: Gate, key: str) -> bool:
    return any(f"Credential={key}/" in each.headers.get("authorization", "") for each in gate.asked)


def _write(path: Path, key: str) -> None:
    made = {"Version": 1, "AccessKeyId": key, "SecretAccessKey": "secret", "SessionToken": "token"}
    partial = path.with_suffix(".new")
    partial.write_text(json.dumps(made))
    partial.replace(path)


@dataclass
class Metadata:
    """The metadata service of a virtual machine.

    Attributes:
        key: The access key of the role; with none the service fails.
    """

    key: str = ""
    port: int = 0


class _Handler(BaseHTTPRequestHandler):
    metadata: Metadata

    def do_PUT(self) -> None:
        self._answer(b"token")

    def do_GET(self) -> None:
        if self.path.endswith("/security-credentials/"):
            self._answer(b"reader")
            return
        ends = datetime.now(UTC) + timedelta(hours=6)
        told = {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "AccessKeyId": self.metadata.key,
            "SecretAccessKey": "secret",
            "Token": "token",
            "LastUpdated": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        self._answer(json.dumps(told).encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200 if self.metadata.key else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


@contextmanager
def metadata_service() -> Iterator[Metadata]:
    """Run one on a port of its own."""
    metadata = Metadata()
    handler = type("_MetadataHandler", (_Handler,), {"metadata": metadata})
    with ThreadingHTTPServer((HOST, 0), handler) as server:
        server.daemon_threads = True
        metadata.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        try:
            yield metadata
        finally:
            server.shutdown()
