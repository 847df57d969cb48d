"""Failpoints end the process where they are told to, and do nothing else."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import cloudfront_ecs
from cloudfront_ecs.demo.columns import STANDARD_COLUMNS
from cloudfront_ecs.errors import ConfigError
from cloudfront_ecs.failpoints import FAILPOINTS, VARIABLE, choose, chosen, reach, sending
from faults.judge import Verdict, judge_documents, received_in, stored_in
from faults.producer import Lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers.forward import ForwardServer
    from servers.search_node import SearchNode

IN_SINKS = ("half_sent", "sent", "answered", "half_counted")
Signals = list[tuple[int, int]]


@pytest.fixture(name="signals")
def _signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[Signals]:
    """Return the signals that would have been sent."""
    sent: Signals = []
    monkeypatch.setattr(os, "kill", lambda *signal_: sent.append(signal_))
    yield sent
    choose("")


def test_nothing_happens_at_a_failpoint_that_nobody_chose(signals: Signals) -> None:
    choose("")

    for name in FAILPOINTS:
        reach(name)
    request = b"a request"
    parts = list(sending(request))

    assert signals == []
    assert len(parts) == 1
    assert parts[0] is request


def test_only_the_chosen_failpoint_ends_the_process_and_at_the_chosen_time(
    signals: Signals,
) -> None:
    choose("answered:3")

    for _ in range(2):
        for name in FAILPOINTS:
            reach(name)
    before = list(signals)
    reach("answered")

    assert chosen() == "answered"
    assert before == []
    assert signals == [(os.getpid(), signal.SIGKILL)]


def test_a_request_is_cut_where_the_process_is_to_end_in_the_midst_of_it(
    signals: Signals,
) -> None:
    choose("half_sent")
    parts = sending(b"0123456789")

    first = next(parts)
    before = list(signals)
    second = next(parts)

    assert (first, second) == (b"01234", b"56789")
    assert before == []
    assert signals == [(os.getpid(), signal.SIGKILL)]
    assert list(parts) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("chekpointed", "unknown failpoint 'chekpointed' .did you mean 'checkpointed'"),
        (":2", "unknown failpoint ''"),
        ("sent:", ""),
        ("sent:0", "'0' is not a number"),
        ("sent:-1", "'-1' is not a number"),
        ("sent:x", "'x' is not a number"),
    ],
)
def test_a_failpoint_that_cannot_be_reached_is_refused(
    text: str, problem: str, signals: Signals
) -> None:
    if problem:
        with pytest.raises(ConfigError, match=problem):
            choose(text)
    else:
        choose(text)

    assert chosen() == ("" if problem else "sent")
    assert signals == []


def test_a_command_with_an_unknown_failpoint_does_not_start() -> None:
    ended = subprocess.run(
        [sys.executable, "-I", "-m", "cloudfront_ecs", "adapters"],
        env={**os.environ, VARIABLE: "chekpointed"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "did you mean 'checkpointed'?" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_failpoint_stands_somewhere_and_no_other_one_does() -> None:
    package = Path(cloudfront_ecs.__file__).parent
    placed = {
        call.args[0].value
        for path in package.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        if call.func.id == "reach" and isinstance(call.args[0], ast.Constant)
    }

    assert placed == FAILPOINTS.keys()


@pytest.mark.integration
@pytest.mark.parametrize("name", IN_SINKS)
def test_a_receiver_gets_every_line_although_its_sender_is_killed(
    name: str, forward_server: Callable[..., ForwardServer], tmp_path: Path
) -> None:
    receiver = forward_server()
    lines = Lines("standard", seed=11)
    sink = f'kind = "fluentd"\nservers = ["127.0.0.1:{receiver.port}"]\nchunk_bytes = 32768\n'

    codes = kill_and_run(name, lines, sink, tmp_path)
    receiver.wait_for(sum(1 for _ in lines.oracle.documents()))

    verdict = Verdict()
    judge_documents(verdict, lines.oracle, "receiver", received_in(receiver.path))
    assert codes == [-signal.SIGKILL, 3]
    assert verdict.misses == []


@pytest.mark.integration
@pytest.mark.parametrize("name", IN_SINKS)
def test_a_search_node_holds_every_line_once_although_its_sender_is_killed(
    name: str, opensearch: SearchNode, unique: Callable[[str], str], tmp_path: Path
) -> None:
    lines = Lines("standard", seed=12)
    namespace = unique("killed").replace("-", "_")
    sink = f'kind = "elastic"\nhosts = ["{opensearch.url}"]\nbulk_bytes = 32768\n'

    codes = kill_and_run(name, lines, f"{sink}namespace = {namespace!r}\n", tmp_path)

    verdict = Verdict()
    hits = stored_in(opensearch, f"logs-cloudfront.standard-{namespace}")
    found = judge_documents(verdict, lines.oracle, "search", (hit["_source"] for hit in hits))
    assert codes == [-signal.SIGKILL, 3]
    assert verdict.misses == []
    assert set(found.values()) == {1}


def kill_and_run(name: str, lines: Lines, sink: str, folder: Path) -> list[int]:
    """Run twice, the first time up to the failpoint *name*; return how both ended."""
    head = "#Version: 1.0\n#Fields: " + " ".join(STANDARD_COLUMNS) + "\n"
    made = lines.next(300)
    (folder / "some.log").write_bytes(head.encode() + b"".join(line + b"\n" for line in made))
    config = folder / "cloudfront-ecs.toml"
    config.write_text(
        f"""\
[state]
directory = {json.dumps(str(folder / "state"))}
[sources.logs]
kind = "files"
paths = [{json.dumps(str(folder / "some.log"))}]
[sinks.only]
{sink}
[pipelines.killed]
source = "logs"
sinks = ["only"]
original = true
""",
        "utf-8",
    )
    command = [sys.executable, "-I", "-m", "cloudfront_ecs"]
    subprocess.run([*command, "setup", "--config", str(config)], check=True, capture_output=True)
    return [
        subprocess.run(
            [*command, "run", "--once", "--config", str(config)],
            env={**os.environ, VARIABLE: failpoint}, capture_output=True, check=False, timeout=60,
        ).returncode
        for failpoint in (name, "")
    ]  # fmt: skip
