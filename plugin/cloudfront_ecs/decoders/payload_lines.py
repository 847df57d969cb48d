"""Where decoders of lines begin: a payload becomes blocks of lines.

Messages are decompressed, objects that follow each other without a line end come apart, and
what CloudWatch Logs hands on in events counts as lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudfront_ecs.decoders.beginning import BOM, begun
from cloudfront_ecs.decoders.event_lines import (
    LOOKED_AT,
    MOST_OBJECT_BYTES,
    event_blocks,
    holds_events,
)
from cloudfront_ecs.decoders.inflate import inflated_messages
from cloudfront_ecs.decoders.lines import LineBlock, line_blocks, message_blocks
from cloudfront_ecs.decoders.objects import SEAM, apart, json_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cloudfront_ecs.batches import Payload

    Split = Callable[[Iterable[bytes]], Iterator[bytes]]


def payload_blocks(
    payload: Payload, most: int, split: Split = json_apart, *, events: bool = True
) -> Iterator[LineBlock]:
    """Yield the lines of a payload, message by message where it has messages.

    Args:
        payload: The payload.
        most: Bytes of the longest line that is read.
        split: Gives objects without a line end between them one.
        events: What CloudWatch Logs hands on is unwrapped.

    Raises:
        PayloadError: As raised by the payload's chunks.
    """
    if payload.messages is None:
        head, chunks = begun(payload.chunks, _tells)
        if events and holds_events(head):
            yield from event_blocks(line_blocks(apart(chunks), MOST_OBJECT_BYTES), most)
        else:
            yield from line_blocks(split(chunks), most)
        return
    messages, damaged = inflated_messages(payload.messages)
    if damaged:
        yield LineBlock([], 0, rejects=damaged)
    for message in messages:
        wrapped = events and holds_events(message.data)
        if SEAM in message.data:
            joined = (apart if wrapped else split)([message.data])
            message = message._replace(data=b"".join(joined))  # noqa: PLW2901 - the same message
        if wrapped:
            yield from event_blocks(message_blocks([message], MOST_OBJECT_BYTES), most)
        else:
            yield from message_blocks([message], most)


def _tells(head: bytes) -> bool:
    """Say whether it can be seen what a stream begins with."""
    begin = head.removeprefix(BOM).lstrip()
    if len(head) >= LOOKED_AT or (begin and begin[:1] not in (b"{", b"[")):
        return True
    return bool(begin) and b"\n" in begin
