"""The context: what workflow code asks perdure for.

Contexts form a tree. Cancelling one marks it and all below it but disconnected ones: its timers and receives are cancelled,
its sub-workflows asked, and it refuses new commands.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import uuid
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    NoReturn,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    get_type_hints,
    overload,
)

from perdure.activities.definition import Activity, activity_of
from perdure.clock import duration_micros, to_datetime
from perdure.errors import ConfigurationError, NotInWorkflow
from perdure.model.names import check_name
from perdure.model.options import Duration
from perdure.workflows.compensations import Compensations
from perdure.workflows.definition import workflow_of
from perdure.workflows.future import Future, SubWorkflowFuture
from perdure.workflows.info import Info
from perdure.workflows.signal import Signal
from perdure.workflows.signal_channel import SignalChannel

if TYPE_CHECKING:
    import random

    from perdure.model.options import WorkflowOptions
    from perdure.observability.logging import FieldsLogger
    from perdure.workflows.runtime import Runtime, StoredCall

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Cancellable(Protocol):
    """What a context cancels with itself."""

    def context_cancelled(self) -> None: ...


_current: contextvars.ContextVar[Context] = contextvars.ContextVar("perdure_workflow_context")


def workflow_context() -> Context:
    """The context of the workflow that is running, for helpers that don't get it passed. Raises NotInWorkflow."""
    try:
        return _current.get()
    except LookupError:
        raise NotInWorkflow("workflow_context() works in workflow code alone") from None


