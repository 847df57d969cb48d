"""Objects of a listing on their way: handed out, perhaps given back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudfront_ecs.sources.s3.objects import StoredObject
    from cloudfront_ecs.sources.s3.prefetch import Fetch

MOST_DOUBLINGS = 6
"""An object that cannot be read is tried again after 2, 4, … 64 seconds, then each 64."""


@dataclass(slots=True, eq=False)
class Claim:
    """One object on its way: listed, handed out, perhaps taken back.

    Attributes:
        stored: The object, and the ETag that settles it.
        ready: The time before which it is not offered again.
        failures: How many readings broke off.
        failed: Whether the latest one did.
        sequence: That of the receipt it is in flight under, or 0.
        fetch: Its bytes on their way.
    """

    stored: StoredObject
    ready: float = 0.0
    failures: int = 0
    failed: bool = False
    sequence: int = 0
    fetch: Fetch | None = None

    def give_back(self, now: float) -> None:
        """Make it ready again: at once, or after a pause if reading it broke off."""
        self.ready = now
        if self.failed:
            self.failures += 1
            self.ready += 2.0 ** min(self.failures, MOST_DOUBLINGS)
