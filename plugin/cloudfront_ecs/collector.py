"""The cyclic garbage collector, told what this program is like."""

from __future__ import annotations

import gc

_YOUNG = 50_000


def calm_collector() -> None:
    """Make the collector look at less, less often; call it once everything is loaded.

    Documents are Structs without cycles and are freed by counting; what the collector could
    find is rare.  Left alone it walks over modules and regular expressions again and again,
    which costs the conversion about a twentieth of its speed.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 100)
