"""Runs one command and ends it, with all it started, once whoever started the keeper is gone.

The tests hold the other end of standard input.  However they end, also by SIGKILL, that pipe
closes, so no server outlives them.  A script of its own, because a death signal set between fork
and exec dies with the thread that forked, and is lost when the child changes its user.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import threading
from typing import Any

GRACE = 10.0


def _stay(number: int, frame: object) -> None:
    """Outlive a signal meant for the whole group, to report how the command ended."""


def _account(user: str) -> dict[str, Any]:
    if not user:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _follow(parent: int, child: subprocess.Popen[bytes]) -> None:
    while os.read(parent, 1024):
        pass
    os.killpg(os.getpgrp(), signal.SIGTERM)
    try:
        child.wait(GRACE)
    finally:
        os.killpg(os.getpgrp(), signal.SIGKILL)


def main(user: str, *command: str) -> int:
    """Run *command*, as *user* when one is named, and return its exit code."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stay)
    parent = os.dup(sys.stdin.fileno())
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, **_account(user))
    threading.Thread(target=_follow, args=(parent, child), daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
