"""Waking those who wait, on whichever event loop and thread they do.

A `Bell` is touched under the store's lock alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from perdure.backends.timeouts import Timeouts


class Waiter:
    """One coroutine that waits, made on its own loop."""

    __slots__ = ("_loop", "_timeouts", "_woken")

    def __init__(self, loop: asyncio.AbstractEventLoop, timeouts: Timeouts[bool]) -> None:
        self._loop = loop
        self._timeouts = timeouts
        self._woken: asyncio.Future[bool] = loop.create_future()

    def wake(self) -> None:
        """From any thread; waking twice, or after the loop has gone, is no error."""
        if self._loop is asyncio._get_running_loop():
            self._set()
            return
        try:
            self._loop.call_soon_threadsafe(self._set)
        except RuntimeError:  # the loop is closed, and with it everybody who waited there
            return

    async def wait(self, timeout_seconds: float) -> bool:
        """Whether it was woken in time."""
        return await self._timeouts.wait(self._woken, timeout_seconds)

    def _set(self) -> None:
        if not self._woken.done():
            self._woken.set_result(True)


class Bell:
    """Rings for those who wait, or stays rung until somebody hears it."""

    def __init__(self) -> None:
        self.is_rung = False
        self._waiters: list[Waiter] = []

    def add(self, waiter: Waiter) -> None:
        self._waiters.append(waiter)

    def remove(self, waiter: Waiter) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def ring(self) -> list[Waiter]:
        """Those to wake."""
        self.is_rung = True
        waiting, self._waiters = self._waiters, []
        return waiting

    @property
    def has_waiters(self) -> bool:
        return bool(self._waiters)


def wake(waiters: Iterable[Waiter]) -> None:
    """Wake them all."""
    for waiter in waiters:
        waiter.wake()
