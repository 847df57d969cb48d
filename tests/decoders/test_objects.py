"""Objects without a line end between them get one, and nothing else changes."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudfront_ecs.decoders.objects import apart

PARTS = st.sampled_from([b"{", b"}", b'"', b"\\", b"\n", b"a", b"\\\\", b'\\"', b"}{"])


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(b"{}{}", b"{}\n{}", id="a-seam"),
        pytest.param(b"{}\n{}", b"{}\n{}", id="a-line-end"),
        pytest.param(b'{"a":"}{"}{}', b'{"a":"}{"}\n{}', id="braces-in-a-text"),
        pytest.param(b'{"a":"\\"}{"}{}', b'{"a":"\\"}{"}\n{}', id="an-escaped-quote"),
        pytest.param(b'{"a":"\\\\"}{}', b'{"a":"\\\\"}\n{}', id="an-escaped-backslash"),
        pytest.param(b'{"a":{}}{}', b'{"a":{}}\n{}', id="nested"),
        pytest.param(b'{"torn\n{}{}', b'{"torn\n{}\n{}', id="a-text-ends-with-its-line"),
        pytest.param(b'{"torn\\\n{}{}', b'{"torn\\\n{}\n{}', id="so-does-an-escape"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_only_between_objects_a_line_ends(data: bytes, expected: bytes, size: int) -> None:
    assert b"".join(apart(pieces(data, size))) == expected


@given(st.lists(PARTS, max_size=60).map(b"".join), st.integers(1, 20))
def test_where_the_bytes_are_cut_changes_nothing(data: bytes, size: int) -> None:
    whole = b"".join(apart([data]))

    assert b"".join(apart(pieces(data, size))) == whole
    assert whole.replace(b"}\n{", b"}{") == data.replace(b"}\n{", b"}{")


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=5)), max_size=5))
def test_joined_objects_come_apart_as_they_were(objects: list[dict[str, str]]) -> None:
    texts = [json.dumps(one).encode() for one in objects]

    assert b"".join(apart([b"".join(texts)])) == b"\n".join(texts)


@pytest.mark.parametrize("inside", [b"}{", b"\\\\}{", b'\\"}{', b"x"])
def test_a_text_of_any_length_is_passed_over_in_little_time(inside: bytes) -> None:
    text = b'{"a":"' + inside * 400_000 + b'"}'
    begun = time.process_time()

    found = b"".join(apart(pieces(text + b"{}", 10_000)))

    assert found == text + b"\n{}"
    assert time.process_time() - begun < 5
