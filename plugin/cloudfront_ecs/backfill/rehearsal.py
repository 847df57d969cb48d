"""What a backfill would read: objects, bytes, and lines as a few of the objects have them."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudfront_ecs.decoders.inflate import inflate
from cloudfront_ecs.errors import PayloadError
from cloudfront_ecs.sources.s3.keys import distribution_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cloudfront_ecs.sources.s3.objects import S3Objects, StoredObject

SAMPLE = 12
"""Objects that are read to estimate lines."""

_PARQUET = b"PAR1"


@dataclass(slots=True)
class Inventory:
    """What there is.

    Attributes:
        objects: Objects by distribution; ``?`` where keys name none.
        bytes: Their size as stored.
        sample: A few of them, chosen by chance.
    """

    objects: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    sample: list[StoredObject] = field(default_factory=list)


def counted(pages: Iterable[tuple[StoredObject, ...]]) -> Inventory:
    """Return what is in *pages*."""
    found = Inventory()
    dice = random.Random(0)  # noqa: S311 - the same objects for the same range
    every = (stored for page in pages for stored in page)
    for number, stored in enumerate(every, 1):
        whose = distribution_in(stored.key) or "?"
        found.objects[whose] += 1
        found.bytes[whose] += stored.size or 0
        if len(found.sample) < SAMPLE:
            found.sample.append(stored)
        elif (place := dice.randrange(number)) < SAMPLE:
            found.sample[place] = stored
    return found


def estimated_lines(objects: S3Objects, inventory: Inventory) -> int | None:
    """Return how many lines there are, as far as a few objects tell; None where they do not.

    Raises:
        SourceError: They cannot be read.
    """
    lines = size = 0
    for stored in inventory.sample:
        found = _lines(objects.read(stored))
        if found is None:
            return None
        lines += found
        size += stored.size or 0
    return round(lines * inventory.bytes.total() / size) if size else 0


def _lines(chunks: Iterator[bytes]) -> int | None:
    """Return the lines of an object that are no headers; None for Parquet."""
    count = 0
    at_start = True
    try:
        for first, piece in enumerate(inflate(chunks)):
            if first == 0 and piece.startswith(_PARQUET):
                return None
            count += piece.count(b"\n") - piece.count(b"\n#") - (at_start and piece[:1] == b"#")
            at_start = False
    except PayloadError:
        return count  # truncated, or gone: what came counts
    return count
