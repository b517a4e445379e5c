"""The thread that reads from a store behind a network: operators' questions and histories delay no commit."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from perdure.backends.looking import Looking
from perdure.backends.network.link import Looker
from perdure.backends.network.reconnecting import Reconnecting

T = TypeVar("T")


class Read:
    """One read, and who waits for it."""

    __slots__ = ("_action", "_loop", "future", "problem", "result")

    def __init__(self, action: Callable[[Looking], Any]) -> None:
        self._action = action
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self._loop.create_future()
        self.result: object = None
        self.problem: BaseException | None = None

    def run(self, looking: Looking) -> None:
        self.result = self._action(looking)

    def tell(self) -> None:
        """From the reader's thread."""
        try:
            self._loop.call_soon_threadsafe(self._settle)
        except RuntimeError:
            return  # the loop is closed, and with it everybody who waited there

    def _settle(self) -> None:
        if self.future.done():
            return
        if self.problem is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.problem)


class Reader:
    """Begins its thread with the first read."""

    def __init__(self, looker: Looker, name: str) -> None:
        self._looker = looker
        self._name = name
        self._connection = Reconnecting(looker, name)
        self._inbox: queue.SimpleQueue[Read | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def read(self, action: Callable[[Looking], T]) -> T:
        """What `action` gives. Raises StoreError."""
        read = Read(action)
        if self._thread is None:
            self._thread = threading.Thread(target=self._main, name=f"perdure reads {self._name}", daemon=True)
            self._thread.start()
        self._inbox.put(read)
        result: T = await read.future
        return result

    def end(self) -> None:
        """No more reads will come."""
        if self._thread is not None:
            self._inbox.put(None)
            self._thread.join()

    def _main(self) -> None:
        while (read := self._inbox.get()) is not None:
            try:
                self._run(read)
            except BaseException as problem:
                if self._looker.is_lost(problem):
                    self._connection.lost(problem)
                read.problem = self._looker.translated(problem)
            read.tell()
        self._looker.close()

    def _run(self, read: Read) -> None:
        is_new = self._connection.ensure()
        try:
            read.run(self._looker.looking)
        except BaseException as problem:
            if is_new or not self._looker.is_lost(problem):
                raise
            # The connection was lost while nobody used it: reads can simply be repeated.
            self._connection.lost(problem)
            self._connection.ensure()
            read.run(self._looker.looking)
