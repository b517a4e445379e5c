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

from perdure.backends.sqlite import faults
from perdure.backends.sqlite.connection import Place, open_reader
from perdure.backends.sqlite.writer import Read, Writer

T = TypeVar("T")

_LOCKED_SECONDS = 5.0

Task = Callable[[sqlite3.Connection], None]


class Reader:
    """Runs reads. Begins its thread with the first one; a store in memory is read by its writer."""

    def __init__(self, place: Place, writer: Writer) -> None:
        self._place = place
        self._writer = writer
        self._inbox: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def read(self, action: Callable[[sqlite3.Connection], T]) -> T:
        """What `action` gives, run in another thread. Raises StoreError for SQLite's errors."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def run(connection: sqlite3.Connection) -> None:
            try:
                result = _unlocked(lambda: action(connection))
            except Exception as problem:
                _tell(loop, future, None, faults.translated(problem, self._place.name))
            else:
                _tell(loop, future, result, None)

        self._put(run)
        return await future

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
        connection: sqlite3.Connection | None = None
        while (task := self._inbox.get()) is not None:
            if connection is None:
                connection = self._open(task)
            if connection is not None:
                task(connection)
        if connection is not None:
            connection.close()

    def _open(self, task: Task) -> sqlite3.Connection | None:
        try:
            return open_reader(self._place)
        except sqlite3.Error:
            with sqlite3.connect(":memory:") as stand_in:  # fails as well, and so tells the caller
                task(stand_in)
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


def _tell(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], result: object, problem: BaseException | None
) -> None:
    def settle() -> None:
        if future.done():
            return
        if problem is None:
            future.set_result(result)
        else:
            future.set_exception(problem)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        return  # the loop is closed, and with it everybody who waited there
