"""One node of Elasticsearch or OpenSearch from the zip its makers publish for integration tests."""

from __future__ import annotations

import atexit
import http.client
import json
import os
import pwd
import shutil
import stat
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servers.packages import UnavailableError, java_home, unpack
from servers.process import HOST, Command, Process, free_port, http_status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from servers.packages import MavenZip, PackageCache

HEAP = "512m"
UNPRIVILEGED = "nobody"

# Lines of jvm.options that do not fit: a module which the runtime from PyPI lacks, and a log of
# every garbage collection.
_UNFIT = ("jdk.incubator.vector", "gc.log")


@dataclass(frozen=True, slots=True)
class Product:
    """What differs between the two.

    Attributes:
        prefix: How the names of its environment variables begin.
        settings: Settings it needs beside those of any single node.
    """

    zipped: MavenZip
    prefix: str
    settings: Mapping[str, str]

    @property
    def name(self) -> str:
        """The name of the program and of the artefact."""
        return self.zipped.artifact


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node answered: the status, and the body read as JSON where it is JSON."""

    status: int
    body: Any


class SearchNode:
    """A single node with its own folder; port and data stay the same from stop to start."""

    def __init__(
        self, product: Product, cache: PackageCache, settings: Mapping[str, str] | None = None
    ) -> None:
        """Lay out a node without starting it.

        Raises:
            UnavailableError: Java or the zip cannot be had.
        """
        self.product = product
        self.port = free_port()
        zipped, java = cache.maven_zip(product.zipped), java_home()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{product.name}-", dir=_open_folder()))
        atexit.register(self.close)
        self.log = self.folder / "node.log"
        self.process = Process(self._command(java, settings or {}))
        self._lay_out(zipped, java)

    @property
    def url(self) -> str:
        """Where the node answers."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Start the node and return once its shards can be searched."""
        self.process.start()

    def stop(self) -> None:
        """Stop the node and keep its data."""
        self.process.stop()

    def restart(self) -> None:
        """Stop the node and start it again with the same port and data."""
        self.process.restart()

    def close(self) -> None:
        """Stop the node and delete its data.  Safe to call twice."""
        self.process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.close)

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        """Send one request; a dict is sent as JSON, a list as the lines of a bulk request."""
        if isinstance(body, list):
            text, kind = "".join(json.dumps(line) + "\n" for line in body), "application/x-ndjson"
        else:
            text, kind = "" if body is None else json.dumps(body), "application/json"
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=60)) as connection:
            connection.request(method, path, text.encode() or None, {"Content-Type": kind})
            response = connection.getresponse()
            content = response.read()
            is_json = "json" in response.headers.get("Content-Type", "")
        return Answer(response.status, json.loads(content) if is_json and content else content)

    def _command(self, java: Path, settings: Mapping[str, str]) -> Command:
        home = self.folder / self.product.zipped.name.removesuffix(".zip")
        prefix = self.product.prefix
        given = {
            "http.port": str(self.port),
            "transport.port": str(free_port()),
            "network.host": HOST,
            "discovery.type": "single-node",
            "path.data": str(self.folder / "data"),
            "path.logs": str(self.folder / "logs"),
            # A full disk of the machine must not make indices read-only.
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            **self.product.settings,
            **settings,
        }
        return Command(
            name=self.product.name,
            argv=(home / "bin" / self.product.name, *(f"-E{k}={v}" for k, v in given.items())),
            log=self.log,
            cwd=self.folder,
            user=UNPRIVILEGED if _is_root() else "",
            scratch=self.folder,
            env={
                f"{prefix}_JAVA_HOME": str(self.folder / "java" if _is_root() else java),
                f"{prefix}_JAVA_OPTS": f"-Xms{HEAP} -Xmx{HEAP}",
                f"{prefix}_PATH_CONF": str(self.folder / "config"),
                f"{prefix}_TMPDIR": str(self.folder / "tmp"),
                # For the small launchers too, which leave files behind.
                "JDK_JAVA_OPTIONS": f'-XX:-UsePerfData "-Djava.io.tmpdir={self.folder / "tmp"}"',
                # Elasticsearch ends at start when HOME contains its own folder.
                "HOME": str(self.folder / "home"),
                "TMPDIR": str(self.folder / "tmp"),
            },
            ready=self._is_ready,
            patience=240.0,
            grace=60.0,
        )

    def _is_ready(self) -> bool:
        path = "/_cluster/health?wait_for_status=yellow&timeout=2s"
        return http_status(self.port, path) == http.HTTPStatus.OK

    def _lay_out(self, zipped: Path, java: Path) -> None:
        self.folder.chmod(0o755)
        unpack(zipped, self.folder)
        home = self.folder / zipped.stem
        for name in ("data", "logs", "home", "tmp"):
            (self.folder / name).mkdir()
        shutil.copytree(home / "config", self.folder / "config")
        options = self.folder / "config" / "jvm.options"
        kept = [
            line
            for line in options.read_text("utf-8").splitlines()
            if not any(unfit in line for unfit in _UNFIT)
        ]
        options.write_text("\n".join(kept) + "\n", "utf-8")
        if _is_root():
            # Neither product runs as root, and nobody may not read every virtual environment.
            shutil.copytree(java, self.folder / "java", symlinks=True)
            _give(self.folder, UNPRIVILEGED)


def _is_root() -> bool:
    return os.geteuid() == 0


def _give(folder: Path, user: str) -> None:
    account = pwd.getpwnam(user)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _open_folder() -> Path:
    """Return a folder for temporary files that other users may enter, where that matters."""
    usual = Path(tempfile.gettempdir())
    if not _is_root():
        return usual
    for folder in (usual, Path("/tmp"), Path("/var/tmp")):
        above = (folder.resolve(), *folder.resolve().parents)
        if all(path.is_dir() and path.stat().st_mode & stat.S_IXOTH for path in above):
            return folder
    raise UnavailableError(f"{usual}: {UNPRIVILEGED} may not enter (set TMPDIR to another folder)")
