"""One policy for waiting between attempts: full jitter, a cap, and an end on demand."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

_LONGEST_WISH = 600.0


@dataclass(slots=True)
class Backoff:
    """Waits longer after every failure, at random within the bound.

    The cap is low enough that a fresh document gets through within 30 seconds of the end
    of a fault.

    Attributes:
        stop: Ends every wait when it is set.
        base: Bound of the first wait, in seconds.
        cap: Largest bound, in seconds.
        draw: Returns a number between 0 and 1.
    """

    stop: threading.Event
    base: float = 0.2
    cap: float = 15.0
    draw: Callable[[], float] = field(default=random.random)
    failures: int = 0

    def wait(self, at_least: float = 0.0) -> bool:
        """Wait for the next attempt; return False when there is to be none.

        Args:
            at_least: What the other end asked for (``Retry-After``), up to ten minutes.
        """
        bound = min(self.cap, self.base * 2.0 ** min(self.failures, 16))
        self.failures += 1
        return not self.stop.wait(max(bound * self.draw(), min(at_least, _LONGEST_WISH)))

    def reset(self) -> None:
        """Begin with short waits again after a success."""
        self.failures = 0
