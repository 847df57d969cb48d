"""Places at which a test may kill the process, to see that nothing is lost by it.

Nothing happens at them unless the environment names one when a command starts:
``CLOUDFRONT_ECS_FAILPOINT=checkpointed:3`` sends the process SIGKILL when it comes to
``checkpointed`` for the third time.  They stand once a page, piece, batch or request, never
once a record.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Final

from cloudfront_ecs.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE: Final = "CLOUDFRONT_ECS_FAILPOINT"

FAILPOINTS: Final = {
    "received": "a message, page or listing has come, nothing is done with it",
    "downloading": "a piece of an object has come",
    "inflating": "a piece of it is decompressed",
    "decoded": "lines have become documents",
    "batched": "a batch is to be handed over",
    "half_sent": "the first half of a request is on its way",
    "sent": "a request is sent, its answer not there",
    "answered": "the answer is there and not looked at",
    "half_counted": "some requests of a batch are counted, others are not",
    "letter_written": "a dead letter is on the disk and not counted",
    "settling": "a position is to be stored",
    "checkpoint_open": "a position is written and not committed, or not under its name",
    "checkpoint_unsynced": "a new store has its name, its folder is not synced",
    "checkpointed": "all of a message, object or page is settled, the source not told",
    "draining": "a stop was asked for and work is in flight",
}
"""Every failpoint and what has just happened there."""

_chosen = ""
_left = 0
_lock = threading.Lock()


def choose(text: str) -> None:
    """Choose the failpoint that ends the process: ``NAME``, ``NAME:TIMES``, or none.

    Raises:
        ConfigError: There is no such failpoint, or it can never be reached that often.
    """
    global _chosen, _left
    name, _, times = text.partition(":")
    if name not in FAILPOINTS and text:
        raise ConfigError(f"{VARIABLE}: unknown failpoint {name!r}{nearest(name, FAILPOINTS)}")
    if times and not (times.isdecimal() and int(times)):
        raise ConfigError(f"{VARIABLE}: {times!r} is not a number from 1 on")
    _chosen, _left = name, int(times or 1)


def chosen() -> str:
    """Return the name of the chosen failpoint; empty in normal runs."""
    return _chosen


def reach(name: str) -> None:
    """Come to the failpoint *name*; returns, unless it is the one that ends the process."""
    if name != _chosen:
        return
    global _left  # noqa: PLW0603 - a countdown of the whole process
    with _lock:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def sending(request: bytes) -> Iterator[bytes]:
    """Yield *request* whole, or in halves where the process is to end between them.

    Whoever asks for the next part has given the one before to the kernel, which delivers it
    even when the process is killed.
    """
    if _chosen == "half_sent":
        middle = len(request) // 2
        yield request[:middle]
        reach("half_sent")
        yield request[middle:]
    else:
        yield request
    reach("sent")
