"""Dead letters as a source: each is a payload of its own, and settled it is taken out.

No adapter for configurations: ``cloudfront-ecs replay`` puts it in place of the source of a
pipeline, so that settling, sinks and accounting are those of every run.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.batches import Message, Origin, Payload, Receipt
from cloudfront_ecs.delivery.kept_letters import Verdict
from cloudfront_ecs.normalize.documents.aws_fields import AwsS3, Kinesis, S3Bucket, S3Object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from cloudfront_ecs.delivery.dead_letters import DeadLetter
    from cloudfront_ecs.delivery.kept_letters import KeptLetter, LetterFile

GZIP = b"\x1f\x8b"
_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class LetterOrigin(Origin):
    """The origin of a letter's bytes, as it was when they were read, and the letter."""

    letter: KeptLetter | None = None


@dataclass(slots=True)
class LetterSource:
    """Hands out the letters of some files, and keeps book of how they end.

    Attributes:
        files: The files.
        wanted: Says which letters take part.
        unfit: Letters that cannot be read again from their bytes alone, by their reason.
    """

    files: Sequence[LetterFile]
    wanted: Callable[[KeptLetter], bool]
    unfit: Counter[str] = field(default_factory=Counter)
    _unread: Iterator[tuple[LetterFile, KeptLetter]] | None = None
    _waiting: deque[Receipt] = field(default_factory=deque)
    _in_flight: dict[int, Receipt] = field(default_factory=dict)
    _verdicts: dict[int, list[Verdict]] = field(default_factory=dict)
    """By the letter's address: letters in flight are alive, so no two have the same."""
    _sequence: int = 0
    _exhausted: bool = False

    def poll(self, timeout: float) -> Payload | None:
        """Return the next letter that takes part."""
        receipt = self._waiting.popleft() if self._waiting else self._next()
        if receipt is None:
            time.sleep(min(timeout, _PAUSE))  # what is in flight may come back
            return None
        self._in_flight[receipt.sequence] = receipt
        return payload_of(receipt)

    def settle(self, receipt: Receipt) -> None:
        """Note that a letter was delivered, or that it was refused again."""
        del self._in_flight[receipt.sequence]
        file, letter = _held(receipt)
        verdicts = self._verdicts.pop(id(letter), None)
        if verdicts:
            file.refused_again(letter, _joined(verdicts))
        else:
            file.delivered(letter)

    def release(self, receipt: Receipt) -> None:
        """Offer a letter again; what refused it does not count, as others did not take it."""
        del self._in_flight[receipt.sequence]
        _, letter = _held(receipt)
        self._verdicts.pop(id(letter), None)
        self._waiting.append(receipt)

    def drained(self) -> bool:
        """Say whether every letter has been handed out and settled."""
        return self._exhausted and not self._waiting and not self._in_flight

    def close(self) -> None:
        """Do nothing: the files are written back when the run is over."""

    def add(self, letters: Iterable[DeadLetter]) -> None:
        """Take what was refused again, in place of the store of new dead letters."""
        for each in letters:
            rejected = each.rejected
            verdict = Verdict(rejected.reason, rejected.detail, each.sink, each.layout)
            self._verdicts.setdefault(id(letter_of(each.origin)), []).append(verdict)

    def _next(self) -> Receipt | None:
        if self._unread is None:
            self._unread = ((file, letter) for file in self.files for letter in file.letters())
        for file, letter in self._unread:
            if not self.wanted(letter):
                continue
            if letter.unfit:
                self.unfit[letter.reason] += 1
                continue
            self._sequence += 1
            return Receipt(file.path.name, self._sequence, (file, letter))
        self._exhausted = True
        return None


def letter_of(origin: Origin) -> KeptLetter:
    """Return the letter whose bytes come from *origin*."""
    assert isinstance(origin, LetterOrigin)
    assert origin.letter is not None
    return origin.letter


def _held(receipt: Receipt) -> tuple[LetterFile, KeptLetter]:
    held: Any = receipt.token
    file, letter = held
    return file, letter


def _joined(verdicts: Sequence[Verdict]) -> Verdict:
    """Return one verdict for all; a letter goes back to a sink alone where it alone refused."""
    first = verdicts[0]
    sinks = {verdict.sink for verdict in verdicts}
    if len(sinks) == 1:
        return first
    detail = "; ".join(dict.fromkeys(verdict.detail for verdict in verdicts))
    return first._replace(detail=detail, sink=None)


def payload_of(receipt: Receipt) -> Payload:
    """Return a letter as the payload that its bytes are."""
    _, letter = _held(receipt)
    origin = origin_of(letter)
    header = b""
    if letter.layout is not None and letter.layout.named_by == "header":
        header = b"#Fields: " + " ".join(letter.layout.columns).encode("utf-8") + b"\n"
    if letter.position is None:
        return Payload(receipt, origin, chunks=[header + letter.raw + b"\n"])
    compressed = letter.raw.startswith(GZIP)
    data = letter.raw if compressed else header + letter.raw + b"\n"
    return Payload(receipt, origin, messages=[Message(data, letter.position)])


def origin_of(letter: KeptLetter) -> LetterOrigin:
    """Return where the bytes of a letter came from, as its documents are to tell it."""
    content = letter.content
    source, about = content["source"], content.get("origin", {})
    s3 = kinesis = file = None
    if "bucket" in source:
        bucket = S3Bucket(name=source["bucket"], arn=about.get("bucket_arn"))
        s3 = AwsS3(bucket=bucket, object=S3Object(key=source["key"]))
        place = f"s3://{source['bucket']}/{source['key']}"
    elif "stream" in source:
        kinesis = Kinesis(stream=source["stream"], shard_id=source["shard"])
        place = f"{source['stream']}/{source['shard']}"
    else:
        place = about.get("place", source["file"])
        file = source["file"] if about.get("place") != source["file"] else None
    return LetterOrigin(
        place,
        tuple(content["identity"]),
        content_identity=content.get("content_identity", False),
        distribution_id=about.get("distribution_id"),
        account_id=about.get("account_id"),
        region=about.get("region"),
        file_path=file,
        s3=s3,
        kinesis=kinesis,
        letter=letter,
    )
