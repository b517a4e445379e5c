"""The thread that reads, on a connection of its own that can't write: operators' questions delay no commit.

Each read is one short statement or page, and its transaction ends with it: an open reader would keep the log from being
written back.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from perdure.backends.looking import Looking
from perdure.backends.sql.looking import SqlLooking
from perdure.backends.sqlite import faults
from perdure.backends.sqlite.connection import Place, open_reader
from perdure.backends.sqlite.session import SqliteSession
from perdure.backends.sqlite.writer import Read, Writer

T = TypeVar("T")

_LOCKED_SECONDS = 5.0


class Job:
    """One read, and who waits for it."""

    __slots__ = ("_action", "_problem", "_result", "future")

    def __init__(self, action: Callable[[Looking], Any], future: asyncio.Future[Any]) -> None:
        self._action = action
        self._result: object = None
        self._problem: BaseException | None = None
        self.future = future

    def run(self, looking: Looking, name: str) -> None:
        """In the reader's thread."""
        try:
            self._result = _unlocked(lambda: self._action(looking))
        except Exception as problem:
            self._problem = faults.translated(problem, name)

    def settle(self) -> None:
        """On the loop of who waits."""
        if self.future.done():
            return
        if self._problem is None:
            self.future.set_result(self._result)
        else:
            self.future.set_exception(self._problem)


Task = Callable[[SqliteSession], None]


class Reader:
    """Runs reads. Begins its thread with the first one; a store in memory is read by its writer.

    What one turn of an event loop asks for goes over at once, and comes back at once: waking a thread, or a loop, costs
    more than a short read.
    """

    def __init__(self, place: Place, writer: Writer) -> None:
        self._place = place
        self._writer = writer
        self._inbox: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._gathered: dict[asyncio.AbstractEventLoop, list[Job]] = {}

    async def read(self, action: Callable[[Looking], T]) -> T:
        """What `action` gives, run in another thread. Raises StoreError for SQLite's errors."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        gathered = self._gathered.get(loop)
        if gathered is None:
            gathered = self._gathered[loop] = []
            loop.call_soon(self._hand_over, loop)
        gathered.append(Job(action, future))
        return await future

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        jobs = self._gathered.pop(loop)

        def run(session: SqliteSession) -> None:
            looking = SqlLooking(session)
            for job in jobs:
                job.run(looking, self._place.name)
            _tell(loop, jobs)

        self._put(run)

    def end(self) -> None:
        """No more reads will come."""
        if self._thread is not None:
            self._inbox.put(None)
            self._thread.join()

    def _put(self, task: Task) -> None:
        if self._place.path is None:
            self._writer.put(Read(task))
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._main, name=f"perdure reads {self._place.name}", daemon=True)
            self._thread.start()
        self._inbox.put(task)

    def _main(self) -> None:
        session: SqliteSession | None = None
        while (task := self._inbox.get()) is not None:
            if session is None:
                session = self._open(task)
            if session is not None:
                task(session)
        if session is not None:
            session.connection.close()

    def _open(self, task: Task) -> SqliteSession | None:
        try:
            return SqliteSession(open_reader(self._place))
        except sqlite3.Error:
            with sqlite3.connect(":memory:") as stand_in:  # fails as well, and so tells the caller
                task(SqliteSession(stand_in))
            return None


def _unlocked(action: Callable[[], T]) -> T:
    deadline = time.monotonic() + _LOCKED_SECONDS
    while True:
        try:
            return action()
        except sqlite3.OperationalError as problem:
            if not faults.is_locked(problem) or time.monotonic() > deadline:
                raise
            time.sleep(0.002)


def _tell(loop: asyncio.AbstractEventLoop, jobs: list[Job]) -> None:
    def settle() -> None:
        for job in jobs:
            job.settle()

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        return  # the loop is closed, and with it everybody who waited there
