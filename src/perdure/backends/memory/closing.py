"""How executions end: what goes with them, whom they tell, and what continue-as-new begins in their place."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from perdure.backends.endings import PARENT_CLOSED, cancel_child, carries_over, tell_parent
from perdure.backends.event_rows import encode_events
from perdure.backends.memory.appending import append
from perdure.backends.memory.rows import InstanceRow, PastExecution
from perdure.backends.memory.tables import Tables
from perdure.clock import Micros
from perdure.model.checkpoint import NextExecution
from perdure.model.event import Administrative, Event, Terminated
from perdure.model.instance import Outcome, State
from perdure.model.options import ParentClose
from perdure.model.retention import removal_at


def write_history(tables: Tables, row: InstanceRow, encoded: bytes, events: Sequence[Event]) -> int:
    """Append the events of one commit; how many bytes they have there."""
    if len(encoded) > tables.apart.threshold:
        encoded = encode_events(tables.apart.rows(row.key, events, len(encoded)))
    row.history.append((row.position, encoded))
    row.position += len(events)
    row.history_bytes += len(encoded)
    return len(encoded)


def administer(tables: Tables, row: InstanceRow, event: Administrative) -> None:
    """Write an administrative event. The lease ends: what its worker has in memory has been overtaken."""
    write_history(tables, row, encode_events((event,)), (event,))
    row.updated_at = event.at
    tables.release_instance(row)


def outcome_of(row: InstanceRow) -> Outcome | None:
    """How it ended; None while it runs."""
    if row.is_running:
        return None
    return Outcome(
        instance_id=row.instance_id,
        workflow=row.workflow,
        state=row.state,
        result=row.result,
        failure=row.failure,
        reason=row.reason,
    )


def end(tables: Tables, row: InstanceRow, outcome: Outcome, now: Micros) -> None:
    """End an instance for good, and with it those of its descendants whose parent_close is to terminate."""
    ending: deque[tuple[InstanceRow, Outcome]] = deque([(row, outcome)])
    while ending:
        ended, how = ending.popleft()
        _end_one(tables, ended, how, now)
        for child in _close_children(tables, ended, now):
            ending.append((child, _terminated(child, PARENT_CLOSED)))
            administer(tables, child, Terminated(at=now, reason=PARENT_CLOSED))


def terminate(tables: Tables, row: InstanceRow, reason: str, now: Micros) -> None:
    """End it at once, without clean-up."""
    administer(tables, row, Terminated(at=now, reason=reason))
    end(tables, row, _terminated(row, reason), now)


def continue_as_new(tables: Tables, row: InstanceRow, following: NextExecution, now: Micros) -> None:
    """Begin the next execution in the place of the one that has ended.

    The lease ends with it: a late checkpoint could name a position that the new history has as well.
    """
    tables.release_instance(row)
    for child in _close_children(tables, row, now):
        terminate(tables, child, PARENT_CLOSED, now)
    _drop_activities(tables, row)
    row.past = (
        *row.past,
        PastExecution(
            execution_id=row.execution_id,
            number=row.started.execution_number,
            started_at=row.started.at,
            ended_at=now,
            position=row.position,
            history=row.history,
        ),
    )
    row.execution_id = following.execution_id
    row.workflow = following.workflow
    row.digest = following.digest
    row.started = tables.lightened(row, msgspec.structs.replace(following.started, at=now))
    row.history, row.position, row.history_bytes, row.is_fresh = [], 0, 0, True
    row.pending = {number: event for number, event in row.pending.items() if carries_over(event.event)}
    row.wake_at = now


def _end_one(tables: Tables, row: InstanceRow, outcome: Outcome, now: Micros) -> None:
    row.state, row.failure, row.reason = outcome.state, outcome.failure, outcome.reason
    row.result = None if outcome.result is None else tables.apart.payload(row.key, outcome.result)
    row.ended_at = row.updated_at = now
    row.remove_at = removal_at(row.retention, row.state, now)
    if row.remove_at is not None:
        tables.removals.put(row.key, row.remove_at)
    row.wake_at, row.stuck_reason, row.suspended = None, None, False
    row.pending.clear()
    _drop_activities(tables, row)
    tables.release_instance(row)
    tables.deadlines.remove(row.key)
    tables.place_instance(row, now)
    tables.ring_end(row.instance_id)
    _tell_parent(tables, row, outcome, now)


def _tell_parent(tables: Tables, row: InstanceRow, outcome: Outcome, now: Micros) -> None:
    if row.parent is None:
        return
    parent = tables.by_id.get(row.parent.instance_id)
    if parent is not None and parent.is_running and parent.execution_id == row.parent.execution_id:
        append(tables, parent, tell_parent(row.parent.number, outcome, now), now)


def _close_children(tables: Tables, parent: InstanceRow, now: Micros) -> list[InstanceRow]:
    """Cancel those children that are to be cancelled; gives those that are to be terminated."""
    to_terminate: list[InstanceRow] = []
    for child in tables.running_children(parent):
        if child.parent_close is ParentClose.TERMINATE:
            to_terminate.append(child)
        elif child.parent_close is ParentClose.CANCEL:
            append(tables, child, cancel_child(now), now)
    return to_terminate


def _drop_activities(tables: Tables, row: InstanceRow) -> None:
    for activity in list(row.activities.values()):
        tables.drop_activity(activity)


def _terminated(row: InstanceRow, reason: str) -> Outcome:
    return Outcome(instance_id=row.instance_id, workflow=row.workflow, state=State.TERMINATED, reason=reason)
