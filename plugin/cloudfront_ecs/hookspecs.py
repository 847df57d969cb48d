"""The seven hooks: four that offer adapters and three that observe.

Batches do not travel through hooks: one failing implementation would end the call
for all later ones, which is wrong for sinks.  Hooks say what exists; the work goes
through the protocols of ``cloudfront_ecs.adapters``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudfront_ecs.adapters import DecoderSpec, SinkSpec, SourceSpec, TransformSpec
    from cloudfront_ecs.batches import RunSummary, Settlement

GROUP = "cloudfront_ecs"
"""The entry-point group, and the name of the pluggy project."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)
"""Marks the hook implementations of a plugin."""


@hookspec
def source_specs() -> Iterable[SourceSpec]:
    """Name the kinds of source this plugin offers.

    Called once, while the plugins are loaded.  Must not open anything: a spec is a
    name, an options class and a function that opens.
    """
    return ()


@hookspec
def decoder_specs() -> Iterable[DecoderSpec]:
    """Name the log formats this plugin can split into records."""
    return ()


@hookspec
def transform_specs() -> Iterable[TransformSpec]:
    """Name the steps this plugin can put between normalizing and writing.

    The configuration lists the steps and so decides their order.  The order in which
    plugins were registered never matters.
    """
    return ()


@hookspec
def sink_specs() -> Iterable[SinkSpec]:
    """Name the kinds of sink this plugin offers."""
    return ()


@hookspec
def pipeline_started(name: str) -> None:
    """Observe that every adapter of pipeline *name* is open."""


@hookspec
def batch_settled(settlement: Settlement) -> None:
    """Observe the end of a batch, for metrics and tests.

    An exception raised here is logged and dropped: observers never change what
    happens to a batch.
    """


@hookspec
def pipeline_stopped(summary: RunSummary) -> None:
    """Observe that every adapter of a pipeline is closed."""
