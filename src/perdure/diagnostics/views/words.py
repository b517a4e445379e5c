"""An event on one line, as people say it. Payloads are shown beside it, and aren't in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from perdure.clock import to_datetime
from perdure.diagnostics.steps import Steps, told
from perdure.model.event import (
    ActivityCancelled,
    ActivityCompleted,
    ActivityFailed,
    ActivityScheduled,
    CancelRequested,
    ContinueSuggested,
    DeadlinePassed,
    Event,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionContinued,
    ExecutionFailed,
    ExecutionStarted,
    MarkedStuck,
    PatchMarked,
    Resumed,
    SideEffectRecorded,
    SignalDelivered,
    SignalReceived,
    SignalRefused,
    SignalSent,
    SubWorkflowCancelled,
    SubWorkflowCompleted,
    SubWorkflowFailed,
    SubWorkflowScheduled,
    Suspended,
    Terminated,
    TimerCancelled,
    TimerFired,
    TimerSet,
    UpdateAccepted,
    UpdateCompleted,
)


def in_words(event: Event, steps: Steps) -> str:
    """What happened, or what the code asked for; names of what it answers are in the steps."""
    number = getattr(event, "number", None)
    step = None if number is None else steps.by_number.get(number)
    return _WORDS[type(event)](event, f"command {number}" if step is None else step.label)


def moment(at: datetime) -> str:
    """An instant, as words have it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _because(text: str) -> str:
    return f": {text}" if text else ""


def _after(attempts: int) -> str:
    return f" after {attempts} attempts" if attempts > 1 else ""


def _fails(event: ActivityFailed, name: str) -> str:
    how = "was cancelled" if event.cancelled else "failed"
    return f"{name} {how}{_after(event.attempts)}: {told(event.failure)}"


def _sub_workflow_fails(event: SubWorkflowFailed, name: str) -> str:
    how = "was cancelled" if event.cancelled else "was refused" if event.refused else "failed"
    return f"sub-workflow {name} {how}: {told(event.failure)}"


_WORDS: dict[type[Event], Callable[[Any, str], str]] = {
    ExecutionStarted: lambda e, _: f"{e.workflow} started",
    SignalReceived: lambda e, _: f"signal {e.name} arrived",
    CancelRequested: lambda e, _: f"cancel requested{_because(e.reason)}",
    ActivityCompleted: lambda e, name: f"{name} completed{_after(e.attempts)}",
    ActivityFailed: _fails,
    TimerFired: lambda e, _: f"timer {e.number} fired",
    SubWorkflowCompleted: lambda e, name: f"sub-workflow {name} completed",
    SubWorkflowFailed: _sub_workflow_fails,
    SignalDelivered: lambda e, name: f"signal {name} delivered",
    SignalRefused: lambda e, name: f"signal {name} refused: {told(e.failure)}",
    ContinueSuggested: lambda e, _: "continue-as-new suggested: the history is long",
    UpdateAccepted: lambda e, _: f"update {e.name} accepted",
    ActivityScheduled: lambda e, _: f"{e.name} scheduled on queue {e.queue}",
    ActivityCancelled: lambda e, name: f"{name} {'asked to cancel' if e.told else 'given up'}",
    TimerSet: lambda e, _: f"timer {e.number} set to {moment(to_datetime(e.due_at))}",
    TimerCancelled: lambda e, _: f"timer {e.number} cancelled",
    SubWorkflowScheduled: lambda e, _: f"sub-workflow {e.workflow} started as {e.instance_id}",
    SubWorkflowCancelled: lambda e, name: f"sub-workflow {name} asked to cancel",
    SignalSent: lambda e, _: f"signal {e.name} sent to {e.instance_id}",
    SideEffectRecorded: lambda e, _: f"side effect {e.name} {'recorded' if e.failure is None else 'raised'}",
    PatchMarked: lambda e, _: f"patch {e.patch_id} taken",
    UpdateCompleted: lambda e, name: f"update {name} {'answered' if e.failure is None else 'failed'}",
    ExecutionCompleted: lambda e, _: "the workflow returned",
    ExecutionFailed: lambda e, _: f"the workflow failed: {told(e.failure)}",
    ExecutionCancelled: lambda e, _: "the workflow was cancelled",
    ExecutionContinued: lambda e, _: f"continued as new: {e.workflow}",
    Suspended: lambda e, _: "suspended",
    Resumed: lambda e, _: "resumed",
    MarkedStuck: lambda e, _: f"stuck: {e.reason.partition(chr(10))[0]}",
    Terminated: lambda e, _: f"terminated{_because(e.reason)}",
    DeadlinePassed: lambda e, _: f"past its deadline: {told(e.failure)}",
}
"""By kind of event, each with the name of what it answers."""
