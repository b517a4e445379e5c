"""Waking those who wait, on whichever event loop and thread they do.

A `Bell` is touched under the store's lock alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


class Waiter:
    """One coroutine that waits, made on its own loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._woken: asyncio.Future[bool] = self._loop.create_future()

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
        # A third of what asyncio.wait with a time-out costs, and there is one for each result that somebody waits for.
        timer = self._loop.call_later(max(0.0, timeout_seconds), self._set, False)
        try:
            return await self._woken
        finally:
            timer.cancel()

    def _set(self, is_in_time: bool = True) -> None:
        if not self._woken.done():
            self._woken.set_result(is_in_time)


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
