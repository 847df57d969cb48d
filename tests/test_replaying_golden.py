"""Whatever log a document was made of, its letter makes the same document again."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.batches import Message
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.auto import AutoDecoder, AutoOptions
from cloudfront_ecs.delivery.dead_letters import DeadLetter, DeadLetters, letter_files
from cloudfront_ecs.delivery.kept_letters import LetterFile
from cloudfront_ecs.encoding import json_line
from cloudfront_ecs.normalize.documents.aws_fields import Kinesis
from cloudfront_ecs.replayed_letters import LetterConversion, LetterDecoder
from cloudfront_ecs.sources.dead_letters import LetterSource
from normalize.golden import LOGS, bytes_of, decoder_of, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cloudfront_ecs import Document
    from cloudfront_ecs.adapters import Decoder

ORIGIN = Origin("/logs/a.log", ("file", "a.log", "digest"), file_path="/logs/a.log")
SHARD = Origin(
    "edge/shard-0",
    ("kinesis", "edge", "1", "shard-0"),
    region="eu-west-1",
    kinesis=Kinesis(stream="edge", shard_id="shard-0"),
)
UNDATED = "AAAAAAAA"
"""How the ids of documents begin whose time is that of reading."""


def _decoder(log: Path) -> Decoder:
    fields, decoder = log.with_suffix(".fields"), log.with_suffix(".toml")
    columns = fields.read_text("utf-8").split() if fields.exists() else ()
    return (
        decoder_of(decoder) if decoder.exists() else AutoDecoder(AutoOptions(fields=tuple(columns)))
    )


def _bodies(documents: Iterable[Document]) -> Counter[str]:
    found: Counter[str] = Counter()
    for document in documents:
        body: dict[str, Any] = json.loads(json_line(document))
        if document.id.startswith(UNDATED):
            del body["@timestamp"]
        body["event"].pop("created", None)
        body.get("aws", {}).get("cloudfront", {}).pop("ingest_delay", None)
        found[json.dumps([document.id, body], sort_keys=True)] += 1
    return found


@pytest.mark.parametrize("log", LOGS, ids=map(name_of, LOGS))
@pytest.mark.parametrize("carrier", ["file", "message"])
def test_a_letter_makes_the_document_again(log: Path, carrier: str, tmp_path: Path) -> None:
    conversion = Conversion(_decoder(log), ())
    payload = Payload(Receipt("x", 0), ORIGIN, [bytes_of(log)])
    if carrier == "message":
        message = Message(bytes_of(log), "4900")
        payload = Payload(Receipt("x", 0), SHARD, messages=[message])
    first: list[Document] = []
    letters: list[DeadLetter] = []
    for part in conversion.convert(payload):
        for document in part.documents:
            line = part.trace and part.trace.line_of(document.id)
            assert line is not None
            first.append(document)
            letters.append(DeadLetter(line, payload.origin, layout=part.layout, sink="one"))
    DeadLetters(tmp_path, "edge").add(letters)
    files = [LetterFile(path) for path in letter_files(tmp_path).get("edge", [])]
    source = LetterSource(files, lambda _: True)
    again = LetterConversion(LetterDecoder(_decoder(log)), ())
    second: list[Document] = []
    while not source.drained():
        letter = source.poll(0.0)
        if letter is not None:
            for part in again.convert(letter):
                assert [(reject.reason, reject.detail) for reject in part.rejects] == []
                second += part.documents
            source.settle(letter.receipt)

    assert _bodies(second) == _bodies(first)
