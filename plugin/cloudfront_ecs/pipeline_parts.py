"""What a pipeline is made of, and how its run behaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cloudfront_ecs.adapters import Sink, Source
    from cloudfront_ecs.config import BatchOptions
    from cloudfront_ecs.conversion import Conversion
    from cloudfront_ecs.delivery.dead_letters import DeadLetter
    from cloudfront_ecs.plugins import Plugins


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How a run behaves.

    Attributes:
        once: End when the source is drained.
        patience: With *once*, give up when a sink or the source has refused for so long.
        drain: How long batches in flight may take after a stop was asked for.
    """

    once: bool = False
    patience: float = 30.0
    drain: float = 25.0


class LetterStore(Protocol):
    """Where a pipeline's dead letters go."""

    def add(self, letters: Iterable[DeadLetter]) -> None:
        """Take *letters*; once this returns none is lost.

        Raises:
            OSError: They could not be stored.
        """


@dataclass(slots=True)
class PipelineParts:
    """The opened adapters of one pipeline and what it needs beside them."""

    name: str
    source: Source
    conversion: Conversion
    sinks: Mapping[str, Sink]
    batch: BatchOptions
    dead_letters: LetterStore
    plugins: Plugins
