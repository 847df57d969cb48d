"""Blocking calls on a few threads, so that ``poll`` can keep to its timeout."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Answer(Generic[Key]):
    """The end of one call: its result, or the exception it raised.

    Attributes:
        asked: One of the threads made the call; false for what was reported from elsewhere.
    """

    key: Key
    result: Any = None
    error: Exception | None = None
    asked: bool = True


class Background(Generic[Key]):
    """Runs calls on *threads* threads and hands their answers to the one that asks.

    The threads are daemons: a call that hangs does not keep the process from ending.
    """

    def __init__(self, threads: int, name: str, notify: Callable[[], None] = lambda: None) -> None:
        """Start the threads; *notify* is called, on one of them, when there is an answer."""
        self._notify = notify
        self._asked: queue.SimpleQueue[tuple[Key, Callable[[], Any]] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Answer[Key]] = queue.SimpleQueue()
        self._threads = threads
        self._pending = 0
        for _ in range(threads):
            threading.Thread(target=self._work, name=name, daemon=True).start()

    @property
    def full(self) -> bool:
        """Whether there are as many calls and answers not fetched yet as threads."""
        return self._pending >= self._threads

    def submit(self, key: Key, call: Callable[[], Any]) -> None:
        """Have *call* made; its answer will carry *key*."""
        self._pending += 1
        self._asked.put((key, call))

    def report(self, answer: Answer[Key]) -> None:
        """Hand over an answer that none of the threads was asked for; from any thread."""
        self._answers.put(answer)

    def next(self, timeout: float) -> Answer[Key] | None:
        """Return the next answer, or None when *timeout* seconds pass without one."""
        try:
            answer = self._answers.get(timeout=max(0.0, timeout))
        except queue.Empty:
            return None
        self._pending -= answer.asked
        return answer

    def close(self) -> None:
        """Let the threads end after the calls they are making."""
        for _ in range(self._threads):
            self._asked.put(None)
        self._threads = 0

    def _work(self) -> None:
        while (task := self._asked.get()) is not None:
            key, call = task
            try:
                answer = Answer(key, call())
            except Exception as error:  # noqa: BLE001 - raised again where the answer is read
                answer = Answer(key, error=error)
            self._answers.put(answer)
            self._notify()
