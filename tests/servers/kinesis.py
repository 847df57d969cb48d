"""Amazon Kinesis, played by two servers from npm.

kinesalite is fast and takes volume, but knows only the old calls; ``outlive.js`` keeps it alive
when a client goes away in the midst of a request.  kinesis-local is faithful
(resharding, child shards, consumers), but slow: keep it under 5,000 records a test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from servers.aws import ACCOUNT, REGION, AwsServer
from servers.packages import HERE, node
from servers.process import Command, Process, free_port, http_status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from servers.packages import PackageCache

_BRIEF = "50ms"
_CHANGES = (
    "CREATE_STREAM",
    "DELETE_STREAM",
    "REGISTER_STREAM_CONSUMER",
    "DEREGISTER_STREAM_CONSUMER",
    "MERGE_SHARDS",
    "SPLIT_SHARD",
    "UPDATE_SHARD_COUNT",
)


class KinesisServer(AwsServer):
    """A running Kinesis endpoint, which forgets everything when it stops."""

    def client(self, service: str = "kinesis") -> Any:
        """Return the boto3 client; the same one each time, closed with the server."""
        return super().client(service)


def start_kinesalite(cache: PackageCache, folder: Path) -> KinesisServer:
    """Start kinesalite, with its log in *folder*."""
    port = free_port()
    script = cache.node_modules() / "kinesalite/cli.js"
    brief = [
        option
        for change in ("createStreamMs", "deleteStreamMs", "updateStreamMs")
        for option in (f"--{change}", "50")
    ]
    options = ("--port", str(port), "--shardLimit", "1000", *brief)
    return _start(
        "kinesalite", port, ("--require", HERE / "outlive.js", script, *options), {}, folder
    )


def start_kinesis_local(cache: PackageCache, folder: Path) -> KinesisServer:
    """Start kinesis-local, with its log in *folder*."""
    port = free_port()
    package = cache.node_modules() / "kinesis-local"
    env = {
        "KINESIS_MOCK_PLAIN_PORT": str(port),
        "KINESIS_MOCK_TLS_PORT": str(free_port()),
        # Otherwise it looks in the current directory and ends.
        "KINESIS_MOCK_CERT_PATH": str(package / "server.json"),
        "AWS_ACCOUNT_ID": ACCOUNT,
        "AWS_REGION": REGION,
        "SHARD_LIMIT": "1000",
        "LOG_LEVEL": "ERROR",
        **{f"{change}_DURATION": _BRIEF for change in _CHANGES},
    }
    return _start("kinesis-local", port, (package / "main.js",), env, folder)


def _start(
    name: str, port: int, argv: tuple[str | Path, ...], env: Mapping[str, str], folder: Path
) -> KinesisServer:
    command = Command(
        name=name,
        argv=(node(), "--require", HERE / "bind.js", *argv),
        log=folder / f"{name}-{port}.log",
        env=env,
        ready=lambda: http_status(port) is not None,
        grace=5.0,
    )
    server = KinesisServer(port, Process(command))
    server.process.start()
    return server
