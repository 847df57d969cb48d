"""Replay: dead letters become the documents that a first reading would have made of them."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs import Origin, Payload, Receipt, RejectedLine, WriteResult, hookimpl
from cloudfront_ecs.adapters import NoOptions, SinkSpec
from cloudfront_ecs.batches import Layout, Message, Rejection
from cloudfront_ecs.config import load
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.auto import AutoDecoder, AutoOptions
from cloudfront_ecs.decoders.standard import StandardDecoder, StandardOptions
from cloudfront_ecs.delivery.dead_letters import DeadLetter, DeadLetters, letter_files
from cloudfront_ecs.delivery.kept_letters import LetterFile, Verdict
from cloudfront_ecs.demo.columns import STANDARD_COLUMNS
from cloudfront_ecs.demo.render import in_order, realtime_line, standard_line
from cloudfront_ecs.demo.traffic import requests
from cloudfront_ecs.encoding import json_line
from cloudfront_ecs.errors import SinkBlockedError, StateError
from cloudfront_ecs.normalize.documents.aws_fields import AwsS3, Kinesis, S3Bucket, S3Object
from cloudfront_ecs.pipeline import RunSettings
from cloudfront_ecs.plugins import BUILT_IN, Plugins, importlib
from cloudfront_ecs.replaying import Choice, Replay, Replayed, alone
from cloudfront_ecs.running import open_pipelines
from pipeline_parts import MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from cloudfront_ecs import Document
    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.config import Config

SOME = in_order(
    ("timestamp", "c-ip", "sc-status", "sc-bytes", "cs-method", "cs-host", "cs-uri-stem",
     "x-edge-request-id", "cs-user-agent", "time-taken")
)  # fmt: skip
FEWER = tuple(name for name in SOME if name != "sc-bytes")
TWIN = tuple("cs-referer" if name == "cs-user-agent" else name for name in SOME)
"""As wide as SOME; what differs is viewers' text, so that nothing tells the two apart."""

OBJECT = Origin(
    "s3://logs/AWSLogs/E1EXAMPLE.2026-01-15-20.0a.gz",
    ("s3", "logs", "AWSLogs/E1EXAMPLE.2026-01-15-20.0a.gz", "etag"),
    distribution_id="E1EXAMPLE",
    account_id="123456789012",
    s3=AwsS3(
        bucket=S3Bucket(name="logs", arn="arn:aws-cn:s3:::logs"),
        object=S3Object(key="AWSLogs/E1EXAMPLE.2026-01-15-20.0a.gz"),
    ),
)
SHARD = Origin(
    "edge/shardId-000000000000",
    ("kinesis", "arn:aws:kinesis:eu-west-1:123456789012:stream/edge", "1", "shardId-000000000000"),
    account_id="123456789012",
    region="eu-west-1",
    kinesis=Kinesis(stream="edge", shard_id="shardId-000000000000"),
)
STDIN = Origin("-", ("stdin",), content_identity=True)


