"""A new execution out of the beginning of another one's history."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from perdure.engine.execution import Execution
from perdure.engine.machines.activity import ActivityMachine
from perdure.engine.machines.machine import ABANDONED, DONE, RECORDED, Machine
from perdure.engine.machines.sub_workflow import SubWorkflowMachine
from perdure.engine.machines.timer import TimerMachine
from perdure.errors import ConfigurationError
from perdure.model.checkpoint import Checkpoint, NewActivity, StartSubWorkflow
from perdure.model.event import Event


def beginning_of(execution: Execution, events: Sequence[Event], draw_id: Callable[[], bytes]) -> Checkpoint:
    """Replay the events; the checkpoint that has all of them, and begins again what is open behind them.

    Sub-workflows have the ids of those that they are to replace, if these have ended without a result. Raises what a replay
    raises, and ConfigurationError where something is under way that can't be begun again.
    """
    core = execution._core
    published: dict[str, bytes] = {}
    for _ in execution.replaying(events):
        published.update(core.published or {})
    activities: list[NewActivity] = []
    children: list[StartSubWorkflow] = []
    for machine in core.machines.values():
        if isinstance(machine, ActivityMachine) and machine.state is RECORDED:
            activities.append(machine.new)
        elif isinstance(machine, SubWorkflowMachine) and machine.state is RECORDED:
            children.append(_again(machine.start, draw_id))
        elif machine.state not in (DONE, ABANDONED) and not isinstance(machine, TimerMachine):
            raise ConfigurationError(_unfit(execution, machine))
    timer = core.next_timer()
    return Checkpoint(
        position=0,
        events=tuple(events),
        next_timer_at=None if timer is None else timer.due_at,
        activities=tuple(activities),
        messages=tuple(children),
        published=published,
    )


def _again(start: StartSubWorkflow, draw_id: Callable[[], bytes]) -> StartSubWorkflow:
    return msgspec.structs.replace(start, message_id=draw_id(), execution_id=draw_id(), replaces_failed=True)


def _unfit(execution: Execution, machine: Machine) -> str:
    return (
        f"{execution.instance_id!r} can't go on from there: {machine.kind} {machine.number} is under way ({machine.state}), and "
        "that can't be begun again. Take an event before it, or its end"
    )
