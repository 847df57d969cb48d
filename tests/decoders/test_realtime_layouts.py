"""Any two layouts in one stream, interleaved: each record is read by its own, or refused."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.batches import Message
from cloudfront_ecs.decoders.realtime.decoder import RealtimeDecoder, RealtimeOptions
from cloudfront_ecs.decoders.realtime.options import LayoutOptions
from cloudfront_ecs.demo.columns import REALTIME_COLUMNS
from cloudfront_ecs.demo.render import in_order, realtime_line
from cloudfront_ecs.demo.traffic import requests
from cloudfront_ecs.normalize.documents.aws_fields import Kinesis
from normalize.converting import line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudfront_ecs.demo.request import Request

SHARD = Origin("shard", ("shard",), kinesis=Kinesis(stream="edge"))
OTHERS = REALTIME_COLUMNS[1:]
Layouts = tuple[tuple[str, ...], tuple[str, ...]]


@cache
def traffic() -> tuple[Request, ...]:
    return tuple(requests(9, 400))


@st.composite
def pairs(draw: st.DrawFn) -> Layouts:
    """Two layouts, more often than not of one width and differing in a few columns."""
    first = draw(st.sets(st.sampled_from(OTHERS), min_size=2, max_size=40))
    dropped = draw(st.sets(st.sampled_from(sorted(first)), max_size=3))
    spare = sorted(set(OTHERS) - first)
    same_width = draw(st.booleans())
    count = len(dropped) if same_width else draw(st.integers(0, 3))
    added = draw(st.sets(st.sampled_from(spare), min_size=count, max_size=count))
    second = (first - dropped) | added
    return in_order({"timestamp", *first}), in_order({"timestamp", *second})


def outcome_of(
    layouts: Layouts, lines: Sequence[bytes]
) -> tuple[dict[int, tuple[str, ...]], dict[int, str]]:
    """Return the columns each record was read by, and why the others were refused."""
    more = (LayoutOptions(fields=layouts[1]),)
    decoder = RealtimeDecoder(RealtimeOptions(fields=layouts[0], layouts=more))
    read: dict[int, tuple[str, ...]] = {}
    refused: dict[int, str] = {}
    for begin in range(0, len(lines), 50):
        messages = [
            Message(each + b"\n", str(begin + i))
            for i, each in enumerate(lines[begin : begin + 50])
        ]
        for batch in decoder.decode(Payload(Receipt("shard", 0), SHARD, messages=messages)):
            width = len(batch.layout.columns)
            if any(len(row) != width for row in batch.rows):
                assert batch.fitter is not None
                parts = list(batch.fitter.refitted(batch))
            else:
                parts = [batch]
            for part in parts:
                for position in part.positions or ():
                    read[int(position)] = part.layout.columns
                refused |= {int(r.position or -1): r.reason for r in part.rejects}
    return read, refused


@settings(max_examples=150)
@given(layouts=pairs(), dice=st.randoms(use_true_random=False))
def test_no_record_is_read_by_the_layout_of_another(layouts: Layouts, dice: object) -> None:
    choose = dice.choice  # type: ignore[attr-defined]
    written = [(choose(layouts), request) for request in traffic()]
    lines = [realtime_line(request, columns).encode() for columns, request in written]

    read, refused = outcome_of(layouts, lines)

    assert {i: written[i][0] for i in read} == read
    assert set(refused.values()) <= {"layout"}
    assert sorted([*read, *refused]) == list(range(len(lines)))
    if len(layouts[0]) != len(layouts[1]) or layouts[0] == layouts[1]:
        assert not refused


@pytest.mark.parametrize(
    ("first", "second", "values", "chosen"),
    [
        pytest.param("sc-bytes", "c-country", {}, 0, id="number-or-country"),
        pytest.param("c-country", "sc-bytes", {}, 0, id="country-or-number"),
        pytest.param("sc-bytes", "sc-status", {"sc-bytes": "2390"}, 0, id="no-status"),
        pytest.param("sc-bytes", "sc-status", {"sc-bytes": "512"}, None, id="perhaps-a-status"),
        pytest.param("sc-status", "sc-bytes", {}, None, id="perhaps-a-length"),
        pytest.param("sc-bytes", "c-country", {"sc-bytes": "-"}, None, id="absent"),
        pytest.param("cs-cookie", "cs-referer", {}, None, id="both-text-of-viewers"),
        pytest.param("cs-cookie", "c-port", {"cs-cookie": "80"}, None, id="a-cookie-as-a-port"),
        pytest.param("c-port", "cs-cookie", {}, None, id="a-port-as-a-cookie"),
        pytest.param("cs-cookie", "c-port", {}, 0, id="no-port"),
    ],
)
def test_only_what_cloudfront_writes_decides(
    first: str, second: str, values: dict[str, str], chosen: int | None
) -> None:
    base = ("timestamp", "c-ip")
    layouts = (in_order((*base, first)), in_order((*base, second)))
    record = line(layouts[0], values).rstrip(b"\n")

    read, refused = outcome_of(layouts, [record])

    assert read == ({} if chosen is None else {0: layouts[chosen]})
    assert refused == ({0: "layout"} if chosen is None else {})


def test_a_refusal_names_what_the_layouts_differ_in() -> None:
    options = RealtimeOptions(
        fields=("timestamp", "cs-cookie"), layouts=(LayoutOptions(fields=("timestamp", "asn")),)
    )
    payload = Payload(Receipt("shard", 0), SHARD, chunks=[b"1768507267.148\t7\n1\t2\t3\n"])

    rejects = [each for batch in RealtimeDecoder(options).decode(payload) for each in batch.rejects]

    assert Counter((each.reason, each.detail) for each in rejects) == {
        ("layout", "2 known layouts of 2 columns may be meant, which differ in asn, cs-cookie"): 1,
        ("columns", "2 columns expected, 3 found"): 1,
    }
