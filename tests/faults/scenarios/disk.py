"""F3 and F4: what lies on the disk is older than thought, or finds no room."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

from cloudfront_ecs.delivery.checkpoints.store import Checkpoint, SqliteCheckpoints
from cloudfront_ecs.sources.s3.settled import SettledObjects
from faults.catalogue import fault
from faults.program import Program
from faults.record_route import RecordRoute
from faults.routes import SOURCE, QueueRoute, copied
from sinks.scripted_bulk import scripted_bulk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faults.lab import Lab

HEADER, FRAME = 32, 24 + 4096
"""Bytes of the header of an SQLite write-ahead log, and of each page in it."""

SAVES = 12


@fault(
    "F3",
    "power loss, the stores of positions",
    made="the write-ahead log cut at and in each of its pages, or lost; a new store half made",
    seen="the newest whole position, of all partitions together; never an error",
)
def cut_stores(lab: Lab) -> str:
    store, folder = lab.folder / "checkpoints.sqlite3", lab.folder / "cut"
    opened = SqliteCheckpoints(store)
    for number in range(1, SAVES + 1):
        opened.save({name: Checkpoint(f"{number}", 1.0) for name in ("one", "two")})
    states = list(_cuts(store, folder))
    opened.close()
    positions = []
    for state in states:
        with closing(SqliteCheckpoints(state)) as found:
            one, two = found.load("one"), found.load("two")
        assert one == two, f"a save was stored in part: {one}, {two}"
        positions.append(int(one.position) if one else 0)
    assert positions == sorted(positions), f"a longer log has an older position: {positions}"
    assert (positions[0], positions[-1]) == (0, SAVES), positions
    assert set(positions) == set(range(SAVES + 1)), f"not every save is one: {positions}"

    record = lab.folder / "settled.sqlite3"
    settled = SettledObjects(record, "logs")
    for number in range(SAVES):
        settled.add(f"key-{number:02d}", "etag")
        settled.store()
    objects = []
    states = list(_cuts(record, folder))
    settled.close()
    for state in states:
        with closing(SettledObjects(state, "logs")) as known:
            objects.append(len(known.between("", None)))
    assert objects == sorted(objects), f"a longer log knows fewer objects: {objects}"
    assert (objects[0], objects[-1]) == (0, SAVES), objects

    half = lab.folder / "new.sqlite3"
    half.with_name("new.sqlite3.partial").write_bytes(store.read_bytes()[:5000])
    with closing(SqliteCheckpoints(half)) as new:
        assert new.partitions() == ()
    return f"{len(positions)} + {len(objects)} states, each with the newest whole position"


def _cuts(path: Path, folder: Path) -> Iterator[Path]:
    """Yield copies of a store that is open, as a power loss may leave it."""
    whole = path.with_name(f"{path.name}-wal").read_bytes()
    pages = (len(whole) - HEADER) // FRAME
    lengths = [0, HEADER // 2, HEADER]
    for page in range(pages):
        lengths += [HEADER + page * FRAME + 500, HEADER + (page + 1) * FRAME]
    for number, length in enumerate(lengths):
        at = folder / path.name / f"{number}"
        at.mkdir(parents=True)
        shutil.copy(path, at)
        if length:
            (at / f"{path.name}-wal").write_bytes(whole[:length])
        yield at / path.name


@fault(
    "F3",
    "power loss, a whole run",
    made="a process is killed, and the pages of its last saves are lost",
    seen="reading goes on from the older position; nothing lost, nothing visible twice",
    brief=False,
)
def old_position(lab: Lab) -> str:
    route = RecordRoute(lab.kinesalite, lab.unique("power"), 31)
    with scripted_bulk() as bulk:
        program = Program(lab.folder, route, bulk)
        with program.running() as process:
            for number in range(1, 5):
                route.issue(300)
                process.until(lambda wanted=250 * number: len(bulk.stored) > wanted)  # type: ignore[misc]
        store = program.state / f"checkpoints-{SOURCE}.sqlite3"
        log = store.with_name(f"{store.name}-wal")
        pages = (log.stat().st_size - HEADER) // FRAME
        before = _positions(store)
        log.write_bytes(log.read_bytes()[: HEADER + pages // 2 * FRAME])
        after = _positions(store)
        assert before != after, "nothing was lost, so nothing is proved"
        whole = program.judged()
    return f"{pages - pages // 2} of {pages} pages lost; {whole}"


def _positions(store: Path) -> list[tuple[str, str]]:
    """Return the position of each partition, from a copy."""
    folder = store.parent / "look"
    folder.mkdir()
    try:
        with closing(sqlite3.connect(copied(store, folder))) as connection:
            found = connection.execute("SELECT partition, position FROM checkpoints")
            return sorted(found.fetchall())
    finally:
        shutil.rmtree(folder)


@fault(
    "F4",
    "no room for checkpoints",
    made="no file of the process may grow, until health has named the fault; then it may",
    seen="no position moves; health names it, and only then; the rest is delivered",
)
def full_checkpoints(lab: Lab) -> str:
    route = RecordRoute(lab.kinesalite, lab.unique("full"), 41)
    with scripted_bulk() as bulk:
        program = Program(lab.folder, route, bulk)
        store = program.state / f"checkpoints-{SOURCE}.sqlite3"
        route.issue(200)
        with program.running() as process:
            process.until(lambda: len(bulk.stored) > 0)
            process.fill_disk(store.with_name(f"{store.name}-wal").stat().st_size)
            route.issue(200)
            named = program.await_troubles(["checkpoints"])
            before, stored = _positions(store), len(bulk.stored)
            route.issue(400)
            _lasts(program, ["checkpoints"], 2.0)
            after = _positions(store)
            assert before == after, f"a position moved: {before}, {after}"
            read = len(bulk.stored) - stored
            process.empty_disk()
            well = program.await_troubles([])
            process.stopped(27)
        whole = program.judged()
    return f"named after {named:.1f} s, {read} read meanwhile, well after {well:.1f} s; {whole}"


@fault(
    "F4",
    "no room for dead letters",
    made="no file of the process may grow, until health has named the fault; then it may",
    seen="no message is deleted; health names it, and only then; whole letters only",
)
def full_letters(lab: Lab) -> str:
    route = QueueRoute(lab.moto, lab.unique("full"), 42)
    with scripted_bulk() as bulk:
        program = Program(lab.folder, route, bulk)
        with program.running() as process:
            program.await_troubles([])
            process.fill_disk(1500)
            route.issue(1500)
            named = program.await_troubles(["dead letters"])
            waiting = sum(route.counts().values())
            _lasts(program, ["dead letters"], 2.0)
            still = sum(route.counts().values())
            assert waiting == still > 0, f"{waiting} messages became {still} with a full disk"
            for path in (program.state / "dead_letters").iterdir():
                for line in path.read_bytes().splitlines():
                    json.loads(line)
            process.empty_disk()
            well = program.await_troubles([])
            process.stopped(27)
        whole = program.judged()
    return f"named after {named:.1f} s, {still} messages kept, well after {well:.1f} s; {whole}"


def _lasts(program: Program, expected: list[str], seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        seen = program.troubles()
        assert seen == expected, f"health names {seen}, and not {expected}"
        time.sleep(0.1)
