"""Event loops that connections live on, for threads that wait for them.

Drivers are asynchronous, and whoever uses a store's connections is a thread of its own. Mostly perdure makes the connections, and
the loop runs in that thread whenever it waits (`OwnLoop`). A connection out of a pool of the user's lives on the loop that the
pool was made on; that one runs anyway, and is handed what there is to do (`PoolLoop`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, Protocol, TypeVar

from perdure.errors import StoreUsageError

T = TypeVar("T")


class Loop(Protocol):
    """For one thread."""

    def run(self, doing: Coroutine[Any, Any, T], timeout_seconds: float | None = None) -> T:
        """Wait for it. Raises what it raises, TimeoutError, ConnectionError or StoreUsageError."""
        ...

    def call(self, action: Callable[[], object]) -> None:
        """Have it done where the loop's connections may be touched; the answer isn't waited for."""
        ...

    def close(self) -> None: ...


class OwnLoop:
    """Runs in the thread that waits."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def run(self, doing: Coroutine[Any, Any, T], timeout_seconds: float | None = None) -> T:
        """Connections have time-outs of their own."""
        return self._loop.run_until_complete(doing)

    def call(self, action: Callable[[], object]) -> None:
        action()

    def close(self) -> None:
        """With all that a lost connection has left on it."""
        loop, left = self._loop, asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.close()


class PoolLoop:
    """Runs in another thread, and isn't ours."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def run(self, doing: Coroutine[Any, Any, T], timeout_seconds: float | None = None) -> T:
        try:
            future = asyncio.run_coroutine_threadsafe(doing, self._loop)
        except RuntimeError:
            doing.close()
            raise StoreUsageError(
                "The event loop of the pool that was given is closed: close perdure's clients and workers before it."
            ) from None
        try:
            return future.result(timeout_seconds)
        except TimeoutError:
            future.cancel()
            raise
        except CancelledError:
            raise ConnectionError("the event loop of the pool that was given is ending") from None

    def call(self, action: Callable[[], object]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(action)

    def close(self) -> None:
        """It goes on."""
