"""A thread that commits what is handed in, batch by batch: what the writers of all row stores share."""

from __future__ import annotations

import queue
import threading
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from perdure.backends.group_commit import Backlog, Job
from perdure.backends.rules.table import RULES
from perdure.backends.seals import refusal
from perdure.backends.unit.chore import Chore
from perdure.backends.unit.unit import Unit
from perdure.backends.wakes import Wakes

E = TypeVar("E")

LARGEST_BYTES = 8 * 1024 * 1024

Tell = Callable[[list[Job], Wakes, bool], None]
"""Takes jobs that are settled, what they made ready, and whether others wrote."""


class CommitterThread(Generic[E]):
    """Opens, then carries out batches until it is told to end. `E` is what else than jobs may be put.

    The next batch gathers while one is carried out.
    """

    def __init__(self, name: str, tell: Tell) -> None:
        self.commits = 0
        self.tell = tell
        self.inbox: queue.SimpleQueue[list[Job] | E | None] = queue.SimpleQueue()
        self.backlog = Backlog()
        self.opened: Future[None] = Future()
        self._closed: Future[None] = Future()
        self._is_ending = False
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)

    # --- from other threads

    def start(self) -> Future[None]:
        """Done when the store is open, or not."""
        self._thread.start()
        return self.opened

    def put(self, item: list[Job] | E) -> None:
        self.inbox.put(item)

    def end(self) -> Future[None]:
        """Done when all that was put has been carried out and the store is closed."""
        self.inbox.put(None)
        return self._closed

    # --- the thread

    @abstractmethod
    def open(self) -> None:
        """Raises what the store's opening is to raise."""

    @abstractmethod
    def carry_out(self, batch: list[Job]) -> None:
        """Settle each of them. Raises nothing."""

    @abstractmethod
    def close(self) -> None:
        """Nothing more will come."""

    @abstractmethod
    def abandon(self, problem: BaseException) -> BaseException:
        """It couldn't be opened; what to tell of it."""

    def meanwhile(self, item: E) -> None:
        """Do what isn't a job."""

    def receive(self) -> None:
        """Wait for something to do."""
        self.take(self.inbox.get())

    def take(self, item: list[Job] | E | None) -> None:
        if item is None:
            self._is_ending = True
        elif isinstance(item, list):
            self.backlog.add(item)
        else:
            self.meanwhile(item)

    def _main(self) -> None:
        try:
            self.open()
        except BaseException as problem:
            self.opened.set_exception(self.abandon(problem))
            self._closed.set_result(None)
            return
        self.opened.set_result(None)
        while not self._is_ending or self.backlog:
            if not self.backlog:
                self.receive()
            self.drain_inbox()
            if self.backlog:
                self.carry_out(self.backlog.take())
        try:
            self.close()
        finally:
            self._closed.set_result(None)

    def drain_inbox(self) -> None:
        """Take what has come."""
        while True:
            try:
                self.take(self.inbox.get_nowait())
            except queue.Empty:
                return


def apply(unit: Unit, job: Job, sealed: str | None) -> None:
    """Have the rules carry out a job, whose outcome is good once the batch is committed."""
    work = job.work
    job.error = None
    if sealed is not None and not (isinstance(work, Chore) and work.goes_through(sealed)):
        job.error = refusal(sealed)
        return
    rule = RULES.get(type(work))
    if rule is not None:
        job.outcome = rule(unit, work)
    else:
        assert isinstance(work, Chore)
        job.outcome = work.apply(unit)
