"""Each fault of the list is survived as it must be; ``make faults`` runs the long ones too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite("faults.scenarios")

from faults.catalogue import Fault, all_faults  # noqa: E402 - rewritten by the line above
from faults.lab import Lab  # noqa: E402 - the same

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

BRIEF = [pytest.param(entry, id=entry.name) for entry in all_faults() if entry.brief]


@pytest.mark.parametrize("entry", BRIEF)
def test_the_fault_is_survived(
    entry: Fault, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    lab = Lab(tmp_path, request.getfixturevalue, thorough=False, tell=print)

    observed = entry.scenario(lab)

    print(f"{entry.id}: {observed}")
    assert observed
