"""Operators' transitions: each takes the next history position, so that a cached checkpoint is rejected."""

from __future__ import annotations

from perdure.backends.endings import deadline_failure
from perdure.backends.rows import RESHAPED, STATE_NUMBERS, STATES, InstanceRow
from perdure.backends.rules.closing import administer, end, terminate
from perdure.backends.unit.unit import Unit
from perdure.model.event import DeadlinePassed, Resumed, Suspended
from perdure.model.instance import Outcome, State
from perdure.model.transition import Administered, NotAppended, Resume, Suspend, Terminate


def terminate_instance(unit: Unit, transition: Terminate) -> Administered | NotAppended:
    row = unit.instance_by_id(transition.instance_id)
    if row is not None and row.state == STATE_NUMBERS[State.TERMINATED]:
        return Administered()
    if row is None or not row.is_running:
        return _nobody(row)
    terminate(unit, row, transition.reason)
    return Administered()


def suspend(unit: Unit, transition: Suspend) -> Administered | NotAppended:
    row = unit.instance_by_id(transition.instance_id)
    if row is None or not row.is_running:
        return _nobody(row)
    if not row.suspended:
        administer(unit, row, Suspended(at=unit.now))
        row.suspended = 1
        unit.change(row, RESHAPED)
        _place_activities(unit, row)
    return Administered()


def resume(unit: Unit, transition: Resume) -> Administered | NotAppended:
    row = unit.instance_by_id(transition.instance_id)
    if row is None or not row.is_running:
        return _nobody(row)
    if not row.suspended and row.stuck_reason is None:
        return Administered()
    administer(unit, row, Resumed(at=unit.now))
    row.suspended = row.lost = 0
    if row.stuck_reason is not None:
        row.wake_at = unit.now
    unit.change(row, RESHAPED)
    _place_activities(unit, row)
    return Administered()


def pass_deadline(unit: Unit, row: InstanceRow) -> None:
    """The instance has outlived its timeout."""
    failure = deadline_failure(row.workflow)
    administer(unit, row, DeadlinePassed(at=unit.now, failure=failure))
    outcome = Outcome(instance_id=row.instance_id, workflow=row.workflow, state=State.FAILED, failure=failure)
    end(unit, row, outcome)


def _nobody(row: InstanceRow | None) -> NotAppended:
    return NotAppended(None if row is None else STATES[row.state])


def _place_activities(unit: Unit, row: InstanceRow) -> None:
    """Whether they may be claimed depends on the instance, and is written with each of them."""
    for activity in unit.activities_of(row):
        unit.change_activity(activity)
