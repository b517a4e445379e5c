"""What became of each step of an execution, learnt event by event: histories only grow, so that this is never learnt twice.

Commands carry no time of their own. Theirs is that of the applied event before them, for that led to them.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import msgspec

from perdure.clock import Micros
from perdure.model.event import (
    ActivityCancelled,
    ActivityCompleted,
    ActivityFailed,
    ActivityScheduled,
    AppliedEvent,
    CancelRequested,
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
from perdure.model.failure import Failure
from perdure.model.inspection import HistoryEvent

_LONGEST = 300


class BarKind(enum.StrEnum):
    """What a step is. Signals that were received, side effects, patches and cancels are points in time."""

    WORKFLOW = "workflow"
    ACTIVITY = "activity"
    TIMER = "timer"
    SUB_WORKFLOW = "sub_workflow"
    SIGNAL = "signal"
    """Received."""
    SIGNAL_SENT = "signal_sent"
    UPDATE = "update"
    SIDE_EFFECT = "side_effect"
    PATCH = "patch"
    CANCEL = "cancel"
    STUCK = "stuck"
    SUSPENDED = "suspended"


class BarState(enum.StrEnum):
    """How a step stands."""

    OPEN = "open"
    RETRYING = "retrying"
    """An activity that waits for its next attempt."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    CONTINUED = "continued_as_new"
    DROPPED = "dropped"
    """It was still open when the execution ended."""


class Step(msgspec.Struct, kw_only=True):
    """A step so far."""

    kind: BarKind
    label: str
    begin: Micros
    state: BarState = BarState.OPEN
    end: Micros | None = None
    positions: tuple[int, ...] = ()
    number: int | None = None
    attempts: int | None = None
    queue: str = ""
    detail: str = ""
    instance_id: str = ""
    due_at: Micros | None = None


class Steps:
    """The steps of one execution, in the order in which they began; the workflow itself is the first, once it has begun."""

    def __init__(self) -> None:
        self.all: list[Step] = []
        self.by_number: dict[int, Step] = {}
        """Those that are commands."""
        self.last_position = -1
        self.is_ended = False
        self.problem = ""
        """Why no more of them can be read, if something has damaged the store; else empty."""
        self._workflow: Step | None = None
        self._stuck: Step | None = None
        self._suspended: Step | None = None
        self._updates: dict[bytes, Step] = {}
        self.last_at: Micros = 0
        """Of what was applied last."""
        self._applied: list[int] = []
        self._times: list[Micros] = []

    def add(self, found: HistoryEvent) -> None:
        """Learn the next event; one that is known already changes nothing."""
        if found.position <= self.last_position:
            return
        event, self.last_position = found.event, found.position
        if isinstance(event, AppliedEvent):
            self.last_at = event.at
            self._applied.append(found.position)
            self._times.append(event.at)
            self._goes_on(event.at)
        learn = _LEARN.get(type(event))
        if learn is not None:
            learn(self, event, found.position)

    def at(self, position: int) -> Micros | None:
        """When the event at a position happened, if it is none that says so itself."""
        place = bisect_right(self._applied, position)
        return self._times[place - 1] if place else None

    def open(self) -> list[Step]:
        """Commands without an answer, and updates whose handler is at work."""
        return [step for step in self.all if step.end is None and step.kind in _AWAITED]

    def begins(self, step: Step, position: int) -> None:
        step.positions = (position,)
        self.all.append(step)
        if step.number is not None:
            self.by_number[step.number] = step

    def happens(
        self,
        kind: BarKind,
        label: str,
        position: int,
        *,
        number: int | None = None,
        state: BarState = BarState.COMPLETED,
        detail: str = "",
    ) -> None:
        """A point in time."""
        step = Step(
            kind=kind,
            label=label,
            begin=self.last_at,
            end=self.last_at,
            state=state,
            number=number,
            detail=_short(detail),
        )
        self.begins(step, position)

    def ends(self, step: Step | None, state: BarState, position: int, detail: str = "") -> None:
        if step is None:
            return
        step.positions = (*step.positions, position)
        if step.end is None:
            step.end, step.state = max(step.begin, self.last_at), state
            step.detail = _short(detail) or step.detail

    def answers(
        self, step: Step | None, position: int, failure: Failure | None = None, *, cancelled: bool = False
    ) -> None:
        state = BarState.CANCELLED if cancelled else BarState.COMPLETED if failure is None else BarState.FAILED
        self.ends(step, state, position, "" if failure is None else told(failure))

    def starts(self, event: ExecutionStarted, position: int) -> None:
        self._workflow = Step(kind=BarKind.WORKFLOW, label=event.workflow, begin=event.at)
        self.begins(self._workflow, position)
        for signal in event.carried:
            self.happens(BarKind.SIGNAL, signal.name, position, detail="came with the start")

    def finishes(self, state: BarState, position: int, at: Micros | None = None, detail: str = "") -> None:
        """The execution ends: what is open is given up."""
        self.last_at = self.last_at if at is None else max(self.last_at, at)
        self.is_ended = True
        if self._workflow is not None:
            self.ends(self._workflow, state, position, detail)
        for step in self.all:
            if step.end is None:
                step.end, step.state = max(step.begin, self.last_at), BarState.DROPPED
        self._stuck = self._suspended = None

    def asks_update(self, event: UpdateAccepted, position: int) -> None:
        self._updates[event.update_id] = Step(kind=BarKind.UPDATE, label=event.name, begin=event.at)
        self.begins(self._updates[event.update_id], position)

    def answers_update(self, event: UpdateCompleted, position: int) -> None:
        step = self._updates.pop(event.update_id, None)
        self.answers(step, position, event.failure)
        if step is not None:
            self.by_number[event.number] = step

    def sticks(self, event: MarkedStuck, position: int) -> None:
        if self._stuck is None:
            self._stuck = Step(kind=BarKind.STUCK, label="stuck", begin=event.at, attempts=0)
            self.begins(self._stuck, position)
        else:
            self._stuck.positions = (*self._stuck.positions, position)
            self._stuck.end, self._stuck.state = None, BarState.OPEN
        self._stuck.attempts = (self._stuck.attempts or 0) + 1
        self._stuck.detail = _short(event.reason)

    def suspends(self, event: Suspended, position: int) -> None:
        if self._suspended is None:
            self._suspended = Step(kind=BarKind.SUSPENDED, label="suspended", begin=event.at)
            self.begins(self._suspended, position)

    def resumes(self, event: Resumed, position: int) -> None:
        for step in (self._stuck, self._suspended):
            if step is not None:
                step.end, step.state = max(step.begin, event.at), BarState.COMPLETED
                step.positions = (*step.positions, position)
        self._stuck = self._suspended = None

    def _goes_on(self, at: Micros) -> None:
        """Something was applied: it isn't stuck any more. What had arrived before it got stuck is as old as its arrival."""
        step = self._stuck
        if step is not None:
            step.end, step.state = max(step.begin, at), BarState.COMPLETED
            if at > step.begin:
                self._stuck = None


