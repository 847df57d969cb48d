"""What this package offers; cloudfront-ecs finds it by its entry point."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from acme_cloudfront.crate import CrateOptions, open_crate
from acme_cloudfront.pipes import PipesOptions, open_pipes
from acme_cloudfront.shelf import ShelfOptions, open_shelf
from acme_cloudfront.triage import TriageOptions, open_triage
from cloudfront_ecs import DecoderSpec, SinkSpec, SourceSpec, TransformSpec, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudfront_ecs import RunSummary, Settlement


@hookimpl
def source_specs() -> Iterable[SourceSpec]:
    """Offer the ``acme_shelf`` source."""
    return [SourceSpec("acme_shelf", "Folders of Acme's shelf.", ShelfOptions, open_shelf)]


@hookimpl
def decoder_specs() -> Iterable[DecoderSpec]:
    """Offer the ``acme_pipes`` decoder."""
    summary = "Real-time records that Acme's proxy puts pipes into."
    return [DecoderSpec("acme_pipes", summary, PipesOptions, open_pipes)]


@hookimpl
def transform_specs() -> Iterable[TransformSpec]:
    """Offer the ``acme_triage`` transform."""
    summary = "Tags what failed, drops what nobody asks about."
    return [TransformSpec("acme_triage", summary, TriageOptions, open_triage)]


@hookimpl
def sink_specs() -> Iterable[SinkSpec]:
    """Offer the ``acme_crate`` sink."""
    return [SinkSpec("acme_crate", "Acme's crate: JSON, a line each.", CrateOptions, open_crate)]


@hookimpl
def pipeline_started(name: str) -> None:
    """Note the start."""
    _note(f"started {name}")


@hookimpl
def batch_settled(settlement: Settlement) -> None:
    """Note the batch."""
    _note(f"settled {settlement.documents} {dict(settlement.outcomes['crate'])}")


@hookimpl
def pipeline_stopped(summary: RunSummary) -> None:
    """Note the end."""
    _note(f"stopped read={summary.read} filtered={summary.filtered}")


def _note(line: str) -> None:
    diary = os.environ.get("ACME_DIARY")
    if diary:
        with Path(diary).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
