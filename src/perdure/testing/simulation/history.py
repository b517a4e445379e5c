"""What must hold of each history by itself, and that it replays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from perdure.app import App
from perdure.backends.memory.rows import InstanceRow
from perdure.engine.ending import end_of
from perdure.engine.execution import Execution
from perdure.model.event import (
    ActivityCompleted,
    ActivityFailed,
    ActivityScheduled,
    AdministrativeEvent,
    AppliedEvent,
    DeadlinePassed,
    EndEvent,
    Event,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionContinued,
    ExecutionFailed,
    ExecutionStarted,
    SignalDelivered,
    SignalRefused,
    SignalSent,
    SubWorkflowCompleted,
    SubWorkflowFailed,
    SubWorkflowScheduled,
    Terminated,
    TimerFired,
    TimerSet,
)
from perdure.model.instance import State
from perdure.model.task import WorkflowTask

_COMMAND_OF: dict[type, type] = {
    ActivityCompleted: ActivityScheduled,
    ActivityFailed: ActivityScheduled,
    TimerFired: TimerSet,
    SubWorkflowCompleted: SubWorkflowScheduled,
    SubWorkflowFailed: SubWorkflowScheduled,
    SignalDelivered: SignalSent,
    SignalRefused: SignalSent,
}
"""What an answer answers: each of its number stands before it, and has no other answer."""

_ENDS: dict[State, tuple[type, ...]] = {
    State.COMPLETED: (ExecutionCompleted,),
    State.FAILED: (ExecutionFailed, DeadlinePassed),
    State.CANCELLED: (ExecutionCancelled,),
    State.TERMINATED: (Terminated,),
    State.CONTINUED_AS_NEW: (ExecutionContinued,),
}


def history_problems(events: Sequence[Event], state: State) -> Iterator[str]:
    """What is wrong with the history of an execution that ended like this."""
    if not events or not isinstance(events[-1], _ENDS[state]):
        yield f"it is {state}, and its history ends with {events and type(events[-1]).__name__}"
    applied = [event for event in events if isinstance(event, AppliedEvent)]
    if applied and not isinstance(applied[0], ExecutionStarted):
        yield f"its history begins with {type(applied[0]).__name__}"
    if any(later.at < earlier.at for earlier, later in pairwise(applied)):
        yield "time goes back in its history"
    if sum(isinstance(event, EndEvent) for event in events) > 1:
        yield "its history ends more than once"
    yield from _answers(events)


def _answers(events: Sequence[Event]) -> Iterator[str]:
    commands: dict[tuple[type, int], Any] = {}
    answered: set[int] = set()
    for event in events:
        number: int = getattr(event, "number", 0)
        expected = _COMMAND_OF.get(type(event))
        if expected is None:
            commands[type(event), number] = event
            continue
        command = commands.get((expected, number))
        if command is None:
            yield f"{type(event).__name__} {number} answers nothing"
        elif number in answered:
            yield f"command {number} was answered twice, the second time by {type(event).__name__}"
        elif isinstance(event, TimerFired) and event.at < command.due_at:
            yield f"timer {number} fired {command.due_at - event.at} µs too early"
        answered.add(number)


def replay_problems(app: App, row: InstanceRow, execution_id: bytes, events: Sequence[Event]) -> Iterator[str]:
    """A fresh execution goes the same way, to the same end."""
    if not any(isinstance(event, ExecutionStarted) for event in events):
        return  # it ended before its first workflow task
    execution = Execution(_task(row, execution_id, len(events)), app.workflows[row.workflow], app)
    try:
        execution.replay(events)
        recorded = next((event for event in reversed(events) if isinstance(event, EndEvent)), None)
        main = execution._core.main
        if recorded is not None and main is not None and main.done():
            reached = end_of(execution._core, main)
            if isinstance(recorded, ExecutionCompleted | ExecutionContinued) and reached != recorded:
                yield f"replay ends with {reached}, and history with {recorded}"
        elif recorded is not None and not isinstance(events[-1], AdministrativeEvent):
            yield "replay doesn't reach the end that history has"
    except Exception as problem:
        yield f"replay fails: {type(problem).__name__}: {problem}"
    finally:
        execution.close()


def _task(row: InstanceRow, execution_id: bytes, position: int) -> WorkflowTask:
    return WorkflowTask(
        instance_key=row.key,
        instance_id=row.instance_id,
        execution_id=execution_id,
        workflow=row.workflow,
        queue=row.queue,
        priority=row.priority,
        version=row.version,
        parent=row.parent,
        token=0,
        position=position,
        history_bytes=0,
        now=0,
        pending=(),
        created_at=row.created_at,
        deadline_at=row.deadline_at,
    )