@dataclass(slots=True)
class Stage:
    """Configurations over one state directory, with sinks that remember."""

    folder: Path
    sinks: dict[str, MemorySink] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)

    @hookimpl
    def sink_specs(self) -> Iterable[SinkSpec]:
        return [SinkSpec("memory", "Remembers.", NoOptions, self._open)]

    def _open(self, _: NoOptions, context: AdapterContext) -> MemorySink:
        return self.sink(context.name)

    def sink(self, name: str = "one") -> MemorySink:
        return self.sinks.setdefault(name, MemorySink(name))

    @property
    def plugins(self) -> Plugins:
        built_in = [(importlib.import_module(name), name) for name in BUILT_IN]
        return Plugins([*built_in, (self, "stage")])

    def config(
        self, decoder: str = '"auto"', sinks: Sequence[str] = ("one",), more: str = ""
    ) -> Config:
        path = self.folder / "config.toml"
        path.write_text(
            f'state = {{ directory = "{self.folder / "state"}" }}\n'
            f'[sources.logs]\nkind = "files"\npaths = ["{self.folder}/logs/*"]\n'
            + "".join(f'[sinks.{name}]\nkind = "memory"\n' for name in sinks)
            + f'[pipelines.edge]\nsource = "logs"\ndecoder = {decoder}\n'
            f"sinks = {json.dumps(list(sinks))}\n{more}\n",
            "utf-8",
        )
        return load(path, self.plugins)

    def write(self, content: bytes, name: str = "edge.log") -> None:
        (self.folder / "logs").mkdir(exist_ok=True)
        (self.folder / "logs" / name).write_bytes(content)

    def run(self, config: Config) -> None:
        settings = RunSettings(once=True, patience=0.5)
        running = open_pipelines(config, self.plugins, settings, self.stop)
        running.start()
        while not running.wait(1.0):
            pass
        assert not running.failures

    def add(self, *letters: DeadLetter) -> None:
        DeadLetters(self.folder / "state", "edge").add(letters)

    def how(self, config: Config, choice: Choice = Choice(), **more: bool) -> Replay:  # noqa: B008 - frozen
        settings = RunSettings(once=True, patience=0.5)
        return Replay(config, self.plugins, settings, self.stop, choice, **more)

    def replay(self, config: Config, choice: Choice = Choice(), **more: bool) -> Replayed:  # noqa: B008 - frozen
        return self.how(config, choice, **more).run(
            config.pipelines[0], self.files(), lambda _: None
        )

    def rehearse(self, config: Config) -> Replayed:
        return self.how(config).rehearse(config.pipelines[0], self.files(), lambda _: None)

    def files(self) -> list[Path]:
        return letter_files(self.folder / "state").get("edge", [])

    def letters(self) -> list[dict[str, Any]]:
        return [
            json.loads(line) for path in self.files() for line in path.read_bytes().splitlines()
        ]


@pytest.fixture(name="stage")
def _stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def realtime(count: int = 5, columns: Sequence[str] = SOME) -> bytes:
    return b"".join(
        realtime_line(request, columns).encode() + b"\n" for request in requests(3, count)
    )


def decoder(fields: Sequence[str], more: str = "") -> str:
    return f'{{ kind = "realtime", fields = {json.dumps(list(fields))}{more} }}'


def refuse(reason: str) -> Any:
    def answer(documents: Sequence[Document]) -> WriteResult:
        return WriteResult(rejected=tuple(Rejection(each, reason, 400) for each in documents))

    return answer


def bodies(documents: Iterable[Document]) -> list[dict[str, Any]]:
    """Return documents without what depends on when they were made."""
    found = []
    for document in documents:
        body = json.loads(json_line(document))
        body["event"].pop("created", None)
        body["event"].pop("ingested", None)
        body["aws"]["cloudfront"].pop("ingest_delay", None)
        found.append(body | {"_id": document.id})
    return found


def direct(config_stage: Stage, config: Config, tmp_path: Path) -> list[str]:
    """Return the ids that a first reading by *config* would have made, in another state."""
    fresh = Stage(tmp_path / "fresh")
    fresh.folder.mkdir()
    for path in (config_stage.folder / "logs").iterdir():
        fresh.write(path.read_bytes(), path.name)
    text = (config_stage.folder / "config.toml").read_text("utf-8")
    moved = fresh.folder / "config.toml"
    moved.write_text(text.replace(str(config_stage.folder), str(fresh.folder)), "utf-8")
    assert config.path != moved
    fresh.run(load(moved, fresh.plugins))
    return sorted(fresh.sink().held)


def test_letters_become_documents_once_the_layout_is_right(stage: Stage, tmp_path: Path) -> None:
    stage.write(realtime())
    stage.run(stage.config(decoder(FEWER)))
    assert [letter["reason"] for letter in stage.letters()] == ["columns"] * 5
    right = stage.config(decoder(SOME))

    result = stage.replay(right)

    assert (result.removed, result.refused, result.staying) == (5, 0, 0)
    assert sorted(stage.sink().held) == direct(stage, right, tmp_path)
    assert stage.files() == []


