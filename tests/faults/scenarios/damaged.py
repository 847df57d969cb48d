"""F5: files of the state directory that cannot be trusted."""

from __future__ import annotations

import random
from contextlib import closing
from typing import TYPE_CHECKING

from cloudfront_ecs.batches import Layout
from cloudfront_ecs.decoders.realtime.history import LayoutHistory
from cloudfront_ecs.delivery.checkpoints.store import Checkpoint, SqliteCheckpoints
from cloudfront_ecs.errors import StateError
from cloudfront_ecs.sources.s3.settled import SettledObjects
from faults.catalogue import fault
from faults.program import Program
from faults.record_route import RecordRoute
from faults.routes import SOURCE
from integration.commands import run
from sinks.scripted_bulk import scripted_bulk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faults.lab import Lab

FIRST = 40


@fault(
    "F5",
    "a store is damaged",
    made="single bits turned all over each file of the state directory",
    seen="refused with file, problem and remedy, or read as it was written; nothing else",
)
def flipped_bits(lab: Lab) -> str:
    dice, times = random.Random(5), 2000 if lab.thorough else 60
    told = []
    for name, make, read, exact in _STORES:
        path = lab.folder / name
        make(path)
        whole = path.read_bytes()
        truth = read(path)
        refused = same = 0
        for _ in range(times):
            at, bit = dice.randrange(len(whole)), 1 << dice.randrange(8)
            spoilt = bytearray(whole)
            spoilt[at] ^= bit
            path.write_bytes(spoilt)
            try:
                found = read(path)
            except StateError as error:
                text = str(error)
                assert str(path) in text, f"{name}, byte {at}: the file is not named: {text}"
                assert "(" in text or "cannot be" in text, f"{name}: no remedy: {text}"
                refused += 1
            else:
                wrong = found ^ truth if exact else found - truth
                assert not wrong, f"{name}, byte {at}, bit {bit}: {wrong}"
                same += 1
            for side in ("-wal", "-shm"):
                path.with_name(f"{name}{side}").unlink(missing_ok=True)
        told.append(f"{name}: {refused} refused, {same} harmless")
    return ", ".join(told)


def _make_checkpoints(path: Path) -> None:
    with closing(SqliteCheckpoints(path)) as store:
        store.save({f"{n}": Checkpoint(f"{n * 7:056d}", n / 7, n % 5 == 0) for n in range(FIRST)})


def _read_checkpoints(path: Path) -> set[object]:
    with closing(SqliteCheckpoints(path)) as store:
        return {(name, store.load(name)) for name in store.partitions()}


def _make_layouts(path: Path) -> None:

    history = LayoutHistory(path.parent)
    layouts = [Layout("realtime", ("timestamp", "c-ip", f"x-{n}"), 100) for n in range(5)]
    history.note("stream eu-west-1 edge", layouts, 1_768_460_400.0)


def _read_layouts(path: Path) -> set[object]:
    return set(LayoutHistory(path.parent).known("stream eu-west-1 edge"))


def _make_settled(path: Path) -> None:
    with closing(SettledObjects(path, "logs")) as settled:
        for number in range(FIRST):
            settled.add(f"E1EXAMPLE.2026-01-15-20.{number:08x}.gz", f"{number * 7:032x}")
        settled.store()


def _read_settled(path: Path) -> set[object]:
    """Return what is settled; another key or ETag makes an object be read again, no more."""
    with closing(SettledObjects(path, "logs")) as settled:
        made = {f"E1EXAMPLE.2026-01-15-20.{n:08x}.gz": f"{n * 7:032x}" for n in range(FIRST)}
        return {item for item in settled.between("", None).items() if item[1] == made.get(item[0])}


_STORES: tuple[tuple[str, Callable[[Path], None], Callable[[Path], set[object]], bool], ...] = (
    ("checkpoints.sqlite3", _make_checkpoints, _read_checkpoints, True),
    ("settled.sqlite3", _make_settled, _read_settled, False),
    ("layouts.json", _make_layouts, _read_layouts, True),
)


@fault(
    "F5",
    "a start with a store that cannot be trusted",
    made="checkpoints of noughts, cut, or of a newer format; a line that is no dead letter",
    seen="exit 1 with one clear line, nothing read; the file as it was; the line is kept",
    brief=False,
)
def refused_start(lab: Lab) -> str:
    route = RecordRoute(lab.kinesalite, lab.unique("damaged"), 51)
    with scripted_bulk() as bulk:
        program = Program(lab.folder, route, bulk)
        route.issue(200)
        assert program.finish().code in (0, 3)
        stored = len(bulk.stored)
        store = program.state / f"checkpoints-{SOURCE}.sqlite3"
        whole = store.read_bytes()
        route.issue(100)
        newer = bytearray(whole)
        newer[60:64] = (99).to_bytes(4, "big")  # PRAGMA user_version
        spoilt = {"noughts": bytes(len(whole)), "cut": whole[:5000], "newer": bytes(newer)}
        for name, content in spoilt.items() if lab.thorough else [("newer", spoilt["newer"])]:
            store.write_bytes(content)
            ended = program.finish()
            assert ended.code == 1, f"{name}: it ended with {ended.code}"
            assert ended.err.count("\n") == 1, f"{name}: not one line: {ended.err}"
            line = ended.err.strip()
            assert str(store) in line, line
            assert "(" in line, f"no remedy: {line}"
            assert store.read_bytes() == content, f"{name}: the file was changed"
            assert len(bulk.stored) == stored, f"{name}: something was read"
        store.write_bytes(whole)
        letters = next((program.state / "dead_letters").iterdir())
        kept = letters.read_bytes()
        letters.write_bytes(kept + b'{"reason": "columns", "raw": \x00\n')
        replayed = run("replay", "--config", program.config, env=program.environment)
        assert "Traceback" not in replayed.err, replayed.err
        assert b"\x00" in letters.read_bytes(), "a line that is no letter is gone"
        letters.write_bytes(kept)
        after = program.judged()
    return f"{line.partition(': ')[2][-90:]}; {after}"
