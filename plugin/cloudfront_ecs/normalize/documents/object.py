"""The base of all nested objects of a document."""

from __future__ import annotations

import msgspec


class Object(msgspec.Struct, omit_defaults=True, gc=False, frozen=True):
    """The base of all nested objects: shared between documents, absent fields left out."""
