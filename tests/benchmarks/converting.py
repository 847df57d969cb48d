"""The part that both conversions share: payloads to lines of JSON on /dev/null."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cloudfront_ecs.collector import calm_collector
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.encoding import json_lines
from cloudfront_ecs.sinks.forward import pack_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from timing import Timing

    from cloudfront_ecs import Payload
    from cloudfront_ecs.adapters import Decoder, Transform
    from cloudfront_ecs.batches import Document


def convert(
    decoder: Decoder,
    transforms: Sequence[Transform],
    payloads: Iterable[Payload],
    timing: Callable[[], Timing],
    *,
    messagepack: bool = False,
) -> None:
    """Convert *payloads* as a pipeline does, and tell."""
    conversion = Conversion(decoder, transforms)
    calm_collector()
    encode = entries if messagepack else json_lines
    records = size = 0
    with Path(os.devnull).open("wb", buffering=0) as out:
        running = timing()
        for payload in payloads:
            for converted in conversion.convert(payload):
                if converted.rejects:
                    raise SystemExit(f"refused: {converted.rejects[0].detail}")
                lines = encode(converted.documents)
                out.write(lines)
                records += converted.read
                size += len(lines)
        running.tell(records, size)


def entries(documents: Sequence[Document]) -> bytes:
    """Return the documents as a Forward sink packs them."""
    return b"".join([pack_entry(document.time_ns, document.body) for document in documents])
