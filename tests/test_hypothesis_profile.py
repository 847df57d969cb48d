"""How examples are drawn: the same in CI each time, and as slowly as the machine is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

_SETTINGS = "import conftest; from hypothesis import settings; print(settings().derandomize)"


def test_a_slow_machine_fails_no_test() -> None:
    assert settings().deadline is None


@pytest.mark.parametrize(("continuous", "repeats"), [("true", True), ("", False)])
def test_examples_are_the_same_each_time_in_ci_only(continuous: str, *, repeats: bool) -> None:
    told = subprocess.run(
        [sys.executable, "-c", _SETTINGS],
        cwd=Path(__file__).parent,
        env={**os.environ, "CI": continuous},
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout.strip() == str(repeats)
