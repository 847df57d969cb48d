"""The real conversion of a standard log: from the file's bytes to lines of JSON.

usage: convert_standard.py FILE [--core N]
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from converting import convert
from timing import Timing, arguments

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.decoders.auto import AutoDecoder, AutoOptions
from cloudfront_ecs.transforms.user_agent import UserAgentTransform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK = 1 << 18


def main() -> None:
    given = arguments("convert a standard log")
    transforms = [UserAgentTransform()] if given.user_agent else []
    convert(
        AutoDecoder(AutoOptions()),
        transforms,
        [payload(given.file)],
        Timing,
        messagepack=given.messagepack,
    )


def payload(file: Path) -> Payload:
    origin = Origin(f"s3://logs/{file.name}", ("logs", file.name))
    return Payload(Receipt(file.name, 0), origin, chunks=chunks(file))


def chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb", buffering=0) as stream:
        yield from iter(partial(stream.read, _CHUNK), b"")


if __name__ == "__main__":
    main()
