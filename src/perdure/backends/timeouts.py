"""The time-outs of many who wait, without a timer for each.

Who waits for a result mostly gets it long before the time-out; an event loop's timer costs more than all the rest of such a
wait, and stays in the loop's heap when it is cancelled. So time-outs of a second or more are rounded up to the next twentieth of
a second, and those that are due together share a timer. Shorter ones are exact.
"""

from __future__ import annotations

import asyncio
import math
from contextvars import Context
from typing import Generic, TypeVar

T = TypeVar("T")

_EXACT_BELOW_SECONDS = 1.0
_PER_SECOND = 20


class Timeouts(Generic[T]):
    """Those of one event loop; who has waited for too long gets `outcome`."""

    __slots__ = ("_due", "_loop", "_outcome")

    def __init__(self, loop: asyncio.AbstractEventLoop, outcome: T) -> None:
        self._loop = loop
        self._outcome = outcome
        self._due: dict[int, set[asyncio.Future[T]]] = {}

    async def wait(self, waiter: asyncio.Future[T], seconds: float) -> T:
        """What the waiter gets, or the outcome of a time-out."""
        if seconds < _EXACT_BELOW_SECONDS:
            timer = self._loop.call_later(max(0.0, seconds), self._settle, waiter)
            try:
                return await waiter
            finally:
                timer.cancel()
        tick = math.ceil((self._loop.time() + seconds) * _PER_SECOND)
        together = self._due.get(tick)
        if together is None:
            together = self._due[tick] = set()
            # In a context of nobody's: it is not only for the first of them.
            self._loop.call_at(tick / _PER_SECOND, self._expire, tick, context=Context())
        together.add(waiter)
        try:
            return await waiter
        finally:
            together.discard(waiter)

    def _expire(self, tick: int) -> None:
        for waiter in self._due.pop(tick):
            self._settle(waiter)

    def _settle(self, waiter: asyncio.Future[T]) -> None:
        if not waiter.done():
            waiter.set_result(self._outcome)
