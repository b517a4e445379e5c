"""One attempt of an activity, from its lease to its end.

The user's function runs as a task of its own on the loop, or in a thread. There are two ends: that of the function, which
frees the slot, and that of the attempt, which is reported. They are the same moment, unless the attempt is *given up*: its
lease was lost, or it was told to stop and didn't (a thread can't be stopped; a coroutine may swallow the CancelledError).
Then the function runs on with its slot taken, and what it gives is of no use to anybody.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from perdure.activities.context import ActivityContext, LeavesOpen, set_current
from perdure.activities.definition import Activity
from perdure.app import App
from perdure.clock import Micros
from perdure.errors import StoreCorrupt
from perdure.model.reference import is_reference
from perdure.model.task import ActivityTask
from perdure.model.transition import Heartbeat, RecordHeartbeat
from perdure.observability.logging import ActivityLogger, FieldsLogger, attempt_fields
from perdure.observability.telemetry import AttemptWatcher
from perdure.worker.heartbeats import Heartbeats, Spawn
from perdure.worker.threads import Threads
from perdure.worker.verdict import Cause, GivenUp, HowItEnded, LeftOpen, Raised, Returned

_STUBBORN_SECONDS = 5.0
"""How long a coroutine may take to end after it ran out of time."""

_RAN_OUT = frozenset({Cause.TOTAL_TIMEOUT, Cause.TIMEOUT, Cause.HEARTBEAT_TIMEOUT})


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What attempts need from their worker."""

    loop: asyncio.AbstractEventLoop
    app: App
    threads: Threads
    context: contextvars.Context
    """What the contextvars of activities begin with: never those of whoever happened to commit."""
    logger: FieldsLogger
    spawn: Spawn
    send_heartbeat: Callable[[RecordHeartbeat], Awaitable[Heartbeat]]
    fetch: Callable[[bytes], Awaitable[bytes]]
    """Of a payload that is kept apart. Raises StoreCorrupt."""
    is_stopping: Callable[[], bool]
    is_held: Callable[[], bool]
    """Whether the worker's leases hold."""


