"""The real conversion of real-time records, handed over in batches of 500 messages.

usage: convert_realtime.py FILE [--core N]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converting import convert
from corpora import columns_file
from timing import Timing, arguments

from cloudfront_ecs import Message, Origin, Payload, Receipt
from cloudfront_ecs.decoders.realtime.decoder import RealtimeDecoder, RealtimeOptions
from cloudfront_ecs.transforms.user_agent import UserAgentTransform

if TYPE_CHECKING:
    from pathlib import Path

BATCH = 500
_FIRST = 49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898
_SHARD = "shardId-000000000000"


def main() -> None:
    given = arguments("convert real-time records")
    fields = tuple(columns_file(given.file).read_text().split())
    transforms = [UserAgentTransform()] if given.user_agent else []
    decoder = RealtimeDecoder(RealtimeOptions(fields=fields))
    convert(decoder, transforms, payloads(given.file), Timing, messagepack=given.messagepack)


def payloads(file: Path) -> list[Payload]:
    lines = file.read_bytes().splitlines(keepends=True)
    messages = [
        Message(line, str(_FIRST + number), 1_768_507_200.0) for number, line in enumerate(lines)
    ]
    origin = Origin(f"kinesis://edge/{_SHARD}", ("edge", "1768000000", _SHARD))
    return [
        Payload(Receipt(_SHARD, place), origin, messages=messages[place : place + BATCH])
        for place in range(0, len(messages), BATCH)
    ]


if __name__ == "__main__":
    main()
