"""Compensations: what takes back the steps of a block that doesn't come to its end (a saga).

They run in a task of their own, which no cancel reaches: neither the instance's, nor that of a time-out or a TaskGroup around the
block, which would take away an activity that hasn't begun yet. Whoever leaves the block waits until all have ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Self, overload

from perdure.activities.definition import Activity, activity_of, definition_name
from perdure.errors import CompensationFailed, ConfigurationError
from perdure.workflows.definition import Workflow

if TYPE_CHECKING:
    from perdure.workflows.context import Context
    from perdure.workflows.runtime import Runtime

P = ParamSpec("P")


class _Step(NamedTuple):
    name: str
    run: Callable[[Context], Awaitable[object]]


class Compensations:
    """`async with ctx.compensations() as undo:` a block that is taken back if an exception or a cancel leaves it.

    What was added then runs, the last one first, one after the other, on a disconnected context, undisturbed by any cancel. One
    that fails doesn't keep the others from running. If none failed, the exception goes on as it was; else CompensationFailed is
    raised from it. The normal end of the block runs nothing, and neither does continue-as-new.
    """

    __slots__ = ("_ctx", "_is_open", "_runtime", "_steps")

    def __init__(self, ctx: Context, runtime: Runtime) -> None:
        self._ctx = ctx
        self._runtime = runtime
        self._steps: list[_Step] = []
        self._is_open = False

    @overload
    def add(self, compensation: Workflow[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> None: ...
    @overload
    def add(self, compensation: Activity[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> None: ...
    @overload
    def add(self, compensation: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> None: ...
    def add(self, compensation: Any, /, *args: Any, **kwargs: Any) -> None:
        """Add an activity, as `ctx.execute_activity` takes it, or what `@workflow` made, as a sub-workflow; options ride on it.

        The arguments are checked here: ArgumentsError, EncodeError and PayloadTooLarge are raised at once.
        """
        if isinstance(compensation, Workflow):
            self._runtime.check_call(compensation.function, 1, args, kwargs)
            self._add(compensation.name, lambda cleanup: cleanup.execute_sub_workflow(compensation, *args, **kwargs))
        else:
            activity = activity_of(compensation)
            self._runtime.check_call(activity.function, activity.skip, args, kwargs)
            self._add(activity.name, lambda cleanup: cleanup.execute_activity(activity, *args, **kwargs))

    def add_callback(self, function: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Add a function of workflow code, `async` or plain; `workflow_context()` gives it the disconnected context."""

        async def call(_: Context) -> None:
            outcome = function(*args, **kwargs)
            if isawaitable(outcome):
                await outcome

        self._add(definition_name(function) if hasattr(function, "__qualname__") else repr(function), call)

    async def compensate(self) -> None:
        """Take back now what was added so far, and stay in the block. Raises CompensationFailed.

        A cancel that comes meanwhile is raised at the end.
        """
        if await self._compensate(None):
            raise asyncio.CancelledError

    async def __aenter__(self) -> Self:
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_open = False
        # As in a TaskGroup, an error goes before a cancel that came while it was dealt with.
        if error is not None and self._runtime.is_setback(error):
            await self._compensate(error)

    def _add(self, name: str, run: Callable[[Context], Awaitable[object]]) -> None:
        if not self._is_open:
            raise ConfigurationError(
                f"compensation {name} would never run: add it inside `async with ctx.compensations() as undo:`"
            )
        self._steps.append(_Step(name, run))

    async def _compensate(self, error: BaseException | None) -> bool:
        """Whether somebody cancelled the wait."""
        steps, self._steps = self._steps, []
        if not steps:
            return False
        async with self._ctx.disconnected() as cleanup:
            running = self._runtime.create_clean_up_task(_run_all(steps[::-1], cleanup))
            was_cancelled = await _wait_out(running)
        failed = running.result()
        if failed:
            names = ", ".join(name for name, _ in failed)
            after = "" if error is None else f", after {type(error).__qualname__}: {error}"
            message = f"{len(failed)} of {len(steps)} compensations failed ({names}){after}"
            raise CompensationFailed(message, [problem for _, problem in failed]) from error
        return was_cancelled


async def _run_all(steps: list[_Step], cleanup: Context) -> list[tuple[str, Exception]]:
    """The names of those that failed, and how."""
    cleanup.become_current()
    failed: list[tuple[str, Exception]] = []
    for step in steps:
        try:
            await step.run(cleanup)
        except asyncio.CancelledError as cancelled:  # its own code's doing: nobody else knows this task
            problem = RuntimeError(f"the compensation {step.name} let a CancelledError through")
            problem.__cause__ = cancelled
            failed.append((step.name, problem))
        except Exception as problem:
            failed.append((step.name, problem))
    return failed


async def _wait_out(task: asyncio.Task[Any]) -> bool:
    """Wait for the end of a task, whatever cancels come; whether one did."""
    was_cancelled = False
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            was_cancelled = True
    return was_cancelled
