"""Spoilt logs through the whole conversion, and what must hold whatever comes in.

No exception; every line a document, a reject, filtered or skipped; ids that differ; and
documents that are JSON and fit their template.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING

from cloudfront_ecs import Message, Origin, Payload, Receipt
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.errors import PayloadError
from fuzz.mutation import spoilt
from fuzz.samples import samples
from normalize.converting import Outcome, collect
from normalize.fitting import json_of, misfits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs import RecordBatch
    from cloudfront_ecs.adapters import Decoder
    from fuzz.samples import Sample

LINES = 256
"""Lines of one payload."""

IN_A_ROW = 64
"""Payloads of the same layout, which is compiled when it first appears."""

LOOKED_AT = 6
"""Documents of one payload that are read again as JSON."""

MOST_FAILURES = 20
ORIGIN = Origin("fuzz", ("fuzz",))
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, and with which bytes: the line alone, where it does so alone."""

    payload: int
    sample: str
    problem: str
    data: bytes


@dataclass(slots=True)
class Tally:
    """What became of all lines of one decoder."""

    kind: str
    payloads: int = 0
    lines: int = 0
    documents: int = 0
    rejects: int = 0
    filtered: int = 0
    skipped: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add the tally of another process."""
        for name in ("payloads", "lines", "documents", "rejects", "filtered", "skipped"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.seconds = max(self.seconds, other.seconds)
        self.failures += other.failures


class _Watched:
    """A decoder that remembers whether it gave the rest of a payload up."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self.gave_up = False

    def decode(self, payload: Payload) -> Iterator[RecordBatch]:
        try:
            yield from self._decoder.decode(payload)
        except PayloadError:
            self.gave_up = True
            raise


def fuzz(
    kind: str,
    lines: int,
    seed: int,
    *,
    first: int = 0,
    step: int = 1,
    payloads: int | None = None,
    seconds: float = 1e9,
) -> Tally:
    """Convert at least *lines* spoilt lines with a decoder of *kind*.

    The same *seed* and payload number always give the same bytes.

    Args:
        kind: The decoder.
        lines: How many lines are enough.
        seed: Where the chances come from.
        first: The number of the first payload.
        step: From one payload's number to the next one's, for several processes.
        payloads: How many payloads are enough, or None.
        seconds: Ends it before its time.
    """
    assert samples(kind)
    tally, begun, number = Tally(kind), perf_counter(), first
    while (
        tally.lines < lines
        and (payloads is None or tally.payloads < payloads)
        and perf_counter() - begun < seconds
        and len(tally.failures) < MOST_FAILURES
    ):
        chosen = Random(f"{seed}/{kind}/{number // IN_A_ROW}").choice(samples(kind))
        _payload(tally, chosen, Random(f"{seed}/{kind}/{number}"), number)
        number += step
    tally.seconds = perf_counter() - begun
    return tally


def _payload(tally: Tally, sample: Sample, random: Random, number: int) -> None:
    header = spoilt(sample.header, random) if random.random() < 0.02 else sample.header
    several = sample.lined or sample.wrapped is not bytes
    count = LINES if len(sample.lines[0]) < 10_000 and several else len(sample.lines)
    spoilt_lines = [spoilt(random.choice(sample.lines), random) for _ in range(count)]
    data = header + b"\n".join(spoilt_lines) + b"\n" * (random.random() < 0.9)
    way, original = random.random(), random.random() < 0.3
    tally.payloads += 1
    tally.lines += _count(data)
    problem, outcome = judged(sample, sample.wrapped(data), way, random, original=original)
    tally.documents += len(outcome.documents)
    tally.rejects += len(outcome.rejects)
    tally.filtered += outcome.filtered
    tally.skipped += outcome.skipped
    if problem:
        culprit = _culprit(sample, header, spoilt_lines, way, original=original)
        tally.failures.append(Failure(number, sample.name, problem, culprit or data))


def judged(
    sample: Sample, data: bytes, way: float, random: Random, *, original: bool
) -> tuple[str, Outcome]:
    """Convert *data* and return what is wrong, or nothing, and what became of it.

    Args:
        sample: Gives the decoder.
        data: The bytes of an object, or of messages that hold a line each.
        way: Which way they go: below 0.7 as a whole, below 0.85 in pieces, else as messages.
        random: Decides where pieces end.
        original: Whether ``event.original`` is kept.
    """
    decoder = _Watched(sample.decoder)
    conversion = Conversion(decoder, (), original=original)
    payload = _as_payload(data, way, random)
    try:
        outcome = collect(conversion, payload)
    except Exception:  # noqa: BLE001 - whatever it is, it is the finding
        return "exception: " + " | ".join(
            traceback.format_exc().strip().splitlines()[-3:]
        ), Outcome()
    failed = [reject for reject in outcome.rejects if reject.reason == "conversion"]
    if failed:
        return f"the conversion failed: {failed[0].detail}", outcome
    wrong = _miscounted(sample, data, outcome, decoder, streamed=payload.messages is not None)
    return wrong or _misfit(outcome, random), outcome


def _as_payload(data: bytes, way: float, random: Random) -> Payload:
    receipt = Receipt("fuzz", 0)
    if way < 0.7:
        return Payload(receipt, ORIGIN, [data])
    if way < 0.85:
        size = random.choice((7, 100, 4096))
        return Payload(receipt, ORIGIN, [data[i : i + size] for i in range(0, len(data), size)])
    parts = data.removesuffix(b"\n").split(b"\n")
    messages = [Message(part + b"\n", str(number)) for number, part in enumerate(parts)]
    return Payload(receipt, ORIGIN, messages=messages)


def _miscounted(
    sample: Sample, data: bytes, outcome: Outcome, decoder: _Watched, *, streamed: bool
) -> str:
    ended = len(outcome.documents) + len(outcome.rejects) + outcome.filtered
    data = data.removeprefix(BOM)
    found, count = ended + outcome.skipped, _count(data)
    written = sum(1 for line in data.split(b"\n") if line.strip())
    if decoder.gave_up:
        right = found >= 1
    elif not sample.exact:
        right = found >= written or not sample.lined
    elif streamed:
        right = written <= found and ended <= count
    else:
        right = found == count
    if not right:
        return f"{count} lines, but {found} are accounted for"
    ids = {document.id for document in outcome.documents}
    if sample.exact and len(ids) != len(outcome.documents):
        return f"{len(outcome.documents)} documents share {len(ids)} ids"
    return ""


def _misfit(outcome: Outcome, random: Random) -> str:
    documents = outcome.documents
    for document in random.sample(documents, min(len(documents), LOOKED_AT)):
        try:
            wrong = misfits(json_of(document), document.dataset)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            return f"a document cannot be read again: {type(error).__name__}: {error}"
        if wrong:
            return "; ".join(wrong)
    return ""


def _culprit(
    sample: Sample, header: bytes, lines: list[bytes], way: float, *, original: bool
) -> bytes | None:
    """Return the first line that is enough for a failure, with the header it needs."""
    for line in lines:
        for ending in (b"\n", b""):
            data = sample.wrapped(header + line + ending)
            if judged(sample, data, way, Random(0), original=original)[0]:
                return data
    return None


def _count(data: bytes) -> int:
    return data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
