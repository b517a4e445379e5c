"""Operators' transitions: each takes the next history position, so that a cached checkpoint is rejected."""

from __future__ import annotations

from perdure.backends.endings import deadline_failure
from perdure.backends.memory.closing import administer, end, terminate
from perdure.backends.memory.rows import InstanceRow
from perdure.backends.memory.tables import Tables
from perdure.clock import Micros
from perdure.model.event import DeadlinePassed, Resumed, Suspended
from perdure.model.instance import Outcome, State
from perdure.model.transition import Administered, NotAppended, Resume, Suspend, Terminate


def terminate_instance(tables: Tables, transition: Terminate, now: Micros) -> Administered | NotAppended:
    row = tables.by_id.get(transition.instance_id)
    if row is not None and row.state is State.TERMINATED:
        return Administered()
    if row is None or not row.is_running:
        return _nobody(row)
    terminate(tables, row, transition.reason, now)
    return Administered()


def suspend(tables: Tables, transition: Suspend, now: Micros) -> Administered | NotAppended:
    row = tables.by_id.get(transition.instance_id)
    if row is None or not row.is_running:
        return _nobody(row)
    if not row.suspended:
        administer(tables, row, Suspended(at=now))
        row.suspended = True
        _place(tables, row, now)
    return Administered()


def resume(tables: Tables, transition: Resume, now: Micros) -> Administered | NotAppended:
    row = tables.by_id.get(transition.instance_id)
    if row is None or not row.is_running:
        return _nobody(row)
    if not row.suspended and row.stuck_reason is None:
        return Administered()
    administer(tables, row, Resumed(at=now))
    row.suspended = False
    row.lost = 0
    if row.stuck_reason is not None:
        row.wake_at = now
    _place(tables, row, now)
    return Administered()


def pass_deadline(tables: Tables, row: InstanceRow, now: Micros) -> None:
    """The instance has outlived its timeout."""
    failure = deadline_failure(row.workflow)
    administer(tables, row, DeadlinePassed(at=now, failure=failure))
    end(
        tables,
        row,
        Outcome(instance_id=row.instance_id, workflow=row.workflow, state=State.FAILED, failure=failure),
        now,
    )


def _nobody(row: InstanceRow | None) -> NotAppended:
    return NotAppended(None if row is None else row.state)


def _place(tables: Tables, row: InstanceRow, now: Micros) -> None:
    for activity in row.activities.values():
        if activity.worker is None:
            tables.place_activity(activity, now)
    tables.place_instance(row, now)
