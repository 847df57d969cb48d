"""Fetches one zip from Maven Central into a folder and prints where it lies.

A script of its own: jgo then runs without the warnings-are-errors and the open-file checks of the
test session.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jgo.maven import MavenContext


def main(folder: str, group: str, artifact: str, version: str) -> None:
    """Print the path of the zip, fetched below *folder*."""
    maven = MavenContext(repo_cache=Path(folder), timeout=60)
    component = maven.project(group, artifact).at_version(version)
    print(component.artifact(packaging="zip").resolve())


if __name__ == "__main__":
    main(*sys.argv[1:])
