"""The processes of a backfill: started, listened to, stopped, and their books added up."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from cloudfront_ecs.backfill.share import Share, Told, run_share
from cloudfront_ecs.batches import RunSummary
from cloudfront_ecs.progress import Progress, added_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

_LAST_WORDS = 5.0


@dataclass(slots=True)
class _Member:
    share: Share
    process: BaseProcess
    pipe: Connection
    told: Told = field(default_factory=Told)
    gone: bool = False


class Crew:
    """Processes that share one range."""

    def __init__(self, shares: Sequence[Share], log_format: str, log_level: str) -> None:
        """Start a process for each of *shares*."""
        # Not forked: boto3's clients and threads do not survive that.
        spawning = multiprocessing.get_context("spawn")
        self._members: list[_Member] = []
        for share in shares:
            ours, theirs = spawning.Pipe()
            arguments = (share, theirs, log_format, log_level)
            process = spawning.Process(target=run_share, args=arguments, daemon=True)
            process.start()
            theirs.close()  # so that the end of the process is the end of the pipe
            self._members.append(_Member(share, process, ours))

    def wait(self, seconds: float) -> bool:
        """Take in what the processes say for *seconds* at most; say whether all have ended."""
        open_pipes = {member.pipe: member for member in self._members if not member.gone}
        for pipe in wait(list(open_pipes), seconds) if open_pipes else ():
            member = open_pipes[pipe]  # type: ignore[index]  # only pipes were asked for
            try:
                member.told = member.pipe.recv()
            except (EOFError, OSError):
                member.gone = True
                member.process.join(_LAST_WORDS)
        return all(member.gone for member in self._members)

    def stop(self) -> None:
        """Tell every process to stop reading and to finish what is in flight."""
        for member in self._members:
            if not member.gone:
                try:
                    member.pipe.send("stop")
                except OSError:  # it has ended; what it said is read by ``wait``
                    continue

    def close(self) -> None:
        """End every process that is still there."""
        for member in self._members:
            if member.process.is_alive():
                member.process.kill()
            member.process.join(_LAST_WORDS)
            member.pipe.close()

    def progress(self) -> Progress:
        """Return how far all of them are."""
        return added_up(member.told.progress for member in self._members)

    def summary(self) -> RunSummary:
        """Return the books of all of them as one."""
        told = [member.told.summary for member in self._members]
        name = self._members[0].share.pipeline
        return sum_of(name, [summary for summary in told if summary is not None])

    def problems(self) -> list[str]:
        """Return what went wrong with which process."""
        found = []
        for member in self._members:
            problem = member.told.problem
            if not member.told.ended:
                code = member.process.exitcode
                how = f"was killed by signal {-code}" if code and code < 0 else f"ended with {code}"
                problem = f"{how} (give the same command again: it goes on from there)"
            if problem is not None:
                share = member.share
                found.append(f"process {share.number + 1} of {share.shares}: {problem}")
        return found


def sum_of(pipeline: str, summaries: Iterable[RunSummary]) -> RunSummary:
    """Return the books of several runs of a pipeline, side by side, as one."""
    total = RunSummary(pipeline)
    for summary in summaries:
        total.read += summary.read
        total.skipped += summary.skipped
        total.dead_lettered += summary.dead_lettered
        total.filtered += summary.filtered
        total.in_flight.update(summary.in_flight)
        total.reasons.update(summary.reasons)
        for sink, ended in summary.sinks.items():
            total.sinks.setdefault(sink, Counter()).update(ended)
        total.seconds = max(total.seconds, summary.seconds)
    return total
