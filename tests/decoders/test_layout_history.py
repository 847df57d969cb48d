"""What a stream's layouts were survives restarts, and is never lost in silence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs import Layout, Origin
from cloudfront_ecs.decoders.realtime.history import LayoutHistory, stream_of
from cloudfront_ecs.errors import StateError
from cloudfront_ecs.normalize.documents.aws_fields import AwsS3, Kinesis, S3Bucket

if TYPE_CHECKING:
    from pathlib import Path

OLD = Layout("realtime", ("timestamp", "c-ip"), 10)
NEW = Layout("realtime", ("timestamp", "c-ip", "sc-status"))


def test_a_layout_that_is_replaced_is_kept_with_its_times(tmp_path: Path) -> None:
    LayoutHistory(tmp_path).note("edge", [OLD], 1000.0)
    LayoutHistory(tmp_path).note("edge", [OLD], 5000.0)
    LayoutHistory(tmp_path).note("edge", [NEW], 9000.0)

    old, new = LayoutHistory(tmp_path).known("edge")
    assert (old.layout, old.first_seen, old.last_seen, old.replaced) == (OLD, 1000, 5000, 9000)
    assert (new.layout, new.first_seen, new.last_seen, new.replaced) == (NEW, 9000, 9000, None)


def test_a_layout_that_comes_back_is_configured_again(tmp_path: Path) -> None:
    history = LayoutHistory(tmp_path)
    for moment, layout in ((1000.0, OLD), (2000.0, NEW), (3000.0, OLD)):
        history.note("edge", [layout], moment)

    old, new = LayoutHistory(tmp_path).known("edge")
    assert (old.first_seen, old.since, old.replaced) == (1000, 3000, None)
    assert new.replaced == 3000


def test_streams_have_histories_of_their_own(tmp_path: Path) -> None:
    history = LayoutHistory(tmp_path)
    history.note("one", [OLD], 1000.0)
    history.note("two", [NEW], 1000.0)

    again = LayoutHistory(tmp_path)
    assert [each.layout for each in again.known("one")] == [OLD]
    assert [each.layout for each in again.known("two")] == [NEW]
    assert again.known("three") == ()


def test_two_writers_keep_what_the_other_wrote(tmp_path: Path) -> None:
    first, second = LayoutHistory(tmp_path), LayoutHistory(tmp_path)
    first.note("one", [OLD], 1000.0)
    second.note("two", [NEW], 1000.0)
    first.note("one", [NEW], 2000.0)

    again = LayoutHistory(tmp_path)
    assert [each.layout for each in again.known("one")] == [OLD, NEW]
    assert [each.layout for each in again.known("two")] == [NEW]


def test_what_has_not_changed_is_seldom_written(tmp_path: Path) -> None:
    history = LayoutHistory(tmp_path)
    assert history.note("edge", [OLD], 1000.0)
    before = (tmp_path / "layouts.json").stat().st_mtime_ns

    assert not history.note("edge", [OLD], 1500.0)
    assert (tmp_path / "layouts.json").stat().st_mtime_ns == before
    assert not history.note("edge", [OLD], 1700.0)
    assert LayoutHistory(tmp_path).known("edge")[0].last_seen == 1700


def test_without_a_state_directory_it_lasts_one_run() -> None:
    history = LayoutHistory(None)
    history.note("edge", [OLD], 1000.0)
    history.note("edge", [NEW], 2000.0)

    assert [each.layout for each in history.known("edge")] == [OLD, NEW]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"", "is damaged", id="empty"),
        pytest.param(b'{"version": 1, "streams": {"edge": [', "is damaged", id="torn"),
        pytest.param(b"[]", "is damaged", id="a-list"),
        pytest.param(b'{"version": 1}', "is damaged", id="no-streams"),
        pytest.param(b'{"version": 1, "streams": {"edge": [{}]}}', "is damaged", id="no-columns"),
        pytest.param(b'{"version": 1, "streams": {"edge": 7}}', "is damaged", id="no-list"),
        pytest.param(b'{"version": "x"}', "is not a file of layouts", id="foreign"),
        pytest.param(b'{"version": 2, "streams": {}}', "has format 2", id="newer"),
        pytest.param(b"\xff\xfe", "is damaged", id="not-text"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    (tmp_path / "layouts.json").write_bytes(content)

    with pytest.raises(StateError, match=problem):
        LayoutHistory(tmp_path)
    assert (tmp_path / "layouts.json").read_bytes() == content


def test_another_letter_in_the_name_of_a_column_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "layouts.json"
    LayoutHistory(tmp_path).note("edge", [OLD], 1000.0)
    column = OLD.columns[0]
    path.write_text(path.read_text().replace(column, f"{column[:-1]}x", 1))

    with pytest.raises(StateError, match="is damaged: it is not as it was written"):
        LayoutHistory(tmp_path)


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    LayoutHistory(tmp_path).note("edge", [OLD], 1000.0)
    (tmp_path / "layouts.json.partial").write_text('{"version": 1, "str')

    assert LayoutHistory(tmp_path).known("edge")[0].layout == OLD
    LayoutHistory(tmp_path).note("edge", [NEW], 2000.0)
    assert json.loads((tmp_path / "layouts.json").read_text())["version"] == 1


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StateError, match="cannot be"):
        LayoutHistory(tmp_path / "file" / "state").note("edge", [OLD], 1.0)


def test_streams_and_buckets_have_their_own_names() -> None:
    stream = Origin("x", ("k",), region="eu-west-1", kinesis=Kinesis(stream="edge"))
    bucket = Origin("x", ("s3",), s3=AwsS3(bucket=S3Bucket(name="logs")))

    names = {stream_of(each, "decoder") for each in (stream, bucket, Origin("f", ("file",)))}
    assert names == {"stream eu-west-1 edge", "bucket logs", "decoder decoder"}
