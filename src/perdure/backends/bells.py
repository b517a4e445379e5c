"""Waiting on one event loop: a bell for each worker, rung by what commits made ready, now or at a moment."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from perdure.backends.protocol import WorkerStart
from perdure.backends.wakes import Wakes
from perdure.clock import Clock, Micros
from perdure.model.transition import Claimed

_SECOND = 1_000_000


class Bell:
    """One worker's. Rung, it stays so until the worker's next claim."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, worker_key: int, start: WorkerStart) -> None:
        self._loop = loop
        self._clock = clock
        self._worker_key = worker_key
        self._workflow_queues = frozenset(start.workflow_queues)
        self._activity_queues = frozenset(start.activity_queues)
        self._is_rung = True  # what waited before the worker began
        self._asked = asyncio.Event()
        self._asked.set()
        self._alarm_at: Micros | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None

    def hear(self, wakes: Wakes) -> None:
        """Ring for what concerns the worker."""
        if self._worker_key in wakes.questions:
            self.ask()
        times = [at for queue, at in wakes.workflow_queues.items() if queue in self._workflow_queues]
        times += [at for queue, at in wakes.activity_queues.items() if queue in self._activity_queues]
        if self._worker_key in wakes.workers:
            times.append(wakes.workers[self._worker_key])
        if times:
            self.ring_at(min(times))

    def ring(self) -> None:
        self._is_rung = True
        self._wake()

    def ask(self) -> None:
        """There may be a question."""
        self._asked.set()

    def ring_at(self, at: Micros) -> None:
        """Ring when that time has come."""
        now = self._clock.now()
        if at <= now:
            self.ring()
        elif self._alarm_at is None or at < self._alarm_at:
            self._set_alarm(at, now)

    def claim_begins(self) -> None:
        """What was committed up to here is seen by the claim."""
        self._is_rung = False

    def claim_ended(self, claimed: Claimed) -> None:
        if claimed.next_due_at is not None:
            self.ring_at(claimed.next_due_at)

    def questions_taken(self) -> None:
        self._asked.clear()

    def close(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self.ring()
        self.ask()

    async def wait(self, timeout_seconds: float) -> None:
        """Until it is rung; one waiter at a time is enough for a worker, more are told as well."""
        if self._is_rung:
            await asyncio.sleep(0)
            return
        if self._waiter is None or self._waiter.done():
            self._waiter = self._loop.create_future()
        await asyncio.wait((self._waiter,), timeout=max(0.0, timeout_seconds))

    async def wait_for_questions(self, timeout_seconds: float) -> None:
        """Until the worker is asked something that it hasn't read."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._asked.wait()

    def _set_alarm(self, at: Micros, now: Micros) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self._loop.call_later((at - now) / _SECOND, self._alarm_rings)

    def _alarm_rings(self) -> None:
        at, self._alarm_at, self._alarm = self._alarm_at, None, None
        if at is not None:
            self.ring_at(at)  # again a moment later, if the loop's clock ran ahead of the store's

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
