"""What contexts ask of the engine: each command is encoded, numbered and recorded here."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NoReturn, TypeVar, cast

from perdure.activities.definition import Activity
from perdure.clock import Micros, duration_micros, to_datetime
from perdure.engine.apart import whole
from perdure.engine.core import Core
from perdure.engine.ending import ContinueAsNew, continuation_of
from perdure.engine.handlers import Handlers
from perdure.engine.machines.activity import ActivityMachine, stored_activity
from perdure.engine.machines.instant import PatchMachine, SideEffectMachine
from perdure.engine.machines.signal import SignalMachine
from perdure.engine.machines.sub_workflow import SubWorkflowCommand
from perdure.engine.machines.timer import FutureTimer
from perdure.engine.preparing import PreparedActivity, prepared_for
from perdure.engine.recorder import Halt
from perdure.engine.tasks import DurableTask
from perdure.errors import ConfigurationError, FailureError, NotInWorkflow, RunawayWorkflow
from perdure.model.checkpoint import NewActivity, StartSubWorkflow
from perdure.model.event import ExecutionStarted, PatchMarked, SideEffectRecorded, SignalSent
from perdure.model.names import LONGEST
from perdure.model.options import WorkflowOptions
from perdure.model.retention import chosen
from perdure.model.retry import stored_retry
from perdure.observability.logging import WorkflowLogger
from perdure.serialization.calls import UNREAD, CallReader
from perdure.serialization.failures import to_exception, to_failure
from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow
from perdure.workflows.future import Future, SubWorkflowFuture
from perdure.workflows.info import Info
from perdure.workflows.runtime import StoredActivity, StoredCall, StoredResult
from perdure.workflows.signal import Signal
from perdure.workflows.signal_channel import SignalBuffer

T = TypeVar("T")


class _Gone:
    """Stands where the core of an execution was that has left memory."""

    def is_quiet(self) -> bool:
        return True

    def __getattr__(self, _: str) -> NoReturn:
        raise NotInWorkflow("the execution of this context has ended, or has left memory")


_GONE = _Gone()


class ExecutionRuntime:
    """`workflows.runtime.Runtime` on a Core."""

    __slots__ = ("_core", "_logger", "_random")

    def __init__(self, core: Core) -> None:
        self._core = core
        self._logger: WorkflowLogger | None = None
        self._random: random.Random | None = None
        """2.5 kB, and few workflows ask for chance."""

    def let_go(self) -> None:
        """The execution leaves memory; contexts may outlive it, in somebody's hands or in the context of a task."""
        self._core = cast("Core", _GONE)
        self._logger = self._random = None

    def begin_anew(self) -> None:
        """The execution is another one than before, a fork: chance and logger are its own from here on."""
        self._logger = None
        if self._random is not None:
            self._random.seed(self._core.task.execution_id)

    def is_quiet(self) -> bool:
        """Whether what the code logs was logged before, or is of no interest any more."""
        return self._core.is_quiet()

    # --- commands -------------------------------------------------------------------------------------------------

    def execute_activity(
        self, ctx: Context, activity: Activity[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Future[Any]:
        core = self._core
        if core.loop.dying:
            core.check_alive()
        if ctx.cancelled:
            raise self.refused(f"activity {activity.name}")
        prepared: PreparedActivity | None = activity.prepared
        if prepared is None or prepared.payloads is not core.payloads:
            prepared = activity.prepared = prepared_for(activity, core.payloads)
        call = prepared.schema.encode(args, kwargs)
        task = core.task
        new = NewActivity(
            number=core.next_command(),
            name=activity.name,
            arguments=call.payload,
            queue=prepared.queue or task.queue,
            priority=task.priority if prepared.priority is None else prepared.priority,
            retry=prepared.retry,
            timeout=prepared.timeout,
            total_timeout=prepared.total_timeout,
            queue_timeout=prepared.queue_timeout,
            heartbeat_timeout=prepared.heartbeat_timeout,
            headers=core.headers_now(),
        )
        return ActivityMachine(core, ctx, prepared.schema, new, call.digest, prepared.cancellation).future

    def execute_stored_activity(self, ctx: Context, activity: StoredActivity) -> Future[StoredResult]:
        self._core.check_alive()
        if ctx.cancelled:
            raise self.refused(f"activity {activity.name}")
        return stored_activity(self._core, ctx, activity).future

    def execute_sub_workflow(
        self, ctx: Context, workflow: Workflow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> SubWorkflowFuture[Any]:
        core = self._core
        core.check_alive()
        if ctx.cancelled:
            raise self.refused(f"sub-workflow {workflow.name}")
        if workflow.start_signals:
            raise ConfigurationError("start_signal is for client.start: signal a sub-workflow through its future")
        schema = core.payloads.call(workflow.function, skip=1)
        retry = None if workflow.options.retry is None else stored_retry(workflow.options.retry)
        kept = chosen(workflow.options.retention, core.app.retention)
        call = StoredCall(workflow.name, *schema.encode(args, kwargs), core.version, retry, retention=kept)
        return self._start_sub_workflow(ctx, call, workflow.options, schema)

    def execute_stored(self, ctx: Context, call: StoredCall, options: WorkflowOptions) -> SubWorkflowFuture[Any]:
        self._core.check_alive()
        if ctx.cancelled:
            raise self.refused(f"sub-workflow {call.workflow}")
        return self._start_sub_workflow(ctx, call, options, UNREAD)

    def _start_sub_workflow(
        self, ctx: Context, call: StoredCall, options: WorkflowOptions, schema: CallReader
    ) -> SubWorkflowFuture[Any]:
        core = self._core
        first_number = core.commands + 1
        headers = core.headers_now()

        def start(number: int, is_retry: bool) -> StartSubWorkflow:
            return StartSubWorkflow(
                message_id=core.derived_id(b"start", number),
                number=number,
                instance_id=options.instance_id or _child_id(core, first_number),
                execution_id=core.derived_id(b"child", number),
                workflow=call.workflow,
                queue=options.queue or core.task.queue,
                priority=core.task.priority if options.priority is None else options.priority,
                started=ExecutionStarted(
                    at=0,
                    workflow=call.workflow,
                    arguments=call.arguments,
                    python="",
                    version=call.version,
                    headers=headers,
                    due_at=call.due_at,
                ),
                digest=call.digest,
                version=call.version,
                timeout=None if options.timeout is None else duration_micros(options.timeout),
                start_delay=0 if options.start_delay is None else duration_micros(options.start_delay),
                tags=options.tags or {},
                parent_close=options.parent_close,
                retention=call.retention,
                replaces_failed=is_retry,
            )

        command = SubWorkflowCommand(core, ctx, schema, start, call.retry)
        future = command.future
        future.instance_id = command.machine.start.instance_id  # type: ignore[misc]
        future.send_signal = partial(self.signal_workflow, ctx)
        return future

    def check_call(
        self, function: Callable[..., Any], skip: int, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._core.payloads.call(function, skip=skip).encode(args, kwargs)

    def schedule_timer(self, ctx: Context, delay: Micros) -> Future[None]:
        core = self._core
        core.check_alive()
        if ctx.cancelled:
            raise self.refused("timer")
        return FutureTimer(core, ctx, core.next_command(), core.now + max(delay, 1)).future

    def signal_workflow(self, ctx: Context, instance_id: str, signal: Signal[Any], value: Any) -> Future[None]:
        core = self._core
        core.check_alive()
        if ctx.cancelled:
            raise self.refused(f"signal {signal.name!r} to {instance_id!r}")
        payload = core.payloads.encode(value, signal.type)
        event = SignalSent(
            number=core.next_command(),
            instance_id=instance_id,
            name=signal.name,
            payload=payload,
            digest=core.payloads.digest(payload),
        )
        return SignalMachine(core, ctx, event, signal.type).future

    def side_effect(self, ctx: Context, function: Callable[[], Any], name: str, returns: Any) -> Future[Any]:
        core = self._core
        core.check_alive()
        if ctx.cancelled:
            raise self.refused(f"side effect {name}")
        number = core.next_command()
        future = cast("Future[Any]", core.loop.create_future())
        if core.loop.dying:
            return future
        if core.is_ahead:
            core.waits_for_instance = True
            return future  # this step is taken again when the instance is there
        if core.is_replaying:
            event = core.recorder.recorded_side_effect(number, name)
            if event is None:
                return future  # the drain stops after this step
        else:
            event = self._run_side_effect(number, function, name, returns)
        SideEffectMachine(core, event)
        if event.failure is not None:
            future.set_exception(to_exception(event.failure, core.app.exceptions, FailureError, core.payloads))
        elif event.result is not None:
            future.set_result(core.payloads.decode(whole(core, event.result), returns))
        return future

    def _run_side_effect(self, number: int, function: Callable[[], Any], name: str, returns: Any) -> SideEffectRecorded:
        """Whatever goes wrong is its outcome: replay doesn't run it, and must get the same."""
        try:
            result = function()
            if inspect.isawaitable(result):
                if inspect.iscoroutine(result):
                    result.close()
                raise ConfigurationError(f"side_effect takes plain functions, and {name} is async: make it an activity")
            return SideEffectRecorded(number=number, name=name, result=self._core.payloads.encode(result, returns))
        except Exception as problem:
            return SideEffectRecorded(number=number, name=name, failure=to_failure(problem, self._core.payloads))

    def wait_condition(self, ctx: Context, predicate: Callable[[], Any]) -> Future[None]:
        if ctx.cancelled:
            raise self.refused("wait_until")
        return cast("Future[None]", self._core.loop.add_condition(predicate))

    def continue_as_new(
        self, workflow: Workflow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> BaseException:
        core = self._core
        core.check_alive()
        if asyncio.current_task() is not core.main:
            return NotInWorkflow("continue_as_new works in the workflow's main task alone: let this task return first")
        call = core.payloads.call(workflow.function, skip=1).encode(args, kwargs)
        core.headers = core.app.propagation.headers_of_next(core.headers)
        return ContinueAsNew(workflow.name, call.payload, call.digest)

    # --- cancellation ---------------------------------------------------------------------------------------------

    def refused(self, what: str) -> BaseException:
        core = self._core
        task = asyncio.current_task()
        if isinstance(task, DurableTask):
            task.forgive()
        core.refusals += 1
        if core.refusals > core.limits.refused_commands:
            core.recorder.halt(
                RunawayWorkflow(
                    f"a cancelled context refused {core.refusals:,} commands: let CancelledError through, or use "
                    "ctx.disconnected() for clean-up"
                )
            )
            return Halt()
        return asyncio.CancelledError(f"{what}: the context is cancelled and takes no new command")

    def is_setback(self, error: BaseException) -> bool:
        return not (
            self._core.loop.dying or isinstance(error, (GeneratorExit, Halt)) or continuation_of(error) is not None
        )

    def create_clean_up_task(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = self._core.loop.create_task(coroutine)
        assert isinstance(task, DurableTask)
        task.disconnect()
        return task

    def enter_clean_up(self) -> None:
        task = asyncio.current_task()
        if isinstance(task, DurableTask):
            task.enter_clean_up()

    def leave_clean_up(self) -> None:
        task = asyncio.current_task()
        if isinstance(task, DurableTask):
            task.leave_clean_up()

    # --- facts ----------------------------------------------------------------------------------------------------

    @property
    def now(self) -> Micros:
        return self._core.now

    @property
    def is_replaying(self) -> bool:
        return self._core.is_replaying

    @property
    def random(self) -> random.Random:
        if self._core.loop.dying:
            self._core.check_alive()
        if self._random is None:
            self._random = self._core.random()
        return self._random

    @property
    def logger(self) -> WorkflowLogger:
        if self._logger is None:
            core = self._core
            self._logger = WorkflowLogger(core.base_logger, core.log_fields, self.is_quiet)
        return self._logger

    @property
    def info(self) -> Info:
        core, task = self._core, self._core.task
        return Info(
            instance_id=task.instance_id,
            execution_id=task.execution_id.hex(),
            execution_number=core.execution_number,
            workflow=task.workflow,
            queue=task.queue,
            priority=task.priority,
            parent_instance_id=None if task.parent is None else task.parent.instance_id,
            version=core.version,
            python=core.python,
            created_at=to_datetime(task.created_at),
            started_at=to_datetime(core.started_at),
            due_at=None if core.due_at is None else to_datetime(core.due_at),
            deadline_at=None if task.deadline_at is None else to_datetime(task.deadline_at),
            history_length=core.history_length,
            continue_as_new_suggested=core.suggested,
        )

    def signal_buffer(self, name: str) -> SignalBuffer:
        return self._core.signal_buffer(name)

    def decode(self, payload: bytes, annotation: Any) -> Any:
        return self._core.payloads.decode(whole(self._core, payload), annotation)

    @property
    def handlers(self) -> Handlers:
        return self._core.handlers_of_its_own()

    def publish(self, key: str, value: Any) -> None:
        core = self._core
        core.check_alive()
        payload = core.payloads.encode(value)  # in replay too: it may refuse the value
        if core.published is None:
            core.published = {}
        core.published[key] = payload

    # --- changing code --------------------------------------------------------------------------------------------

    def patched(self, patch_id: str) -> bool:
        core = self._core
        if core.patches is None:
            core.patches = {}
        known = core.patches.get(patch_id)
        if known is None:
            core.check_alive()
            known = core.patches[patch_id] = not core.is_replaying or core.recorder.marker_stands(patch_id)
            if known:
                PatchMachine(core, PatchMarked(number=0, patch_id=patch_id))
        return known

    def deprecate_patch(self, patch_id: str) -> None:
        self._core.recorder.let_pass(patch_id)


def _child_id(core: Core, number: int) -> str:
    """The parent's id with a suffix that no other execution of it makes; a long one is replaced by the execution's."""
    execution = core.task.execution_id.hex()
    derived = f"{core.task.instance_id}/{execution[:8]}.{number}"
    return derived if len(derived.encode()) <= LONGEST else f"{execution}.{number}"
