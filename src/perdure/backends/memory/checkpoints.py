"""How a workflow task ends: by a checkpoint, by giving it back, or as stuck."""

from __future__ import annotations

import msgspec

from perdure.backends.endings import cancelled_unstarted
from perdure.backends.event_rows import encode_events
from perdure.backends.memory.appending import add_pending
from perdure.backends.memory.closing import administer, continue_as_new, end, write_history
from perdure.backends.memory.leasing import hand_back_activities, hand_back_or_place
from perdure.backends.memory.messages import deliver
from perdure.backends.memory.rows import ActivityRow, InstanceRow
from perdure.backends.memory.tables import Tables
from perdure.clock import Micros
from perdure.model.checkpoint import Checkpoint, Closing, NewActivity
from perdure.model.event import MarkedStuck
from perdure.model.instance import Outcome
from perdure.model.transition import (
    Checkpointed,
    CompleteWorkflowTask,
    FirstStep,
    MarkStuck,
    Rejected,
    ReleaseInstance,
)


def complete_workflow_task(tables: Tables, transition: CompleteWorkflowTask, now: Micros) -> Checkpointed | Rejected:
    row = tables.instances.get(transition.instance_key)
    if row is None:
        return Rejected("the instance is gone")
    reason = _broken_fence(tables, row, transition)
    if reason is not None:
        return Rejected(reason)
    encoded = encode_events(transition.checkpoint.events)  # the last thing that can fail
    for fused in transition.fused:
        tables.remove_activity(tables.activities[fused.activity_key])
    return write_checkpoint(tables, row, transition, encoded, now)


def write_checkpoint(
    tables: Tables, row: InstanceRow, step: CompleteWorkflowTask | FirstStep, encoded: bytes, now: Micros
) -> Checkpointed:
    """Write a checkpoint whose fences hold; `encoded` are its events."""
    checkpoint = step.checkpoint
    grown = write_history(tables, row, encoded, checkpoint.events) if checkpoint.events else 0
    new = _apply(tables, row, checkpoint, now)
    if checkpoint.closing is not None:
        _close(tables, row, checkpoint.closing, now)
    if step.release:
        tables.release_instance(row)
    activities = hand_back_activities(tables, step.offer, new, now)
    for activity in new:
        if activity.worker is None:
            tables.place_activity(activity, now)
    task = hand_back_or_place(tables, None if step.release else step.offer, row, now)
    return Checkpointed(activities=activities, workflow_task=task, events_bytes=grown)


def _broken_fence(tables: Tables, row: InstanceRow, transition: CompleteWorkflowTask) -> str | None:
    if not row.is_running:
        return f"the instance has ended: {row.state}"
    if row.token is None or row.token != transition.token:
        return "another worker has the instance, or none"
    if row.position != transition.checkpoint.position:
        return f"history is at position {row.position}, not {transition.checkpoint.position}"
    for fused in transition.fused:
        activity = tables.activities.get(fused.activity_key)
        if activity is None or activity.token != fused.token:
            return "the attempt whose result was applied has lost its lease"
    return None


def _apply(tables: Tables, row: InstanceRow, checkpoint: Checkpoint, now: Micros) -> list[ActivityRow]:
    """Write all but events and the end; gives the new activities, which have no place in the lines yet."""
    row.claimed = False
    row.is_fresh = False
    row.stuck_reason, row.stuck_attempts, row.lost = None, 0, 0
    row.updated_at = now
    for pending_id in checkpoint.consumed:
        row.pending.pop(pending_id, None)
    # Workflow code that has ended waits for none of its activities: those that would begin now never do.
    new = [] if checkpoint.closing is not None else [_insert(tables, row, spec, now) for spec in checkpoint.activities]
    if checkpoint.cancelled_activities:
        new = _cancel_activities(tables, row, checkpoint, new, now)
    for message in checkpoint.messages:
        deliver(tables, row, message, now)
    if checkpoint.published:
        row.published = {
            **row.published,
            **{
                name: tables.apart.in_slot(row.key, f"published {name}", value)
                for name, value in checkpoint.published.items()
            },
        }
    row.wake_at = now if row.pending else checkpoint.next_timer_at
    return new


def _insert(tables: Tables, row: InstanceRow, spec: NewActivity, now: Micros) -> ActivityRow:
    arguments = tables.apart.payload(row.key, spec.arguments)
    if arguments is not spec.arguments:
        spec = msgspec.structs.replace(spec, arguments=arguments)
    activity = ActivityRow(tables.keys.draw(now), row, row.execution_id, spec, scheduled_at=now, due_at=now)
    tables.add_activity(activity)
    return activity


def _cancel_activities(
    tables: Tables, row: InstanceRow, checkpoint: Checkpoint, new: list[ActivityRow], now: Micros
) -> list[ActivityRow]:
    for cancel in checkpoint.cancelled_activities:
        activity = row.activities.get(cancel.number)
        if activity is None:
            continue
        if not cancel.told:
            tables.drop_activity(activity)
        elif activity.is_open:
            activity.cancel_requested = True
        elif activity.worker is None:
            tables.remove_activity(activity)
            add_pending(row, cancelled_unstarted(cancel.number, activity.spec.name, activity.attempt, now))
        else:
            activity.cancel_requested = True
            activity.worker.told[activity.key] = activity
            tables.ring(activity.worker.bell)
    return [activity for activity in new if activity.key in tables.activities]


def _close(tables: Tables, row: InstanceRow, closing: Closing, now: Micros) -> None:
    if closing.following is not None:
        continue_as_new(tables, row, closing.following, now)
        return
    outcome = Outcome(
        instance_id=row.instance_id,
        workflow=row.workflow,
        state=closing.state,
        result=closing.result,
        failure=closing.failure,
    )
    end(tables, row, outcome, now)


def release_instance(tables: Tables, transition: ReleaseInstance, now: Micros) -> bool:
    row = tables.instances.get(transition.instance_key)
    if row is None or row.token is None or row.token != transition.token:
        return False
    tables.release_instance(row)
    tables.place_instance(row, now)
    return True


def mark_stuck(tables: Tables, transition: MarkStuck, now: Micros) -> bool:
    row = tables.instances.get(transition.instance_key)
    if row is None or row.token is None or row.token != transition.token:
        return False
    retry_at = None if transition.retry_in is None else now + transition.retry_in
    stick(tables, row, transition.reason, retry_at, now)
    return True


def stick(tables: Tables, row: InstanceRow, reason: str, retry_at: Micros | None, now: Micros) -> None:
    """Mark an instance stuck until `retry_at`, or resume."""
    administer(tables, row, MarkedStuck(at=now, reason=reason))
    row.stuck_reason = reason
    row.stuck_attempts += 1
    row.wake_at = retry_at
    tables.place_instance(row, now)
