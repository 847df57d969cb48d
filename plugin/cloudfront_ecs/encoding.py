"""Documents as JSON: one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudfront_ecs.batches import Document

_encode = msgspec.json.Encoder().encode


def json_line(document: Document) -> bytes:
    """Return the body of *document* as JSON, without line end.

    Raises:
        TypeError, ValueError, OverflowError: A body that a plugin made is no JSON.
    """
    text = document.text
    return _encode(document.opened) if text is None else text.encode()


def json_lines(documents: Sequence[Document]) -> bytes:
    """Return the bodies of *documents* as JSON, each with a line end; raises as above."""
    texts = [document.text for document in documents if document.text is not None]
    if len(texts) != len(documents):
        return b"".join([json_line(document) + b"\n" for document in documents])
    texts.append("")
    return "\n".join(texts).encode()
