"""What is derived from a value goes where the value goes."""

from __future__ import annotations

import msgspec
import pytest

from transforms.transforming import documents, opened

SECRET = "canary"


@pytest.mark.parametrize("action", ["drop", "hash", "mask"])
@pytest.mark.parametrize(
    ("field", "column", "text"),
    [
        ("url.domain", "cs-host", f"{SECRET}.{SECRET}.example.com"),
        ("http.request.referrer", "cs-referer", f"https://{SECRET}.example.com/"),
    ],
)
def test_no_part_of_a_host_outlives_its_rule(
    action: str, field: str, column: str, text: str
) -> None:
    [document] = documents({column: text}, original=False)
    before = msgspec.json.encode(document.body)

    transform = opened("privacy", rules=[{"field": field, "action": action}], key="a key")
    transform.apply([document])

    assert SECRET.encode() in before
    assert SECRET.encode() not in msgspec.json.encode(document.body)