def told(failure: Failure) -> str:
    """The failure on one line."""
    return _short(" ".join(f"{failure.type_name}: {failure.message}".split()))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


# What each kind of event tells. Those that aren't here tell nothing of a step.


def _begins_command(kind: BarKind, label: str) -> _Learn:
    """`label` is the field that names it, or the name of all of its kind."""

    def learn(steps: Steps, event: Any, position: int) -> None:
        step = Step(
            kind=kind,
            label=getattr(event, label, label),
            begin=steps.last_at,
            number=event.number,
            queue=getattr(event, "queue", ""),
            instance_id=getattr(event, "instance_id", ""),
            due_at=getattr(event, "due_at", None),
        )
        steps.begins(step, position)

    return learn


def _answers(steps: Steps, event: Any, position: int) -> None:
    step = steps.by_number.get(event.number)
    if step is not None:
        step.attempts = getattr(event, "attempts", None)
    steps.answers(step, position, getattr(event, "failure", None), cancelled=getattr(event, "cancelled", False))


def _cancels(steps: Steps, event: ActivityCancelled | TimerCancelled, position: int) -> None:
    if isinstance(event, ActivityCancelled) and event.told:
        _asks_to_cancel(steps, event, position)
    else:
        steps.ends(steps.by_number.get(event.number), BarState.CANCELLED, position)


def _asks_to_cancel(steps: Steps, event: ActivityCancelled | SubWorkflowCancelled, position: int) -> None:
    """Its end is still to come."""
    step = steps.by_number.get(event.number)
    if step is not None:
        step.positions, step.detail = (*step.positions, position), "asked to cancel"


def _records_side_effect(steps: Steps, event: SideEffectRecorded, position: int) -> None:
    failure = event.failure
    state, detail = (BarState.COMPLETED, "") if failure is None else (BarState.FAILED, told(failure))
    steps.happens(BarKind.SIDE_EFFECT, event.name, position, number=event.number, state=state, detail=detail)


_Learn = Callable[[Steps, Any, int], None]
_LEARN: dict[type[Event], _Learn] = {
    ExecutionStarted: Steps.starts,
    SignalReceived: lambda steps, event, at: steps.happens(BarKind.SIGNAL, event.name, at),
    CancelRequested: lambda steps, event, at: steps.happens(
        BarKind.CANCEL, "cancel requested", at, detail=event.reason
    ),
    ActivityScheduled: _begins_command(BarKind.ACTIVITY, "name"),
    ActivityCancelled: _cancels,
    ActivityCompleted: _answers,
    ActivityFailed: _answers,
    TimerSet: _begins_command(BarKind.TIMER, "timer"),
    TimerCancelled: _cancels,
    TimerFired: _answers,
    SubWorkflowScheduled: _begins_command(BarKind.SUB_WORKFLOW, "workflow"),
    SubWorkflowCancelled: _asks_to_cancel,
    SubWorkflowCompleted: _answers,
    SubWorkflowFailed: _answers,
    SignalSent: _begins_command(BarKind.SIGNAL_SENT, "name"),
    SignalDelivered: _answers,
    SignalRefused: _answers,
    UpdateAccepted: Steps.asks_update,
    UpdateCompleted: Steps.answers_update,
    SideEffectRecorded: _records_side_effect,
    PatchMarked: lambda steps, event, at: steps.happens(BarKind.PATCH, event.patch_id, at),
    ExecutionCompleted: lambda steps, _, at: steps.finishes(BarState.COMPLETED, at),
    ExecutionFailed: lambda steps, event, at: steps.finishes(BarState.FAILED, at, detail=told(event.failure)),
    ExecutionCancelled: lambda steps, _, at: steps.finishes(BarState.CANCELLED, at),
    ExecutionContinued: lambda steps, event, at: steps.finishes(BarState.CONTINUED, at, detail=f"as {event.workflow}"),
    Suspended: Steps.suspends,
    Resumed: Steps.resumes,
    MarkedStuck: Steps.sticks,
    Terminated: lambda steps, event, at: steps.finishes(BarState.TERMINATED, at, event.at, event.reason),
    DeadlinePassed: lambda steps, event, at: steps.finishes(BarState.FAILED, at, event.at, told(event.failure)),
}
"""By kind of event, each with the steps so far and the event's position."""
_AWAITED = {BarKind.ACTIVITY, BarKind.TIMER, BarKind.SUB_WORKFLOW, BarKind.SIGNAL_SENT, BarKind.UPDATE}