class Attempt:
    """A running attempt. Everything but what contexts call happens on the event loop."""

    __slots__ = (
        "_activity", "_begun_at", "_has_news", "_heartbeats", "_how", "_inner", "_logger", "_loop", "_news", "_on_end",
        "_on_free", "_schema", "_surroundings", "_timers", "causes", "has_ended", "task", "watcher",
    )  # fmt: skip

    def __init__(
        self,
        task: ActivityTask,
        activity: Activity[..., object],
        surroundings: Surroundings,
        *,
        on_end: Callable[[Attempt, HowItEnded], None],
        on_free: Callable[[], None],
    ) -> None:
        self.task = task
        self.causes: set[Cause] = set()
        self.has_ended = False
        self.watcher: AttemptWatcher | None = None
        self._activity = activity
        self._schema = surroundings.app.payloads.call(activity.function, skip=activity.skip)
        self._surroundings = surroundings
        self._on_end = on_end
        self._on_free = on_free
        self._loop = surroundings.loop
        self._begun_at = self._loop.time()
        self._timers: list[asyncio.TimerHandle] = []
        self._heartbeats: Heartbeats | None = None
        self._logger: ActivityLogger | None = None
        self._inner: asyncio.Task[HowItEnded] | None = None
        self._how: HowItEnded = GivenUp()
        self._news: bytes | None = None
        self._has_news = False

    @property
    def logger(self) -> ActivityLogger:
        """Made when somebody logs."""
        if self._logger is None:
            self._logger = ActivityLogger(self._surroundings.logger, attempt_fields(self.task))
        return self._logger

    @property
    def heartbeats(self) -> Heartbeats | None:
        """None if there was none, and none is missed."""
        return self._heartbeats

    # --- its life

    def begin(self) -> None:
        """Run the function, unless it is too late for that already."""
        task = self.task
        if task.total_deadline_at is not None:
            self._call_later(task.total_deadline_at - task.now, self.stop, Cause.TOTAL_TIMEOUT)
        context = self._surroundings.context.copy()
        if task.cancel_requested:
            self.causes.add(Cause.REQUESTED)
        if task.total_deadline_at is not None and task.total_deadline_at <= task.now:
            self.causes.add(Cause.TOTAL_TIMEOUT)  # its timer comes too late to say so
        if self.causes:
            self._loop.call_soon(self._function_ended, Raised(asyncio.CancelledError()))
        elif not self._is_whole:
            fetching = self._surroundings.spawn(self._fetch())
            fetching.add_done_callback(lambda _: self._fetched(context))
        else:
            self._begin_function(context)

    @property
    def _is_whole(self) -> bool:
        task = self.task
        return not (is_reference(task.arguments) or is_reference(task.heartbeat_details or b""))

    async def _fetch(self) -> None:
        """Read what is kept apart."""
        task, fetch = self.task, self._surroundings.fetch
        try:
            details = None if task.heartbeat_details is None else await fetch(task.heartbeat_details)
            arguments = await fetch(task.arguments)
        except StoreCorrupt as problem:
            self._how = Raised(problem, is_permanent=True)
        else:
            self.task = msgspec.structs.replace(task, arguments=arguments, heartbeat_details=details)

    def _fetched(self, context: contextvars.Context) -> None:
        if (
            not self._surroundings.is_held()
        ):  # this process stood still while it waited, and others may have the attempt
            self.causes.add(Cause.LEASE_LOST)
        if isinstance(self._how, Raised):
            self._function_ended(self._how)
        elif self.causes or not self._is_whole:  # it was told to stop meanwhile, or the worker ends
            self._function_ended(Raised(asyncio.CancelledError()))
        else:
            self._begin_function(context)

    def _begin_function(self, context: contextvars.Context) -> None:
        task = self.task
        if self._activity.is_async:
            name = f"perdure activity {task.name} of {task.instance_id}"
            self._inner = self._loop.create_task(self._run(), name=name, context=context)
            self._inner.add_done_callback(self._inner_ended)
        else:
            self._surroundings.threads.run(lambda: context.run(self._run_in_thread), self._thread_ended)

    def stop(self, cause: Cause) -> None:
        """Tell it to stop. It may take its time, except where it has none."""
        if self.has_ended or cause in self.causes:
            return
        is_late = bool(self.causes & _RAN_OUT)
        self.causes.add(cause)
        if self._inner is not None and not (is_late and cause in _RAN_OUT):
            self._inner.cancel()
        if cause is Cause.LEASE_LOST:
            self.give_up()
        elif cause in _RAN_OUT and not is_late:
            self._call_later(0 if self._inner is None else round(_STUBBORN_SECONDS * 1_000_000), self.give_up)

    def give_up(self) -> None:
        """Wait for the function no longer."""
        if self.has_ended:
            return
        if Cause.LEASE_LOST not in self.causes:
            self.logger.warning(
                "activity %s of %s doesn't stop (%s): its slot stays taken until it returns. A plain function has to look "
                "at activity_context().cancelled or to send heartbeats, an async one mustn't swallow CancelledError.",
                self.task.name,
                self.task.instance_id,
                ", ".join(cause.name.lower() for cause in sorted(self.causes)),
            )
        self._end(GivenUp())

    @property
    def elapsed(self) -> Micros:
        """Since its task was claimed."""
        return round((self._loop.time() - self._begun_at) * 1_000_000)

    # --- what its context asks, from any thread

    @property
    def is_cancelled(self) -> bool:
        return bool(self.causes)

    @property
    def is_worker_stopping(self) -> bool:
        return self._surroundings.is_stopping()

    @property
    def heartbeat_raises(self) -> bool:
        return not self._activity.is_async

    def heartbeat(self, details: bytes | None) -> None:
        if asyncio._get_running_loop() is self._loop:
            self._beating().beat(details)
            return
        if details is not None:
            self._news = details
        if not self._has_news:  # a tight loop in a thread wakes the event loop once, not each time
            self._has_news = True
            self._loop.call_soon_threadsafe(self._beat_of_thread)

    def _beat_of_thread(self) -> None:
        self._has_news = False
        self._beating().beat(self._news)

    def _beating(self) -> Heartbeats:
        """Most attempts send none, and have no time-out for them."""
        if self._heartbeats is None:
            self._heartbeats = Heartbeats(
                details=self.task.heartbeat_details,
                timeout_seconds=_seconds(self.task.heartbeat_timeout),
                send=self._send_heartbeat,
                heard=self._heard,
                missed=lambda: self.stop(Cause.HEARTBEAT_TIMEOUT),
                spawn=self._surroundings.spawn,
            )
            if self.has_ended:
                self._heartbeats.stop()
        return self._heartbeats

    # --- the function

    async def _run(self) -> HowItEnded:
        self._enter()
        self._started()
        try:
            args, kwargs = self._received()
        except Exception as problem:
            return Raised(problem, is_permanent=True)
        try:
            value = await self._activity._call(args, kwargs)
        except LeavesOpen:
            return LeftOpen()
        except (KeyboardInterrupt, GeneratorExit):
            raise  # meant for the process, and the end of the loop: no outcome of the activity
        except BaseException as problem:
            return Raised(problem)
        return self._returned(value)

    def _run_in_thread(self) -> None:
        self._how = self._outcome_in_thread()

    def _outcome_in_thread(self) -> HowItEnded:
        if self.causes:
            return Raised(asyncio.CancelledError())
        self._enter()
        self._loop.call_soon_threadsafe(self._started)
        try:
            args, kwargs = self._received()
        except Exception as problem:
            return Raised(problem, is_permanent=True)
        try:
            value = self._activity._call(args, kwargs)
        except LeavesOpen:
            return LeftOpen()
        except BaseException as problem:
            return Raised(problem)
        return self._returned(value)

    def _enter(self) -> None:
        """Let activity_context() find this attempt, in the contextvars context that is the function's own."""
        set_current(ActivityContext(self.task, self, self._surroundings.app.payloads))

    def _received(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments; what headers say is set, too."""
        self._surroundings.app.propagation.enter(self.task.headers)
        telemetry = self._surroundings.app.telemetry
        if telemetry is not None:
            self.watcher = telemetry.begin_attempt(self.task)
        return self._schema.decode(self.task.arguments)

    def _returned(self, value: object) -> HowItEnded:
        try:
            return Returned(self._schema.encode_result(value))
        except Exception as problem:
            return Raised(problem, is_permanent=True)

    # --- what happens to it

    def _started(self) -> None:
        """The function has begun: its own time-outs count from here, not from the wait for a thread."""
        if self.has_ended:
            return
        if self.task.heartbeat_timeout is not None:
            self._beating().start()
        if self.task.timeout is not None:
            self._call_later(self.task.timeout, self.stop, Cause.TIMEOUT)

    def _inner_ended(self, inner: asyncio.Task[HowItEnded]) -> None:
        self._inner = None  # the task's context leads back to this attempt: no cycle is left to the garbage collector
        if inner.cancelled():  # before its first step
            self._function_ended(Raised(asyncio.CancelledError()))
            return
        problem = inner.exception()
        self._function_ended(inner.result() if problem is None else Raised(problem))

    def _thread_ended(self) -> None:
        self._function_ended(self._how)

    def _function_ended(self, how: HowItEnded) -> None:
        self._on_free()
        if self.has_ended:
            self.logger.info("activity %s, which had been given up, has ended", self.task.name)
        else:
            self._end(how)

    def _end(self, how: HowItEnded) -> None:
        self.has_ended = True
        for timer in self._timers:
            timer.cancel()
        if self._heartbeats is not None:
            self._heartbeats.stop()
        self._on_end(self, how)

    async def _send_heartbeat(self, details: bytes | None) -> Heartbeat:
        task = self.task
        return await self._surroundings.send_heartbeat(
            RecordHeartbeat(activity_key=task.activity_key, token=task.token, details=details)
        )

    def _heard(self, answer: Heartbeat) -> None:
        if not answer.is_held:
            self.stop(Cause.LEASE_LOST)
        elif answer.cancel_requested:
            self.stop(Cause.REQUESTED)

    def _call_later(self, delay: Micros, callback: Callable[..., object], *args: object) -> None:
        self._timers.append(self._loop.call_later(max(0, delay) / 1_000_000, callback, *args))


def _seconds(length: Micros | None) -> float | None:
    return None if length is None else length / 1_000_000
