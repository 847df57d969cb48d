"""Small pages of one shard become one payload: conversion is cheapest by the hundreds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudfront_ecs.batches import Message
    from cloudfront_ecs.sources.kinesis.shards import ShardReader
    from cloudfront_ecs.sources.kinesis.stream import Page

MOST_BYTES = 1024 * 1024
"""So much of one shard never waits for more."""


@dataclass(slots=True)
class Gathered:
    """Pages of one shard that wait for more.

    Attributes:
        ticket: The reader's, when they were read; with another one they no longer count.
        until: When they must go on, on the monotonic clock.
        sequences: Of the receipts, one for each page.
        size: Bytes of data.
    """

    reader: ShardReader
    ticket: int
    until: float
    messages: list[Message] = field(default_factory=list)
    sequences: list[int] = field(default_factory=list)
    size: int = 0

    def current(self, readers: Mapping[str, ShardReader]) -> bool:
        """Say whether the shard is still read by the same reader, and was not read again."""
        shard_id = self.reader.shard.id
        return readers.get(shard_id) is self.reader and self.reader.ticket == self.ticket


class Gathering:
    """Holds pages back while more of their shard is soon to come."""

    def __init__(self, records: int, seconds: float) -> None:
        """Hold at most *records* of a shard, for at most *seconds*."""
        self._records = records
        self._seconds = seconds
        self._held: dict[str, Gathered] = {}

    @property
    def due(self) -> float:
        """When something must go on, on the monotonic clock."""
        return min((held.until for held in self._held.values()), default=float("inf"))

    def add(self, reader: ShardReader, sequence: int, page: Page, now: float) -> None:
        """Take a page that was just read; it waits if the next one is soon to come."""
        held = self._held.get(reader.shard.id)
        if held is None or held.reader is not reader or held.ticket != reader.ticket:
            held = Gathered(reader, reader.ticket, now + self._seconds)
            self._held[reader.shard.id] = held
        held.messages += page.messages
        held.sequences.append(sequence)
        held.size += page.size
        # By polling, a small page at the tip has waited before it was asked for.
        more_to_come = not reader.ended and (reader.busy or page.behind > 0)
        if len(held.messages) >= self._records or held.size >= MOST_BYTES or not more_to_come:
            held.until = now

    def take(self, readers: Mapping[str, ShardReader], now: float) -> Gathered | None:
        """Return the pages of one shard that must go on; what is not current is forgotten."""
        for shard_id, held in sorted(self._held.items(), key=lambda item: item[1].until):
            if not held.current(readers):
                del self._held[shard_id]
            elif held.until <= now or held.reader.ended:
                return self._held.pop(shard_id)
        return None
