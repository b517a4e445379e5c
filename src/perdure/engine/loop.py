"""The event loop that workflow code runs on: asyncio's own tasks and futures, made deterministic.

The rules:

1. *Callbacks run in the order in which they were scheduled*, and nothing else runs: no I/O, no threads, no clock.
2. *A delay is a durable timer*: `call_later` and `call_at` issue a command; the callback is scheduled when history says that
   the timer fired. `time()` is workflow time.
3. *Tasks and futures hash to running numbers*: asyncio keeps them in sets (`wait`, `as_completed`, an aborting TaskGroup), and
   sets iterate in hash order, which otherwise follows addresses. The execution's own base keeps the numbers of thousands of
   loops apart in asyncio's set of all tasks, which would be quadratic up to 3.13 with equal hashes.
4. *Nothing leaves the loop*: async generators that are dropped half-way stay alive until the execution ends, since their
   `finally` would run at the garbage collector's pleasure; a dying loop issues no command.

The loop is entered from inside the worker's own: the worker's task is put aside for the time of a drain.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import warnings
import zlib
from asyncio import tasks as asyncio_tasks
from asyncio.events import _get_running_loop, _set_running_loop
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from math import inf
from sys import get_asyncgen_hooks, set_asyncgen_hooks
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, TypeVarTuple, cast

import msgspec

from perdure.clock import Micros
from perdure.engine.forbidden import ForbiddenCalls
from perdure.engine.tasks import DurableTask
from perdure.errors import NotInWorkflow, RunawayWorkflow
from perdure.workflows.future import Future

if TYPE_CHECKING:
    from perdure.engine.recorder import Recorder

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_FOREVER: Micros = 1_000 * 365 * 86_400 * 1_000_000
"""What asyncio.sleep(math.inf) waits: every store and every datetime can still hold the day."""

_Condition = tuple[Callable[[], Any], "asyncio.Future[None]", contextvars.Context]


class Handle(msgspec.Struct, eq=False):
    """A scheduled callback. A Struct is made in C: one for each step of a task, it shows."""

    context: contextvars.Context
    callback: Callable[..., Any]
    args: tuple[Any, ...]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled


class LoopOwner(Protocol):
    """The execution that the loop belongs to, as far as the loop asks."""

    now: Micros
    started_at: Micros

    def set_loop_timer(
        self, delay: Micros, callback: Callable[[], object], context: contextvars.Context | None
    ) -> asyncio.TimerHandle: ...
    def report(self, context: dict[str, Any]) -> None:
        """asyncio's exception handler."""
        ...


class _Nobody:
    """Owns the loops whose executions have left memory: a loop that outlives its own keeps nothing else alive."""

    now: Micros = 0
    started_at: Micros = 0

    def set_loop_timer(self, *_: object) -> asyncio.TimerHandle:
        raise NotInWorkflow("the execution has left memory: no new timers")

    def report(self, context: dict[str, Any]) -> None: ...


_NOBODY = _Nobody()


