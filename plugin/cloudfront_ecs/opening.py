"""Configured adapters become opened ones, and together the parts of a pipeline."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.pipeline_parts import PipelineParts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from cloudfront_ecs.adapters import Decoder, Sink, Source
    from cloudfront_ecs.config import Adapter
    from cloudfront_ecs.config import Pipeline as PipelineConfig
    from cloudfront_ecs.pipeline_parts import LetterStore
    from cloudfront_ecs.plugins import Plugins


def opened(adapter: Adapter, state: Path | None) -> Any:
    """Open one adapter; without *state* it keeps nothing and remembers nothing."""
    return adapter.spec.open(adapter.options, AdapterContext(adapter.name, state))


def conversion_of(
    configured: PipelineConfig,
    decoder: Decoder,
    state: Path | None,
    kind: type[Conversion] = Conversion,
) -> Conversion:
    """Open the transforms of a pipeline and put them behind *decoder*."""
    return kind(
        decoder,
        [opened(adapter, state) for adapter in configured.transforms],
        original=configured.original,
        tags=configured.tags,
        labels=configured.labels,
    )


def parts_of(
    configured: PipelineConfig,
    plugins: Plugins,
    state: Path,
    *,
    source: Source,
    letters: LetterStore,
    conversion: Callable[[], Conversion],
    sinks: Iterable[Adapter] | None = None,
) -> PipelineParts:
    """Open the rest of a pipeline; *source* and what is open are closed when that fails.

    Args:
        configured: The pipeline.
        plugins: Who is told of it.
        state: The state directory.
        source: Its source, opened.
        letters: Where its dead letters go.
        conversion: Opens the way from payloads to documents.
        sinks: The only sinks that take part; None for all that are configured.
    """
    with ExitStack() as endings:
        endings.callback(source.close)
        found: dict[str, Sink] = {}
        for adapter in configured.sinks if sinks is None else sinks:
            found[adapter.name] = opened(adapter, state)
            endings.callback(found[adapter.name].close)
        parts = PipelineParts(
            name=configured.name,
            source=source,
            conversion=conversion(),
            sinks=found,
            batch=configured.batch,
            dead_letters=letters,
            plugins=plugins,
        )
        endings.pop_all()
    return parts
