"""Faults of listing mode: files that come late, kills amidst a pass, two at once, no bucket."""

from __future__ import annotations

import re
import signal
import time
from typing import TYPE_CHECKING

from cloudfront_ecs.errors import SourceError
from cloudfront_ecs.failpoints import VARIABLE
from faults.catalogue import fault
from faults.listing_runs import LINES, Listed
from integration.commands import dead_letters, eventually, run, start

if TYPE_CHECKING:
    from faults.lab import Lab


@fault(
    "S8",
    "files a day late and later, found by listing",
    made="beside 40 newer hours: a file 23 and one 24 hours late, a new distribution's old files, "
    "one 30 hours late",
    seen="all but the last in the next pass, that one in the next listing of everything; none twice",
)
def late_files(lab: Lab) -> str:
    listed = Listed(lab)
    for hour in range(40):
        listed.put(hour)
    listed.read()
    listed.assert_all()
    listed.put(39 - 24, 1)
    listed.put(39 - 25, 1)
    for hour in range(3):
        listed.put(hour, distribution="E0EXAMPLE00000")
    listed.put(9, 1)
    later = set(listed.issued[-LINES:])

    listed.read()

    missing = set(listed.issued) - listed.found().keys()
    assert missing == later, f"{len(missing)} lines were not found, {len(later)} may wait"
    # The clock cannot be turned here: another look-back makes the next pass list everything.
    text = listed.config.read_text("utf-8")
    listed.config.write_text(text.replace("poll_seconds", "look_back = 23\npoll_seconds"), "utf-8")
    listed.read()
    listed.assert_all()
    return f"{len(listed.issued)} lines once, {len(later)} of them by the listing of everything"


@fault(
    "S7",
    "object overwritten, seen by listings",
    made="3 of 30 objects get another content between two runs, one of them during a run",
    seen="each content once, under ids of its own",
)
def overwritten(lab: Lab) -> str:
    listed = Listed(lab)
    for hour in range(30):
        listed.put(hour)
    listed.read()
    for hour in (29, 20, 28):
        listed.put(hour)

    listed.read()
    summary = listed.read()

    listed.assert_all()
    assert summary.read == 0, f"a third run read {summary.read} lines"
    return f"{len(listed.issued)} lines of 33 contents once"


@fault(
    "F1",
    "listing killed amidst its first pass",
    made="kill -9 after the 7th of 30 objects is stored as settled",
    seen="the next start says that it goes on; no line is missing, few came twice",
)
def killed_in_a_pass(lab: Lab) -> str:
    listed = Listed(lab)
    for hour in range(30):
        listed.put(hour)
    environment = {**listed.environment, VARIABLE: "checkpointed:7"}
    killed = run("run", "--config", listed.config, "--once", env=environment)
    ended = run("run", "--config", listed.config, "--once", env=listed.environment)

    assert killed.code == -signal.SIGKILL, f"the kill ended with {killed.code}: {killed.err}"
    assert ended.code == 0, ended.err
    told = re.search(r"([\d,]+) objects read, ([\d,]+) were read before", ended.err)
    assert told, f"the last run does not say that it goes on: {ended.err}"
    assert (told[1], told[2]) == ("23", "7"), told[0]
    listed.assert_all(most=2)
    repeated = listed.found().total() - len(listed.issued)
    assert repeated <= 4 * 2 * LINES, f"{repeated} lines came again"
    return f"{len(listed.issued)} lines, {repeated} again; the last start read {told[1]} objects"


@fault(
    "F6",
    "two processes list with one state directory",
    made="a second one is started beside the first, then after its end",
    seen="the second is refused and says by whom; started later it finds nothing to do",
)
def two_at_once(lab: Lab) -> str:
    listed = Listed(lab)
    for hour in range(10):
        listed.put(hour)
    first = start("run", "--config", listed.config, env=listed.environment)
    eventually(lambda: listed.out.exists() and listed.out.stat().st_size > 0)

    refused = run("run", "--config", listed.config, "--once", env=listed.environment)
    eventually(lambda: listed.found().total() == len(listed.issued))
    began = time.monotonic()
    first.terminate()
    ended = first.wait(30)
    took = time.monotonic() - began
    summary = listed.read()

    assert refused.code == 1, f"the second one ended with {refused.code}"
    assert f"in use by process {first.process.pid}" in refused.err, refused.err
    assert (ended.code, summary.read) == (0, 0), f"{ended.code}, {summary.read} read again"
    listed.assert_all()
    return f"refused with 1; {len(listed.issued)} lines once; the first ended in {took:.1f} s"


@fault(
    "S1",
    "bucket missing, then there",
    made="a bucket that does not exist is listed, then it is made and filled",
    seen="an error that names it and no dead letter; a bounded run gives up, one goes on",
)
def bucket_missing(lab: Lab) -> str:
    listed = Listed(lab)
    listed.s3.delete_bucket(Bucket=listed.bucket)
    try:
        listed.read(patience=1.0)
    except SourceError as error:
        said = str(error)
    else:
        raise AssertionError("a run over no bucket ended well")
    assert said.startswith(f"s3://{listed.bucket}/cdn/: NoSuchBucket"), said
    service = start("run", "--config", listed.config, env=listed.environment)
    eventually(lambda: "NoSuchBucket" in service.said())
    listed.s3.create_bucket(Bucket=listed.bucket)
    listed.put(0)

    eventually(lambda: listed.out.exists() and listed.found().total() == LINES)
    service.terminate()
    ended = service.wait(30)

    assert ended.code == 0, ended.err
    listed.assert_all()
    letters = dead_letters(listed.folder / "state")
    assert not letters, f"dead letters: {letters}"
    return f"'{said}', then {LINES} lines once"