class WorkflowLoop(ForbiddenCalls, asyncio.AbstractEventLoop):  # type: ignore[misc]  # made from a table
    """One execution's loop."""

    # What most loops never change stands in the class: thousands of executions wait in memory.
    marked = False
    """Whether the instance's cancel has arrived."""
    delivering = False
    """Whether the instance's cancel is being passed to tasks right now."""
    refusals_while_dying = 0
    _sweep_at = 64
    _conditions: Sequence[_Condition] = ()
    _dropped_generators: Sequence[AsyncGenerator[Any, Any]] = ()

    def __init__(self, owner: LoopOwner, execution_id: bytes) -> None:
        self.owner = owner
        self.hash_base_of(execution_id)
        self.dying = False
        self._numbers = 0
        self.ready: list[Handle] = []
        """What the next drain begins with."""
        self._tasks: list[DurableTask[Any]] = []
        if _GatheringFuture.__hash__ is not _gathering_hash:
            _GatheringFuture.__hash__ = _gathering_hash

    def hash_base_of(self, execution_id: bytes) -> None:
        """Number tasks and futures as that execution's loop did."""
        self.hash_base = zlib.crc32(execution_id) << 28

    # --- what asyncio calls ---------------------------------------------------------------------------------------

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        # Not `context or …`: an empty context is false, and still the one that was asked for.
        handle = Handle(contextvars.copy_context() if context is None else context, callback, args)
        self.ready.append(handle)
        return handle  # type: ignore[return-value]  # as much of asyncio's as anybody uses

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        if delay <= 0:
            return cast("asyncio.TimerHandle", self.call_soon(callback, *args, context=context))
        micros = _FOREVER if delay == inf else max(round(delay * 1_000_000), 1)
        if context is None:
            context = contextvars.copy_context()
        return self.owner.set_loop_timer(micros, lambda: callback(*args), context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_later(when - self.time(), callback, *args, context=context)

    def time(self) -> float:
        """Workflow time in seconds since the execution started: small numbers keep their microseconds as floats."""
        return (self.owner.now - self.owner.started_at) / 1_000_000

    def create_future(self) -> asyncio.Future[Any]:
        return self.number(Future(loop=self))

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T] | asyncio.Future[T],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
        **_: Any,  # eager_start: a task's first step is always a callback of its own here
    ) -> asyncio.Task[T]:
        if self.dying:
            _close(coro)
            raise NotInWorkflow("no new tasks: the execution is being closed, or what runs here may only look")
        _refuse_unordered(coro)
        task: DurableTask[T] = DurableTask(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        if len(self._tasks) > self._sweep_at:
            self._tasks = [each for each in self._tasks if not each.done()]
            self._sweep_at = max(64, 2 * len(self._tasks))
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def get_task_factory(self) -> None:
        return None

    def get_exception_handler(self) -> None:
        return None

    async def shutdown_asyncgens(self) -> None:
        """Generators are closed with their execution."""

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.owner.report(context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.owner.report(context)

    # --- what the engine calls ------------------------------------------------------------------------------------

    def next_number(self) -> int:
        """Counts tasks and futures."""
        self._numbers += 1
        return self._numbers

    def number(self, future: Future[T]) -> Future[T]:
        """Give a future its deterministic hash."""
        self._numbers += 1
        future.number = self._numbers
        return future

    def adopt(self, task: DurableTask[Any]) -> None:
        """Keep a task that wasn't made by create_task."""
        self._tasks.append(task)

    @property
    def live_tasks(self) -> Sequence[DurableTask[Any]]:
        """Tasks that haven't ended, in order of creation."""
        tasks = self._tasks
        if len(tasks) == 1 and tasks[0].done():
            return ()
        return [task for task in tasks if not task.done()]

    @property
    def dropped_generators(self) -> Sequence[AsyncGenerator[Any, Any]]:
        """Async generators that nobody refers to any more, not closed yet."""
        return self._dropped_generators

    def add_condition(self, predicate: Callable[[], Any]) -> asyncio.Future[None]:
        """A future that is done once the predicate is true at the end of a drain."""
        future = self.create_future()
        if not isinstance(self._conditions, list):
            self._conditions = []
        self._conditions.append((predicate, future, contextvars.copy_context()))
        return future

    def drain(self, main: asyncio.Task[Any], recorder: Recorder, step_limit: int) -> None:
        """Run until every task waits for what history has yet to bring, `main` has ended, or the recorder has a fault."""
        outside = _enter(self)
        try:
            steps = 0
            while self.ready or (self._conditions and self._release_conditions()):
                batch, self.ready = self.ready, []
                steps += len(batch)
                if steps > step_limit:
                    raise RunawayWorkflow(
                        f"workflow code ran {step_limit:,} steps for one event without waiting for anything: "
                        "is there an endless loop around asyncio.sleep(0) or a queue?"
                    )
                for handle in batch:
                    if main.done() or recorder.fault is not None:
                        return
                    if handle.is_cancelled:
                        continue
                    try:  # noqa: SIM105 - a with statement in every step costs more than the step
                        handle.context.run(handle.callback, *handle.args)
                    except SystemExit:
                        pass  # asyncio stores it in the task and raises it again: here the task's end is what counts
        finally:
            _leave(outside)

    def _release_conditions(self) -> bool:
        """Wake whoever waits for a predicate that is true now; whether there was one."""
        waiting: list[_Condition] = []
        for condition in self._conditions:
            predicate, future, context = condition
            if future.done():
                continue
            try:
                if context.run(predicate):
                    future.set_result(None)
                else:
                    waiting.append(condition)
            except Exception as problem:
                future.set_exception(problem)
        self._conditions = waiting
        return bool(self.ready)

    def report_forgotten(self) -> None:
        """Tell of failed tasks that nobody awaited; asyncio would when they are collected, but they are kept here."""
        for task in self._tasks:
            if task.done() and task._log_traceback:
                self.owner.report({"message": "Task exception was never retrieved", "exception": task.exception()})

    def forget(self) -> None:
        """Drop what was scheduled, and its owner: nothing of this loop runs again."""
        self.ready.clear()
        self._tasks.clear()
        self._conditions = self._dropped_generators = ()
        self.owner = _NOBODY

    def generator_dropped(self, generator: AsyncGenerator[Any, Any]) -> None:
        if not isinstance(self._dropped_generators, list):
            self._dropped_generators = []
        self._dropped_generators.append(generator)
        if not self.dying:
            name = getattr(generator, "__qualname__", repr(generator))
            warnings.warn(
                f"async generator {name} was left before its end; its clean-up waits for the end of the execution. "
                "Use `async with contextlib.aclosing(…)` around it",
                ResourceWarning,
                stacklevel=2,
            )


@contextmanager
def entered(loop: WorkflowLoop) -> Generator[None, None, None]:
    """Make a workflow loop the running loop of this thread, from wherever the thread is, and go back."""
    outside = _enter(loop)
    try:
        yield
    finally:
        _leave(outside)


_Outside = tuple["asyncio.AbstractEventLoop | None", "asyncio.Task[Any] | None", Any]
"""Loop, task and generator hooks of whoever has entered."""


def _enter(loop: WorkflowLoop) -> _Outside:
    outer = _get_running_loop()
    task = None if outer is None else asyncio_tasks.current_task(outer)
    if task is not None:
        asyncio_tasks._leave_task(outer, task)  # type: ignore[arg-type]
    _set_running_loop(loop)
    hooks = get_asyncgen_hooks()
    set_asyncgen_hooks(None, loop.generator_dropped)  # by position: keywords take three times as long
    return outer, task, hooks


def _leave(outside: _Outside) -> None:
    outer, task, hooks = outside
    set_asyncgen_hooks(*hooks)
    _set_running_loop(outer)
    if task is not None:
        asyncio_tasks._enter_task(outer, task)  # type: ignore[arg-type]


def _close(target: object) -> None:
    close = getattr(target, "close", None)
    if close is not None:
        close()


def _refuse_unordered(coro: object) -> None:
    """as_completed turns its coroutines into a set before it starts them: their order would be by address."""
    if isinstance(coro, asyncio.Future):
        return
    frame = sys._getframe(2)  # the caller of create_task
    if frame.f_code is not _ENSURE_FUTURE and frame.f_code is not _ENSURE_FUTURE_INNER:
        return
    for _ in range(3):
        if frame.f_back is None:
            return
        frame = frame.f_back
        if frame.f_code.co_filename == asyncio_tasks.__file__ and (
            frame.f_code.co_name == "as_completed" or "_AsCompletedIterator" in frame.f_code.co_qualname
        ):
            _close(coro)
            raise NotInWorkflow(
                "asyncio.as_completed over coroutines starts them in no fixed order: make tasks of them first, as in "
                "asyncio.as_completed([asyncio.create_task(c) for c in …])"
            )


_ENSURE_FUTURE = asyncio.ensure_future.__code__
_ENSURE_FUTURE_INNER = getattr(asyncio_tasks, "_ensure_future", asyncio.ensure_future).__code__


_GatheringFuture: Any = asyncio_tasks._GatheringFuture  # type: ignore[attr-defined]


def _gathering_hash(future: Any) -> int:
    """gather's future is a stock class: those of our loops hash to numbers, too."""
    loop = future.get_loop()
    if not isinstance(loop, WorkflowLoop):
        return object.__hash__(future)
    number = getattr(future, "_perdure_number", 0)
    if not number:
        number = future._perdure_number = loop.next_number()
    return loop.hash_base + number
