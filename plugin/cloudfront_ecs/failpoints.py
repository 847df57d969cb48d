"""Places at which a test may kill the process, to see that nothing is lost by it.

Nothing happens at them unless the environment names one when the process starts:
``CLOUDFRONT_ECS_FAILPOINT=checkpointed:3`` sends the process SIGKILL when it comes to
``checkpointed`` for the third time.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Final

from cloudfront_ecs.errors import ConfigError, nearest

VARIABLE: Final = "CLOUDFRONT_ECS_FAILPOINT"

FAILPOINTS: Final = {
    "received": "a message or record has come, nothing is done with it",
    "downloading": "a part of an object has come",
    "inflating": "a part of it is decompressed",
    "decoded": "lines have become documents",
    "batched": "a batch is full and not handed over",
    "half_sent": "the first half of a request is on its way",
    "sent": "a request is sent, its answer not there",
    "answered": "the answer is there and not looked at",
    "half_counted": "some documents of an answer are counted",
    "letter_written": "a dead letter is on the disk and not counted",
    "settling": "a position is to be stored",
    "checkpoint_open": "a position is written and not committed",
    "checkpoint_unsynced": "a position is committed, its folder not synced",
    "checkpointed": "a position is stored, the source not told",
    "draining": "a stop was asked for and work is in flight",
}
"""Every failpoint and what has just happened there."""


def _chosen(text: str) -> tuple[str, int]:
    name, _, times = text.partition(":")
    if name and name not in FAILPOINTS:
        raise ConfigError(f"{VARIABLE}: unknown failpoint {name!r}{nearest(name, FAILPOINTS)}")
    if times and not (times.isdecimal() and int(times)):
        raise ConfigError(f"{VARIABLE}: {times!r} is not a number from 1 on")
    return name, int(times or 1)


_name, _left = _chosen(os.environ.get(VARIABLE, ""))
_lock = threading.Lock()


def reach(name: str) -> None:
    """Come to the failpoint *name*; returns, unless it is the one that ends the process."""
    if name != _name:
        return
    global _left  # noqa: PLW0603 - a countdown of the whole process
    with _lock:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
