from __future__ import annotations

import pytest

from cloudfront_ecs.sources.s3.newest import LATELY, Newest, Write, later
from cloudfront_ecs.sources.s3.objects import StoredObject


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def write(sequencer: str, etag: str = "e", version: str | None = None, key: str = "k") -> Write:
    return Write(StoredObject("b", key, version, etag), sequencer)


@pytest.mark.parametrize(
    ("one", "other", "known"),
    [
        pytest.param("0B", "0A", True, id="greater"),
        pytest.param("0A", "0B", False, id="smaller"),
        pytest.param("0A", "0A", False, id="equal"),
        pytest.param("0b", "0A", True, id="case"),
        pytest.param("0B00", "0A", True, id="longer-and-greater-by-both-rules"),
        pytest.param("0A1", "0A", True, id="goes-on"),
        pytest.param("0A", "0A00", False, id="padded-equal"),
        pytest.param("0A00", "0B", False, id="the-two-rules-differ"),
        pytest.param("0B", "0A00", False, id="the-two-rules-differ-the-other-way"),
        pytest.param("0B", "", True, id="nothing-told"),
    ],
)
def test_a_later_write_is_one_by_either_way_of_padding(one: str, other: str, known: bool) -> None:  # noqa: FBT001 - a table
    assert later(write(one), write(other)) is known


def test_a_first_notice_is_read() -> None:
    assert Newest().judge(write("0A")) == "read"


def test_a_second_notice_waits_for_the_first_and_is_settled_with_it() -> None:
    newest = Newest()
    newest.begin(write("0A"))

    assert newest.judge(write("0A")) == "wait"
    newest.end(write("0A"), read=True)
    assert newest.judge(write("0A")) == "repeated"


def test_a_second_notice_is_read_when_the_first_was_not() -> None:
    newest = Newest()
    newest.begin(write("0A"))
    newest.end(write("0A"), read=False)

    assert newest.judge(write("0A")) == "read"


def test_an_earlier_write_is_superseded_while_a_later_one_is_in_hand_or_settled() -> None:
    newest = Newest()
    newest.begin(write("0B", "new"))
    assert newest.judge(write("0A", "old")) == "superseded"

    newest.end(write("0B", "new"), read=True)
    assert newest.judge(write("0A", "old")) == "superseded"
    assert newest.judge(write("0A", "new")) == "superseded"


def test_an_earlier_write_is_read_when_the_later_one_was_given_back() -> None:
    newest = Newest()
    newest.begin(write("0B", "new"))
    newest.end(write("0B", "new"), read=False)

    assert newest.judge(write("0A", "old")) == "read"


def test_a_later_write_is_read_whatever_is_known_of_earlier_ones() -> None:
    newest = Newest()
    newest.begin(write("0A"))
    newest.end(write("0A"), read=True)
    newest.begin(write("0B"))

    assert newest.judge(write("0C")) == "read"


def test_versions_are_objects_of_their_own() -> None:
    newest = Newest()
    newest.begin(write("0B", "new", "v2"))
    newest.end(write("0B", "new", "v2"), read=True)

    assert newest.judge(write("0A", "old", "v1")) == "read"
    assert newest.judge(write("0B", "new", "v2")) == "repeated"


def test_the_same_sequencer_with_other_content_is_another_write() -> None:
    newest = Newest()
    newest.begin(write("0A", "one"))
    newest.end(write("0A", "one"), read=True)

    assert newest.judge(write("0A", "two")) == "read"


def test_without_a_sequencer_everything_is_read() -> None:
    newest = Newest()
    newest.begin(write(""))

    assert newest.judge(write("")) == "read"
    newest.end(write(""), read=True)
    assert newest.judge(write("")) == "read"


def test_other_keys_have_nothing_to_do_with_it() -> None:
    newest = Newest()
    newest.begin(write("0B"))

    assert newest.judge(write("0A", key="other")) == "read"


def test_a_notice_of_long_ago_is_forgotten() -> None:
    clock = Clock()
    newest = Newest(clock)
    newest.begin(write("0A"))
    newest.end(write("0A"), read=True)

    clock.now += LATELY

    assert newest.judge(write("0A")) == "read"


def test_the_settled_write_that_counts_is_the_latest() -> None:
    newest = Newest()
    for sequencer in ("0A", "0C"):
        newest.begin(write(sequencer))
    newest.end(write("0C"), read=True)
    newest.end(write("0A"), read=True)

    assert newest.judge(write("0B")) == "superseded"
