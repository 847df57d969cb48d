"""Fixtures that every test may ask for; the servers behind them lie in ``servers``."""

from __future__ import annotations

import os
import sys
import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from servers.aws import CREDENTIALS, MotoServer, start_moto
from servers.certificates import Certificate, make_certificate
from servers.elasticsearch import start_elasticsearch
from servers.forward import ForwardServer, Security, start_forward
from servers.kinesis import KinesisServer, start_kinesalite, start_kinesis_local
from servers.opensearch import start_opensearch
from servers.packages import PackageCache, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers.search_node import SearchNode

CACHE = Path(__file__).parent.parent / ".cache"

# How long an example takes says something of the machine, not of the code.  In CI the examples
# are the same each time; elsewhere each run looks at others.
settings.register_profile(
    "cloudfront-ecs", deadline=None, print_blob=True, derandomize=os.environ.get("CI") == "true"
)
settings.load_profile("cloudfront-ecs")


@pytest.fixture(name="environment", scope="session", autouse=True)
def _environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep AWS clients away from the developer's account, proxies and instance metadata."""
    nothing = tmp_path_factory.mktemp("aws") / "config"
    nothing.touch()
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("AWS_"):
                patch.delenv(name)
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        patch.setenv("AWS_CONFIG_FILE", str(nothing))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nothing))
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "127.0.0.1,localhost")
        yield


@pytest.fixture(name="unique")
def _unique() -> Callable[[str], str]:
    """Return a function that makes a name nobody else uses: ``unique("logs")``.

    Good for buckets, streams, queues, tables and indices, so tests can share a server.
    """
    return lambda stem: f"{stem}-{uuid.uuid4().hex[:12]}"


@pytest.fixture(name="package_cache", scope="session")
def _package_cache(request: pytest.FixtureRequest) -> PackageCache:
    """Return the cache from which servers are started."""
    plugins = request.config.pluginmanager
    capture, terminal = plugins.getplugin("capturemanager"), plugins.getplugin("terminalreporter")

    def announce(text: str) -> None:
        with capture.global_and_fixture_disabled():
            if terminal:
                terminal.write_line(f"\n{text}")
            else:  # a worker of several, whose standard error is that of all
                print(text, file=sys.stderr, flush=True)

    return PackageCache(CACHE, announce if capture else print)


@pytest.fixture(name="server_logs", scope="session")
def _server_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder where servers log."""
    return tmp_path_factory.mktemp("servers")


@pytest.fixture(name="aws", scope="session")
def _aws(server_logs: Path) -> Iterator[MotoServer]:
    """Run moto: S3, SQS, SNS, DynamoDB, CloudFront, IAM, CloudWatch, Kinesis."""
    server = start_moto(server_logs)
    yield server
    server.close()


@pytest.fixture(name="kinesalite", scope="session")
def _kinesalite(package_cache: PackageCache, server_logs: Path) -> Iterator[KinesisServer]:
    """Run kinesalite, for volume."""
    with _needed():
        server = start_kinesalite(package_cache, server_logs)
    yield server
    server.close()


@pytest.fixture(name="kinesis_local", scope="session")
def _kinesis_local(package_cache: PackageCache, server_logs: Path) -> Iterator[KinesisServer]:
    """Run kinesis-local, for fidelity."""
    with _needed():
        server = start_kinesis_local(package_cache, server_logs)
    yield server
    server.close()


@pytest.fixture(name="opensearch", scope="session")
def _opensearch(package_cache: PackageCache) -> Iterator[SearchNode]:
    """Run an OpenSearch node; a test that stops it must start it again."""
    with _needed():
        node = start_opensearch(package_cache)
    yield node
    node.close()


@pytest.fixture(name="elasticsearch", scope="session")
def _elasticsearch(package_cache: PackageCache) -> Iterator[SearchNode]:
    """Run an Elasticsearch node; a test that stops it must start it again."""
    with _needed():
        node = start_elasticsearch(package_cache)
    yield node
    node.close()


@pytest.fixture(name="certificate", scope="session")
def _certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Return a certificate for 127.0.0.1."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(name="forward_server")
def _forward_server(
    package_cache: PackageCache, tmp_path: Path
) -> Iterator[Callable[..., ForwardServer]]:
    """Return a function that starts a Forward receiver, stopped when the test ends."""
    with ExitStack() as servers:

        def start(security: Security | None = None) -> ForwardServer:
            with _needed():
                server = start_forward(package_cache, tmp_path, security)
            servers.callback(server.process.stop)
            return server

        yield start


@contextmanager
def _needed() -> Iterator[None]:
    """Skip the test when a server cannot be had, but fail it in CI."""
    try:
        yield
    except UnavailableError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
