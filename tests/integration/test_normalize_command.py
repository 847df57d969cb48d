"""``normalize`` as a filter among others, without any server."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import subprocess
from importlib.metadata import version
from typing import IO, TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.demo.columns import STANDARD, STANDARD_COLUMNS
from cloudfront_ecs.demo.day import DAY_COLUMNS, standard_file
from cloudfront_ecs.demo.render import STANDARD_HEADER
from integration.cloud import realtime_lines, request_id, standard_lines
from integration.commands import COMMAND, json_lines, run
from normalize.parquet_files import parquet_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.integration

HEADER = STANDARD_HEADER.encode()


def _documents(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def _ids(text: str) -> list[str]:
    return [document["http"]["request"]["id"] for document in _documents(text)]


def _ask(process: subprocess.Popen[bytes], line: bytes) -> dict[str, Any]:
    """Write one line and return the document that comes out before anything else goes in."""
    stdin, stdout = _pipes(process)
    stdin.write(line)
    stdin.flush()
    return dict(json.loads(stdout.readline()))


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin
    assert process.stdout
    return process.stdin, process.stdout


@pytest.mark.parametrize("log", ["standard", "realtime"])
def test_a_line_comes_out_as_soon_as_it_is_complete(log: str) -> None:
    options = [] if log == "standard" else ["--fields", ",".join(DAY_COLUMNS)]
    lines = (standard_lines if log == "standard" else realtime_lines)(4, seed=41)
    columns = STANDARD_COLUMNS if log == "standard" else DAY_COLUMNS
    process = subprocess.Popen(
        [*COMMAND, "normalize", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        stdin, stdout = _pipes(process)
        if log == "standard":
            stdin.write(HEADER)

        answers = [_ask(process, line + b"\n") for line in lines[:3]]
        stdin.write(lines[3])  # the end of the input completes it
        stdin.close()
        answers.append(json.loads(stdout.readline()))

        assert stdout.read() == b""
    assert [answer["http"]["request"]["id"] for answer in answers] == [
        request_id(line, columns) for line in lines
    ]
    assert process.returncode == 0


def test_a_reader_that_leaves_early_ends_it_quietly(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(standard_file(standard_lines(5_000, seed=42)))
    process = subprocess.Popen(
        [*COMMAND, "normalize", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout

    first = json.loads(process.stdout.readline())
    process.stdout.close()
    with process:
        assert process.stderr
        said = process.stderr.read()

    assert first["event"]["dataset"] == "cloudfront.standard"
    assert (process.returncode, said) == (0, b"")


def test_in_a_shell_pipe_head_sees_its_line_and_nobody_complains(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(standard_file(standard_lines(5_000, seed=42)))
    command = " ".join(COMMAND)

    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} normalize {path} | head -1"],
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 1


def test_gzip_and_plain_text_come_from_standard_input_alike() -> None:
    lines = standard_lines(100, seed=43)
    packed = standard_file(lines, members=3)

    from_gzip = run("normalize", stdin=packed)
    from_plain = run("normalize", "-", stdin=gzip.decompress(packed))

    assert from_gzip.code == from_plain.code == 0
    assert _ids(from_gzip.out) == _ids(from_plain.out) == [request_id(line) for line in lines]
    assert from_gzip.err == from_plain.err == ""


def test_several_files_are_read_in_turn_and_the_same_input_gives_the_same_ids(
    tmp_path: Path,
) -> None:
    lines = standard_lines(60, seed=44)
    paths = [tmp_path / "one.gz", tmp_path / "two.log", tmp_path / "[three]*.gz"]
    paths[0].write_bytes(standard_file(lines[:20]))
    paths[1].write_bytes(HEADER + b"\r\n".join(lines[20:40]))
    paths[2].write_bytes(standard_file(lines[40:]))

    first, second = (run("normalize", *paths) for _ in range(2))

    assert (first.code, first.err) == (0, "")
    assert _ids(first.out) == [request_id(line) for line in lines]
    documents = _documents(first.out)
    assert {document["log"]["file"]["path"] for document in documents} == set(map(str, paths))
    assert [one["event"]["id"] for one in documents] == [
        two["event"]["id"] for two in _documents(second.out)
    ]


def test_refused_lines_go_to_the_rejects_file_with_place_reason_and_bytes(tmp_path: Path) -> None:
    lines = standard_lines(3, seed=45)
    rejects = tmp_path / "refused.ndjson"
    log = tmp_path / "log"
    bad = b"2026-01-15\t\xff\xfe short"
    log.write_bytes(HEADER + b"\n".join([lines[0], bad, lines[1], lines[2] + b"\textra"]) + b"\n")

    ended = run("normalize", "--rejects", rejects, log)

    assert ended.code == 3
    assert _ids(ended.out) == [request_id(line) for line in lines[:2]]
    assert ended.err == f"cloudfront-ecs: 2 lines were refused (see {rejects})\n"
    first, second = json_lines(rejects)
    assert base64.b64decode(first.pop("raw")) == bad
    assert base64.b64decode(second.pop("raw")) == lines[2] + b"\textra"
    assert first.pop("time") <= second.pop("time")
    assert first.pop("identity") == second.pop("identity")
    for letter, number, found in ((first, 4, 2), (second, 6, 34)):
        assert letter == {
            "reason": "columns",
            "detail": f"33 columns expected, {found} found",
            "source": {"file": str(log), "line": number},
            "attempts": 1,
        }


def test_without_a_rejects_file_the_count_says_how_to_keep_them() -> None:
    ended = run("normalize", stdin=HEADER + b"nonsense\n")

    assert (ended.code, ended.out) == (3, "")
    assert ended.err == "cloudfront-ecs: 1 line was refused (give --rejects FILE to keep it)\n"


def test_rejects_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    rejects = tmp_path / "refused.ndjson"
    rejects.write_text("old\n")

    ended = run("normalize", "--rejects", rejects, stdin=HEADER)

    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert rejects.read_bytes() == b""


@pytest.mark.parametrize("separator", [",", " ", "\n", ", "])
def test_fields_may_come_from_a_file(tmp_path: Path, separator: str) -> None:
    names = tmp_path / "columns"
    names.write_text(separator.join(reversed(DAY_COLUMNS)) + "\n")
    lines = realtime_lines(10, seed=46)

    ended = run("normalize", "--fields", f"@{names}", stdin=b"\n".join(lines))

    assert (ended.code, ended.err) == (0, "")
    assert _ids(ended.out) == [request_id(line, DAY_COLUMNS) for line in lines]


def test_fields_explain_a_standard_log_without_header() -> None:
    lines = standard_lines(10, seed=47)

    ended = run("normalize", "--fields", STANDARD.replace(" ", ","), stdin=b"\n".join(lines))

    assert (ended.code, ended.err) == (0, "")
    assert _ids(ended.out) == [request_id(line) for line in lines]


@pytest.mark.parametrize("format_", ["auto", "standard", "realtime"])
def test_an_unknown_field_is_a_usage_error_with_the_nearest_name(format_: str) -> None:
    ended = run("normalize", "--format", format_, "--fields", "timestamp,sc-statu")

    assert (ended.code, ended.out) == (2, "")
    assert "unknown column 'sc-statu' (did you mean 'sc-status'?)" in ended.err
    assert "--fields" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["missing.gz"], "missing.gz", id="file"),
        pytest.param(["--fields", "@missing"], "missing: No such file", id="fields-file"),
        pytest.param(["--format", "standrd"], "standrd", id="format"),
        pytest.param(["--format", "realtime"], "--fields", id="realtime-without-fields"),
        pytest.param(["--format", "json", "--fields", "date"], "takes no --fields", id="fields"),
        pytest.param(["--format", "parquet", "--delimiter", ","], "takes no --delimiter",
                     id="no-delimiter"),
        pytest.param(["--delimiter", "123456"], "1 to 5 characters", id="delimiter"),
        pytest.param(["--no-such-option"], "--no-such-option", id="option"),
        pytest.param(["--rejects", "/nowhere/at/all"], "/nowhere/at/all", id="rejects"),
    ],
)  # fmt: skip
def test_wrong_usage_ends_with_2_and_says_what(arguments: list[str], said: str) -> None:
    ended = run("normalize", *arguments)

    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert "Traceback" not in ended.err


def _as_json(lines: list[bytes]) -> bytes:
    rows = (line.decode().split("\t") for line in lines)
    return "\n".join(
        json.dumps(dict(zip(STANDARD_COLUMNS, row, strict=True))) for row in rows
    ).encode()


def _as_parquet(lines: list[bytes]) -> bytes:
    names = "\t".join(re.sub(r"\W+", "_", c.lower()).strip("_") for c in STANDARD_COLUMNS)
    return parquet_of(names + "\n" + b"\n".join(lines).decode())


@pytest.mark.parametrize(
    ("format_", "written"),
    [
        pytest.param("json", _as_json, id="json"),
        pytest.param("parquet", _as_parquet, id="parquet"),
        pytest.param("standard", lambda lines: HEADER + b"\n".join(lines), id="w3c"),
    ],
)
def test_every_form_of_a_standard_log_is_known_by_its_content(
    tmp_path: Path, format_: str, written: Callable[[list[bytes]], bytes]
) -> None:
    lines = standard_lines(20, seed=49)
    log = tmp_path / "misleading.txt"
    log.write_bytes(gzip.compress(written(lines)))

    by_content = run("normalize", log)
    by_name = run("normalize", "--format", format_, log)

    assert (by_content.code, by_content.err) == (0, "")
    assert _ids(by_content.out) == _ids(by_name.out) == [request_id(line) for line in lines]


@pytest.mark.parametrize("delimiter", ["|", "\\t", "<->"])
def test_values_may_have_another_delimiter(delimiter: str) -> None:
    lines = standard_lines(10, seed=50)
    between = delimiter.replace("\\t", "\t").encode()
    stdin = b"\n".join(line.replace(b"\t", between) for line in lines)

    ended = run(
        "normalize", "--delimiter", delimiter, "--fields", STANDARD.replace(" ", ","), stdin=stdin
    )

    assert (ended.code, ended.err) == (0, "")
    assert _ids(ended.out) == [request_id(line) for line in lines]


def test_a_file_that_turns_into_another_format_is_refused_from_there_on(tmp_path: Path) -> None:
    lines = standard_lines(4, seed=51)
    rejects, log = tmp_path / "refused.ndjson", tmp_path / "log"
    log.write_bytes(_as_json(lines[:2]) + b"\n" + HEADER + b"\n".join(lines[2:]))

    ended = run("normalize", "--rejects", rejects, log)

    assert ended.code == 3
    assert _ids(ended.out) == [request_id(line) for line in lines[:2]]
    places = [(letter["reason"], letter["source"]["line"]) for letter in json_lines(rejects)]
    assert places == [("foreign", number) for number in (3, 4, 5, 6)]


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "pyarrow.py").write_text("raise ImportError")
    log = tmp_path / "log"
    log.write_bytes(_as_parquet(standard_lines(1, seed=52)))

    ended = run("normalize", log, env={"PYTHONPATH": str(tmp_path)})

    assert (ended.code, ended.out) == (2, "")
    assert "pip install 'cloudfront-ecs[parquet]'" in ended.err
    assert "Traceback" not in ended.err


def test_the_user_agent_and_the_original_line_are_choices() -> None:
    line = standard_lines(1, seed=48)[0]
    stdin = HEADER + line

    plain = _documents(run("normalize", "--no-user-agent", "--original", stdin=stdin).out)[0]
    usual = _documents(run("normalize", stdin=stdin).out)[0]

    assert set(plain["user_agent"]) == {"original"}
    assert plain["event"]["original"] == line.decode()
    assert usual["user_agent"].keys() > plain["user_agent"].keys()
    assert "original" not in usual["event"]


@pytest.mark.parametrize(
    "content", [pytest.param(b"", id="nothing"), pytest.param(HEADER, id="headers-only")]
)
def test_an_empty_log_is_no_error(content: bytes) -> None:
    assert run("normalize", stdin=content) == (0, "", "")


VERBS = ["", "normalize", "run", "check", "setup", "adapters", "demo"]


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_an_example_on_every_level(verb: str) -> None:
    ended = run(*([verb] if verb else []), "--help")

    assert (ended.code, ended.err) == (0, "")
    _, _, examples = ended.out.partition("Example")
    assert f"  cloudfront-ecs {verb}" in examples


def test_help_names_every_verb() -> None:
    listed = run("--help").out.partition("Commands:")[2]

    names = [line.split()[0] for line in listed.splitlines() if line.startswith("  ")]

    assert set(VERBS) - {""} <= set(names)


def test_the_version_is_that_of_the_distribution() -> None:
    ended = run("--version")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.strip().endswith(version("cloudfront-ecs"))


def test_an_unknown_verb_is_a_usage_error() -> None:
    ended = run("normalise")

    assert (ended.code, ended.out) == (2, "")
    assert "No such command 'normalise'" in ended.err


@pytest.mark.parametrize("no_color", ["1", ""])
def test_on_a_terminal_no_color_means_no_escape_codes(tmp_path: Path, no_color: str) -> None:
    """Colours only where there is a terminal and nobody asked for none."""
    out = tmp_path / "demo"
    master, terminal = os.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": no_color}
    process = subprocess.Popen(
        [*COMMAND, "demo", "--requests", "1000", "--out", out],
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
        env=env,
    )
    os.close(terminal)
    seen = b""
    try:
        while piece := os.read(master, 65_536):
            seen += piece
    except OSError:  # how a terminal ends
        pass
    os.close(master)

    assert process.wait(60) == 0
    assert b"What came in" in seen
    assert (b"\x1b[" in seen) is (not no_color)


def test_colours_never_reach_a_pipe(tmp_path: Path) -> None:
    ended = run("demo", "--requests", "1000", "--out", tmp_path / "demo")

    assert ended.code == 0, ended.err
    assert "\x1b" not in ended.out + ended.err
