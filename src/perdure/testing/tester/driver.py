"""Who moves the clock: whoever awaits the tester, while nothing else is under way."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import inspect
from collections.abc import Awaitable, Callable
from itertools import count
from typing import TypeVar

from perdure.clock import Micros, to_datetime
from perdure.testing.tester.clock import VirtualClock
from perdure.testing.tester.errors import WorkflowBlocked
from perdure.testing.tester.store import Look, WatchedStore

T = TypeVar("T")

Callback = Callable[[], Awaitable[object] | object]

_TURNS = 25
"""Of the event loop, in which somebody may begin who has been woken but hasn't told the store yet."""
_LOOK_AGAIN_SECONDS = 0.05

_in_callback: contextvars.ContextVar[bool] = contextvars.ContextVar("perdure_tester_callback", default=False)


class Driver:
    """Waits until nothing can happen at this instant, then goes to the next one."""

    def __init__(
        self,
        clock: VirtualClock,
        store: WatchedStore,
        *,
        last_at: Micros,
        keep_house: Callable[[], Awaitable[object]],
        check: Callable[[], None],
        explain: Callable[[Look], str],
        saw_sub_workflow: Callable[[str], None],
    ) -> None:
        """`check` raises what has failed the test; `explain` says where everything hangs; beyond `last_at` time doesn't go."""
        self._clock = clock
        self._store = store
        self._last_at = last_at
        self._keep_house = keep_house
        self._check = check
        self._explain = explain
        self._saw_sub_workflow = saw_sub_workflow
        self.release: Callable[[], bool] = lambda: False
        """Lets something go on that was held back until nobody works; whether there was something."""
        self._lock = asyncio.Lock()
        self._callbacks: list[tuple[Micros, int, Callback]] = []
        self._numbers = count()
        self._running: set[asyncio.Task[object]] = set()
        self._waiting_callbacks = 0
        self._parked: set[int] = set()
        self._seen: set[str] = set()

    def at(self, at: Micros, callback: Callback) -> None:
        """Call it when the clock has come there."""
        heapq.heappush(self._callbacks, (at, next(self._numbers), callback))

    def call(self, callback: Callback) -> None:
        """Call it now, before time goes on."""
        task = asyncio.ensure_future(_called(callback))
        self._running.add(task)
        task.add_done_callback(lambda _: self._store.changed.set())

    async def park(self, activity_key: int, delay: Micros) -> None:
        """Let an activity do nothing until the clock has moved on by `delay`."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            self._parked.discard(activity_key)
            if not over.done():
                over.set_result(None)

        self.at(self._clock.now() + delay, wake)
        self._parked.add(activity_key)
        self._store.changed.set()
        try:
            await over
        finally:
            self._parked.discard(activity_key)

    async def move_until(self, find: Callable[[], T | None], until: Micros | None = None) -> T | None:
        """Move the clock until `find` gives something, and give it; None if it comes to `until` before.

        Raises WorkflowBlocked if nothing more can happen, and whatever has failed the test.
        """
        is_callback = _in_callback.get()
        self._waiting_callbacks += is_callback
        try:
            while (found := find()) is None:
                async with self._lock:
                    look = await self._settle(find)
                    if look is None:
                        continue
                    if not await self._move(look, until):
                        return find()
        finally:
            self._waiting_callbacks -= is_callback
        self._raise_problems()
        return found

    async def _settle(self, find: Callable[[], object | None]) -> Look | None:
        """Wait, in real time, until nobody works; None if something was found before."""
        store = self._store
        while True:
            store.changed.clear()
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            self._raise_problems()
            if find() is not None:
                return None
            if store.changed.is_set() or self.release():
                continue
            look = store.look(self._parked)
            for instance_id in look.sub_workflows:
                if instance_id not in self._seen:
                    self._seen.add(instance_id)
                    self._saw_sub_workflow(instance_id)
            is_calling = len(self._running) > self._waiting_callbacks
            if not (look.is_busy or is_calling):
                return look
            try:
                async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                    await store.changed.wait()
            except TimeoutError:
                pass

    async def _move(self, look: Look, until: Micros | None) -> bool:
        """Go to the next instant; False if that is `until`."""
        clock = self._clock
        if look.stuck:
            raise WorkflowBlocked(f"a workflow is stuck\n{self._explain(look)}")
        first = self._callbacks[0][0] if self._callbacks else None
        times = [at for at in (look.next_at, first) if at is not None]
        at = min(times, default=None)
        if until is not None and (at is None or at > until):
            clock.move_to(until)
            return False
        if at is None:
            raise WorkflowBlocked(f"nothing that the test waits for will happen\n{self._explain(look)}")
        if at > self._last_at:
            raise WorkflowBlocked(
                f"the clock would go beyond {to_datetime(self._last_at):%Y-%m-%d}, which is the tester's `time_limit`\n"
                f"{self._explain(look)}"
            )
        clock.move_to(at)
        while self._callbacks and self._callbacks[0][0] <= clock.now():
            *_, callback = heapq.heappop(self._callbacks)
            self.call(callback)
        self._store.time_passed()
        await self._keep_house()
        return True

    def _raise_problems(self) -> None:
        ended = [task for task in self._running if task.done()]
        self._running.difference_update(ended)
        for task in ended:
            task.result()
        self._check()

    async def close(self) -> None:
        """End what still runs of callbacks."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


async def _called(callback: Callback) -> object:
    _in_callback.set(True)
    result = callback()
    return await result if inspect.isawaitable(result) else result
