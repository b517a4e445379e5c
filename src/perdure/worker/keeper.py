"""Keeps a worker's leases, from a thread that neither workflow code nor activities can block.

One heartbeat for all leases, every 5 s for 20 s. The worker holds what it has until its *own* monotonic clock says that the
lease could be over, counted from before the last heartbeat that was answered: so it has stopped before anybody can take over.
The thread has an event loop of its own and a twin of the store; the watchdog lives on it too.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import msgspec

from perdure.backends.protocol import Backend
from perdure.clock import Clock, Micros
from perdure.errors import StoreError
from perdure.observability.logging import Log, text_of

_MARGIN = 0.1
"""The share of a lease that must be left when the worker stops: its last commits may be on their way."""
_RETRY_SECONDS = 0.5
_LEAVE_SECONDS = 5.0


Aside = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]
"""Begins a coroutine apart from the worker's event loop."""


def in_a_thread(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """On an event loop of its own."""
    threading.Thread(target=lambda: asyncio.run(main()), name="perdure-keeper", daemon=True).start()


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's own: `started_at` is on the monotonic clock, before the store was asked for it."""

    worker_key: int
    started_at: float
    seconds: float
    beat_seconds: float


class Keeper:
    """The keeper of one worker key. `lost` and `beaten` (with the store's time) are called on the worker's loop."""

    def __init__(
        self,
        backend: Backend,
        lease: Lease,
        *,
        clock: Clock,
        lost: Callable[[str], None],
        beaten: Callable[[Micros], None],
        logger: Log,
        aside: Aside = in_a_thread,
    ) -> None:
        self._aside = aside
        self._twin = backend.twin()
        self._lease = lease
        self._clock = clock
        self._lost = lost
        self._beaten = beaten
        self._logger = logger
        self._worker_loop = asyncio.get_running_loop()
        self._held_until = lease.started_at + lease.seconds * (1 - _MARGIN)
        self._is_lost = False
        self.is_forfeit = False
        """Whether the leases must end with their time, and count as lost, instead of being given back."""
        self._why_paused: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._ended: asyncio.Future[None] = self._worker_loop.create_future()
        self._started: asyncio.Future[None] = self._worker_loop.create_future()

    @property
    def is_held(self) -> bool:
        """Whether the leases are certainly still this worker's. May be asked from any thread."""
        return not self._is_lost and self._clock.monotonic() < self._held_until

    @property
    def twin(self) -> Backend:
        """The store on the keeper's loop, for what runs there."""
        return self._twin

    async def start(self, *companions: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin, with others that live on the keeper's loop. Raises what opening the twin raises."""
        self._aside(lambda: self._run(companions))
        await self._started

    async def stop(self) -> None:
        """End the thread; the leases then end with their time, unless they are given back."""
        loop, main = self._loop, self._main
        if loop is not None and main is not None and not self._ended.done():
            with suppress(RuntimeError):  # it has just ended by itself
                loop.call_soon_threadsafe(main.cancel)
        await asyncio.wait((self._ended,), timeout=_LEAVE_SECONDS)

    def lose(self, why: str, *, is_forfeit: bool = False) -> None:
        """The leases aren't this worker's any more; forfeited ones count as lost. On the keeper's loop."""
        if not self._is_lost:
            self._is_lost = True
            self.is_forfeit = is_forfeit
            self._tell(self._lost, why)

    def pause(self, why: str) -> None:
        """Send no heartbeats until `resume`: if that goes on, the leases end with their time. On the keeper's loop."""
        self._why_paused = why

    def resume(self) -> None:
        """Send heartbeats again."""
        self._why_paused = None

    # --- on the keeper's loop

    async def _run(self, companions: tuple[Callable[[], Coroutine[Any, Any, None]], ...]) -> None:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        try:
            await self._twin.open()
        except BaseException as problem:
            self._tell(_fail, self._started, problem)
            self._tell(_settle, self._ended)
            return
        self._tell(_settle, self._started)
        try:
            async with asyncio.TaskGroup() as group:
                for companion in companions:
                    group.create_task(companion())
                await self._keep()
        except asyncio.CancelledError:
            pass
        except BaseException as problem:
            self._logger.critical("the keeper of the leases has failed: please report it", exc_info=problem)
            self.lose("its keeper has failed")
        finally:
            await self._close()
            self._tell(_settle, self._ended)

    async def _keep(self) -> None:
        pause = self._lease.beat_seconds
        while not self._is_lost:
            left = self._held_until - self._clock.monotonic()
            await asyncio.sleep(max(0.0, min(pause, left)))
            if self._why_paused is None:
                pause = self._lease.beat_seconds if await self._beat() else _RETRY_SECONDS
            elif left <= 0:
                self.lose(self._why_paused, is_forfeit=True)

    async def _beat(self) -> bool:
        """Whether a heartbeat was answered. The leases are lost if none was in time."""
        asked_at = self._clock.monotonic()
        left = self._held_until - asked_at
        try:
            async with asyncio.timeout(max(0.0, left)):
                answer = await self._twin.beat(self._lease.worker_key)
        except (StoreError, TimeoutError) as problem:
            if self._clock.monotonic() >= self._held_until:
                self.lose(f"no heartbeat was answered for most of its lease ({type(problem).__name__}: {problem})")
            return False
        if not answer.is_alive:
            self.lose("the store has taken its leases")
            return False
        self._held_until = asked_at + self._lease.seconds * (1 - _MARGIN)
        self._tell(self._beaten, answer.now)
        return True

    async def _close(self) -> None:
        try:
            await self._twin.close()
        except StoreError as problem:
            self._logger.warning("closing the keeper's connection failed: %s", text_of(problem))

    def _tell(self, function: Callable[..., object], *args: object) -> None:
        with suppress(RuntimeError):  # the worker's loop is closed: nobody is left to be told
            self._worker_loop.call_soon_threadsafe(function, *args)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[None], problem: BaseException) -> None:
    if not future.done():
        future.set_exception(problem)
