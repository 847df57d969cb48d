"""Amazon S3, SQS, SNS, CloudFront, DynamoDB and more, played by moto in a process of its own.

A process, not a thread: a test that kills or exhausts the code under test shares neither fate nor
memory with the server.
"""

from __future__ import annotations

import http.client
import sys
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from servers.process import HOST, Command, Process, free_port, http_status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

REGION = "us-east-1"
ACCOUNT = "123456789012"
CREDENTIALS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def open_client(service: str, endpoint: str) -> Any:
    """Open a boto3 client with dummy credentials; close it when done."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"mode": "standard", "max_attempts": 3}, max_pool_connections=32),
    )


@dataclass(slots=True)
class AwsServer:
    """A running endpoint that speaks AWS protocols.

    Attributes:
        port: Where it listens on 127.0.0.1.
        process: To stop, kill, restart or halt it.
    """

    port: int
    process: Process
    _clients: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def endpoint(self) -> str:
        """The URL that boto3 calls ``endpoint_url``."""
        return f"http://{HOST}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a child process needs in its environment to talk to this server."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.endpoint}

    def client(self, service: str) -> Any:
        """Return the boto3 client of *service*; the same one each time, closed with the server."""
        if service not in self._clients:
            self._clients[service] = open_client(service, self.endpoint)
        return self._clients[service]

    def close(self) -> None:
        """Close the clients and stop the server.  Safe to call twice."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        self.process.stop()


class MotoServer(AwsServer):
    """moto, which forgets everything when it stops."""

    def reset(self) -> None:
        """Forget everything, for all tests; unique names are the gentler way."""
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=30)) as connection:
            connection.request("POST", "/moto-api/reset")
            connection.getresponse().read()


def start_moto(folder: Path) -> MotoServer:
    """Start moto, with its log in *folder*."""
    port = free_port()
    command = Command(
        name="moto",
        argv=(sys.executable, "-I", "-m", "moto.server", "-H", HOST, "-p", str(port)),
        log=folder / f"moto-{port}.log",
        env=CREDENTIALS,
        ready=lambda: http_status(port, "/moto-api/") is not None,
    )
    server = MotoServer(port, Process(command))
    server.process.start()
    return server
