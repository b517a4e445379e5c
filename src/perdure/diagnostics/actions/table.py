"""The table of actions: what each is called, does and takes, and on what it can be done.

Pages, JSON API, its description and the MCP server are all made from it: a new action is a new row.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from perdure.client.client import Client
from perdure.diagnostics.actions import doing
from perdure.diagnostics.actions.inputs import AT_EVENT, KEY, NUMBER, REASON, SIGNAL, VALUE, Input, Inputs
from perdure.diagnostics.actions.results import Result
from perdure.model.inspection import QueueLimits
from perdure.model.instance import Instance, State
from perdure.model.names import OWN_NAMES
from perdure.workflows.scheduling import WORKFLOW as SCHEDULE_KEEPER
from perdure.workflows.scheduling import ScheduleStatus


class ActionName(enum.StrEnum):
    """What can be done."""

    SIGNAL = "signal"
    CANCEL = "cancel"
    TERMINATE = "terminate"
    SUSPEND = "suspend"
    RESUME = "resume"
    RETRY_ACTIVITY = "retry_activity"
    REWIND = "rewind"
    REMOVE = "remove"
    PAUSE_QUEUE = "pause_queue"
    RESUME_QUEUE = "resume_queue"
    PAUSE_SCHEDULE = "pause_schedule"
    RESUME_SCHEDULE = "resume_schedule"
    TRIGGER_SCHEDULE = "trigger_schedule"


class TargetKind(enum.StrEnum):
    """On what."""

    INSTANCE = "instance"
    QUEUE = "queue"
    SCHEDULE = "schedule"
    FILTER = "filter"
    """All instances of a filter, in a batch."""


class Target(msgspec.Struct, frozen=True):
    """On which one. The `id` of a filter is its JSON."""

    kind: TargetKind
    id: str


@dataclass(frozen=True, kw_only=True)
class Action:
    """One row. `suits` takes what `kind` says: an Instance, QueueLimits, a ScheduleStatus."""

    name: ActionName
    label: str
    does: str
    """In a sentence or two, for the question whether it is meant."""
    run: Callable[[Client, str, Inputs], Awaitable[Result]]
    suits: Callable[[Any], bool]
    kind: TargetKind = TargetKind.INSTANCE
    inputs: tuple[Input, ...] = ()
    is_final: bool = False
    """It can't be taken back."""

    @property
    def is_for_many(self) -> bool:
        """Whether a batch can do it to all instances of a filter."""
        return self.kind is TargetKind.INSTANCE


def _runs(instance: Instance) -> bool:
    """A schedule's keeper has actions of its own, which know what it waits for."""
    return instance.state is State.RUNNING and instance.workflow != SCHEDULE_KEEPER


def _takes_signals(instance: Instance) -> bool:
    return instance.state is State.RUNNING and not instance.workflow.startswith(OWN_NAMES)


def _can_be_suspended(instance: Instance) -> bool:
    return _runs(instance) and not instance.suspended


def _is_held(instance: Instance) -> bool:
    return instance.state is State.RUNNING and (instance.suspended or instance.stuck is not None)


def _may_have_activities(instance: Instance) -> bool:
    return instance.state is State.RUNNING


def _can_go_back(instance: Instance) -> bool:
    ended_without_result = instance.state in (State.FAILED, State.CANCELLED, State.TERMINATED)
    return ended_without_result and not instance.workflow.startswith(OWN_NAMES)


def _has_ended(instance: Instance) -> bool:
    return instance.state.is_ended


def _is_open(limits: QueueLimits) -> bool:
    return not limits.paused


def _is_closed(limits: QueueLimits) -> bool:
    return limits.paused


def _is_active(schedule: ScheduleStatus) -> bool:
    return not schedule.is_paused


def _is_paused(schedule: ScheduleStatus) -> bool:
    return schedule.is_paused


def _is_schedule(schedule: ScheduleStatus) -> bool:
    return True


_ROWS = (
    Action(
        name=ActionName.SIGNAL,
        label="Send a signal",
        does="Sends it a signal, which waits there until the workflow receives it.",
        run=doing.signal,
        suits=_takes_signals,
        inputs=(SIGNAL, VALUE, KEY),
    ),
    Action(
        name=ActionName.CANCEL,
        label="Cancel",
        does="Asks it to cancel: it can clean up first, or finish all the same.",
        run=doing.cancel,
        suits=_runs,
        inputs=(REASON,),
    ),
    Action(
        name=ActionName.TERMINATE,
        label="Terminate",
        does="Ends it at once, without any clean-up. Its sub-workflows are told, as their parent_close says.",
        run=doing.terminate,
        suits=_runs,
        inputs=(REASON,),
        is_final=True,
    ),
    Action(
        name=ActionName.SUSPEND,
        label="Suspend",
        does="Holds it: what runs goes on to its end, nothing new begins until it is resumed.",
        run=doing.suspend,
        suits=_can_be_suspended,
    ),
    Action(
        name=ActionName.RESUME,
        label="Resume",
        does="Lets it go on if it was suspended, and tries again at once if it is stuck.",
        run=doing.resume,
        suits=_is_held,
    ),
    Action(
        name=ActionName.RETRY_ACTIVITY,
        label="Retry now",
        does="Begins the next attempt of an activity that waits for it at once.",
        run=doing.retry_activity,
        suits=_may_have_activities,
        inputs=(NUMBER,),
    ),
    Action(
        name=ActionName.REWIND,
        label="Rewind",
        does="Takes it back to before what led to its end, or to an event, and lets it go on with today's code. What came later is forgotten.",
        run=doing.rewind,
        suits=_can_go_back,
        inputs=(AT_EVENT,),
        is_final=True,
    ),
    Action(
        name=ActionName.REMOVE,
        label="Remove",
        does="Removes it with its whole history. Its id is free then.",
        run=doing.remove,
        suits=_has_ended,
        is_final=True,
    ),
    Action(
        name=ActionName.PAUSE_QUEUE,
        label="Pause",
        does="Lets no activity of the queue begin; those that run go on.",
        run=doing.pause_queue,
        suits=_is_open,
        kind=TargetKind.QUEUE,
    ),
    Action(
        name=ActionName.RESUME_QUEUE,
        label="Resume",
        does="Lets activities of the queue begin again.",
        run=doing.resume_queue,
        suits=_is_closed,
        kind=TargetKind.QUEUE,
    ),
    Action(
        name=ActionName.PAUSE_SCHEDULE,
        label="Pause",
        does="Lets the schedule start nothing; runs that it started go on.",
        run=doing.pause_schedule,
        suits=_is_active,
        kind=TargetKind.SCHEDULE,
    ),
    Action(
        name=ActionName.RESUME_SCHEDULE,
        label="Resume",
        does="Lets the schedule start runs again. What was due meanwhile isn't caught up on.",
        run=doing.resume_schedule,
        suits=_is_paused,
        kind=TargetKind.SCHEDULE,
    ),
    Action(
        name=ActionName.TRIGGER_SCHEDULE,
        label="Run now",
        does="Starts a run of the schedule now, beside any other one.",
        run=doing.trigger_schedule,
        suits=_is_schedule,
        kind=TargetKind.SCHEDULE,
    ),
)

ACTIONS = {row.name: row for row in _ROWS}


def actions_on(kind: TargetKind, subject: Instance | QueueLimits | ScheduleStatus) -> list[Action]:
    """Those that make sense on it, as it stands. `subject` is what `kind` says."""
    return [row for row in _ROWS if row.kind is kind and row.suits(subject)]
