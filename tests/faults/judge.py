"""The judge: reads everything that can be found once the faults have stopped, and compares.

Its properties, as everywhere in the tests of faults:

- P1: every line that was issued is stored in every sink, or is a dead letter with its reason.
- P2: everything found was issued, and its content is right.
- P3: nothing is visible twice in the search node; the receiver gets nothing more often than what
  can have been in flight at the kills explains.
- P4: the source is empty, its position at the last record: another run finds nothing.
- P5: the equation that the last run prints balances.
- P6: a line that is put once the faults have stopped gets through within ``FRESH`` seconds.
- P7: no process held more than ``MEMORY`` MiB.

P8, that health names a fault while it lasts, is for faults that last: see ``scenarios``.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from faults.oracle import value_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from faults.oracle import Oracle
    from servers.search_node import SearchNode

FRESH = 30.0
MEMORY = 200
_PAGE = 2000
_TOLD = 20
_EQUATION = re.compile(r"^  (?P<sink>\S+): (?P<read>\d+) read = (?P<parts>.*)$", re.MULTILINE)
_PART = re.compile(r"(?P<count>\d+) (?P<end>stored|already there|acked|dead-lettered)")


@dataclass(slots=True)
class Verdict:
    """What was found.

    Attributes:
        issued: Lines that were put.
        stored: Documents in the search node.
        received: Entries that the receiver took.
        letters: Dead letters.
        repeated: Entries that the receiver took more than once, each repetition counted.
        letters_repeated: Likewise for dead letters.
        misses: What is not as it must be, as sentences that begin with a property.
        counts: How much is not, by property.
    """

    issued: int = 0
    stored: int = 0
    received: int = 0
    letters: int = 0
    repeated: int = 0
    letters_repeated: int = 0
    misses: list[str] = field(default_factory=list[str])
    counts: Counter[str] = field(default_factory=Counter[str])

    def miss(self, rule: str, problems: Iterable[str]) -> None:
        """Add *problems*, the first ones in full."""
        found = list(problems)
        self.counts[rule] += len(found)
        self.misses += [f"{rule}: {problem}" for problem in found[:_TOLD]]
        if len(found) > _TOLD:
            self.misses.append(f"{rule}: and {len(found) - _TOLD} more of these")


def judge_documents(
    verdict: Verdict, oracle: Oracle, where: str, bodies: Iterable[dict[str, Any]]
) -> Counter[int]:
    """Judge by P1 and P2 what a sink holds, and return how often it holds each serial."""
    found: Counter[int] = Counter()
    wrong: list[str] = []
    for body in bodies:
        serial, problem = oracle.judge_document(body)
        if problem is not None:
            wrong.append(f"{where}: document {serial} {problem}")
        if serial is not None:
            found[serial] += 1
    verdict.miss("P2", wrong)
    missing = (serial for serial in oracle.documents() if serial not in found)
    verdict.miss("P1", (f"{where}: line {serial} is missing" for serial in missing))
    return found


def judge_search(verdict: Verdict, oracle: Oracle, node: SearchNode, target: str) -> None:
    """Judge what the search node holds; nothing may be there twice."""
    ids: Counter[str] = Counter()

    def bodies() -> Iterator[dict[str, Any]]:
        for hit in stored_in(node, target):
            ids[hit["_id"]] += 1
            if value_of(hit["_source"], "event.id") != hit["_id"]:
                verdict.miss("P2", [f"search: document {hit['_id']} has another event.id"])
            yield hit["_source"]

    found = judge_documents(verdict, oracle, "search", bodies())
    verdict.stored = found.total()
    twice = [f"search: line {serial} is there {n} times" for serial, n in found.items() if n > 1]
    twice += [f"search: id {name} is there {n} times" for name, n in ids.items() if n > 1]
    verdict.miss("P3", twice)


def judge_receiver(
    verdict: Verdict, oracle: Oracle, entries: Path, kills: int, in_flight: int
) -> None:
    """Judge what the receiver took; each kill may repeat what was in flight, once."""
    found = judge_documents(verdict, oracle, "receiver", received_in(entries))
    verdict.received = found.total()
    verdict.repeated = found.total() - len(found)
    if verdict.repeated > kills * in_flight:
        bound = f"{kills} kills explain {kills * in_flight}"
        verdict.miss("P3", [f"receiver: {verdict.repeated} entries came again, {bound}"])
    often = (f"line {serial} came {n} times" for serial, n in found.items() if n > kills + 1)
    verdict.miss("P3", (f"receiver: {problem}" for problem in often))


def judge_letters(verdict: Verdict, oracle: Oracle, state: Path) -> None:
    """Judge the dead letters."""
    found: Counter[int] = Counter()
    wrong: list[str] = []
    for path in sorted((state / "dead_letters").glob("*.ndjson")):
        with path.open("rb") as file:
            for line in file:
                letter = json.loads(line)
                serial, problem = oracle.judge_letter(
                    base64.b64decode(letter["raw"]), letter["reason"]
                )
                if problem is not None:
                    wrong.append(f"dead letter {serial} {problem}")
                if serial is not None:
                    found[serial] += 1
    verdict.miss("P2", wrong)
    missing = (serial for serial in oracle.refused() if serial not in found)
    verdict.miss("P1", (f"refused line {serial} is no dead letter" for serial in missing))
    verdict.letters = found.total()
    verdict.letters_repeated = found.total() - len(found)


def judge_equation(verdict: Verdict, output: str, sinks: int) -> None:
    """Judge what the last run printed: a line for each sink, both sides equal."""
    lines = list(_EQUATION.finditer(output))
    if len(lines) != sinks:
        verdict.miss("P5", [f"{len(lines)} equations were printed for {sinks} sinks"])
    for line in lines:
        ends = sum(int(part["count"]) for part in _PART.finditer(line["parts"]))
        rest = _PART.sub("", line["parts"]).replace("+", "").strip()
        if ends != int(line["read"]) or rest not in ("", "0"):
            verdict.miss("P5", [f"does not balance: {line[0].strip()}"])


def judge_emptiness(verdict: Verdict, output: str) -> None:
    """Judge what a run printed that must not have found anything."""
    read = sum(int(line["read"]) for line in _EQUATION.finditer(output))
    verdict.miss("P4", [f"another run reads {read} records"] * (read > 0))


def stored_in(node: SearchNode, target: str) -> Iterator[dict[str, Any]]:
    """Yield every document of a data stream, as hits."""
    node.call("POST", f"/{target}/_refresh")
    query = {"size": _PAGE, "sort": ["_doc"], "_source": ["event", "url", "http", "source"]}
    answer = node.call("POST", f"/{target}/_search?scroll=2m", query)
    while answer.status == 200 and answer.body["hits"]["hits"]:
        yield from answer.body["hits"]["hits"]
        scroll = {"scroll": "2m", "scroll_id": answer.body["_scroll_id"]}
        answer = node.call("POST", "/_search/scroll", scroll)
    if answer.status != 200:
        raise RuntimeError(f"{target} cannot be read: {answer.body}")
    node.call("DELETE", "/_search/scroll", {"scroll_id": answer.body["_scroll_id"]})


def received_in(entries: Path) -> Iterator[dict[str, Any]]:
    """Yield every record that the receiver has reported."""
    with entries.open("rb") as file:
        for line in file:
            yield json.loads(line)[3]
