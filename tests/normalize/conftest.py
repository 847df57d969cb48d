"""Golden files are compared, or written anew: ``pytest tests/normalize --golden=update``."""

from __future__ import annotations

import pytest


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
