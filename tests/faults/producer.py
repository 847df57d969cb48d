"""The producer: serial-numbered lines in true formats, put where CloudFront puts them.

The same seed issues the same lines.  The oracle is told of every line before it is put.
"""

from __future__ import annotations

import random
from itertools import count
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.demo.day import DAY_COLUMNS, PREFIX, standard_file, standard_name
from cloudfront_ecs.demo.render import STANDARD_HEADER, realtime_line, standard_line
from cloudfront_ecs.demo.traffic import requests
from faults.oracle import Oracle, marked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudfront_ecs.demo.request import Request

REFUSED = 0.01
"""The share of lines that are cut off, so that they cannot be read."""

_CUT = {"standard": 15, "realtime": 25}
"""Columns left of a line that is cut off: too few, but with the query."""
_WIDE = 3000
"""Characters more in the query of a line of a wide file."""
_AT_ONCE = 2000
_A_CALL = 250


class Lines:
    """An endless supply of lines of one log."""

    def __init__(self, log: str, seed: int) -> None:
        self.oracle = Oracle()
        self.dice = random.Random(seed)
        self._log = log
        self._render: Callable[[Request], str] = (
            standard_line if log == "standard" else lambda made: realtime_line(made, DAY_COLUMNS)
        )
        self._requests = _endless(seed)
        self._serials = count(1)

    def next(self, number: int, *, wider: int = 0) -> list[bytes]:
        """Return the next *number* lines, without line ends; the oracle knows them.

        Args:
            number: How many.
            wider: Characters that their queries have more.
        """
        return [self._line(wider) for _ in range(number)]

    def _line(self, wider: int) -> bytes:
        serial = next(self._serials)
        request = marked(next(self._requests), serial)
        if wider:
            request = request._replace(query=f"{request.query}&wide={'x' * wider}")
        line = self._render(request).encode()
        refused = self.dice.random() < REFUSED
        if refused:
            line = b"\t".join(line.split(b"\t")[: _CUT[self._log]])
        self.oracle.expect(serial, request, line, refused=refused)
        return line


class ObjectProducer:
    """Puts log files into a bucket.

    Attributes:
        keys: The files.
    """

    MOST_LINES = 100

    def __init__(self, s3: Any, bucket: str, seed: int) -> None:
        self.lines = Lines("standard", seed)
        self.keys: set[str] = set()
        self._s3 = s3
        self._bucket = bucket
        self._files = count(1)

    def issue(self, number: int) -> None:
        """Put *number* lines, a few dozen in a file, some files in two gzip members.

        Each tenth file is not compressed and of wide lines, so that it takes two readings of
        the connection to fetch it.
        """
        dice = self.lines.dice
        while number > 0:
            wide = next(self._files) % 10 == 0
            most = self.MOST_LINES if wide else dice.randint(20, self.MOST_LINES)
            lines = self.lines.next(min(number, most), wider=_WIDE if wide else 0)
            number -= len(lines)
            name = standard_name(f"2026-01-15-{dice.randrange(24):02d}", dice.getrandbits(32))
            if wide:
                body = STANDARD_HEADER.encode() + b"".join(line + b"\n" for line in lines)
            else:
                body = standard_file(lines, members=dice.choice((1, 1, 1, 2)), level=1)
            key = f"{PREFIX}/{name}"
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body)
            self.keys.add(key)


class RecordProducer:
    """Puts lines into a Kinesis stream, one a record.

    Attributes:
        last: The sequence number of the last record of each shard.
    """

    def __init__(self, kinesis: Any, stream: str, seed: int) -> None:
        self.lines = Lines("realtime", seed)
        self.last: dict[str, int] = {}
        self._kinesis = kinesis
        self._stream = stream

    def issue(self, number: int) -> None:
        """Put *number* lines, spread over the shards by chance."""
        made = self.lines.next(number)
        for start in range(0, number, _A_CALL):
            records = [
                {"Data": line + b"\n", "PartitionKey": f"{self.lines.dice.getrandbits(64):x}"}
                for line in made[start : start + _A_CALL]
            ]
            answer = self._kinesis.put_records(StreamName=self._stream, Records=records)
            if answer["FailedRecordCount"]:
                raise RuntimeError("the stream did not take every record")
            for put in answer["Records"]:
                shard, sequence = put["ShardId"], int(put["SequenceNumber"])
                self.last[shard] = max(sequence, self.last.get(shard, 0))


def _endless(seed: int) -> Iterator[Request]:
    for number in count():
        yield from requests(seed * 1_000_003 + number, _AT_ONCE)
