from __future__ import annotations

import base64
import json
import os
import resource
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs import Document, Layout, Origin, Receipt, RecordBatch, RejectedLine
from cloudfront_ecs.conversion import Trace
from cloudfront_ecs.delivery.batching import Batch, PayloadProgress, Share
from cloudfront_ecs.delivery.dead_letters import DeadLetter, DeadLetters, place_of
from cloudfront_ecs.normalize.documents.aws_fields import AwsS3, Kinesis, S3Bucket, S3Object

if TYPE_CHECKING:
    from pathlib import Path

FILE = Origin("/logs/a.gz", ("file", "a.gz"), file_path="/logs/a.gz")


def letter(raw: bytes = b"bad\tline", reason: str = "columns", line: int = 12) -> DeadLetter:
    return DeadLetter(RejectedLine(reason, "33 columns expected, 2 found", raw, line), FILE)


def stored(state: Path) -> list[dict[str, object]]:
    [path] = (state / "dead_letters").iterdir()
    return [json.loads(each) for each in path.read_bytes().splitlines()]


def test_a_letter_has_the_documented_form(tmp_path: Path) -> None:
    DeadLetters(tmp_path, "edge").add([letter()])

    [kept] = stored(tmp_path)
    time = kept.pop("time")
    assert kept == {
        "reason": "columns",
        "detail": "33 columns expected, 2 found",
        "source": {"file": "/logs/a.gz", "line": 12},
        "identity": ["file", "a.gz"],
        "raw": base64.b64encode(b"bad\tline").decode(),
        "attempts": 1,
    }
    assert isinstance(time, str)
    assert time.endswith("Z")


def test_length_sink_and_layout_stand_in_the_letter_where_there_are_any() -> None:
    rejected = RejectedLine("too_long", "", b"x", length=2_000_000)
    layout = Layout("realtime", ("timestamp", "c-ip"))

    made = json.loads(DeadLetter(rejected, FILE, layout=layout, sink="search").line())

    assert made["length"] == 2_000_000
    assert made["sink"] == "search"
    assert made["layout"] == {"log": "realtime", "columns": ["timestamp", "c-ip"]}


@pytest.mark.parametrize(
    ("origin", "rejected", "place"),
    [
        pytest.param(
            Origin(
                "s3://logs/a.gz",
                ("s3",),
                s3=AwsS3(bucket=S3Bucket(name="logs"), object=S3Object(key="a.gz")),
            ),
            RejectedLine("columns", "", b"", line=3),
            {"bucket": "logs", "key": "a.gz", "line": 3},
            id="object",
        ),
        pytest.param(
            Origin("kinesis", ("k",), kinesis=Kinesis(stream="edge", shard_id="shard-0")),
            RejectedLine("columns", "", b"", position="49"),
            {"stream": "edge", "shard": "shard-0", "sequence_number": "49"},
            id="stream",
        ),
        pytest.param(
            Origin("-", ("stdin",)),
            RejectedLine("not_gzip", "", b""),
            {"file": "-"},
            id="standard-input",
        ),
    ],
)
def test_the_place_is_told_in_the_terms_of_the_source(
    origin: Origin, rejected: RejectedLine, place: dict[str, object]
) -> None:
    assert place_of(origin, rejected) == place


def test_raw_bytes_of_any_kind_come_back(tmp_path: Path) -> None:
    raw = bytes(range(256))

    DeadLetters(tmp_path, "edge").add([letter(raw)])

    assert base64.b64decode(str(stored(tmp_path)[0]["raw"])) == raw


def test_names_that_are_not_utf8_do_not_break_a_letter() -> None:
    origin = Origin("x", ("x",), file_path=os.fsdecode(b"/logs/\xff.gz"))

    made = DeadLetter(RejectedLine("columns", "", b""), origin).line()

    assert json.loads(made)["source"]["file"] == os.fsdecode(b"/logs/\xff.gz")


def test_what_is_concealed_is_in_no_part_of_a_letter() -> None:
    document = Document("id", "cloudfront.function", 0, {"message": "hidden"})
    layout = Layout("function", ("message",))
    record = RecordBatch(layout, [["secret"]], ["secret"], [7], notes={0: "secret"})
    trace = Trace((document,), record, (0,), concealed=True)
    progress = PayloadProgress(Receipt("a", 0), FILE)
    batch = Batch([document], [Share(progress, 1, trace, layout)])

    [share, rejected] = batch.line_of(document) or ()

    made = DeadLetter(rejected, FILE, layout=layout, sink="search", as_sent=share.concealed)
    assert b"secret" not in made.line()
    assert b"secret" not in base64.b64decode(json.loads(made.line())["raw"])


def test_letters_are_appended_after_a_restart(tmp_path: Path) -> None:
    DeadLetters(tmp_path, "edge").add([letter(line=1), letter(line=2)])

    DeadLetters(tmp_path, "edge").add([letter(line=3)])

    assert [each["source"] for each in stored(tmp_path)] == [
        {"file": "/logs/a.gz", "line": number} for number in (1, 2, 3)
    ]


def test_a_torn_last_letter_is_cut_before_the_next_one(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path, "edge")
    letters.add([letter(line=1)])
    [path] = (tmp_path / "dead_letters").iterdir()
    with path.open("ab") as file:
        file.write(b'{"reason": "colu')

    letters.add([letter(line=2)])

    assert len(stored(tmp_path)) == 2


def test_letters_can_be_read_by_their_owner_only(tmp_path: Path) -> None:
    DeadLetters(tmp_path, "edge").add([letter()])

    folder = tmp_path / "dead_letters"
    [path] = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_no_letters_make_no_file(tmp_path: Path) -> None:
    DeadLetters(tmp_path, "edge").add([])

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../../outside", "a/b", "/etc/edge"])
def test_names_of_pipelines_never_leave_the_folder(tmp_path: Path, name: str) -> None:
    state = tmp_path / "state"

    DeadLetters(state, name).add([letter()])

    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert len(stored(state)) == 1


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")

    with pytest.raises(OSError, match="state"):
        DeadLetters(tmp_path / "state", "edge").add([letter()])


FULL = """
import resource, signal, sys
from pathlib import Path
from cloudfront_ecs import Origin, RejectedLine
from cloudfront_ecs.delivery.dead_letters import DeadLetter, DeadLetters
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
letters = DeadLetters(Path(sys.argv[1]), "edge")
def letter(size):
    return DeadLetter(RejectedLine("columns", "", b"x" * size), Origin("a", ("a",)))
letters.add([letter(10)])
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
try:
    letters.add([letter(10), letter(10_000)])
except OSError:
    print("refused")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
letters.add([letter(20)])
"""


def test_a_full_disk_leaves_whole_letters_only(tmp_path: Path) -> None:
    if resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY:
        pytest.skip("needs an unlimited file size to begin with")

    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], check=True, capture_output=True, text=True
    )

    assert done.stdout == "refused\n"
    sizes = [len(base64.b64decode(str(each["raw"]))) for each in stored(tmp_path)]
    assert sizes == [10, 20]
