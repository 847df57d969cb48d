"""Texts of columns that a document keeps as logged, because its fields do not tell them.

``aws.cloudfront.other`` has, by column, the text of every column that could not be read or
that this version does not know; ``aws.cloudfront.forwarded_for`` an X-Forwarded-For that is
more than a list of addresses.  So ``rebuild`` finds every column in its document.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from cloudfront_ecs.normalize.documents import aws_fields, ecs
from cloudfront_ecs.normalize.values.plain import LONGEST_KEPT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudfront_ecs.batches import Document

NOT_UTF8 = "bytes that are not UTF-8"
"""How ``error.message`` names a column whose text stands escaped."""

FORWARDED_FOR = "x-forwarded-for"


def keep_as_logged(document: Document, texts: Mapping[str, str]) -> None:
    """Put the *texts* of columns that were not or not wholly read into their document."""
    body = document.body
    assert isinstance(body, ecs.EcsDocument)
    kept = {column: escaped(text) for column, text in texts.items()}
    forwarded_for = kept.pop(FORWARDED_FOR, None)
    kept = _not_too_long(kept)
    if not kept and forwarded_for is None:
        return
    aws = body.aws or aws_fields.Aws()
    cloudfront = aws.cloudfront or aws_fields.CloudFront()
    cloudfront = msgspec.structs.replace(
        cloudfront,
        forwarded_for=forwarded_for or cloudfront.forwarded_for,
        other={**(cloudfront.other or {}), **kept} or None,
    )
    body.aws = msgspec.structs.replace(aws, cloudfront=cloudfront)


def _not_too_long(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in texts.items() if len(text.encode()) <= LONGEST_KEPT}


def escaped(text: str) -> str:
    r"""Return *text*; where bytes are not UTF-8, these as ``\xff`` and ``\`` as ``\x5c``."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    plain = text.replace("\\", "\\x5c")
    return plain.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def unescaped(text: str) -> str:
    """Return the text of which ``escaped`` made *text*, where bytes were not UTF-8."""
    return _ESCAPE.sub(_byte, text)


_SURROGATE = re.compile("[\udc80-\udcff]")
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


def _byte(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if code < 0x80 else chr(0xDC00 + code)  # noqa: PLR2004 - surrogate escape
