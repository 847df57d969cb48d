"""Golden files are compared, or written anew: ``pytest tests/normalize --golden=update``."""

from __future__ import annotations

import pytest

from cloudfront_ecs.normalize import normalizer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden",
        choices=("compare", "update"),
        default="compare",
        help="compare documents with the golden files, or write these anew",
    )


@pytest.fixture(name="update_golden")
def _update_golden(request: pytest.FixtureRequest) -> bool:
    """Say whether golden files are written anew; the option is unknown in a run of all tests."""
    return bool(request.config.getoption("--golden", default="compare") == "update")


@pytest.fixture(autouse=True)
def _text_from_the_first_record(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Write even single records as text: here they stand for large batches."""
    if "few_records" not in request.keywords:
        monkeypatch.setattr(normalizer, "WRITTEN_FROM", 1)