class Context:
    """A workflow's view of the engine. Every call that takes effect outside is a *command*, issued at once."""

    __slots__ = ("_children", "_is_disconnected", "_is_marked", "_open", "_parent", "_runtime")

    def __init__(self, runtime: Runtime, parent: Context | None = None, *, disconnected: bool = False) -> None:
        self._runtime = runtime
        self._parent = parent
        self._is_disconnected = disconnected
        self._is_marked = False
        self._children: list[Context] | None = None
        self._open: dict[int, Cancellable] | None = None

    # --- commands -------------------------------------------------------------------------------------------------

    @overload
    def execute_activity(self, activity: Activity[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]: ...
    @overload
    def execute_activity(
        self, activity: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[R]: ...
    @overload
    def execute_activity(self, activity: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]: ...
    def execute_activity(self, activity: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run an activity; the future gives its result or raises its failure, after all retries.

        Arguments are bound, checked against the annotations and encoded here: ArgumentsError, EncodeError and
        PayloadTooLarge are raised at once, and nothing is recorded.
        """
        return self._runtime.execute_activity(self, activity_of(activity), args, kwargs)

    def execute_sub_workflow(
        self,
        workflow: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> SubWorkflowFuture[R]:
        """Start a workflow as a child of this one; the future gives its result, and has `instance_id` and `signal`.

        Without `with_options(instance_id=…)` the id is derived from this instance's. A taken id fails the future with
        SubWorkflowError, and nothing else.
        """
        return self._runtime.execute_sub_workflow(self, workflow_of(workflow), args, kwargs)

    def schedule_timer(self, delay: Duration) -> Future[None]:
        """A durable timer, to the microsecond; the future is done when it fires. Cancelling it removes the timer."""
        return self._runtime.schedule_timer(self, duration_micros(delay))

    async def sleep(self, delay: Duration) -> None:
        """Wait for a durable timer."""
        await self.schedule_timer(delay)

    @overload
    def signal_workflow(self, instance_id: str, signal: Signal[None], value: None = None) -> Future[None]: ...
    @overload
    def signal_workflow(self, instance_id: str, signal: Signal[T], value: T) -> Future[None]: ...
    def signal_workflow(self, instance_id: str, signal: Signal[Any], value: Any = None) -> Future[None]:
        """Signal another instance; the future fails with SignalNotDelivered if it doesn't exist or has ended."""
        return self._runtime.signal_workflow(self, check_name(instance_id, "an instance id"), signal, value)

    def side_effect(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Run a plain function in line and record its result, or its failure: replay gets the recorded one.

        For what is short, local and can't fail halfway (a random choice, a file name): it may run again if the worker
        dies before the next checkpoint. Everything else is an activity.
        """
        if inspect.iscoroutinefunction(inspect.unwrap(function)):
            raise ConfigurationError(
                f"side_effect takes plain functions, and {function!r} is async: make it an activity"
            )
        returns = get_type_hints(function).get("return", Any) if hasattr(function, "__annotations__") else Any
        name = getattr(function, "__qualname__", type(function).__qualname__).rpartition("<locals>.")[2]
        return self._runtime.side_effect(self, lambda: function(*args, **kwargs), name, returns)

    def continue_as_new(
        self,
        workflow: Callable[Concatenate[Context, P], Coroutine[Any, Any, Any]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> NoReturn:
        """End this execution and start the next one of the same instance, with a fresh history.

        Works in the workflow's main task alone. Unread signals go with it; sub-workflows that still run get their
        parent_close. Whoever waits for the instance waits for the end of the chain. A cancelled context refuses it, as
        it does every new command: else a cancel that came during the last activity would be lost.
        """
        self.check("continue_as_new")
        raise self._runtime.continue_as_new(workflow_of(workflow), args, kwargs)

    # --- waiting --------------------------------------------------------------------------------------------------

    def timeout(self, delay: Duration | None) -> asyncio.Timeout:
        """`async with ctx.timeout(…)`: asyncio.timeout on a durable timer; TimeoutError leaves the block."""
        return asyncio.timeout(None if delay is None else duration_micros(delay) / 1_000_000)

    async def wait_until(self, predicate: Callable[[], Any], timeout: Duration | None = None) -> None:  # noqa: ASYNC109
        """Wait until `predicate` is true; it still is when this returns. Raises TimeoutError.

        It is called after each event that was applied, over the workflow's own state; it must change nothing.
        """
        async with self.timeout(timeout):
            while not predicate():
                waiting = self._runtime.wait_condition(self, predicate)
                held = _HeldFuture(waiting)
                self.hold(held)
                try:
                    await waiting
                finally:
                    self.drop(held)

    def signal_channel(self, signal: Signal[T]) -> SignalChannel[T]:
        """Where a signal is received: first in, first out, also what came before this call."""
        return SignalChannel(signal, self._runtime.signal_buffer(signal.name), _Scope(self), self._runtime.decode)

    # --- cancellation ---------------------------------------------------------------------------------------------

    @property
    def cancelled(self) -> bool:
        """Whether this context was cancelled: by the instance's cancel, or by a with_cancel above it."""
        ctx: Context | None = self
        while ctx is not None:
            if ctx._is_marked:
                return True
            ctx = None if ctx._is_disconnected else ctx._parent
        return False

    def with_cancel(self) -> tuple[Context, Callable[[], None]]:
        """A child context and the function that cancels it.

        That cancels the timers, receives and wait_until of the child (their await raises CancelledError), asks its sub-workflows to
        cancel, lets its running activities finish, and refuses new commands. No task is cancelled.
        """
        child = Context(self._runtime, self)
        if self._children is None:
            self._children = []
        self._children.append(child)
        return child, child._cancel

    def disconnected(self) -> Context:
        """A context that no cancel from above reaches, for clean-up.

        The instance's cancel never lands in an await of its commands. `async with ctx.disconnected() as cleanup:`
        shields the whole block, plain sleeps included.
        """
        return Context(self._runtime, self, disconnected=True)

    async def __aenter__(self) -> Self:
        if not self._is_disconnected:
            raise ConfigurationError(
                "only a disconnected context is a block: async with ctx.disconnected() as cleanup:"
            )
        self._runtime.enter_clean_up()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._runtime.leave_clean_up()

    def compensations(self) -> Compensations:
        """A block that is taken back if it fails or is cancelled: `async with ctx.compensations() as undo:`.

        `undo.add(refund, payment)` says what takes back a step that was done.
        """
        return Compensations(self, self._runtime)

    # --- facts ----------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The recorded time of the event being applied, in UTC; it never goes back."""
        return to_datetime(self._runtime.now)

    @property
    def random(self) -> random.Random:
        """A random number generator seeded by the execution: the same numbers on every replay."""
        return self._runtime.random

    def uuid4(self) -> uuid.UUID:
        """A random UUID, the same on every replay."""
        return uuid.UUID(int=self.random.getrandbits(128), version=4)

    @property
    def info(self) -> Info:
        """Facts about this execution."""
        return self._runtime.info

    @property
    def is_replaying(self) -> bool:
        """Whether what runs now ran before. For logging and metrics: never decide by it."""
        return self._runtime.is_replaying

    @property
    def logger(self) -> FieldsLogger:
        """A logger, silent in replay; its records carry instance_id, execution_id, workflow, queue and worker."""
        return self._runtime.logger

    def publish(self, key: str, value: object) -> None:
        """Show a value to the outside, under `key`: `handle.read(key)` reads it, also after the end.

        Saved with the next checkpoint; the last value wins, and nothing goes into history.
        """
        self._runtime.publish(check_name(key, "a published value's key"), value)

    # --- being asked ----------------------------------------------------------------------------------------------

    def on_query(self, handler: Callable[P, R], *, name: str | None = None) -> Callable[P, R]:
        """Let a plain function answer `handle.query(…)` under its name: a method of the state, `ctx.on_query(state.status)`.

        It only looks: commands are refused, and what it changes in the state history doesn't know, and replay won't repeat.
        A later handler of the same name takes its place.
        """
        self._runtime.handlers.add_query(handler, name)
        return handler

    def on_update(
        self, handler: Callable[P, R], *, validator: Callable[P, object] | None = None, name: str | None = None
    ) -> Callable[P, R]:
        """Let a function, `async` or not, handle `handle.update(…)` under its name, in a task of its own.

        What it returns or raises is the caller's answer. `validator`, a plain function that only looks, refuses an update by
        raising; nothing is recorded of that.
        """
        self._runtime.handlers.add_update(handler, validator, name)
        return handler

    @property
    def open_updates(self) -> int:
        """How many handlers of updates still run: `await ctx.wait_until(lambda: not ctx.open_updates)` before returning."""
        return len(self._runtime.handlers.running)

    # --- changing code --------------------------------------------------------------------------------------------

    def patched(self, patch_id: str) -> bool:
        """Whether this execution runs the code that came with the patch; decided at the first call and kept.

        True for executions that reach it now; false for those whose history passed here before the patch.
        """
        return self._runtime.patched(check_name(patch_id, "a patch id"))

    def deprecate_patch(self, patch_id: str) -> None:
        """The old branch is gone, but histories with the patch's marker may still replay."""
        self._runtime.deprecate_patch(check_name(patch_id, "a patch id"))

    # --- for the engine -------------------------------------------------------------------------------------------

    @property
    def is_disconnected(self) -> bool:
        """Whether the instance's cancel leaves this context alone."""
        ctx: Context | None = self
        while ctx is not None:
            if ctx._is_disconnected:
                return True
            ctx = ctx._parent
        return False

    def check(self, what: str) -> None:
        """Raise CancelledError if this context is cancelled: it takes no new command."""
        if self.cancelled:
            raise self._runtime.refused(what)

    def execute_stored(self, call: StoredCall, options: WorkflowOptions) -> SubWorkflowFuture[None]:
        """Start, as a sub-workflow, one that is known by its name alone; its result isn't read."""
        return self._runtime.execute_stored(self, call, options)

    def hold(self, member: Cancellable) -> None:
        """Cancel `member` with this context."""
        if self._open is None:
            self._open = {}
        self._open[id(member)] = member

    def drop(self, member: Cancellable) -> None:
        if self._open is not None:
            self._open.pop(id(member), None)

    def _cancel(self) -> None:
        if self._is_marked:
            return
        self._is_marked = True
        for child in self._children or ():
            child._cancel()
        for member in list((self._open or {}).values()):
            member.context_cancelled()

    def become_current(self) -> None:
        """Be what workflow_context() finds, in the current contextvars context."""
        _current.set(self)

    def let_go(self) -> None:
        """The execution leaves memory: parents and children no longer hold each other, and nothing is held."""
        children, self._children, self._open = self._children, None, None
        for child in children or ():
            child.let_go()

    def mark(self) -> None:
        """The instance's cancel: mark this context, without touching its members, which the engine cancels."""
        self._is_marked = True


class _Scope:
    """A context as a signal channel sees it: futures that wait are cancelled with it."""

    __slots__ = ("_ctx", "_held")

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._held: dict[int, _HeldFuture] = {}

    def check(self, what: str) -> None:
        self._ctx.check(what)

    def hold(self, waiting: asyncio.Future[Any]) -> None:
        held = self._held[id(waiting)] = _HeldFuture(waiting)
        self._ctx.hold(held)

    def drop(self, waiting: asyncio.Future[Any]) -> None:
        held = self._held.pop(id(waiting), None)
        if held is not None:
            self._ctx.drop(held)


class _HeldFuture:
    __slots__ = ("future",)

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self.future = future

    def context_cancelled(self) -> None:
        self.future.cancel()


set_current = _current.set
"""Makes a Context what workflow_context() finds, in the current contextvars context."""