def test_two_layouts_that_cannot_be_told_apart_are_read_as_the_configuration_says(
    stage: Stage, tmp_path: Path
) -> None:
    stage.write(realtime())
    twin = json.dumps(list(TWIN))
    stage.run(stage.config(decoder(SOME, f", layouts = [{{ fields = {twin} }}]")))
    assert [letter["reason"] for letter in stage.letters()] == ["layout"] * 5
    right = stage.config(decoder(SOME))

    careful = stage.replay(right)
    told = stage.replay(right, configured_layouts=True)

    assert (careful.removed, careful.refused) == (0, 5)
    assert (told.removed, told.staying) == (5, 0)
    assert sorted(stage.sink().held) == direct(stage, right, tmp_path)
    assert stage.letters() == []


def test_a_letter_that_is_refused_again_stays_once_with_one_attempt_more(stage: Stage) -> None:
    stage.write(realtime(2))
    wrong = stage.config(decoder(FEWER))
    stage.run(wrong)
    before = stage.letters()

    result = stage.replay(wrong)

    assert (result.removed, result.refused, result.staying) == (0, 2, 2)
    assert stage.letters() == [letter | {"attempts": 2} for letter in before]
    assert stage.sink().held == {}


@pytest.mark.parametrize(
    ("origin", "numbers", "position"),
    [
        pytest.param(OBJECT, (3, 4, 7_000), None, id="object"),
        pytest.param(SHARD, (None, 2, 3), "4900", id="message"),
        pytest.param(STDIN, (3, 4, 5), None, id="standard-input"),
    ],
)
def test_documents_are_those_of_a_first_reading(
    stage: Stage, origin: Origin, numbers: tuple[int | None, ...], position: str | None
) -> None:
    lines = [standard_line(request).encode() for request in requests(5, 3)]
    conversion = Conversion(AutoDecoder(AutoOptions(fields=STANDARD_COLUMNS)), ())
    expected = []
    for line, number in zip(lines, numbers, strict=True):
        at = (number or 1) - 1
        payload = Payload(Receipt("x", 0), origin, [b"\n" * at + line + b"\n"])
        if position is not None:
            data = b"2026-01-15\n" * at + line
            payload = Payload(Receipt("x", 0), origin, messages=[Message(data, position)])
        expected += [d for part in conversion.convert(payload) for d in part.documents]
        rejected = RejectedLine("rejected", "one: no", line, number, position)
        stage.add(DeadLetter(rejected, origin, sink="one"))
    fields = json.dumps(list(STANDARD_COLUMNS))

    result = stage.replay(stage.config(f'{{ kind = "auto", fields = {fields} }}'))

    assert result.staying == 0
    assert bodies(stage.sink().held.values()) == bodies(expected)


def test_the_header_of_the_file_counts_when_its_line_is_read_again(
    stage: Stage, tmp_path: Path
) -> None:
    columns = ("cs-uri-stem", "date", "time", "x-custom", "c-ip")
    header = b"#Version: 1.0\n#Fields: " + " ".join(columns).encode() + b"\n"
    rows = b"/a%20b\t2026-01-15\t20:01:07\tnew\t192.0.2.1\n/c\t2026-01-15\t20:01:08\t-\t192.0.2.2\n"
    stage.write(header + rows)
    config = stage.config('{ kind = "standard", fields = ["date", "time", "c-ip"] }')
    stage.sink().always = refuse("400 mapper_parsing_exception")
    stage.run(config)
    [first, _] = stage.letters()
    assert first["layout"] == {
        "log": "standard", "columns": list(columns), "named_by": "header",
    }  # fmt: skip

    stage.sink().always = None
    result = stage.replay(config)

    assert result.staying == 0
    assert sorted(stage.sink().held) == direct(stage, config, tmp_path)
    paths = [body["url"]["path"] for body in bodies(stage.sink().held.values())]
    assert paths == ["/a b", "/c"]


