"""Every Amazon CloudFront log as typed ECS documents, delivered without losing a line.

A plugin is a module (or object) that registers under the entry-point group
``cloudfront_ecs`` and marks its hook implementations::

    from cloudfront_ecs import SinkSpec, hookimpl

    @hookimpl
    def sink_specs():
        return [SinkSpec("my_sink", "Writes to my place.", MyOptions, open_my_sink)]

The hooks are described in ``cloudfront_ecs.hookspecs``, the protocols that an
adapter has to meet in ``cloudfront_ecs.adapters``, the values that travel between
adapters in ``cloudfront_ecs.batches``.
"""

import logging

from cloudfront_ecs.adapters import (
    AdapterContext,
    DecoderSpec,
    NoOptions,
    SinkSpec,
    SourceSpec,
    TransformSpec,
)
from cloudfront_ecs.batches import (
    Document,
    Layout,
    Message,
    Origin,
    Payload,
    Receipt,
    RecordBatch,
    RejectedLine,
    Rejection,
    RunSummary,
    Settlement,
    WriteResult,
)
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.options import Secret, option

__all__ = [
    "AdapterContext",
    "DecoderSpec",
    "Document",
    "Layout",
    "Message",
    "NoOptions",
    "Origin",
    "Payload",
    "Receipt",
    "RecordBatch",
    "RejectedLine",
    "Rejection",
    "RunSummary",
    "Secret",
    "Settlement",
    "SinkSpec",
    "SourceSpec",
    "TransformSpec",
    "WriteResult",
    "hookimpl",
    "option",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())
