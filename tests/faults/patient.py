"""kinesalite, made to outlive its clients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from servers.kinesis import start_kinesalite

if TYPE_CHECKING:
    from servers.kinesis import KinesisServer
    from servers.packages import PackageCache

_OUTLIVE = Path(__file__).with_name("outlive.js")


def start_patient_kinesalite(cache: PackageCache, folder: Path) -> KinesisServer:
    """Start a kinesalite that does not end when a client is killed; see ``outlive.js``."""
    server = start_kinesalite(cache, folder)
    process = server.process
    env = {**process.command.env, "NODE_OPTIONS": f'--require "{_OUTLIVE}"'}
    process.command = replace(process.command, env=env)
    process.restart()
    return server
