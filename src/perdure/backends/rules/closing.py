"""How executions end: what goes with them, whom they tell, and what continue-as-new begins in their place."""

from __future__ import annotations

from collections import deque

from perdure.backends.endings import PARENT_CLOSED, cancel_child, carries_over, tell_parent
from perdure.backends.rows import (
    ENDED,
    LEASED,
    RESHAPED,
    STATE_NUMBERS,
    InstanceRow,
    StoredOutcome,
    decode_retention,
    encode,
)
from perdure.backends.rules.appending import append
from perdure.backends.rules.creating import at_arrival
from perdure.backends.rules.posting import post_closing, post_end
from perdure.backends.unit.unit import Unit
from perdure.model.checkpoint import NextExecution
from perdure.model.event import Administrative, Terminated
from perdure.model.instance import Outcome, State
from perdure.model.options import ParentClose
from perdure.model.retention import removal_at


def release(unit: Unit, row: InstanceRow) -> None:
    """End the lease."""
    row.worker, row.token, row.claimed = None, None, 0
    unit.change(row, LEASED)


def administer(unit: Unit, row: InstanceRow, event: Administrative) -> None:
    """Write an administrative event. The lease ends: what its worker has in memory has been overtaken."""
    unit.write_history(row, (event,))
    release(unit, row)


def end(unit: Unit, row: InstanceRow, outcome: Outcome) -> None:
    """End an instance for good, and with it those of its descendants whose parent_close is to terminate."""
    if not row.children:
        _end_one(unit, row, outcome)
        return
    ending: deque[tuple[InstanceRow, Outcome]] = deque([(row, outcome)])
    while ending:
        ended, how = ending.popleft()
        children = _close_children(unit, ended)
        _end_one(unit, ended, how)
        for child in children:
            administer(unit, child, Terminated(at=unit.now, reason=PARENT_CLOSED))
            ending.append((child, _terminated(child, PARENT_CLOSED)))


def terminate(unit: Unit, row: InstanceRow, reason: str) -> None:
    """End it at once, without clean-up."""
    administer(unit, row, Terminated(at=unit.now, reason=reason))
    end(unit, row, _terminated(row, reason))


def continue_as_new(unit: Unit, row: InstanceRow, following: NextExecution) -> None:
    """Begin the next execution in the place of the one that has ended.

    The lease ends with it: a late checkpoint could name a position that the new history has as well.
    """
    release(unit, row)
    for child in _close_children(unit, row):
        terminate(unit, child, PARENT_CLOSED)
    drop_activities(unit, row)
    unit.changes.executions += (
        row.key,
        row.execution_number,
        row.execution_id,
        STATE_NUMBERS[State.CONTINUED_AS_NEW],
        row.began_at,
        unit.now,
        row.position,
    )
    if row.created_workflow is None:
        row.created_workflow, row.created_digest = row.workflow, row.digest
    row.execution_id, row.execution_number, row.began_at = following.execution_id, row.execution_number + 1, unit.now
    row.workflow, row.digest = following.workflow, following.digest
    unit.begin_history(row, at_arrival(following.started, unit.now))
    row.position = row.history_bytes = row.children = 0
    unit.drop_pending(row, [event.id for event in unit.pending_of(row) if not carries_over(event.event)])
    row.wake_at = unit.now
    unit.change(row, RESHAPED)


def drop_activities(unit: Unit, row: InstanceRow) -> None:
    """Nobody waits for the ends of its activities: they go, or when their workers are done."""
    for activity in unit.activities_of(row):
        if activity.worker is None:
            unit.remove_activity(activity)
        elif not activity.orphaned:
            activity.orphaned = 1
            unit.change_activity(activity)


def _end_one(unit: Unit, row: InstanceRow, outcome: Outcome) -> None:
    row.state = STATE_NUMBERS[outcome.state]
    result = None if outcome.result is None else unit.apart.payload(row.key, outcome.result)
    row.outcome = encode(StoredOutcome(result, outcome.failure, outcome.reason))
    row.ended_at = row.updated_at = unit.now
    if row.retention is not None:
        row.remove_at = removal_at(decode_retention(row.retention), outcome.state, unit.now)
    row.wake_at, row.stuck_reason, row.suspended = None, None, 0
    row.worker, row.token, row.claimed = None, None, 0
    unit.clear_pending(row)
    if row.open_activities:
        drop_activities(unit, row)
    unit.change(row, ENDED)
    unit.wakes.outcomes[row.instance_id] = outcome
    if row.parent_id is not None:
        _tell_parent(unit, row, outcome)


def _tell_parent(unit: Unit, row: InstanceRow, outcome: Outcome) -> None:
    if row.parent_id is None or row.parent_number is None:
        return
    if unit.is_apart(row.parent_id):
        post_end(unit, row, tell_parent(row.parent_number, outcome, unit.now))
        return
    parent = unit.instance_by_id(row.parent_id)
    if parent is not None and parent.is_running and parent.execution_id == row.parent_execution:
        append(unit, parent, tell_parent(row.parent_number, outcome, unit.now))


def _close_children(unit: Unit, parent: InstanceRow) -> list[InstanceRow]:
    """Cancel those children that are to be cancelled; gives those that are to be terminated. Others partitions' are told."""
    if not parent.children:
        return []
    post_closing(unit, parent)
    to_terminate: list[InstanceRow] = []
    for child in unit.children_of(parent):
        if child.parent_close == ParentClose.TERMINATE.value:
            to_terminate.append(child)
        elif child.parent_close == ParentClose.CANCEL.value:
            append(unit, child, cancel_child(unit.now))
    return to_terminate


def _terminated(row: InstanceRow, reason: str) -> Outcome:
    return Outcome(instance_id=row.instance_id, workflow=row.workflow, state=State.TERMINATED, reason=reason)
