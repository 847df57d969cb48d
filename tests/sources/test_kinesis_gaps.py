"""What a stream threw away unread is counted, with its times."""

from __future__ import annotations

from contextlib import closing

import pytest

from cloudfront_ecs.adapters import Missing
from cloudfront_ecs.delivery.checkpoints.store import Checkpoint, MemoryCheckpoints
from cloudfront_ecs.errors import SourceError
from cloudfront_ecs.sources.kinesis.shards import Gap
from sources.scripted_kinesis import NOW, ScriptedStream
from sources.test_kinesis_source import SCOPE, rest, some, source_of


@pytest.mark.parametrize("shape", ["refused", "silent"])
def test_a_trimmed_checkpoint_is_one_gap_from_the_last_record_to_the_next(shape: str) -> None:
    stream, store = ScriptedStream(), MemoryCheckpoints()
    stream.add("a", 4)
    store.save({f"{SCOPE}a": Checkpoint("3", NOW - 90_000)})
    if shape == "refused":
        stream.trimmed["a"] = 7
    else:
        stream.silent.add("a")
    with closing(source_of(stream, store)) as source:
        some(source)

        assert source.gaps == [Gap("kinesis://edge/a", NOW - 90_000, NOW - 92)]
        assert isinstance(source, Missing)
        assert source.missed() == 1


def test_a_parent_that_expired_unread_is_one_gap_for_ever() -> None:
    stream, store = ScriptedStream(), MemoryCheckpoints()
    store.save({f"{SCOPE}parent": Checkpoint("77", NOW - 90_000)})
    stream.add("left", 1, "parent")
    stream.add("right", 1, "parent")
    with closing(source_of(stream, store)) as source:
        found = rest(source)
        told = source.gaps
    with closing(source_of(stream, store)) as source:
        again = rest(source)

        assert source.gaps == []
    assert told == [Gap("kinesis://edge/parent", NOW - 90_000, None)]
    assert (sorted(found), again) == (["left-8", "right-8"], [])


def test_a_checkpoint_that_is_no_position_is_refused_and_not_begun_anew() -> None:
    stream, store = ScriptedStream(), MemoryCheckpoints()
    stream.add("a", 4)
    store.save({f"{SCOPE}a": Checkpoint("yesterday")})
    with closing(source_of(stream, store)) as source:
        with pytest.raises(SourceError, match="the checkpoint is no position: 'yesterday'"):
            source.poll(5)

        assert not stream.asked