def test_columns_that_were_configured_are_those_of_today(stage: Stage, tmp_path: Path) -> None:
    stage.write(b"2026-01-15\t20:01:07\t192.0.2.1\t200\n")
    stage.run(stage.config('{ kind = "standard", fields = ["date", "time", "c-ip"] }'))
    assert "named_by" not in stage.letters()[0]["layout"]
    right = stage.config('{ kind = "standard", fields = ["date", "time", "c-ip", "sc-status"] }')

    result = stage.replay(right)

    assert (result.removed, result.staying) == (1, 0)
    assert sorted(stage.sink().held) == direct(stage, right, tmp_path)


def test_a_row_of_parquet_is_read_by_the_columns_of_its_file(stage: Stage) -> None:
    layout = Layout("standard", ("c-ip", "date", "time"), named_by="parquet")
    rejected = RejectedLine("rejected", "", b"192.0.2.1\t2026-01-15\t20:01:07", 9)
    stage.add(DeadLetter(rejected, OBJECT, layout=layout, sink="one"))

    result = stage.replay(stage.config('{ kind = "auto", delimiter = "|" }'))

    assert result.staying == 0
    [body] = bodies(stage.sink().held.values())
    assert body["source"]["ip"] == "192.0.2.1"


def test_a_document_kept_as_it_was_sent_goes_as_it_is(stage: Stage) -> None:
    body = {
        "@timestamp": "2026-01-15T20:01:07.148Z",
        "event": {"id": "AABpaUezabcdefghijklmnopqrstuv", "dataset": "cloudfront.standard"},
        "data_stream": {"dataset": "cloudfront.standard"},
    }
    rejected = RejectedLine("rejected", "", json.dumps(body).encode(), 3)
    stage.add(DeadLetter(rejected, OBJECT, sink="one", as_sent=True))

    result = stage.replay(stage.config())

    assert result.staying == 0
    [document] = stage.sink().held.values()
    assert (document.id, document.dataset) == (body["event"]["id"], "cloudfront.standard")
    assert document.time_ns == 1_768_507_267_148_000_000
    assert json.loads(json_line(document)) == body


@pytest.mark.parametrize(
    ("rejected", "as_sent"),
    [
        pytest.param(RejectedLine("too_long", "", b"x", 3, length=2_000_000), False, id="long"),
        pytest.param(RejectedLine("truncated", "", b"half"), False, id="rest-of-an-object"),
        pytest.param(RejectedLine("rejected", "", b"", 3), True, id="nothing-kept"),
    ],
)
def test_what_is_no_whole_record_is_not_tried(
    stage: Stage, rejected: RejectedLine, *, as_sent: bool
) -> None:
    stage.add(DeadLetter(rejected, OBJECT, as_sent=as_sent))
    before = stage.letters()

    result = stage.replay(stage.config())

    assert result.unfit == {rejected.reason: 1}
    assert result.staying == 1
    assert stage.letters() == before


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"#Version: 1.0", id="none"),
        pytest.param(b"2026-01-15\t20:01:07\n2026-01-15\t20:01:08", id="two"),
    ],
)
def test_bytes_that_are_not_exactly_one_record_stay(stage: Stage, raw: bytes) -> None:
    stage.add(DeadLetter(RejectedLine("header", "", raw, 3), OBJECT))

    result = stage.replay(stage.config('{ kind = "standard", fields = ["date", "time"] }'))

    assert (result.removed, result.refused) == (0, 1)
    [letter] = stage.letters()
    assert (letter["attempts"], base64.b64decode(letter["raw"])) == (2, raw)


