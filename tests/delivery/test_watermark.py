from __future__ import annotations

import itertools

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cloudfront_ecs.delivery.watermark import Watermark


def opened(count: int) -> Watermark[int]:
    """Return a watermark with the receipts 1 to *count*, whose payloads end at 10, 20, …"""
    mark = Watermark(0)
    for sequence in range(1, count + 1):
        mark.open(sequence, sequence * 10)
    return mark


@pytest.mark.parametrize("order", list(itertools.permutations(range(1, 5))))
def test_any_order_ends_at_the_top(order: tuple[int, ...]) -> None:
    mark = opened(4)

    for sequence in order:
        mark.settle(sequence)

    assert mark.value == 40
    assert mark.in_flight == 0


def test_an_open_receipt_holds_the_watermark_back() -> None:
    mark = opened(3)

    moved = [mark.settle(3), mark.settle(1)]

    assert moved == [False, True]
    assert mark.value == 10
    assert mark.in_flight == 1


def test_settling_twice_changes_nothing() -> None:
    mark = opened(2)
    mark.settle(2)

    assert not mark.settle(2)
    assert mark.value == 0
    assert mark.in_flight == 1


def test_release_forgets_all_later_receipts() -> None:
    mark = opened(4)
    mark.settle(3)

    again = mark.release(2)
    stale = [mark.settle(2), mark.settle(3), mark.settle(4)]

    assert again == 10
    assert stale == [False, False, False]
    assert mark.settle(1)
    assert mark.value == 10
    assert mark.in_flight == 0


def test_release_of_the_oldest_goes_back_to_the_watermark() -> None:
    mark = opened(3)
    mark.settle(1)

    assert mark.release(2) == 10


@pytest.mark.parametrize("sequence", [1, 3, 9], ids=["settled", "settled-ahead", "unknown"])
def test_release_of_what_is_not_in_flight_changes_nothing(sequence: int) -> None:
    mark = opened(3)
    mark.settle(1)
    mark.settle(3)

    assert mark.release(sequence) is None
    assert mark.in_flight == 1


@pytest.mark.parametrize("sequence", [3, 2], ids=["same", "older"])
def test_a_sequence_is_never_used_twice(sequence: int) -> None:
    mark = opened(3)
    mark.release(2)

    with pytest.raises(ValueError, match="does not follow 3"):
        mark.open(sequence, 99)


class AnyHistory(RuleBasedStateMachine):
    """A reader of the numbers 1, 2, 3, … that settles and releases in any order.

    *wanted* holds what was settled while it was in flight; the watermark may never pass a
    number that is not in it, and a reader that starts at the watermark meets all others.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mark = Watermark(0)
        self.next_sequence = itertools.count(1)
        self.read = 0
        self.receipts: dict[int, range] = {}
        self.wanted: set[int] = set()

    @rule(size=st.integers(1, 3))
    def take(self, size: int) -> None:
        sequence = next(self.next_sequence)
        self.receipts[sequence] = range(self.read + 1, self.read + size + 1)
        self.read += size
        self.mark.open(sequence, self.read)

    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        if self.receipts:
            sequence = data.draw(st.sampled_from(sorted(self.receipts)))
            before = self.mark.value
            if self.mark.settle(sequence):
                assert self.mark.value > before
            self.wanted.update(self.receipts[sequence])

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if self.receipts:
            sequence = data.draw(st.sampled_from(sorted(self.receipts)))
            position = self.mark.release(sequence)
            if position is not None:
                assert self.mark.value <= position <= self.receipts[sequence].start - 1
                self.read = position

    @invariant()
    def nothing_unsettled_is_passed(self) -> None:
        assert self.wanted.issuperset(range(1, self.mark.value + 1))
        assert self.mark.value <= self.read


TestAnyHistory = AnyHistory.TestCase
