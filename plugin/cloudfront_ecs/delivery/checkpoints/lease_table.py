"""What a table of leases holds and can do; ``leases`` says what that is good for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cloudfront_ecs.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudfront_ecs.delivery.checkpoints.store import Checkpoint


@dataclass(frozen=True, slots=True)
class Lease:
    """One partition as the table tells of it.

    Attributes:
        partition: The name of the partition.
        checkpoint: How far it is settled.
        counter: Counts up with every write of the owner, and when the lease is taken.
        owner: Who reads it; empty for nobody.
        wanted: Who has asked the owner to hand it over; empty for nobody.
    """

    partition: str
    checkpoint: Checkpoint
    counter: int = 0
    owner: str = ""
    wanted: str = ""


class LeaseRefusedError(Exception):
    """The table holds something else than the caller thought; nothing was written.

    Attributes:
        current: What it holds; None for nothing at all.
    """

    def __init__(self, current: Lease | None) -> None:
        """Keep what the table holds."""
        super().__init__("the lease has changed")
        self.current = current


class VanishedError(StateError):
    """A lease was deleted that is in use: nobody can tell where to go on."""

    def __init__(self, partition: str) -> None:
        """Name the partition."""
        super().__init__(
            f"the lease of {partition} has vanished from the table (restore the table, or "
            "start again to begin where the option 'start' says)"
        )


class LeaseTable(Protocol):
    """Where the leases lie: each call reads, or writes one item or none.

    All of them may raise ``StateError``, after which it is not known whether they wrote.
    """

    def all(self) -> Iterable[Lease]:
        """Return all leases as they are now."""

    def add(self, partition: str, checkpoint: Checkpoint) -> None:
        """Make a lease that belongs to nobody, unless there is one already."""

    def take(self, lease: Lease, owner: str) -> Lease:
        """Give *lease* to *owner*, if its counter is unchanged; return the new one.

        Raises:
            LeaseRefusedError: It has changed.
        """

    def keep(self, lease: Lease, checkpoint: Checkpoint) -> Lease:
        """Renew *lease* and store *checkpoint*, if owner and counter are unchanged.

        A lease whose checkpoint is finished belongs to nobody from then on.

        Raises:
            LeaseRefusedError: It has changed, or its checkpoint is beyond *checkpoint*.
        """

    def give_back(self, lease: Lease, checkpoint: Checkpoint) -> Lease:
        """Like ``keep``, but the lease belongs to nobody from then on."""

    def want(self, lease: Lease, owner: str) -> None:
        """Ask the owner of *lease* to hand it over to *owner*, unless somebody has asked.

        Raises:
            LeaseRefusedError: It has another owner, or somebody has asked.
        """

    def close(self) -> None:
        """Disconnect."""
