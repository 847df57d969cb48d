"""Runs one command and ends it, with all it started, once whoever started the keeper is gone.

The tests hold the other end of standard input.  However they end, also by SIGKILL, that pipe
closes, so no server outlives them, nor does its folder.  A script of its own, because a death signal set between fork
and exec dies with the thread that forked, and is lost when the child changes its user.
"""

from __future__ import annotations

import os
import pwd
import shutil
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


def _follow(parent: int, gone: threading.Event, ended: threading.Event, scratch: str) -> None:
    while os.read(parent, 1024):
        pass
    gone.set()
    os.killpg(os.getpgrp(), signal.SIGTERM)
    ended.wait(GRACE)
    if scratch:
        shutil.rmtree(scratch, ignore_errors=True)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def main(user: str, scratch: str, *command: str) -> int:
    """Run *command*, as *user* when one is named, and return its exit code.

    The folder *scratch*, when one is named, is deleted if the tests are gone.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stay)
    gone, ended = threading.Event(), threading.Event()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, **_account(user))
    call = (sys.stdin.fileno(), gone, ended, scratch)
    follower = threading.Thread(target=_follow, args=call, daemon=True)
    follower.start()
    code = child.wait()
    ended.set()
    if gone.is_set():
        follower.join()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
