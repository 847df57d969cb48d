"""JSON records out of a byte stream, without ever holding more than one of them.

A CloudTrail file is one object on one line, tens of megabytes long.  The splitter only
follows brackets and texts: enough to know where a record begins and ends.  Whether a record
is good JSON is found out by whoever reads it.

Records are: the objects of a list under ``Records``, ``logEvents`` or ``Events`` of an
object; the objects of a list; or objects one after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudfront_ecs.decoders.json_splitter import Splitter
from cloudfront_ecs.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudfront_ecs.decoders.json_splitter import Piece


def json_records(chunks: Iterable[bytes], max_bytes: int) -> Iterator[list[Piece]]:
    """Yield the records that each chunk completes.

    Raises:
        PayloadError: As raised by *chunks*; what was read of an unfinished record is its ``raw``.
    """
    splitter = Splitter(max_bytes)
    try:
        for chunk in chunks:
            if pieces := splitter.feed(chunk):
                yield pieces
    except PayloadError as error:
        error.raw = splitter.unfinished() or error.raw
        raise
    if pieces := splitter.finish():
        yield pieces
