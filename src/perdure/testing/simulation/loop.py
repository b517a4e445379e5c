"""An event loop whose time is virtual, and on which several machines live side by side.

- *Time passes only when nothing is left to do*: it jumps to the next timer. So a minute of waiting costs nothing.
- *Order is fixed*: callbacks run as they were scheduled, timers by their time and then as they were set; tasks and futures
  hash to running numbers, for asyncio keeps them in sets, whose order would follow addresses.
- *A callback belongs to the host in whose contextvars context it runs.* A frozen host runs nothing: what comes up for it
  meanwhile is held, in order, until it thaws. That is a machine that stands still, or one that has crashed: nothing of its
  clean-up takes place. What belongs to no host (the network, the store, who looks on) goes on.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import weakref
from asyncio import events as asyncio_events
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_MOST_AT_ONCE = 200_000
"""Callbacks without time passing: beyond that, somebody asks in a loop without waiting."""


_MOST_CANCELS = 20


class Host:
    """What can stand still."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_frozen = False
        self.held: list[Handle] = []


_host: contextvars.ContextVar[Host | None] = contextvars.ContextVar("perdure_simulated_host", default=None)


def context_of(host: Host | None, base: contextvars.Context) -> contextvars.Context:
    """A copy of `base` whose callbacks belong to the host."""
    context = base.copy()
    context.run(_host.set, host)
    return context


def current_host() -> Host | None:
    """On which host the code that asks runs."""
    return _host.get()


class Standstill(Exception):
    """Nothing is left to do, and the main task waits."""


class BusyLoop(Exception):
    """Somebody never waits."""


class Handle:
    """A callback and when it runs. It stands in for asyncio's TimerHandle."""

    __slots__ = ("args", "at", "callback", "context", "host", "is_cancelled")

    def __init__(
        self, at: float, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context
    ) -> None:
        self.at = at
        self.callback = callback
        self.args = args
        self.context = context
        self.host = context.get(_host)
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled

    def when(self) -> float:
        return self.at


class SimulatedTask(asyncio.Task[T]):
    """A task with a hash that is the same in each run."""

    def __init__(self, coro: Any, *, number: int, **options: Any) -> None:
        self._number = number  # before super: it puts the task into a set
        super().__init__(coro, **options)
        self._log_destroy_pending = False

    def __hash__(self) -> int:
        return self._number


class SimulatedFuture(asyncio.Future[T]):
    """A future with a hash that is the same in each run."""

    def __init__(self, *, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self._number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(asyncio.AbstractEventLoop):
    """See the head of the file."""

    def __init__(self) -> None:
        self._now = 0.0
        self._numbers = 0
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._tasks: weakref.WeakValueDictionary[int, SimulatedTask[Any]] = weakref.WeakValueDictionary()
        self.problems: list[str] = []
        """What asyncio would have logged: callbacks that raised, exceptions that nobody looked at."""

    # --- what asyncio calls

    def time(self) -> float:
        return self._now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = Handle(self._now, callback, args, contextvars.copy_context() if context is None else context)
        self._ready.append(handle)
        return handle  # type: ignore[return-value]

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle = Handle(when, callback, args, contextvars.copy_context() if context is None else context)
        heapq.heappush(self._timers, (when, self._next_number(), handle))
        return handle  # type: ignore[return-value]

    def create_future(self) -> asyncio.Future[Any]:
        return SimulatedFuture(number=self._next_number(), loop=self)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
        **_: Any,
    ) -> asyncio.Task[T]:
        number = self._next_number()
        task: SimulatedTask[T] = SimulatedTask(
            coro, number=number, loop=self, name=name or f"task {number}", context=context
        )
        self._tasks[number] = task
        return task

    def get_exception_handler(self) -> None:
        return None

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.problems.append(f"{context.get('message')}: {context.get('exception')!r}")

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.call_exception_handler(context)

    # --- running

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until `main` has ended. Raises Standstill if it can't any more, and BusyLoop."""
        outer = asyncio_events._get_running_loop()
        asyncio_events._set_running_loop(self)
        try:
            task = self.create_task(main)
            while not task.done():
                self._run_what_is_ready(task)
                if not task.done():
                    self._let_time_pass()
            return task.result()
        finally:
            asyncio_events._set_running_loop(outer)

    @property
    def live_tasks(self) -> list[asyncio.Task[Any]]:
        """Tasks that haven't ended, in order of creation."""
        return [task for _, task in sorted(self._tasks.items()) if not task.done()]

    async def end_all(self) -> None:
        """Cancel whatever still runs, again and again. Only if a run went wrong is there anything."""
        current = asyncio.current_task()
        for _ in range(_MOST_CANCELS):
            rest = [task for task in self.live_tasks if task is not current]
            for task in rest:
                task.cancel()
            if not rest:
                return
            await asyncio.wait(rest, timeout=60)

    def thaw(self, host: Host) -> None:
        """Let a host go on, with what came up for it meanwhile."""
        host.is_frozen = False
        held, host.held = host.held, []
        self._ready.extend(held)

    def _run_what_is_ready(self, main: asyncio.Task[Any]) -> None:
        ready, count = self._ready, 0
        while ready and not main.done():
            handle = ready.popleft()
            if handle.is_cancelled:
                continue
            host = handle.host
            if host is not None and host.is_frozen:
                host.held.append(handle)
                continue
            self._run_one(handle)
            count += 1
            if count > _MOST_AT_ONCE:
                raise BusyLoop(
                    f"{count:,} callbacks at one instant, the last one of {host and host.name}: {handle.callback!r}"
                )

    def _run_one(self, handle: Handle) -> None:
        try:
            handle.context.run(handle.callback, *handle.args)
        except Exception as problem:
            self.problems.append(f"a callback of {handle.host and handle.host.name} raised {problem!r}")

    def _let_time_pass(self) -> None:
        timers = self._timers
        while timers and timers[0][2].is_cancelled:
            heapq.heappop(timers)
        if not timers:
            raise Standstill("nothing is left to do, and nobody waits for a time")
        self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            handle = heapq.heappop(timers)[2]
            if not handle.is_cancelled:
                self._ready.append(handle)

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers


EPOCH_SECONDS = 1_700_000_000


class VirtualClock:
    """The loop's time as a machine sees it: its time of day may be wrong, its monotonic clock begins anywhere."""

    def __init__(self, loop: VirtualLoop, *, wrong_by_seconds: float = 0.0, begins_at: float = 0.0) -> None:
        self._loop = loop
        self.wrong_by_seconds = wrong_by_seconds
        self._begins_at = begins_at

    def now(self) -> int:
        return round((EPOCH_SECONDS + self._loop.time() + self.wrong_by_seconds) * 1_000_000)

    def monotonic(self) -> float:
        return self._loop.time() + self._begins_at
