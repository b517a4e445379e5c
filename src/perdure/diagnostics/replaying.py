"""An instance's code, replayed to where it is now: in a thread of its own, and for a limited time.

Workflow code is the user's. Between two events the replay looks at the clock; code that blocks inside of one can't be stopped, so
its thread is left alone, a daemon that keeps its place among the few that may be at work.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Literal

import msgspec

from perdure.app import App
from perdure.backends.weight import whole
from perdure.client.client import Client
from perdure.clock import SystemClock
from perdure.diagnostics.reading import EVENTS_AT_ONCE, read_events
from perdure.diagnostics.steps import told
from perdure.engine.apart import InputApart
from perdure.engine.execution import Execution
from perdure.engine.whereabouts import Place
from perdure.errors import NonDeterminismError, StoreCorrupt
from perdure.model.event import Event
from perdure.model.instance import Instance
from perdure.serialization.failures import to_failure
from perdure.serialization.saved import SavedHistory, task_of

_AT_ONCE = 2
_KEPT = 100
_MOST_EVENTS = 50_000
_MOST_BYTES = 64 * 1024 * 1024
_clock = SystemClock()


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a replay."""

    code: Literal["shown", "unknown workflow", "differs", "failed", "too large", "too slow"]
    places: tuple[Place, ...] = ()
    problem: str = ""


class Replays:
    """Replays instances of one store with the code of one App, on one event loop."""

    def __init__(self, client: Client, app: App) -> None:
        self._client = client
        self._app = app
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._kept: OrderedDict[tuple[str, int], Replayed] = OrderedDict()
        """By execution and length of its history."""

    async def replay(self, instance: Instance, seconds: float) -> Replayed:
        """Where its current execution is; what is wrong with the code is told, not raised. Raises InstanceNotFound, StoreError."""
        key = (instance.execution_id, instance.history_length)
        if key not in self._kept:
            try:
                found = await self._replay(instance, seconds)
            except StoreCorrupt as problem:
                return Replayed(code="failed", problem=f"StoreCorrupt: {problem}")
            if found.code == "too slow":
                return found
            self._kept[key] = found
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]

    async def _replay(self, instance: Instance, seconds: float) -> Replayed:
        if instance.workflow not in self._app.workflows:
            return Replayed(code="unknown workflow", problem=f"the App has no workflow {instance.workflow!r}")
        if instance.history_length > _MOST_EVENTS or instance.history_bytes > _MOST_BYTES:
            size = f"{instance.history_length:,} events of {instance.history_bytes:,} bytes"
            return Replayed(code="too large", problem=f"a history of {size} isn't replayed to be looked at")
        history = SavedHistory.of(instance, instance.execution_id, await self._read(instance))
        try:
            async with asyncio.timeout(seconds):
                await self._room.acquire()
                return await self._on_thread(partial(self._run, history, asyncio.get_running_loop(), seconds))
        except TimeoutError:
            return _too_slow(seconds)

    async def _read(self, instance: Instance) -> tuple[Event, ...]:
        events: list[Event] = []
        while True:
            found = await read_events(self._client, instance.instance_id, instance.execution_id, after=len(events) - 1)
            events += [each.event for each in found]
            if len(found) < EVENTS_AT_ONCE:
                return tuple(events)

    async def _on_thread(self, run: Callable[[], Replayed]) -> Replayed:
        """Whoever doesn't wait any longer leaves it at work; its end makes room."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Replayed] = loop.create_future()

        def settle(found: Replayed) -> None:
            self._room.release()
            if not answer.done():
                answer.set_result(found)

        def work() -> None:
            found = run()
            try:
                loop.call_soon_threadsafe(settle, found)
            except RuntimeError:  # the loop was closed meanwhile
                return

        threading.Thread(target=work, name="perdure-replay", daemon=True).start()
        return await answer

    # on the thread

    def _run(self, history: SavedHistory, loop: asyncio.AbstractEventLoop, seconds: float) -> Replayed:
        ends_at = _clock.monotonic() + seconds

        def fetch(reference: bytes) -> bytes:
            fetching = asyncio.run_coroutine_threadsafe(whole(self._client.backend, reference), loop)
            return fetching.result(max(0.0, ends_at - _clock.monotonic()))

        try:
            try:
                return self._places(history, fetch, ends_at)
            except InputApart:
                return self._places(history, fetch, ends_at, asks_for_inputs=True)
        except NonDeterminismError as problem:
            return Replayed(code="differs", problem=str(problem))
        except _TooSlow:
            return _too_slow(seconds)
        except BaseException as problem:  # workflow code may raise whatever it likes, and nobody else is on this thread
            return Replayed(code="failed", problem=told(to_failure(problem, self._app.payloads)))

    def _places(
        self, history: SavedHistory, fetch: Callable[[bytes], bytes], ends_at: float, *, asks_for_inputs: bool = False
    ) -> Replayed:
        definition = self._app.workflows[history.workflow]
        execution = Execution(task_of(history), definition, self._app, asks_for_inputs=asks_for_inputs)
        try:
            for missing in execution.replaying(history.events):
                if _clock.monotonic() > ends_at:
                    raise _TooSlow
                execution.hand_over({reference: fetch(reference) for reference in missing})
            return Replayed(code="shown", places=tuple(execution.places()))
        finally:
            execution.close()


class _TooSlow(Exception):
    """The time is over."""


def _too_slow(seconds: float) -> Replayed:
    return Replayed(code="too slow", problem=f"the replay wasn't done within {seconds:g} s")
