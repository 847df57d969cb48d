"""The pipelines of a run, as metrics and health look at them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudfront_ecs.config import Config
    from cloudfront_ecs.pipeline import Pipeline
    from cloudfront_ecs.running import Running


@dataclass(frozen=True, slots=True)
class Watch:
    """What is looked at.

    Attributes:
        pipelines: The pipelines.
        sources: The name of each pipeline's source, as the configuration has it.
        failures: What ended a pipeline while others go on.
    """

    pipelines: Sequence[Pipeline]
    sources: Mapping[str, str]
    failures: Mapping[str, BaseException] = field(default_factory=dict)

    @classmethod
    def over(cls, running: Running, config: Config) -> Watch:
        """Look at everything that runs by a configuration."""
        sources = {pipeline.name: pipeline.source.name for pipeline in config.pipelines}
        return cls(running.pipelines, sources, running.failures)
