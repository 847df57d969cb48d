"""What is installed against what is shipped: whether they differ, and where."""

from __future__ import annotations

import difflib
import json
from typing import Any


def covers(theirs: Any, ours: Any) -> bool:
    """Say whether *theirs* says everything that *ours* says; servers add defaults."""
    if isinstance(ours, dict):
        return isinstance(theirs, dict) and all(
            name in theirs and covers(theirs[name], value) for name, value in ours.items()
        )
    if isinstance(ours, list):
        same_length = isinstance(theirs, list) and len(theirs) == len(ours)
        return same_length and all(map(covers, theirs, ours))
    return bool(theirs == ours)


def difference(theirs: object, ours: object) -> tuple[str, ...]:
    """Return the lines of a unified diff between two JSON values; none where they are equal."""
    return tuple(
        difflib.unified_diff(
            _readable(theirs), _readable(ours), "installed", "shipped", n=2, lineterm=""
        )
    )


def _readable(value: object) -> list[str]:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).splitlines()
