"""Connections of the user's, lent to synchronous code for as long as a call lasts, whatever the driver.

What belongs to an event loop stays there: the work runs in a thread, its statements on the loop. (SQLAlchemy brings greenlets, and
needs no thread: alchemy.py.) What blocks is used where it is, in the caller's own thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from perdure.backends.sql.session import Rows

T = TypeVar("T")


class Run(Protocol):
    """Runs a statement in the driver's own text."""

    def __call__(self, text: str, parameters: Sequence[Any] = ..., /) -> Rows: ...


class Loan:
    """What the work gets."""

    __slots__ = ("driver", "is_open", "run")

    def __init__(self, driver: Any, run: Run, is_open: Callable[[], bool] = lambda: True) -> None:
        self.driver = driver
        """The driver's own connection."""
        self.run = run
        self.is_open = is_open
        """Whether the transaction goes on, as far as is known without asking the driver."""


class Lender(Protocol):
    """Has a connection to lend."""

    async def lend(self, work: Callable[[Loan], T]) -> T:
        """What the work gives. Nobody else may use the connection meanwhile, as ever."""
        ...


class Blocking:
    """A connection whose methods block."""

    def __init__(self, driver: Any, run: Run) -> None:
        self._loan = Loan(driver, run)

    async def lend(self, work: Callable[[Loan], T]) -> T:
        return work(self._loan)


class OnLoop:
    """A connection that belongs to the running event loop."""

    def __init__(self, driver: Any, run: Callable[[str, Sequence[Any]], Coroutine[Any, Any, Rows]]) -> None:
        self._driver = driver
        self._run = run

    async def lend(self, work: Callable[[Loan], T]) -> T:
        loop = asyncio.get_running_loop()
        statement: asyncio.Task[Any] | None = None

        async def run_here(text: str, parameters: Sequence[Any]) -> Rows:
            nonlocal statement
            statement = asyncio.current_task()
            return await self._run(text, parameters)

        def run(text: str, parameters: Sequence[Any] = ()) -> Rows:
            return asyncio.run_coroutine_threadsafe(run_here(text, parameters), loop).result()

        working = loop.run_in_executor(None, work, Loan(self._driver, run))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            if statement is not None:
                statement.cancel()  # it may wait for somebody's lock
            # The caller goes on with the connection, to roll back at least: not before the thread has let go of it.
            while not working.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait((working,))
            if not working.cancelled():
                working.exception()  # seen
            raise
