"""Which shards may be read: parents first, each by one worker, from where it was left."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING

from cloudfront_ecs.delivery.checkpoints.store import Checkpoint
from cloudfront_ecs.errors import StateError
from cloudfront_ecs.sources.kinesis.shards import Gap, ShardReader
from cloudfront_ecs.sources.kinesis.stream import LATEST, TRIM_HORIZON, Position, Shard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cloudfront_ecs.delivery.checkpoints.store import CheckpointStore
    from cloudfront_ecs.sources.kinesis.stream import StreamSummary

log = logging.getLogger(__name__)

HAND_OVER = 30.0
"""Seconds for what is in flight to settle before a shard is given to whoever asked for it."""

_POSITION = re.compile(r"trim_horizon|@\d+(\.\d+)?|\d+")
_START, _KNOWN = "start", "known"
"""Partitions beside the shards: where the first run began, and that all shards of the first
listing have a checkpoint.  Only where workers share, who may all be the first."""


class ShardBook:
    """Knows from the listing and the checkpoints which shards may be read, and from where.

    A shard may be read when all its parents (two after a merge) are finished or no longer
    listed.  The configured start holds for the shards of the first listing ever; every
    shard that appears later begins at its trim horizon.  Both are written down before
    anything is read, so a restart before the first settled record changes nothing.

    Where workers share a stream, all of them offer the same shards to the store, and each
    reads those that it holds.
    """

    def __init__(
        self,
        store: CheckpointStore,
        stream: StreamSummary,
        start: Position,
        gaps: list[Gap] | None = None,
    ) -> None:
        """Find out whether the stream was read before; *gaps* takes what was missed."""
        self.stream = stream
        self._store = store
        self._scope = f"{stream.arn}@{stream.created}/"
        self._start = start
        self._gaps: list[Gap] = [] if gaps is None else gaps
        known = store.partitions()
        self._first = not any(name.startswith(self._scope) for name in known)
        if self._first and any(name.startswith(f"{stream.arn}@") for name in known):
            log.warning(
                "%s: the stream was deleted and made anew since it was last read; "
                "the old checkpoints do not count, reading begins where 'start' says",
                f"kinesis://{stream.name}",
            )

    def place(self, shard_id: str) -> str:
        """Return the name of a shard for people."""
        return f"kinesis://{self.stream.name}/{shard_id}"

    def save(self, readers: Mapping[str, ShardReader]) -> None:
        """Have the watermarks of *readers* stored; ``unstored`` tells what is not yet."""
        self._store.save({self._scope + key: item.checkpoint() for key, item in readers.items()})

    def unstored(self) -> set[str]:
        """Return the shards whose saved watermark is not stored yet."""
        return {name.removeprefix(self._scope) for name in self._store.unstored()}

    def gone(self, readers: Mapping[str, ShardReader]) -> list[str]:
        """Return the shards that this worker must read no more.

        They were lost; or another worker asked for them, everything that was read of them has
        been settled, and they are given back.

        Raises:
            StateError: It cannot be known which shards are this worker's.
        """
        found: list[str] = []
        for shard_id, reader in readers.items():
            name = self._scope + shard_id
            if self._store.term(name) != reader.term:
                log.info("%s: no longer ours", reader.place)
                found.append(shard_id)
            elif self._store.wanted(name):
                now = time.monotonic()
                reader.leaving = reader.leaving or now
                if not reader.watermark.in_flight or now - reader.leaving > HAND_OVER:
                    log.info("%s: handed over to another worker", reader.place)
                    self._store.save({name: reader.checkpoint()})
                    self._store.give_back(name)
                    found.append(shard_id)
        return found

    def open(
        self, shards: Mapping[str, Shard], reading: Mapping[str, ShardReader]
    ) -> Iterator[ShardReader]:
        """Yield a reader for every shard that may be read by this worker and is not yet.

        A shard that left the stream before it was finished gets one that has ended.

        Raises:
            StateError: The checkpoints cannot be used.
        """
        initial = self._initial()
        if initial is None:
            return
        at_tip = self._first and self._start.kind == LATEST.kind and not self._store.shared
        checkpoints = self._checkpoints(shards, initial)
        expired = self._expired(shards, checkpoints, reading)
        readable = [
            shard
            for shard in shards.values()
            if shard.id in checkpoints
            and not checkpoints[shard.id].finished
            and all(self._is_done(parent, checkpoints, reading) for parent in shard.parents)
        ]
        every = [*expired, *readable]
        self._store.offer([self._scope + shard.id for shard in every])
        for shard in every:
            term = self._store.term(self._scope + shard.id)
            if shard.id in reading or term is None:
                continue
            reader = ShardReader(
                shard,
                self.place(shard.id),
                self._position(shard.id),
                at_tip=at_tip,
                term=term,
                gaps=self._gaps,
            )
            if shard in expired:
                reader.expire()
            yield reader

    def _initial(self) -> Checkpoint | None:
        """Return where shards begin that have no checkpoint; None while that is not known.

        Of several first workers the fastest says where the first run begins.
        """
        start = Checkpoint(self._start.text())
        if self._store.shared:
            begun = self._store.load(self._scope + _START)
            if begun is None:
                self._store.add({self._scope + _START: start})
                return None
            start = begun
            self._first = self._store.load(self._scope + _KNOWN) is None
        return start if self._first else Checkpoint(TRIM_HORIZON.text())

    def _checkpoints(
        self, shards: Mapping[str, Shard], initial: Checkpoint
    ) -> dict[str, Checkpoint]:
        """Return the checkpoint of every listed shard; new shards get *initial*, maybe later."""
        new = [name for name in shards if self._store.load(self._scope + name) is None]
        if new:
            self._store.add({self._scope + name: initial for name in new})
        loaded = {name: self._store.load(self._scope + name) for name in shards}
        found = {name: checkpoint for name, checkpoint in loaded.items() if checkpoint}
        if self._store.shared and self._first and len(found) == len(shards):
            self._store.add({self._scope + _KNOWN: initial})
        self._first = False
        return found

    def _position(self, shard_id: str) -> Position:
        checkpoint = self._store.load(self._scope + shard_id)
        if checkpoint is None or not _POSITION.fullmatch(checkpoint.position):
            found = checkpoint.position if checkpoint else "nothing"
            raise StateError(f"{self.place(shard_id)}: the checkpoint is no position: {found!r}")
        return Position.parse(checkpoint.position, checkpoint.time)

    def _is_done(
        self, parent: str, listed: Mapping[str, Checkpoint], reading: Mapping[str, ShardReader]
    ) -> bool:
        """Say whether the children of *parent* may be read."""
        if parent in reading:
            return False
        checkpoint = listed.get(parent) or self._store.load(self._scope + parent)
        return checkpoint is None or checkpoint.finished

    def _expired(
        self,
        shards: Mapping[str, Shard],
        listed: Mapping[str, Checkpoint],
        reading: Mapping[str, ShardReader],
    ) -> list[Shard]:
        """Return the parents that left the stream before they were read to their end."""
        parents = {parent for shard in shards.values() for parent in shard.parents}
        return [
            Shard(parent, closed=True)
            for parent in sorted(parents - shards.keys() - reading.keys())
            if not self._is_done(parent, listed, reading)
        ]