def test_what_a_sink_refuses_stays_and_goes_to_that_sink_alone_next_time(stage: Stage) -> None:
    stage.write(realtime(3))
    stage.run(stage.config(decoder(FEWER), ("one", "two")))
    right = stage.config(decoder(SOME), ("one", "two"))
    stage.sink("two").always = refuse("400 mapper_parsing_exception")

    first = stage.replay(right)

    assert (first.removed, first.refused, first.staying) == (0, 3, 3)
    assert {(each["reason"], each["sink"], each["attempts"]) for each in stage.letters()} == {
        ("rejected", "two", 2)
    }
    stage.sink("two").always = None
    writes = len(stage.sink("one").writes)

    second = stage.replay(right)

    assert (second.removed, second.staying) == (3, 0)
    assert len(stage.sink("one").writes) == writes
    assert list(stage.sink("two").held) == list(stage.sink("one").held)


def test_a_letter_of_a_sink_that_is_no_more_goes_to_all(stage: Stage) -> None:
    raw = realtime(1).rstrip(b"\n")
    stage.add(DeadLetter(RejectedLine("rejected", "", raw, 1), OBJECT, sink="gone"))

    stage.replay(stage.config(decoder(SOME), ("one", "two")))

    assert len(stage.sink("one").held) == len(stage.sink("two").held) == 1


def test_a_blocked_sink_ends_the_replay_and_every_letter_stays_as_it_is(stage: Stage) -> None:
    stage.write(realtime())
    stage.run(stage.config(decoder(FEWER)))
    before = stage.letters()

    def blocked(_: Sequence[Document]) -> WriteResult:
        raise SinkBlockedError("403")

    stage.sink().always = blocked

    result = stage.replay(stage.config(decoder(SOME)))

    assert [type(error) for error in result.failures] == [SinkBlockedError]
    assert result.staying == 5
    assert stage.letters() == before


def test_reasons_and_times_choose(stage: Stage) -> None:
    lines = realtime(2).splitlines()
    stage.add(DeadLetter(RejectedLine("layout", "", lines[0], 1), OBJECT))
    stage.add(DeadLetter(RejectedLine("columns", "", lines[1], 2), OBJECT))
    config = stage.config(decoder(SOME))
    [file] = map(LetterFile, stage.files())
    later: datetime = max(letter.time for letter in file.letters()).replace(year=2999)

    none = stage.replay(config, Choice(since=later))
    one = stage.replay(config, Choice(frozenset({"layout"})))

    assert (none.removed, none.found.others.total()) == (0, 2)
    assert (one.removed, one.found.others) == (1, {"columns": 1})
    assert [letter["reason"] for letter in stage.letters()] == ["columns"]


def test_filtered_records_have_found_their_end(stage: Stage) -> None:
    stage.write(realtime(2))
    stage.run(stage.config(decoder(FEWER)))
    condition = '{ field = "http.request.method", op = "exists", value = true }'
    drop = f'transforms = [{{ kind = "filter", drop = {condition} }}]'
    config = stage.config(decoder(SOME), more=drop)

    result = stage.replay(config)

    assert (result.removed, result.staying) == (2, 0)
    assert stage.sink().held == {}


def test_a_rehearsal_counts_and_writes_nothing(stage: Stage) -> None:
    stage.write(realtime(4))
    stage.run(stage.config(decoder(FEWER)))
    stage.add(DeadLetter(RejectedLine("columns", "", b"bad", 9), OBJECT))
    state = {p: p.read_bytes() for p in (stage.folder / "state").rglob("*") if p.is_file()}

    result = stage.rehearse(stage.config(decoder(SOME)))

    assert (result.removed, result.refused) == (4, 1)
    assert stage.sink().held == {}
    assert {p: p.read_bytes() for p in (stage.folder / "state").rglob("*") if p.is_file()} == state


