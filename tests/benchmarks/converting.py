"""The part that both conversions share: payloads to lines of JSON on /dev/null."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cloudfront_ecs.collector import calm_collector
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.encoding import json_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from timing import Timing

    from cloudfront_ecs import Payload
    from cloudfront_ecs.adapters import Decoder, Transform


def convert(
    decoder: Decoder,
    transforms: Sequence[Transform],
    payloads: Iterable[Payload],
    timing: Callable[[], Timing],
) -> None:
    """Convert *payloads* as a pipeline does, and tell."""
    conversion = Conversion(decoder, transforms)
    calm_collector()
    records = size = 0
    with Path(os.devnull).open("wb", buffering=0) as out:
        running = timing()
        for payload in payloads:
            for converted in conversion.convert(payload):
                if converted.rejects:
                    raise SystemExit(f"refused: {converted.rejects[0].detail}")
                lines = json_lines(converted.documents)
                out.write(lines)
                records += converted.read
                size += len(lines)
        running.tell(records, size)
