"""How an execution ends: what the main task's end means, and what is left behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from perdure.engine.divergence import divergence, raising_site
from perdure.engine.machines.activity import ActivityMachine
from perdure.engine.machines.machine import is_same_call
from perdure.errors import NonDeterminismError, PayloadError
from perdure.model.checkpoint import Closing, NextExecution
from perdure.model.event import (
    CarriedSignal,
    Command,
    End,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionContinued,
    ExecutionFailed,
    ExecutionStarted,
)
from perdure.model.instance import State
from perdure.model.reply import Unfinished
from perdure.serialization.failures import to_failure
from perdure.workflows.runtime import StoredResult

if TYPE_CHECKING:
    from perdure.engine.core import Core


class ContinueAsNew(BaseException):
    """Raised by ctx.continue_as_new. Not an Exception: only the engine is meant to catch it."""

    def __init__(self, workflow: str, arguments: bytes, digest: bytes) -> None:
        super().__init__("ctx.continue_as_new ends the workflow: let it through")
        self.workflow = workflow
        self.arguments = arguments
        self.digest = digest


def end_of(core: Core, main: asyncio.Task[Any]) -> End:
    """The event that the end of the main task is."""
    if main.cancelled():
        if core.marked_at >= 0:
            return ExecutionCancelled()
        problem = asyncio.CancelledError("the workflow let a CancelledError through, and nobody had cancelled it")
        return ExecutionFailed(failure=to_failure(problem, core.payloads))
    error = main.exception()
    if error is not None:
        request = continuation_of(error)
        if request is not None:
            return ExecutionContinued(workflow=request.workflow, arguments=request.arguments, digest=request.digest)
        return ExecutionFailed(failure=to_failure(error, core.payloads))
    result = main.result()
    if isinstance(result, StoredResult):
        return ExecutionCompleted(result=result.payload)
    try:
        return ExecutionCompleted(result=core.schema.encode_result(result))
    except PayloadError as problem:
        return ExecutionFailed(failure=to_failure(problem, core.payloads))


def diverging_end(
    core: Core, main: asyncio.Task[Any], recorded: Command | End | str, position: int
) -> NonDeterminismError:
    """The main task ends where history says something else."""
    error = None if main.cancelled() else main.exception()
    return divergence(history=recorded, code=end_of(core, main), site=raising_site(error), position=position)


def continuation_of(error: BaseException) -> ContinueAsNew | None:
    """The continue-as-new in it, also out of a group that holds nothing worse than cancellations beside it."""
    if isinstance(error, ContinueAsNew):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    found: ContinueAsNew | None = None
    for part in error.exceptions:
        request = continuation_of(part)
        if request is None and not isinstance(part, asyncio.CancelledError):
            return None
        found = found or request
    return found


def closing_of(core: Core, end: End) -> Closing:
    """What the store does at this end."""
    if isinstance(end, ExecutionCompleted):
        return Closing(state=State.COMPLETED, result=end.result)
    if isinstance(end, ExecutionFailed):
        return Closing(state=State.FAILED, failure=end.failure)
    if isinstance(end, ExecutionCancelled):
        return Closing(state=State.CANCELLED)
    started = ExecutionStarted(
        at=0,
        workflow=end.workflow,
        arguments=end.arguments,
        python="",
        version=core.version,
        carried=_unread_signals(core),
        headers=core.headers,
        execution_number=core.execution_number + 1,
        due_at=core.due_at,
    )
    following = NextExecution(
        execution_id=core.derived_id(b"next", 0), workflow=end.workflow, started=started, digest=end.digest
    )
    return Closing(state=State.CONTINUED_AS_NEW, following=following)


def _unread_signals(core: Core) -> tuple[CarriedSignal, ...]:
    buffers = core.signals or {}
    return tuple(CarriedSignal(name, payload) for name, buffer in buffers.items() for payload in buffer.payloads)


def leave_updates(core: Core) -> None:
    """Those whose handlers haven't ended never will: the next execution knows nothing of them."""
    if core.handlers is not None:
        for update_id, reply_to in core.handlers.running.items():
            core.settle_update(update_id, reply_to, Unfinished())


def warn_of_unfinished(core: Core) -> None:
    """Name the activities whose results nobody waits for any more."""
    unfinished = [
        f"{machine.new.name} ({machine.number})"
        for machine in core.machines.values()
        if isinstance(machine, ActivityMachine) and machine.is_awaited()
    ]
    if unfinished:
        core.base_logger.warning(
            "workflow %s (%s) ended while activities of it hadn't: %s. Those that run go on, and their results are dropped.",
            core.task.workflow,
            core.task.instance_id,
            ", ".join(unfinished[:10]) + (f" and {len(unfinished) - 10} more" if len(unfinished) > 10 else ""),
            extra={**core.log_fields, "unfinished_activities": unfinished},
        )


def compare_end(core: Core, recorded: End | None, reached: End, position: int) -> None:
    """Raises NonDeterminismError if history has another end than the code came to, or none."""
    if type(recorded) is not type(reached):
        assert core.main is not None
        raise diverging_end(core, core.main, recorded or "it goes on", position)
    if isinstance(recorded, ExecutionContinued) and not _is_same_continuation(core, recorded, reached):
        raise divergence(history=recorded, code=reached, site=None, position=position)


def told(core: Core, problem: NonDeterminismError, position: int) -> NonDeterminismError:
    """The divergence, its position counted from the history's beginning; what the code did instead may be that it ended."""
    main, missing = core.main, problem.recorded
    if missing is not None and problem.issued is None and main is not None and main.done():
        problem = diverging_end(core, main, missing, problem.position)
    problem.position += position
    return problem


def _is_same_continuation(core: Core, recorded: ExecutionContinued, reached: Any) -> bool:
    if recorded.workflow != reached.workflow:
        return False
    following = core.app.workflows.get(recorded.workflow)
    if core.definition.determinism == "lenient" or following is None:
        return True
    return is_same_call(core, core.payloads.call(following.function, skip=1), reached, recorded)