def test_letters_that_come_in_meanwhile_are_kept_for_the_next_time(stage: Stage) -> None:
    stage.write(realtime(3))
    stage.run(stage.config(decoder(FEWER)))
    late = DeadLetter(RejectedLine("columns", "", b"late", 9), OBJECT)

    def store(documents: Sequence[Document]) -> WriteResult:
        stage.add(late)
        return stage.sink().store(documents)

    stage.sink().always = store

    result = stage.replay(stage.config(decoder(SOME)))

    assert (result.removed, result.staying) == (3, 0)
    assert [base64.b64decode(letter["raw"]) for letter in stage.letters()] == [b"late"]


def test_a_writer_that_waited_for_the_file_writes_into_the_new_one(stage: Stage) -> None:
    """A file that is replaced or removed under a waiting writer must not swallow its letters."""
    for _ in range(30):
        old = DeadLetter(RejectedLine("columns", "", b"old", 1), OBJECT)
        stage.add(old)
        [file] = [LetterFile(path) for path in stage.files()]
        for letter in [*file.letters()]:
            if letter.raw == b"old":
                file.delivered(letter)
        new = DeadLetter(RejectedLine("columns", "", b"new", 1), OBJECT)
        writer = threading.Thread(target=stage.add, args=[new])
        writer.start()
        file.write_back()
        writer.join()

    assert [base64.b64decode(letter["raw"]) for letter in stage.letters()] == [b"new"] * 30


def test_lines_that_are_no_letters_stay_and_are_counted(stage: Stage) -> None:
    stage.add(DeadLetter(RejectedLine("columns", "", realtime(1).strip(), 1), OBJECT))
    [path] = stage.files()
    path.write_bytes(b"{}\n" + path.read_bytes() + b'{"torn')

    result = stage.replay(stage.config(decoder(SOME)))

    assert (result.removed, result.staying) == (1, 1)
    assert path.read_bytes() == b'{}\n{"torn'


def test_a_file_that_cannot_be_replaced_stays_as_it_was(stage: Stage) -> None:
    stage.add(DeadLetter(RejectedLine("columns", "", b"a", 1), OBJECT))
    stage.add(DeadLetter(RejectedLine("columns", "", b"b", 2), OBJECT))
    [path] = stage.files()
    before = path.read_bytes()
    file = LetterFile(path)
    first, second = file.letters()
    file.delivered(first)
    file.refused_again(second, Verdict("columns", ""))
    path.with_name(f"{path.name}.partial").mkdir()

    with pytest.raises(StateError, match="cannot be written"):
        file.write_back()

    assert path.read_bytes() == before


def test_a_crash_before_letters_are_taken_out_delivers_them_again_under_the_same_ids(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.write(realtime())
    stage.run(stage.config(decoder(FEWER)))
    before = stage.letters()
    right = stage.config(decoder(SOME))

    def crash(_: LetterFile) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LetterFile, "write_back", crash)
        with pytest.raises(KeyboardInterrupt):
            stage.replay(right)
    [path] = stage.files()
    path.with_name(f"{path.name}.partial").write_bytes(b"half a lett")
    ids = list(stage.sink().held)
    assert stage.letters() == before

    result = stage.replay(right)

    assert len(ids) == 5
    assert [summary.sinks["one"]["duplicate"] for summary in result.summaries] == [5]
    assert list(stage.sink().held) == ids
    assert [*path.parent.iterdir()] == []


def test_a_second_replay_is_kept_out(tmp_path: Path) -> None:
    with (
        alone(tmp_path),
        pytest.raises(StateError, match="another replay is running"),
        alone(tmp_path),
    ):
        pass


def test_letters_of_the_writer_tell_the_header_they_stood_under() -> None:
    decode = Conversion(StandardDecoder(StandardOptions()), ()).convert
    content = b"#Fields: date time c-ip\n2026-01-15\t20:01:07\n"

    parts = [*decode(Payload(Receipt("x", 0), OBJECT, [content]))]

    [(reject, layout)] = [(reject, part.layout) for part in parts for reject in part.rejects]
    assert (reject.reason, layout and layout.named_by) == ("columns", "header")
